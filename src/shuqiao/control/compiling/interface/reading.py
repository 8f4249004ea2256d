"""Reading through the interface: a department's own entries, and what may be chosen in them."""

from __future__ import annotations

from django.db import connection

from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.vocabulary import NAMES, vocabulary
from shuqiao.control.compiling.access import OPEN_PHASES
from shuqiao.control.compiling.checking import Subject, check_all
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.compiling.interface.entries import own_place
from shuqiao.control.compiling.interface.keys import keys_of
from shuqiao.control.compiling.interface.messages import (
    DraftEntry,
    DraftState,
    EntryList,
    ListedEntry,
    OneEntry,
    PublishedEntry,
    Remark,
    Required,
    StandardList,
    StandardWord,
    VocabularyAnswer,
    Word,
    fault_of,
)
from shuqiao.control.compiling.interface.signed import Caller
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.organisations.models import Department
from shuqiao.control.standards.contents import Kind
from shuqiao.control.standards.models import Standard
from shuqiao.rules.entry_faults import demanded_fields
from shuqiao.rules.errors import EntryNotFound, RequestMalformed

_KINDS = {"elements": Kind.ELEMENT, "code-lists": Kind.CODE_LIST, "formats": Kind.FORMAT}


def list_entries(caller: Caller, after: str, limit: int) -> EntryList:
    """Return a page of the department's entries, published or on their way, in order of their ids."""
    department = caller.department.code
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM catalogue_resource WHERE department_id = %(own)s AND state = 'published'"
            " AND id > %(after)s UNION SELECT resource FROM compiling_compilation"
            " WHERE department_id = %(own)s AND phase = ANY(%(open)s) AND resource > %(after)s"
            " ORDER BY 1 LIMIT %(limit)s",
            {"own": department, "after": after, "open": list(OPEN_PHASES), "limit": limit + 1},
        )
        ids = [row[0] for row in cursor.fetchall()]
    shown = ids[:limit]
    published = Resource.objects.filter(id__in=shown, department_id=department, state="published")
    versions = {one.id: one for one in published}
    drafts = {
        one.resource: one
        for one in Compilation.objects.filter(
            resource__in=shown, department_id=department, phase__in=OPEN_PHASES
        )
    }
    keys = keys_of(department, shown)
    return EntryList(
        entries=tuple(_listed(one, keys.get(one, one), versions.get(one), drafts.get(one)) for one in shown),
        next=shown[-1] if len(ids) > limit else "",
    )


def _listed(resource: str, key: str, published: Resource | None, draft: Compilation | None) -> ListedEntry:
    return ListedEntry(
        key=key,
        resource=resource,
        name_zh=draft.name_zh if draft else (published.name_zh if published else ""),
        version=published.version if published else 0,
        number=draft.number if draft else "",
        state=draft.state if draft else "",
    )


def read_entry(caller: Caller, key: str) -> OneEntry:
    """Return what is in force of an entry and what is proposed; raises `EntryNotFound`."""
    place = own_place(caller, key)
    published, draft = place.published, place.draft
    return OneEntry(
        key=place.key,
        resource=place.resource,
        published=PublishedEntry(published.version, published.code, published.content) if published else None,
        draft=DraftEntry(draft.number, draft.revision, draft.state, draft.phase, draft.content)
        if draft
        else None,
    )


def read_draft(caller: Caller, key: str) -> DraftState:
    """Return how far the change of an entry is, what is wrong with it, and what reviewers said."""
    place = own_place(caller, key)
    draft = place.draft
    if draft is None:
        raise EntryNotFound()
    subject = Subject(entry_from(draft.content), place.resource)
    faults = check_all([subject], caller.department.code)[0]
    marks = draft.marks.exclude(remark="").order_by("-made_at", "-id")[:500]
    return DraftState(
        key=place.key,
        resource=place.resource,
        number=draft.number,
        kind=draft.kind,
        revision=draft.revision,
        state=draft.state,
        phase=draft.phase,
        changed_at=draft.changed_at,
        faults=tuple(map(fault_of, faults)),
        remarks=tuple(Remark(mark.path, mark.accepted, mark.remark) for mark in marks),
    )


def read_vocabulary(caller: Caller) -> VocabularyAnswer:
    """Return what may be chosen in an entry of the department, and what must be filled."""
    rules, words = rules_for(caller.department.code), vocabulary()
    lists = {name: getattr(words, name) for name in NAMES}
    shown = {
        name: tuple(Word(key, one.zh, one.en) for key, one in each.items()) for name, each in lists.items()
    }
    shown["share_types"] = tuple(Word(one.key, one.zh, one.en) for one in rules.share_types.types)
    departments = Department.objects.filter(active=True).order_by("code")
    return VocabularyAnswer(
        regulation=rules.id,
        words=shown,
        departments=tuple(Word(one.code, one.name_zh, one.name_en) for one in departments),
        required=tuple(Required(name, article) for name, article in demanded_fields(rules).items()),
    )


def read_standards(kind: str, after: str, limit: int) -> StandardList:
    """Return a page of the standards of a kind in use, in order of their keys."""
    if kind not in _KINDS:
        raise RequestMalformed(part="kind")
    rows = Standard.objects.filter(kind=_KINDS[kind].value, ended=False, key__gt=after).order_by("key")
    found = list(rows[: limit + 1])
    return StandardList(
        standards=tuple(StandardWord(one.key, one.version, one.content) for one in found[:limit]),
        next=found[limit - 1].key if len(found) > limit else "",
    )
