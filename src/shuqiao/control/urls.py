"""Addresses of control: the interfaces for departments' systems, and the pages."""

from django.urls import include, path

urlpatterns = [
    path("", include("shuqiao.control.web.outside_urls")),
    path("api/v1/", include("shuqiao.control.web.api.urls")),
    path("", include("shuqiao.control.web.urls")),
]
