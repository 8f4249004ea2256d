"""Who is looking, what their role allows, and the ways an action says no."""

from dataclasses import dataclass

from django.http import Http404

from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.models import Account
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.rules.errors import PermissionDenied


@dataclass(frozen=True)
class Viewer:
    """An account as queries and actions see it; capabilities come from its role in the regulation."""

    account_id: int
    username: str
    display_name: str
    department: DepartmentRef
    role: str
    role_name: Text
    capabilities: frozenset[str]

    def can(self, capability: str) -> bool:
        """Tell whether the role allows it."""
        return capability in self.capabilities


class NotFound(Http404):
    """There is no such thing for this viewer: absent and not permitted are one answer."""


@dataclass(frozen=True)
class Fault:
    """One field of a form that cannot be accepted, and what is allowed."""

    field: str
    code: str
    message: Text


class FormRefused(Exception):
    """A form was not accepted; `faults` names every field at fault and nothing was changed."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        """Keep the faults."""
        self.faults = faults
        super().__init__(", ".join(f"{fault.field}: {fault.code}" for fault in faults))


def viewer_of(account: Account) -> Viewer:
    """Describe an active account; a role the regulation does not know allows nothing."""
    role = regulation().role(account.role)
    return Viewer(
        account_id=account.pk,
        username=account.username,
        display_name=account.display_name,
        department=department_ref(account.department),
        role=account.role,
        role_name=Text(role.zh, role.en) if role else Text(account.role, account.role),
        capabilities=frozenset(role.capabilities) if role and account.is_active else frozenset(),
    )


def require(viewer: Viewer, capability: Capability, action: Text) -> None:
    """Raise `PermissionDenied` unless the role allows the action; use where existence is no secret."""
    if not viewer.can(capability):
        raise PermissionDenied(action=str(action))
