"""Addresses of control: the pages and nothing else."""

from django.urls import include, path

urlpatterns = [path("", include("shuqiao.control.web.urls"))]
