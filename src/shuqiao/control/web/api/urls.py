"""Addresses of the interfaces; they are stable within their version."""

from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from shuqiao.control.web.api import catalogue, nodes

urlpatterns = [
    path("catalogue/openapi.json", catalogue.openapi, name="api_openapi"),
    path("catalogue/entries", catalogue.entries, name="api_entries"),
    path("catalogue/entries/<str:key>", catalogue.entry, name="api_entry"),
    path("catalogue/entries/<str:key>/draft", catalogue.draft, name="api_draft"),
    path("catalogue/tables/<str:key>", catalogue.table, name="api_table"),
    path("catalogue/vocabulary", catalogue.vocabulary, name="api_vocabulary"),
    path("catalogue/standards/<str:kind>", catalogue.standards, name="api_standards"),
    path("nodes/enrol", nodes.enrol, name="api_node_enrol"),
    re_path("^(?P<rest>.*)$", csrf_exempt(catalogue.unknown)),
]
