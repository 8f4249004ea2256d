"""Asking to enrol a system's key, admitting or refusing it, and taking a system off the platform.

Two persons of two bodies: whoever asks for a department can't admit. Each action writes its row, the audit
entry and the notices in one transaction; an admitted key counts on the plane when that is committed.
Source: guangzhou-2016 art. 38(1); our choice, decision 15.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.enrolments.certificates import ReadRequest, RequestUnusable, read_request
from shuqiao.control.enrolments.models import EnrolmentState, KeyEnrolment
from shuqiao.control.organisations.actions import (
    ApplicationInput,
    enrol_application,
    retire_application,
)
from shuqiao.control.organisations.bodies import PLATFORM_AGENCY, bodies_with, body_roles
from shuqiao.control.organisations.models import Application
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.rules.errors import PermissionDenied, RequestMalformed, TransitionRefused
from shuqiao.rules.ids import parse_application_id
from shuqiao.security.keys import key_id

MAX_OPEN = 20
MAX_REASON_CHARS = 300
ASK = Text("登记系统密钥", "Enrol a system's key")
ADMIT = Text("审核系统接入", "Decide on a system's key")
RETIRE = Text("停用系统", "Take a system off the platform")
_UNUSABLE = {
    "malformed": Text(
        "不是可读取的证书请求（PEM，PKCS#10）", "It is no readable certificate signing request (PEM, PKCS#10)"
    ),
    "key_type": Text("密钥须为 Ed25519、P-256 或 SM2", "The key must be Ed25519, P-256 or SM2"),
    "unproved": Text(
        "请求的签名与其中的公钥不符，请重新生成",
        "The request is not signed with the key in it; make it again",
    ),
    "no_name": Text("请求须写明一个 CN，即系统编号", "The request must name one CN: the system's id"),
}


@dataclass(frozen=True)
class EnrolmentInput:
    """What the form gives: the last part of the system's id, its names, and the signing request as PEM."""

    word: str
    name_zh: str
    name_en: str
    request: str


def application_id(viewer: Viewer, word: str) -> str:
    """The id of a system of the viewer's department; nobody can take a name within another's."""
    own = viewer.department.code.partition("-")[2]
    return f"app-{own}-{word.strip()}"


@transaction.atomic
def ask_enrolment(viewer: Viewer, given: EnrolmentInput) -> UUID:
    """Ask the platform agency to enrol a key, for a new system or in place of a system's key.

    Raises `PermissionDenied` for other roles and `FormRefused` with every fault.
    """
    require(viewer, Capability.APPLICATION_ENROL, ASK)
    name, read = application_id(viewer, given.word), None
    faults = _text_faults(given, name)
    try:
        read = read_request(given.request)
    except RequestUnusable as unusable:
        faults.append(Fault("request", f"signing_request_{unusable.code}", _UNUSABLE[unusable.code]))
    else:
        faults += _key_faults(read, name)
    waiting = KeyEnrolment.objects.filter(
        department_id=viewer.department.code, state=EnrolmentState.WAITING
    ).count()
    if waiting >= MAX_OPEN:
        words = Text(f"最多 {MAX_OPEN} 件待审核", f"At most {MAX_OPEN} requests at a time")
        faults.append(Fault("word", "too_many_waiting", words))
    if faults or read is None:
        raise FormRefused(tuple(faults))
    row = _store(viewer, given, name, read)
    _append(viewer, row, "key_enrolment_asked")
    for agency in bodies_with(PLATFORM_AGENCY):
        notify(agency, "key_enrolment_asked", str(row.pk), capability=Capability.APPLICATION_ADMIT,
               params={"application": name, "department": row.department.short_zh})  # fmt: skip
    return row.pk


@transaction.atomic
def decide_enrolment(viewer: Viewer, key: UUID, *, admit: bool, reason: str = "") -> None:
    """Admit or refuse a waiting request; an admitted key counts at once.

    Raises `NotFound` for whoever isn't of the platform agency, `PermissionDenied` for whose department asked
    for it, `TransitionRefused` for whoever comes second, and `FormRefused` for a refusal without reason.
    """
    row = KeyEnrolment.objects.select_for_update().filter(pk=key).first()
    if row is None or not may_admit(viewer):
        raise NotFound
    if row.asked_by_id == viewer.account_id or row.department_id == viewer.department.code:
        raise PermissionDenied(action=str(ADMIT))
    _refuse_decided(row, ADMIT)
    words = reason.strip()[:MAX_REASON_CHARS]
    if not admit and not words:
        raise FormRefused((Fault("reason", "reason_required", Text("请写明理由", "Say why")),))
    _decide(row, viewer, EnrolmentState.ADMITTED if admit else EnrolmentState.REFUSED, words)
    if admit:
        enrol_application(
            ApplicationInput(
                row.application,
                row.department_id,
                Text(row.name_zh, row.name_en or row.name_zh),
                row.algorithm,
                bytes(row.public_key),
            ),
            f"account:{viewer.username}",
        )
    _append(viewer, row, "key_enrolment_decided")
    notify(row.department_id, "key_enrolment_decided", str(row.pk), capability=Capability.APPLICATION_ENROL,
           params={"application": row.application, "state": row.state})  # fmt: skip


@transaction.atomic
def withdraw_enrolment(viewer: Viewer, key: UUID) -> None:
    """Take back a waiting request of one's own department."""
    row = _own(viewer, key)
    _refuse_decided(row, ASK)
    _decide(row, viewer, EnrolmentState.WITHDRAWN, "")
    _append(viewer, row, "key_enrolment_decided")


@transaction.atomic
def retire(viewer: Viewer, application: str, reason: str) -> None:
    """Take a system off the platform at once: its own department may, and the platform agency."""
    row = Application.objects.select_for_update().filter(id=application, portal=False).first()
    own = row is not None and row.department_id == viewer.department.code
    if row is None or not ((own and viewer.can(Capability.APPLICATION_ENROL)) or may_admit(viewer)):
        raise NotFound
    words = reason.strip()[:MAX_REASON_CHARS]
    if not words:
        raise FormRefused((Fault("reason", "reason_required", Text("请写明理由", "Say why")),))
    if not row.active:
        raise TransitionRefused(case=row.id, state=str(Text("已停用", "retired")), action=str(RETIRE))
    retire_application(row, f"account:{viewer.username}", words)
    notify(row.department_id, "application_retired", row.id, capability=Capability.APPLICATION_ENROL,
           occasion=clock.now().isoformat(), params={"application": row.id, "reason": words})  # fmt: skip


def may_admit(viewer: Viewer) -> bool:
    """Tell whether the viewer decides on keys for the platform agency."""
    return viewer.can(Capability.APPLICATION_ADMIT) and PLATFORM_AGENCY in body_roles(viewer.department.code)


def _own(viewer: Viewer, key: UUID) -> KeyEnrolment:
    row = (
        KeyEnrolment.objects.select_for_update().filter(pk=key, department_id=viewer.department.code).first()
    )
    if row is None or not viewer.can(Capability.APPLICATION_ENROL):
        raise NotFound
    return row


def _text_faults(given: EnrolmentInput, name: str) -> list[Fault]:
    faults = []
    try:
        parse_application_id(name)
    except RequestMalformed:
        words = Text("只含小写字母、数字和短横线", "Lower-case letters, digits and single dashes")
        faults.append(Fault("word", "application_id_malformed", words))
    if not 0 < len(given.name_zh.strip()) <= 100:
        words = Text("请填写名称，不超过 100 字", "Name it, in at most 100 characters")
        faults.append(Fault("name_zh", "field_required", words))
    if len(given.name_en.strip()) > 160:
        words = Text("不超过 160 个字符", "At most 160 characters")
        faults.append(Fault("name_en", "text_too_long", words))
    return faults


def _key_faults(read: ReadRequest, name: str) -> list[Fault]:
    if read.name != name:
        words = Text(f"请求中的 CN 须为 {name}", f"The CN in the request must be {name}")
        return [Fault("request", "signing_request_other_name", words)]
    in_use = Application.objects.filter(public_key=read.public_key).exists()
    asked = KeyEnrolment.objects.filter(
        key_id=key_id(read.public_key), state__in=[EnrolmentState.WAITING, EnrolmentState.ADMITTED]
    )
    if in_use or asked.exists():
        words = Text("该密钥已登记过，请生成新的密钥", "This key has been used before; make a new one")
        return [Fault("request", "key_used_before", words)]
    return []


def _store(viewer: Viewer, given: EnrolmentInput, name: str, read: ReadRequest) -> KeyEnrolment:
    try:
        with transaction.atomic():
            return KeyEnrolment.objects.create(
                application=name,
                department_id=viewer.department.code,
                name_zh=given.name_zh.strip(),
                name_en=given.name_en.strip(),
                algorithm=read.algorithm,
                public_key=read.public_key,
                key_id=key_id(read.public_key),
                asked_by_id=viewer.account_id,
                asked_at=clock.now(),
            )
    except IntegrityError:
        words = Text("该系统已有一件待审核的登记", "A request for this system is waiting already")
        raise FormRefused((Fault("word", "enrolment_waiting", words),)) from None


def _refuse_decided(row: KeyEnrolment, action: Text) -> None:
    if row.state != EnrolmentState.WAITING:
        state = EnrolmentState(row.state).label
        raise TransitionRefused(case=row.application, state=str(state), action=str(action))


def _decide(row: KeyEnrolment, viewer: Viewer, state: EnrolmentState, reason: str) -> None:
    row.state, row.reason = state, reason
    row.decided_by_id, row.decided_at = viewer.account_id, clock.now()
    row.save(update_fields=["state", "reason", "decided_by", "decided_at"])


def _append(viewer: Viewer, row: KeyEnrolment, event: str) -> None:
    append_entry(
        event,
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome=row.state,
        department=viewer.department.code,
        provider=row.department_id,
        facts={
            "application": row.application,
            "algorithm": row.algorithm,
            "key": row.key_id,
            "reason": row.reason,
            "articles": [regulation().cite_matter("security")],
        },
    )
