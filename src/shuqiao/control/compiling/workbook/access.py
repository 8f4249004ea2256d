"""Fetching uploaded workbooks and being allowed to, in one call: absent and not permitted are one answer."""

from django.db.models import QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.compiling.workbook.models import CatalogueImport


def visible(viewer: Viewer) -> QuerySet[CatalogueImport]:
    """The workbooks this viewer may see, without their files: those of the department, for its compilers."""
    if not viewer.can(Capability.CATALOGUE_EDIT):
        return CatalogueImport.objects.none()
    return CatalogueImport.objects.filter(department_id=viewer.department.code).defer("content")


def access_import(viewer: Viewer, key: int) -> CatalogueImport:
    """Return a workbook this viewer may see, without its file."""
    found = visible(viewer).select_related("account").filter(pk=key).first()
    if found is None:
        raise NotFound
    return found


def access_import_locked(viewer: Viewer, key: int) -> CatalogueImport:
    """Return it locked until the caller's transaction ends: whoever comes second waits here."""
    found = visible(viewer).select_for_update(of=("self",)).filter(pk=key).first()
    if found is None:
        raise NotFound
    return found
