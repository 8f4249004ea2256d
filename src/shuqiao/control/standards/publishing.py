"""Publishing a version of a standard: checked, recorded, and told to every department."""

import re
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import ToTell, notify_all
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.organisations.bodies import COMPETENT, bodies_with
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import regulation
from shuqiao.control.standards.contents import Content, Kind, changes, content_from
from shuqiao.control.standards.loading import EVENT, put
from shuqiao.control.standards.models import MAX_REASON_CHARS, Standard, StandardVersion
from shuqiao.control.standards.queries import contents
from shuqiao.control.texts import Text
from shuqiao.rules.entry_faults import plain_fault
from shuqiao.rules.errors import PermissionDenied

PUBLISH = Text("发布标准", "Publish a standard")
MAX_CODES = 10_000
MAX_NAMES = 50
DATA_TYPES = frozenset("CNYDTLMGBIF")
CHECKS = frozenset(
    {
        "citizen_id",
        "credit_code",
        "organisation_code",
        "registration_number",
        "birth_certificate",
        "document",
        "date",
        "datetime",
    }
)
"""The checks that the platform makes of values delivered; a format may name one of them."""

_KEY = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_REFERENCES = {"format": Kind.FORMAT, "code_list": Kind.CODE_LIST, "broader": Kind.ELEMENT}
_LIMITS = {"zh": 100, "en": 160, "note_zh": 500, "note_en": 500, "pattern": 200, "example": 100}
_SHORT = 60


@dataclass(frozen=True)
class StandardInput:
    """A version to be published; `base_version` is the one it was written from, 0 for a new standard."""

    kind: Kind
    key: str
    content: Content
    reason: str
    base_version: int


def may_publish(viewer: Viewer) -> bool:
    """Tell whether the viewer publishes standards: the reviewing role of the competent department.

    Source: guangzhou-2016 art. 29(1); guangzhou-2019 art. 15(1).
    """
    competent = viewer.department.code in bodies_with(COMPETENT)
    return competent and viewer.can(Capability.CATALOGUE_REVIEW)


@transaction.atomic
def publish_standard(viewer: Viewer, given: StandardInput) -> int:
    """Publish a version, tell all departments, and return its number.

    Raises `PermissionDenied`, or `FormRefused` with every fault; nothing is then written. Publishing what is
    in force already is a fault, and so is a version written from one that is no longer the newest.
    """
    require(viewer, Capability.CATALOGUE_REVIEW, PUBLISH)
    if not may_publish(viewer):
        raise PermissionDenied(action=str(PUBLISH))
    row = Standard.objects.select_for_update().filter(kind=given.kind.value, key=given.key).first()
    before = content_from(row.content) if row else None
    faults = [*_form_faults(given), *_version_faults(given, row, before)]
    if faults:
        raise FormRefused(tuple(faults))
    row = row or Standard(kind=given.kind.value, key=given.key, version=0)
    put(row, given.content)
    row.published_at = clock.now()
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise FormRefused((_newer(),)) from None
    entry = _record(viewer, given, row, before)
    StandardVersion.objects.create(
        standard=row,
        version=row.version,
        content=row.content,
        reason=given.reason.strip(),
        published_at=row.published_at,
        published_by_id=viewer.account_id,
        entry_id=entry,
    )
    _tell(given, row)
    return row.version


def _record(viewer: Viewer, given: StandardInput, row: Standard, before: Content | None) -> uuid.UUID:
    rules = regulation()
    return append_entry(
        EVENT,
        actor=f"account:{viewer.username}",
        at=row.published_at,
        outcome="published",
        department=viewer.department.code,
        facts={
            "kind": row.kind,
            "standard": row.key,
            "version": row.version,
            "reason": given.reason.strip(),
            "changes": len(changes(before, given.content)),
            "articles": [rules.cite(rules.citations["standards"])],
        },
    )


def _tell(given: StandardInput, row: Standard) -> None:
    """Tell every department: a standard binds all of them."""
    params: dict[str, str | int] = {"name_zh": row.zh, "name_en": row.en, "version": row.version}
    codes = Department.objects.filter(active=True).values_list("code", flat=True)
    notify_all(
        ToTell(code, EVENT, given.key, occasion=f"{row.kind}:{row.version}", params=params)
        for code in codes.order_by("code")
    )


def _newer() -> Fault:
    words = Text(
        "在您编写期间已有新版本，请查看后重新提交",
        "A newer version was published meanwhile: look at it first",
    )
    return Fault("base_version", "version_outdated", words)


def _version_faults(given: StandardInput, row: Standard | None, before: Content | None) -> Iterator[Fault]:
    version = row.version if row else 0
    if given.base_version != version:
        yield _newer()
    elif before == given.content:
        words = Text("与现行版本没有差别", "Nothing differs from the version in force")
        yield Fault("content", "nothing_changed", words)
    if not given.reason.strip():
        yield Fault("reason", "field_required", Text("请写明理由或文号", "Say why, or name the document"))
    elif len(given.reason.strip()) > MAX_REASON_CHARS:
        words = Text(f"不超过 {MAX_REASON_CHARS} 字", f"At most {MAX_REASON_CHARS} characters")
        yield Fault("reason", "too_long", words)
    if not _KEY.fullmatch(given.key):
        words = Text("以小写字母开头，只含小写字母、数字和下划线", "Lower-case letters, digits, underscores")
        yield Fault("key", "key_malformed", words)


def _form_faults(given: StandardInput) -> Iterator[Fault]:
    content = given.content
    for name in ("zh", "en"):
        if not getattr(content, name).strip():
            yield Fault(name, "field_required", Text("必填", "It must be filled in"))
    yield from _text_faults(content)
    if content.data_type and content.data_type not in DATA_TYPES:
        yield _unknown("data_type")
    if given.kind == Kind.ELEMENT and not content.data_type:
        yield Fault("data_type", "field_required", Text("必填", "It must be filled in"))
    if content.length is not None and not 1 <= content.length <= 1_000_000:
        yield Fault("length", "number_out_of_range", Text("1 至 1000000", "From 1 to 1000000"))
    if content.sensitivity is not None and not 0 <= content.sensitivity <= 4:
        yield _unknown("sensitivity")
    if content.check and content.check not in CHECKS:
        yield _unknown("check")
    yield from _pattern_faults(content)
    yield from _reference_faults(given)
    yield from _code_faults(given)


def _text_faults(content: Content) -> Iterator[Fault]:
    for name in ("zh", "en", "note_zh", "note_en", "example", "national", "provincial"):
        wrong = plain_fault(name, getattr(content, name), _LIMITS.get(name, 100))
        if wrong:
            yield Fault(name, wrong.code, Text(wrong.zh, wrong.en))
    for name in ("synonyms", "fields"):
        values = getattr(content, name)
        if len(values) > MAX_NAMES or any(plain_fault("", value, _SHORT) for value in values):
            words = Text(f"最多 {MAX_NAMES} 个，每个不超过 {_SHORT} 字", f"At most {MAX_NAMES} of {_SHORT}")
            yield Fault(name, "names_malformed", words)


def _pattern_faults(content: Content) -> Iterator[Fault]:
    """A pattern is shown, never run on data; it must be readable as one all the same."""
    if not content.pattern:
        return
    try:
        re.compile(content.pattern)
    except (re.error, OverflowError, RecursionError):
        yield Fault("pattern", "pattern_malformed", Text("不是有效的表达式", "It is no regular expression"))
        return
    if len(content.pattern) > _LIMITS["pattern"]:
        yield Fault("pattern", "too_long", Text("不超过 200 字", "At most 200 characters"))


def _reference_faults(given: StandardInput) -> Iterator[Fault]:
    for name, kind in _REFERENCES.items():
        value = getattr(given.content, name)
        if not value:
            continue
        known = contents(kind)
        if value not in known:
            yield _unknown(name)
        elif name == "broader" and given.key in _above(value, known):
            words = Text("上位数据元不能绕回自身", "The broader elements lead back to it")
            yield Fault("broader", "circular", words)


def _above(key: str, known: Collection[str]) -> set[str]:
    """The element and everything broader than it."""
    found: set[str] = set()
    content = contents(Kind.ELEMENT)
    while key and key in known and key not in found:
        found.add(key)
        key = content[key].broader
    return found


def _code_faults(given: StandardInput) -> Iterator[Fault]:
    codes = given.content.codes
    if given.kind == Kind.CODE_LIST and not codes:
        yield Fault("codes", "field_required", Text("至少一个代码", "At least one code"))
    if len(codes) > MAX_CODES:
        yield Fault("codes", "too_many", Text(f"最多 {MAX_CODES} 个", f"At most {MAX_CODES}"))
        return
    values = [code.value for code in codes]
    if len(set(values)) != len(values) or any(not code.value or not code.zh for code in codes):
        words = Text("代码不能为空或重复，并须有含义", "No code is empty or twice, and each has a meaning")
        yield Fault("codes", "codes_malformed", words)
    elif any(plain_fault("", text) for code in codes for text in (code.value, code.zh, code.en)):
        words = Text("代码和含义须为纯文本", "Codes and their meanings are plain text")
        yield Fault("codes", "text_not_plain", words)


def _unknown(field: str) -> Fault:
    return Fault(field, "value_unknown", Text("不是可选的值", "It is not one of the values to choose from"))


def existing(kind: Kind, key: str) -> Standard:
    """Return a standard, whatever its state; raises `NotFound`."""
    row = Standard.objects.filter(kind=kind.value, key=key).first()
    if row is None:
        raise NotFound
    return row
