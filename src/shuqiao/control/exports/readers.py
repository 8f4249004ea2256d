"""Who reads the catalogue from outside the pages, and what they may see of it.

Closed by default: whoever is not known to belong to a department reads as the public, and the public sees
only what the providing department has published as open.
Source: xiamen-2015 art. 7; shenyang-2016 art. 11(1), 11(3), 23(1); guangzhou-2016 art. 4(2).
"""

from dataclasses import dataclass
from enum import StrEnum

from django.db.models import QuerySet

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.models import Resource


class Reader(StrEnum):
    """As whom somebody reads."""

    PUBLIC = "public"
    DEPARTMENT = "department"


@dataclass(frozen=True)
class Places:
    """The addresses of things, stable for as long as the installation keeps its own; `base` has no slash."""

    base: str

    def catalogue(self) -> str:
        """The catalogue itself."""
        return f"{self.base}/dcat/catalog"

    def dataset(self, resource: str) -> str:
        """One entry."""
        return f"{self.base}/dcat/dataset/{resource}"

    def version(self, resource: str, version: int) -> str:
        """One version of an entry: a place in the document that describes the entry."""
        return f"{self.dataset(resource)}#version-{version}"

    def term(self, kind: str, key: str) -> str:
        """A department, theme, series or standard: a place in the document that lists them."""
        return f"{self.base}/dcat/terms#{kind}-{key}"

    def page(self, resource: str, reader: Reader) -> str:
        """The page for people about an entry."""
        path = "open" if reader is Reader.PUBLIC else "catalogue"
        return f"{self.base}/{path}/{resource}/"


def reader_of(viewer: Viewer | None) -> Reader:
    """As whom an account reads; nobody, and a role that may not search the catalogue, is the public."""
    if viewer is not None and viewer.can(Capability.CATALOGUE_SEARCH):
        return Reader.DEPARTMENT
    return Reader.PUBLIC


def visible(reader: Reader) -> QuerySet[Resource]:
    """The entries a reader may know of: published, in the sharing catalogue, and open if it is the public.

    The flag must stand in what the department published as well as in the column that is searched.
    """
    shared = Resource.objects.filter(state="published", shared=True)
    if reader is Reader.DEPARTMENT:
        return shared
    return shared.filter(open_to_public=True, content__open_to_public=True)
