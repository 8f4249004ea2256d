"""Who stands in an entry of the log or asked for a copy: systems and persons by their names.

An actor is written as `app-x`, `app-x/user`, `account:user`, `node:department` or `system:process`. The users
of a department's own system are that system's; those of the portal are accounts here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from shuqiao.control.accounts.models import Account
from shuqiao.control.organisations.models import Application
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.texts import Text

ACCOUNT, SYSTEM = "account:", "system:"
PORTAL = Text("平台页面", "platform pages")
NODE, UNKNOWN = "node:", "unknown"
PROCESSES = {
    "worker": Text("平台定时任务", "The platform's jobs"),
    "platform": Text("平台", "The platform"),
    "loader": Text("平台入库程序", "The platform's loader"),
    "bulk": Text("平台副本程序", "The platform's preparation of copies"),
    "catalogue": Text("平台目录程序", "The platform's catalogue"),
    "control": Text("平台", "The platform"),
    "enrolment": Text("平台接入程序", "The platform's admission"),
    "log": Text("平台审计程序", "The platform's log keeping"),
    "rules": Text("平台规则程序", "The platform's rules"),
    "plane": Text("平台数据服务", "The platform's data plane"),
    "vault": Text("身份信息库", "The identity vault"),
    "integrator": Text("日志编入程序", "The log's integrator"),
    "seed": Text("平台初始化", "The platform's first filling"),
    "simulation": Text("示例时间程序", "The sample's clock"),
}


@dataclass(frozen=True)
class ActorRef:
    """An actor by `name`; `user` is who used the system, `code` how the log writes it."""

    code: str
    name: Text
    department: DepartmentRef | None = None
    user: str = ""

    @property
    def is_known(self) -> bool:
        """Tell whether the name says more than the code."""
        return self.name.zh != self.code.partition("/")[0]

    def __str__(self) -> str:
        """Return the name in the reader's language, with who used the system."""
        return f"{self.name} / {self.user}" if self.user else str(self.name)


def actor_refs(codes: Iterable[str]) -> dict[str, ActorRef]:
    """Name actors by their codes: two queries, however many there are. What is not known names itself."""
    wanted = {code for code in codes if code}
    systems = _systems({_system_of(code) for code in wanted})
    users = {code.removeprefix(ACCOUNT) for code in wanted if code.startswith(ACCOUNT)}
    users |= {user for code in wanted if (user := _user_of(code)) and _is_portal(systems, code)}
    accounts = {
        one.username: one for one in Account.objects.filter(username__in=users).select_related("department")
    }
    return {code: _actor(code, systems, accounts) for code in wanted}


def _systems(ids: set[str]) -> dict[str, Application]:
    found = Application.objects.filter(pk__in=ids).select_related("department")
    return {one.pk: one for one in found}


def _system_of(code: str) -> str:
    return code.partition("/")[0]


def _user_of(code: str) -> str:
    return code.partition("/")[2]


def _is_portal(systems: dict[str, Application], code: str) -> bool:
    system = systems.get(_system_of(code))
    return system is not None and system.portal


def _actor(code: str, systems: dict[str, Application], accounts: dict[str, Account]) -> ActorRef:
    plain = Text(code, code)
    if code == UNKNOWN:
        return ActorRef(code, Text("未知账号", "Unknown account"))
    if code.startswith(NODE):
        return ActorRef(code, Text("部门前置机", "The department's node"))
    if code.startswith(SYSTEM):
        return ActorRef(code, PROCESSES.get(code.removeprefix(SYSTEM), plain))
    if code.startswith(ACCOUNT):
        account = accounts.get(code.removeprefix(ACCOUNT))
        if account is None:
            return ActorRef(code, plain)
        return ActorRef(
            code, Text(account.display_name, account.display_name), department_ref(account.department)
        )
    system, user = systems.get(_system_of(code)), _user_of(code)
    known = accounts.get(user) if _is_portal(systems, code) else None
    shown = known.display_name if known is not None else user
    if system is None:
        return ActorRef(code, Text(_system_of(code), _system_of(code)), user=shown)
    # The portal's own name repeats its department's; the person is who acts.
    name = PORTAL if system.portal else Text(system.name_zh, system.name_en or system.name_zh)
    return ActorRef(code, name, department_ref(system.department), shown)
