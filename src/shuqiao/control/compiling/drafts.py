"""Drafts of entries: begun, saved again and again, and left to one person at a time.

A draft binds nobody, so saving one leaves no audit entry; that another person goes on with it does, because
compiler and reviewer are two persons (ORG-08).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.entries import entry_from, entry_json
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.access import OPEN_PHASES, PROCEDURE, access_locked, sides_of
from shuqiao.control.compiling.checking import check, check_all
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.compiling.models import Compilation, CompilationKind
from shuqiao.control.compiling.steps import Step, record_step
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import named
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry, differences, only_wording
from shuqiao.rules.errors import CorrectionTooWide, DraftChanged, EntryBeingChanged
from shuqiao.rules.ids import RANDOM_BYTES, compilation_no, new_resource_id, parse_resource_id
from shuqiao.rules.procedures import Facts, Refusal, decide
from shuqiao.rules.regulation import SETTING

__all__ = [
    "Draft",
    "DraftInput",
    "begin",
    "check",
    "check_all",
    "rebase_draft",
    "refuse_saving",
    "save_draft",
    "save_drafts",
    "storable",
]

MAX_CONTENT_BYTES = 2 * 1024 * 1024
SAVE, TAKEN_OVER, REBASED = "save", "taken_over", "rebased"
COMPILE = Text("编制目录条目", "Compile an entry of the catalogue")


@dataclass(frozen=True, kw_only=True)
class DraftInput:
    """A draft as one of the ways of compiling gives it.

    `number` is that of a draft kept already, read at `revision`; without it a case begins. `resource` is the
    entry to change, correct or withdraw; for a new one it may be a given id, else one is made. `key` is the
    stable key under which the department's own system knows the entry.
    """

    content: Entry
    number: str | None = None
    kind: str = CompilationKind.NEW.value
    resource: str = ""
    revision: int = 0
    origin: str = "wizard"
    key: str = ""


@dataclass(frozen=True)
class Draft:
    """A kept draft: the number of its case, the save it is at, and the id its entry has or will have."""

    number: str
    revision: int
    resource: str = ""


@transaction.atomic
def save_draft(viewer: Viewer, given: DraftInput) -> Draft:
    """Keep a draft, or begin one.

    Raises `DraftChanged` where somebody saved it after `given.revision`, `EntryBeingChanged` where its entry
    has another open case, `CorrectionTooWide` for a correction that touches more than wording, and
    `FormRefused` for what can't be stored. Saving what is kept already changes nothing.
    """
    return _save(viewer, given)


@transaction.atomic
def save_drafts(viewer: Viewer, given: Sequence[DraftInput]) -> tuple[Draft, ...]:
    """Keep many drafts, all or none; otherwise like `save_draft`."""
    return tuple(_save(viewer, one) for one in given)


@transaction.atomic
def begin(viewer: Viewer, kind: str, resource: str) -> Draft:
    """Begin a change, correction or withdrawal of an entry in force, with what it says now.

    The declaration that it is no state secret is made anew for what is changed (CAT-26).
    """
    held = Resource.objects.filter(id=resource, state="published").first()
    if held is None or kind == CompilationKind.NEW:
        raise NotFound
    content = replace(entry_from(held.content), not_secret=False)
    return _save(viewer, DraftInput(content=content, kind=kind, resource=resource))


@transaction.atomic
def rebase_draft(viewer: Viewer, number: str) -> Draft:
    """Let a draft start from the entry as it is in force now, where that has changed meanwhile.

    What the draft says stays; its differences are then those from the present version.
    """
    [case] = access_locked(viewer, [number])
    refuse_saving(viewer, case)
    version = Resource.objects.filter(id=case.resource).values_list("version", flat=True).first()
    if version is not None and version != case.base_version:
        case.base_version, case.revision, case.changed_at = version, case.revision + 1, clock.now()
        case.save(update_fields=["base_version", "revision", "changed_at"])
    return Draft(case.number, case.revision, case.resource)


def _save(viewer: Viewer, given: DraftInput) -> Draft:
    require(viewer, Capability.CATALOGUE_EDIT, COMPILE)
    content = storable(given.content)
    if given.number is None:
        return _begin(viewer, given, content)
    [case] = access_locked(viewer, [given.number])
    refuse_saving(viewer, case)
    if case.revision != given.revision:
        raise DraftChanged(case=case.number, revision=str(case.revision), rule=_article(case.regulation))
    if case.content == content:
        return Draft(case.number, case.revision, case.resource)
    department = _department_of(viewer, given.content, case.resource if case.kind != "new" else "")
    if case.kind == CompilationKind.NEW:
        _refuse_region(department, case.resource)
        case.department, case.regulation = department, rules_for(department.code).id
        refuse_saving(viewer, case)
    _refuse_wide_correction(case, given.content)
    if case.compiler_id != viewer.account_id:
        record_step(case, Step(TAKEN_OVER, viewer), case.state, _article(case.regulation))
    case.content, case.revision = content, case.revision + 1
    case.name_zh, case.compiler_id = given.content.name_zh[:100], viewer.account_id
    case.changed_at = clock.now()
    case.save()
    return Draft(case.number, case.revision, case.resource)


def _begin(viewer: Viewer, given: DraftInput, content: dict[str, object]) -> Draft:
    held = _entry_to_change(given)
    department = _department_of(viewer, given.content, held.id if held else "")
    rules = rules_for(department.code)
    initial, now = rules.procedure(PROCEDURE).initial, clock.now()
    case = Compilation(
        kind=given.kind,
        origin=given.origin,
        resource=held.id if held else _new_id(given, department),
        key=given.key.strip()[:100],
        base_version=held.version if held else 0,
        department=department,
        regulation=rules.id,
        state=initial.key,
        phase=initial.phase.value,
        name_zh=given.content.name_zh[:100],
        content=content,
        compiler_id=viewer.account_id,
        created_at=now,
        changed_at=now,
    )
    refuse_saving(viewer, case)
    _refuse_wide_correction(case, given.content)
    _refuse_second(case)
    year = clock.today().year
    case.number = compilation_no(year, next_number("C", year))
    try:
        with transaction.atomic():
            case.save(force_insert=True)
    except IntegrityError:
        # Two began at once: the database has let one of them through.
        _refuse_second(case)
        raise
    return Draft(case.number, case.revision, case.resource)


def storable(entry: Entry) -> dict[str, object]:
    """The draft as it is kept; what is only wrong may be kept, what can't be stored is refused."""
    try:
        text = msgspec.json.encode(entry_json(entry))
    except UnicodeEncodeError:
        raise FormRefused((_UNPLAIN,)) from None
    if b"\\u0000" in text:
        raise FormRefused((_UNPLAIN,))
    if len(text) > MAX_CONTENT_BYTES:
        words = Text("条目内容过大（最多 2 MiB）", "The entry is too large (at most 2 MiB)")
        raise FormRefused((Fault("content", "text_too_long", words),))
    content: dict[str, object] = msgspec.json.decode(text)
    return content


_UNPLAIN = Fault(
    "content",
    "text_not_plain",
    Text("内容含有不能保存的控制字符", "It holds control characters that can't be stored"),
)


def _entry_to_change(given: DraftInput) -> Resource | None:
    if given.kind == CompilationKind.NEW:
        return None
    rows = Resource.objects.select_for_update(of=("self",)).select_related("department")
    held = rows.filter(id=given.resource, state="published").first()
    if held is None or given.kind not in CompilationKind.values:
        raise NotFound
    return held


def _new_id(given: DraftInput, department: Department) -> str:
    if not given.resource:
        return new_resource_id(department.region, secrets.token_bytes(RANDOM_BYTES))
    resource = parse_resource_id(given.resource)
    _refuse_region(department, resource)
    if Resource.objects.filter(id=resource).exists():
        raise NotFound
    return resource


def _refuse_region(department: Department, resource: str) -> None:
    """An id bears the region of its catalogue for good."""
    if resource[1:7] != department.region:
        words = Text(
            "不能改到另一地区的部门，请另行新增条目", "Another region's department needs another entry"
        )
        raise FormRefused((Fault("department", "department_refused", words),))


def _department_of(viewer: Viewer, entry: Entry, resource: str) -> Department:
    """Whose case it is: the department in force for an entry that is there, else the one the draft names."""
    if resource:
        return Department.objects.get(resources=resource)
    code = entry.department or viewer.department.code
    found = Department.objects.filter(code=code, active=True).first()
    return found or Department.objects.get(code=viewer.department.code)


def refuse_saving(viewer: Viewer, case: Compilation) -> None:
    """Let the case's regulation say who may write a draft, and in which state."""
    rules = named(case.regulation)
    facts = Facts(case.number, sides_of(viewer, case.department_id))
    decision = decide(
        rules.procedure(PROCEDURE),
        case.state,
        SAVE,
        facts,
        capabilities=viewer.capabilities,
        regulation=rules,
        today=clock.today(),
    )
    if isinstance(decision, Refusal):
        raise decision.error()


def _refuse_second(case: Compilation) -> None:
    other = Compilation.objects.filter(resource=case.resource, phase__in=OPEN_PHASES).first()
    if other is None and case.key:
        same_key = Compilation.objects.filter(department_id=case.department_id, key=case.key)
        other = same_key.filter(phase__in=OPEN_PHASES).first()
    if other is not None:
        rule = _article(case.regulation)
        raise EntryBeingChanged(entry=case.name_zh or case.resource, case=other.number, rule=rule)


def _refuse_wide_correction(case: Compilation, entry: Entry) -> None:
    """A correction touches wording and nothing else (CAT-11).

    Source: guangzhou-2016 art. 31; our choice, decision 14.
    """
    if case.kind != CompilationKind.CORRECTION:
        return
    held = entry_from(Resource.objects.values_list("content", flat=True).get(id=case.resource))
    found = differences(replace(held, not_secret=entry.not_secret), entry)
    if only_wording(found):
        return
    wide = ", ".join(one.path for one in found if not only_wording((one,)))
    rules = named(case.regulation)
    cited = rules.citations.get("catalogue_change", rules.citations.get("catalogue_entry", SETTING))
    raise CorrectionTooWide(fields=wide[:200], rule=rules.cite(cited))


def _article(regulation: str) -> str:
    rules = named(regulation)
    return rules.cite(rules.citations.get("catalogue_entry", SETTING))
