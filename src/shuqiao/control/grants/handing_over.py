"""Offline exchange: what was handed over under a grant, on which medium, by whom, to whom and when (MOD-09).

The log fixes the moment and the content: from then on the user answers for what it holds (SEC-17).
Source: shenyang-2016 art. 20(2), 21, 23¶2; xiamen-2015 art. 17; guangzhou-2016 art. 5¶1.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

import msgspec
from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.grants.access import grants_visible
from shuqiao.control.grants.models import IN_USE, Grant, Handover, Medium
from shuqiao.control.regulations.current import named
from shuqiao.control.texts import Text
from shuqiao.rules.channels import OFFLINE
from shuqiao.wire.grant import decode_grant

MAX_PERSON_CHARS = 60
MAX_MARK_CHARS = 100
MAX_CONTENT_CHARS = 500
MAX_RECORDS = 2**31 - 1
CLOCK_SLACK = timedelta(minutes=1)
"""A form carries minutes, so a handover of this very minute is not in the future."""

MEDIA = {
    Medium.DISC.value: Text("光盘", "Disc"),
    Medium.USB.value: Text("移动存储介质", "USB medium"),
    Medium.DRIVE.value: Text("硬盘", "Hard disk"),
    Medium.PAPER.value: Text("纸质", "Paper"),
    Medium.OTHER.value: Text("其他", "Other"),
}
_DIGEST = re.compile("[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class HandoverInput:
    """A handover as its form gives it; `digest` is the SHA-256 of the file, where it was one."""

    handed_over_at: datetime | None
    handed_over_by: str
    receiver: str
    medium: str
    medium_mark: str
    content: str
    records: int | None = None
    digest: str = ""


@dataclass(frozen=True)
class HandoverRow:
    """One handover on the page of its grant."""

    at: datetime
    handed_over_by: str
    receiver: str
    medium: Text
    medium_mark: str
    content: str
    records: int | None
    digest: str
    entry: str


def is_offline(grant: Grant) -> bool:
    """Tell whether a grant is given offline too."""
    return OFFLINE in decode_grant(grant.document).channels


def may_hand_over(viewer: Viewer, grant: Grant) -> bool:
    """Tell whether the viewer records handovers of this grant now: the provider's, while it is in force."""
    return (
        grant.provider_id == viewer.department.code
        and viewer.can(Capability.REQUEST_ANSWER)
        and grant.phase == IN_USE
        and grant.valid_from <= clock.today()
        and is_offline(grant)
    )


def handovers_of(viewer: Viewer, number: str) -> tuple[HandoverRow, ...]:
    """The handovers of a grant the viewer may see, newest first."""
    rows = Handover.objects.filter(grant__in=grants_visible(viewer).filter(number=number))
    return tuple(
        HandoverRow(
            at=row.handed_over_at,
            handed_over_by=row.handed_over_by,
            receiver=row.receiver,
            medium=MEDIA[row.medium],
            medium_mark=row.medium_mark,
            content=row.content,
            records=row.records,
            digest=row.digest,
            entry=str(row.entry_id),
        )
        for row in rows
    )


@transaction.atomic
def record_handover(viewer: Viewer, number: str, given: HandoverInput) -> None:
    """Record that information was handed over outside the network, with its audit entry.

    Raises `NotFound` for whoever may not, and where the grant names no offline exchange or is not in force;
    `FormRefused` with every fault. Sent twice, the same handover is refused.
    """
    given = _trimmed(given)
    own = Grant.objects.select_for_update().filter(number=number, provider_id=viewer.department.code)
    grant = own.first()
    if grant is None or not may_hand_over(viewer, grant):
        raise NotFound
    faults = _faults(given, grant)
    if faults or given.handed_over_at is None:
        raise FormRefused(tuple(faults))
    entry = _record(viewer, grant, given)
    try:
        with transaction.atomic():
            Handover.objects.create(
                grant=grant,
                handed_over_at=given.handed_over_at,
                handed_over_by=given.handed_over_by,
                receiver=given.receiver,
                medium=given.medium,
                medium_mark=given.medium_mark,
                content=given.content,
                records=given.records,
                digest=given.digest,
                recorded_by_id=viewer.account_id,
                recorded_at=max(clock.now(), given.handed_over_at),
                entry_id=entry,
            )
    except IntegrityError:
        words = Text("这次交接已经登记", "This handover is recorded already")
        raise FormRefused((Fault("medium_mark", "handover_recorded", words),)) from None
    notify(
        grant.consumer_id,
        "offline_handed_over",
        grant.number,
        capability=Capability.REQUEST_SUBMIT,
        occasion=entry,
        params={"records": given.records or 0},
    )


def _trimmed(given: HandoverInput) -> HandoverInput:
    """The input without stray spaces and in UTC, so that its record reads back as it was digested."""
    at = given.handed_over_at
    return replace(
        given,
        handed_over_at=at.astimezone(UTC) if at else None,
        handed_over_by=given.handed_over_by.strip(),
        receiver=given.receiver.strip(),
        medium_mark=given.medium_mark.strip(),
        content=given.content.strip(),
    )


def _record(viewer: Viewer, grant: Grant, given: HandoverInput) -> str:
    rules = named(grant.regulation)
    entry = append_entry(
        "offline_handed_over",
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome=grant.state,
        department=grant.consumer_id,
        provider=grant.provider_id,
        resource_id=grant.resource_id,
        grant_id=grant.number,
        case_no=grant.request_number,
        facts={
            "handed_over_at": given.handed_over_at.isoformat() if given.handed_over_at else None,
            "medium": given.medium,
            "records": given.records,
            "sha256": given.digest,
            "record_sha256": record_digest(given),
            "fields": list(grant.fields),
            "articles": [rules.cite_matter("after_delivery")],
        },
    )
    return str(entry)


def record_digest(given: HandoverInput) -> str:
    """The digest by which the log fixes all that was recorded, without holding the persons' names itself."""
    written = msgspec.json.encode(given, order="sorted")
    return hashlib.sha256(written).hexdigest()


def _faults(given: HandoverInput, grant: Grant) -> list[Fault]:
    texts = (
        ("handed_over_by", given.handed_over_by, MAX_PERSON_CHARS),
        ("receiver", given.receiver, MAX_PERSON_CHARS),
        ("medium_mark", given.medium_mark, MAX_MARK_CHARS),
        ("content", given.content, MAX_CONTENT_CHARS),
    )
    found = []
    for name, value, limit in texts:
        if not value.strip():
            found.append(_fault(name, "field_required", "必填", "It must be filled in"))
        elif len(value.strip()) > limit:
            found.append(_fault(name, "too_long", f"不超过 {limit} 字", f"At most {limit} characters"))
    if given.medium not in MEDIA:
        found.append(_fault("medium", "field_required", "请选择介质", "Choose the medium"))
    if given.records is not None and not 0 <= given.records <= MAX_RECORDS:
        found.append(_fault("records", "number_out_of_range", "记录数超出范围", "The number is out of range"))
    if given.digest and _DIGEST.fullmatch(given.digest) is None:
        zh, en = "SHA-256 校验值为 64 位十六进制小写字符", "A SHA-256 is 64 lower-case hexadecimal digits"
        found.append(_fault("digest", "digest_malformed", zh, en))
    return found + _moment_faults(given.handed_over_at, grant)


def _moment_faults(at: datetime | None, grant: Grant) -> list[Fault]:
    if at is None:
        zh, en = "请填写交接时间，如 2026-11-25 09:30", "Give the moment, such as 2026-11-25 09:30"
        return [_fault("handed_over_at", "date_unreadable", zh, en)]
    begins = max(datetime.combine(grant.valid_from, time(), clock.LEGAL_ZONE), grant.issued_at - CLOCK_SLACK)
    if not begins <= at <= clock.now() + CLOCK_SLACK:
        zh, en = "交接须在授权生效之后、现在之前", "It lies after the grant's beginning and not in the future"
        return [_fault("handed_over_at", "date_impossible", zh, en)]
    return []


def _fault(name: str, code: str, zh: str, en: str) -> Fault:
    return Fault(name, code, Text(zh, en))
