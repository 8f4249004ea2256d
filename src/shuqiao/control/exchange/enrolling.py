"""Admitting a department's node: tokens that the agency makes, what nodes ask with them, and revoking a node.

Control holds no key that admits anybody: it checks what is asked and keeps it for `loader.admitting`.
Source: shenyang-2016 art. 8; our choice, decision 40.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from django.conf import settings
from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.exchange.access import may_admit
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.texts import Text
from shuqiao.rules.errors import EnrolmentTokenUnusable, EnrolmentTokenUsed, NodeNotInUse
from shuqiao.wire.enrolment_token import (
    EnrolmentAnswer,
    EnrolmentRequest,
    answer_key_of,
    create_token,
    fingerprint,
    is_proved,
    verifier_of,
    write_token,
)

SERVES_HOURS = 72
SHOWN = 100
MAX_OPEN = 50
MAX_REASON_CHARS = 300
_TOKENS = """
SELECT t.id, t.department, t.made_by, t.made_at, t.valid_until, t.signing_key, t.nats_user, t.admitted_at,
       CASE WHEN t.withdrawn_at IS NOT NULL THEN 'withdrawn' WHEN t.fault IS NOT NULL THEN 'faulty'
            WHEN t.round > t.admitted_round THEN 'waiting' WHEN t.round > 0 THEN 'admitted'
            WHEN t.valid_until < clock_timestamp() THEN 'over' ELSE 'open' END, t.other_key IS NOT NULL
FROM exchange.enrolment_token t ORDER BY t.made_at DESC LIMIT %s
"""
_OPEN = """
SELECT count(*) FROM exchange.enrolment_token
WHERE round = 0 AND withdrawn_at IS NULL AND valid_until > clock_timestamp()
"""
_ASKED = "SELECT verifier, department FROM exchange.enrolment_token WHERE id = %s"
_ANSWER = "SELECT admission, mac FROM exchange.enrolment_token WHERE id = %s"
_REFUSALS = {
    "unusable": EnrolmentTokenUnusable,
    "used": EnrolmentTokenUsed,
    "not_in_use": NodeNotInUse,
}
TOKEN_STATES = {
    "open": Text("待使用", "Not used yet"),
    "waiting": Text("待接入", "Being admitted"),
    "admitted": Text("已接入", "Admitted"),
    "over": Text("已过期", "Over"),
    "withdrawn": Text("已撤回", "Withdrawn"),
    "faulty": Text("未通过", "Not admitted"),
}


@dataclass(frozen=True)
class TokenRow:
    """A token as the page lists it; `fingerprint` is of the keys that came with it."""

    id: UUID
    department: DepartmentRef
    made_by: str
    made_at: datetime
    valid_until: datetime
    fingerprint: str
    admitted_at: datetime | None
    state: str
    words: Text
    was_tried: bool

    @property
    def may_withdraw(self) -> bool:
        """It still serves for something."""
        return self.state in ("open", "waiting", "admitted")


@dataclass(frozen=True)
class TokensPage:
    """Tokens, the newest first, and for whom one can be made."""

    tokens: tuple[TokenRow, ...]
    departments: tuple[DepartmentRef, ...]
    hours: int


def tokens_page(viewer: Viewer) -> TokensPage:
    """Return what the page shows; raises `NotFound` for who doesn't admit."""
    _require(viewer)
    refs = department_refs()
    with connection.cursor() as cursor:
        cursor.execute(_TOKENS, [SHOWN])
        rows = cursor.fetchall()
    tokens = tuple(
        TokenRow(
            id=key,
            department=refs[department],
            made_by=by,
            made_at=made,
            valid_until=until,
            fingerprint=fingerprint(bytes(signing), user) if signing else "",
            admitted_at=admitted,
            state=state,
            words=TOKEN_STATES[state],
            was_tried=tried,
        )
        for key, department, by, made, until, signing, user, admitted, state, tried in rows
    )
    return TokensPage(tokens, tuple(sorted(refs.values(), key=lambda one: one.code)), SERVES_HOURS)


@transaction.atomic
def make_token(viewer: Viewer, department: str, url: str) -> str:
    """Make a token for a node and return its text, which is kept nowhere. Raises `FormRefused`."""
    _require(viewer)
    if not Department.objects.filter(pk=department).exists():
        raise FormRefused(
            (Fault("department", "field_required", Text("请选择部门", "Choose the department")),)
        )
    with connection.cursor() as cursor:
        cursor.execute(_OPEN)
        if cursor.fetchone()[0] >= MAX_OPEN:
            words = Text(f"最多 {MAX_OPEN} 个待使用的令牌", f"At most {MAX_OPEN} tokens may be open")
            raise FormRefused((Fault("department", "too_many_waiting", words),))
        token = create_token(department, url, _pin())
        cursor.execute(
            "SELECT exchange.make_enrolment_token(%s, %s, %s, %s, %s, %s)",
            (
                token.id,
                department,
                verifier_of(token),
                answer_key_of(token),
                viewer.username,
                clock.now(),
            ),
        )
    notify(department, "node_token_made", str(token.id), capability=Capability.NODES_WATCH,
           params={"hours": SERVES_HOURS})  # fmt: skip
    return write_token(token)


@transaction.atomic
def withdraw_token(viewer: Viewer, key: UUID) -> bool:
    """Take a token back; False where it serves for nothing already. Raises `NotFound`."""
    _require(viewer)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT exchange.withdraw_enrolment_token(%s, %s, %s)", (key, viewer.username, clock.now())
        )
        return bool(cursor.fetchone()[0])


@transaction.atomic
def revoke_node(viewer: Viewer, department: str, reason: str) -> bool:
    """Take a node out of use at once, with a reason; False where it is so already. Raises `NotFound`."""
    _require(viewer)
    words = reason.strip()[:MAX_REASON_CHARS]
    if not words:
        raise FormRefused((Fault("reason", "reason_required", Text("请写明理由", "Say why")),))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT exchange.revoke_node(%s, %s, %s, %s)",
            (department, viewer.username, words, clock.now()),
        )
        is_new = bool(cursor.fetchone()[0])
    if is_new:
        name = department_refs()[department].name
        notify(department, "node_revoked", department, capability=Capability.NODES_WATCH,
               occasion=clock.now().isoformat(),
               params={"name_zh": name.zh, "name_en": name.en, "reason": words})  # fmt: skip
    return is_new


def take_request(asked: EnrolmentRequest) -> EnrolmentAnswer:
    """Take what a node asks, as often as it asks, and say how far it is; raises a refusal."""
    state, answer = _take(asked)
    # Raised after the commit: the entry of a refusal is to be kept.
    if refusal := _REFUSALS.get(state):
        raise refusal
    return answer


@transaction.atomic
def _take(asked: EnrolmentRequest) -> tuple[str, EnrolmentAnswer]:
    waiting = EnrolmentAnswer("waiting")
    with connection.cursor() as cursor:
        cursor.execute(_ASKED, [asked.token])
        row = cursor.fetchone()
        if row is None or not is_proved(asked, bytes(row[0]), row[1]):
            return "unusable", waiting
        given = asked.request
        cursor.execute(
            "SELECT exchange.ask_enrolment(%s, %s, %s, %s, %s)",
            (asked.token, given.signing_key, given.nats_user, asked.round, msgspec.msgpack.encode(asked)),
        )
        state = cursor.fetchone()[0]
        if state != "admitted":
            return state, waiting
        cursor.execute(_ANSWER, [asked.token])
        admission, mac = cursor.fetchone()
        return state, EnrolmentAnswer("admitted", bytes(admission), bytes(mac))


def _require(viewer: Viewer) -> None:
    if not may_admit(viewer):
        raise NotFound


def _pin() -> str:
    """SHA-256 of the pages' own certificate; nothing where a proxy before them ends TLS."""
    files = settings.CONFIG.tls
    if files is None:
        return ""
    return x509.load_pem_x509_certificate(files.certificate.read_bytes()).fingerprint(SHA256()).hex()
