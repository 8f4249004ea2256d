"""Addresses for the public and for other systems; they are stable, for others keep them."""

from django.urls import path, re_path

from shuqiao.control.web.views import business_systems, ckan, exports, open_pages

_RESOURCE = r"(?P<resource>r[0-9]{6}[a-z2-7]{10})"
_SUFFIX = r"(?:\.(?P<suffix>ttl|jsonld))?"

urlpatterns = [
    path("open/", open_pages.open_catalogue, name="open_catalogue"),
    re_path(rf"^open/{_RESOURCE}/$", open_pages.open_entry_page, name="open_entry"),
    re_path(
        r"^open/certificates/(?P<code>[0-9a-f]{40})/$", business_systems.look_up, name="open_certificate"
    ),
    re_path(r"^open/catalogue\.(?P<suffix>csv|xlsx)$", exports.open_table, name="open_table"),
    re_path(r"^catalogue/export\.(?P<suffix>csv|xlsx)$", exports.sharing_table, name="sharing_table"),
    re_path(rf"^dcat/catalog{_SUFFIX}$", exports.catalogue, name="dcat_catalogue"),
    re_path(rf"^dcat/dataset/{_RESOURCE}{_SUFFIX}$", exports.dataset, name="dcat_dataset"),
    re_path(rf"^dcat/terms{_SUFFIX}$", exports.terms, name="dcat_terms"),
    re_path(r"^api/(?:3/)?action/(?P<name>[a-z_]{1,60})$", ckan.action, name="ckan_action"),
    re_path(r"^api/3/?$", ckan.version, name="ckan_version"),
]
