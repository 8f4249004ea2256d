"""Writing an entry through the interface: the same draft, validation and procedure as on the pages."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.entries import EntryUnreadable, entry_from, entry_json
from shuqiao.control.compiling import actions
from shuqiao.control.compiling.drafts import DraftInput, check, save_draft
from shuqiao.control.compiling.interface.keys import Place, lock_key, place_of
from shuqiao.control.compiling.interface.messages import Fault, PutEntry, PutResult, fault_of
from shuqiao.control.compiling.interface.signed import Caller
from shuqiao.control.compiling.models import Compilation, CompilationKind
from shuqiao.control.compiling.tables.actions import take_in
from shuqiao.rules.entries import Entry
from shuqiao.rules.entry_faults import EntryFault
from shuqiao.rules.errors import (
    DraftChanged,
    EndUserRefused,
    EntryBeingChanged,
    EntryFaulty,
    EntryNotFound,
    RequestMalformed,
)
from shuqiao.rules.regulation import Phase

NEVER_KEPT = frozenset({"text_not_plain", "text_too_long", "too_many", "department_unknown"})
"""Faults that even a draft may not have; the others are kept and said, until the draft is submitted."""

_SUBMIT = "submit"


class EntryRefused(Exception):
    """An entry is refused as faulty; `faults` says where, `error` how the refusal is worded."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        """Keep the faults."""
        self.faults = faults
        self.error = EntryFaulty(count=len(faults))
        super().__init__(str(self.error))


@dataclass(frozen=True)
class _Wanted:
    """One put: who wants it, what the key stands for now, and the entry that is to be kept."""

    caller: Caller
    viewer: Viewer
    put: PutEntry
    place: Place
    entry: Entry
    faults: tuple[EntryFault, ...]


def put_entry(caller: Caller, key: str, put: PutEntry) -> PutResult:
    """Keep an entry as a draft; the same content twice changes nothing.

    Raises `EntryRefused` with every fault, or an error that says why nothing was changed.
    """
    viewer = caller.person()
    if not viewer.can(Capability.CATALOGUE_EDIT):
        raise EndUserRefused()
    place = place_of(caller.department.code, key)
    entry = _entry_of(put, caller.department.code)
    faults = check(viewer, entry, resource=place.resource or None)
    refused = faults if put.submit else tuple(one for one in faults if one.code in NEVER_KEPT)
    if refused:
        raise EntryRefused(tuple(map(fault_of, refused)))
    wanted = _Wanted(caller, viewer, put, place, entry, faults)
    if put.dry_run:
        return _answer(wanted, _outcome(place, entry, put), place)
    with transaction.atomic():
        return _kept(wanted)


def record_refusal(caller: Caller, key: str, code: str) -> None:
    """Enter a refused write in the log; the key is the department's own and bounded."""
    append_entry(
        "entry_refused",
        actor=caller.actor,
        at=clock.now(),
        outcome=code,
        department=caller.department.code,
        provider=caller.department.code,
        facts={"application": caller.application, "entry_key": key[:80]},
    )


def _entry_of(put: PutEntry, department: str) -> Entry:
    try:
        entry = entry_from(put.entry)
    except (EntryUnreadable, RecursionError) as error:
        place = error.path if isinstance(error, EntryUnreadable) else "entry"
        raise RequestMalformed(part=f"entry.{place}"[:120]) from None
    _refuse_nul(entry_json(entry), "entry")
    if entry.department not in ("", department):
        zh, en = "只能编制本部门的条目", "Only entries of the own department can be compiled"
        raise EntryRefused((Fault("department", "department_not_own", zh, en),))
    return replace(entry, department=department)


def _refuse_nul(value: object, path: str) -> None:
    """Refuse a character that the database can't keep, wherever it stands."""
    if isinstance(value, str) and "\x00" in value:
        raise RequestMalformed(part=path)
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_nul(inner, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            _refuse_nul(inner, f"{path}[{at}]")


def _outcome(place: Place, entry: Entry, put: PutEntry) -> str:
    """Tell what keeping the entry comes to; raises where its place does not allow it."""
    draft = place.draft
    if draft is not None and entry_from(draft.content) == entry:
        return "unchanged"
    if draft is None and place.published is not None and entry_from(place.published.content) == entry:
        return "unchanged"
    if draft is not None and (draft.phase != Phase.DRAFT or draft.kind == CompilationKind.WITHDRAWAL):
        raise EntryBeingChanged(entry=draft.resource, case=draft.number)
    if put.revision is not None and put.revision != (draft.revision if draft else 0):
        raise DraftChanged(case=draft.number if draft else place.key, revision=draft.revision if draft else 0)
    return "changed" if draft is not None or place.published is not None else "created"


def _kept(wanted: _Wanted) -> PutResult:
    department = wanted.caller.department.code
    lock_key(department, wanted.place.key)
    # Whoever asked for the same key at the same time has kept its draft by now.
    place = place_of(department, wanted.place.key)
    outcome = _outcome(place, wanted.entry, wanted.put)
    if outcome != "unchanged":
        draft = _saved(wanted, place)
        place = replace(place, resource=draft.resource, draft=draft)
    sends = wanted.put.submit and place.draft is not None and place.draft.phase == Phase.DRAFT
    if sends and place.draft is not None:
        _submit(wanted.viewer, place.draft.number)
        place.draft.refresh_from_db()
    if sends or outcome != "unchanged":
        _record(wanted, place, outcome)
    return _answer(wanted, outcome, place)


def _record(wanted: _Wanted, place: Place, outcome: str) -> None:
    caller = wanted.caller
    append_entry(
        "entry_received",
        actor=caller.actor,
        at=clock.now(),
        outcome=outcome,
        department=caller.department.code,
        provider=caller.department.code,
        resource_id=place.resource,
        case_no=place.draft.number if place.draft else None,
        facts={
            "application": caller.application,
            "entry_key": place.key,
            "submit": wanted.put.submit,
        },
    )


def _saved(wanted: _Wanted, place: Place) -> Compilation:
    draft = place.draft
    kind = draft.kind if draft else ("change" if place.published else "new")
    saved = save_draft(
        wanted.viewer,
        DraftInput(
            number=draft.number if draft else None,
            kind=kind,
            resource=place.resource,
            content=wanted.entry,
            revision=draft.revision if draft else 0,
            origin="interface",
            key=place.key if place.key != place.resource else "",
        ),
    )
    return Compilation.objects.get(number=saved.number)


def _submit(viewer: Viewer, number: str) -> None:
    try:
        actions.take_step(viewer, number, _SUBMIT, {})
    except FormRefused as refused:
        found = [Fault(one.field, one.code, one.message.zh, one.message.en) for one in refused.faults]
        raise EntryRefused(tuple(found)) from None


def _answer(wanted: _Wanted, outcome: str, place: Place) -> PutResult:
    draft = place.draft
    return PutResult(
        key=place.key,
        resource=place.resource,
        result=outcome,
        dry_run=wanted.put.dry_run,
        number=draft.number if draft else "",
        revision=draft.revision if draft else 0,
        state=draft.state if draft else ("published" if place.published else ""),
        faults=tuple(map(fault_of, wanted.faults)),
    )


def put_table(caller: Caller, key: str, body: bytes) -> PutResult:
    """Make a draft of the description of a table; the same twice changes nothing."""
    viewer = caller.person()
    if not viewer.can(Capability.CATALOGUE_EDIT):
        raise EndUserRefused()
    place_of(caller.department.code, key)
    taken = take_in(viewer, body, key=key, sender=caller.actor)
    draft = Compilation.objects.get(number=taken.number)
    faults = check(viewer, entry_from(draft.content), resource=draft.resource)
    return PutResult(
        key=key,
        resource=draft.resource,
        result="created" if taken.created else "unchanged",
        dry_run=False,
        number=draft.number,
        revision=draft.revision,
        state=draft.state,
        faults=tuple(map(fault_of, faults)),
    )


def own_place(caller: Caller, key: str) -> Place:
    """Return an entry of the caller's department; raises `EntryNotFound` where nothing has this key."""
    place = place_of(caller.department.code, key)
    if place.published is None and place.draft is None:
        raise EntryNotFound()
    return place
