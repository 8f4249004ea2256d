"""Who may see and fetch copies under a grant: absent and not permitted are one answer."""

from __future__ import annotations

import json
from dataclasses import dataclass

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.grants.access import access_grant
from shuqiao.control.grants.models import IN_USE, Grant
from shuqiao.control.organisations.models import Application

MODE = "bulk"
DOWNLOAD = "download"
BROWSE = "browse"


@dataclass(frozen=True)
class BulkGrant:
    """A grant of mode bulk that the viewer may see, and by which ways this viewer may use it now.

    `portal` is the pages' own application, where the grant names it; `files` are those it gives, where it is
    for files and not for a copy.
    """

    grant: Grant
    portal: Application | None
    channels: frozenset[str]
    case_required: bool
    files: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is given under it now: it has ended, or is suspended."""
        return self.grant.phase != IN_USE

    def may(self, channel: str) -> bool:
        """Tell whether the viewer may use this way now."""
        return channel in self.channels


def access_bulk_grant(viewer: Viewer, number: str, *, of_files: bool = False) -> BulkGrant:
    """Return a grant of mode bulk, for a copy or of files; its consumer's persons with the role may fetch."""
    grant = access_grant(viewer, number)
    if grant.mode != MODE:
        raise NotFound
    document = json.loads(grant.document)
    files = tuple(document.get("files", ()))
    if bool(files) is not of_files:
        raise NotFound
    portal = next((one for one in grant.applications.all() if one.portal and one.active), None)
    uses = (
        portal is not None
        and grant.phase == IN_USE
        and grant.consumer_id == viewer.department.code
        and viewer.can(Capability.GRANT_USE)
    )
    channels = frozenset(document.get("channels", ())) if uses else frozenset[str]()
    return BulkGrant(grant, portal, channels, bool(document.get("case_required")), files)


def access_to_use(viewer: Viewer, number: str, channel: str, *, of_files: bool = False) -> BulkGrant:
    """Return a grant that the viewer may use in this way now."""
    found = access_bulk_grant(viewer, number, of_files=of_files)
    if not found.may(channel):
        raise NotFound
    return found
