"""Whether what an entry collects is collected by others already: found, explained, what can be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shuqiao.control.catalogue.models import Resource
from shuqiao.control.onesource.candidates import Found, Held, find_sources
from shuqiao.control.onesource.models import ENDED, Claim, ClaimKind, ClaimState
from shuqiao.control.onesource.register import key_of
from shuqiao.control.onesource.words import assigned_fields, is_base_list, synonyms
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry, EntryItem
from shuqiao.rules.entry_faults import EntryFault
from shuqiao.rules.onesource import Consequence, Datum, Likeness, Outcome, Verdict, compare, consequence
from shuqiao.rules.regulation import Regulation

CHUNK = 500
"""So many entries are looked up together."""
MOST_FOR_AN_ITEM = 3


@dataclass(frozen=True)
class Answered:
    """How a conflict was answered, by the number of its claim."""

    number: str
    kind: str
    state: str
    reason: str
    settled: bool


@dataclass(frozen=True)
class Conflict:
    """An item of an entry that is, or may be, a datum that somebody else is responsible for.

    `blocks` says that the entry can't be submitted before it is settled; a likely one is only shown, to the
    compiler and the reviewer.
    """

    path: str
    item: EntryItem
    holder: DepartmentRef
    resource: str
    resource_name: Text
    field: str
    name: str
    likeness: Likeness
    outcome: Outcome
    article: str
    zh: str
    en: str
    answered: Answered | None

    @property
    def same(self) -> bool:
        """Whether both count as the same datum, and not only as likely the same."""
        return self.likeness.verdict is Verdict.SAME

    @property
    def blocks(self) -> bool:
        """Whether the entry waits for this to be settled."""
        if self.answered is not None and self.answered.kind != ClaimKind.OTHER:
            return not self.answered.settled
        return self.same and self.answered is None

    @property
    def code(self) -> str:
        """The stable code of the fault."""
        return "already_claimed" if self.same else "maybe_claimed"


def conflicts(entry: Entry, resource: str | None = None) -> tuple[Conflict, ...]:
    """Say which items of an entry are, or may be, collected by another department already, and why.

    `resource` is the id the entry has or will have; without one no answer can have been given yet.
    """
    return conflicts_of([(resource or "", entry)])[0]


def faults(entries: Sequence[tuple[str, Entry]]) -> list[tuple[EntryFault, ...]]:
    """What keeps entries from being submitted, in the order given: each with its id or an empty text."""
    return [
        tuple(EntryFault(one.path, one.code, one.zh, one.en, one.article) for one in found if one.blocks)
        for found in conflicts_of(entries)
    ]


def conflicts_of(entries: Sequence[tuple[str, Entry]]) -> list[tuple[Conflict, ...]]:
    """Look many entries up with few queries, in the order given."""
    found: list[tuple[Conflict, ...]] = []
    for start in range(0, len(entries), CHUNK):
        found += _looked_up(entries[start : start + CHUNK])
    return found


def datum_of(item: EntryItem, subject: str) -> Datum:
    """An item of an entry as it is compared."""
    codes = frozenset(value for value, _ in item.codes)
    return Datum(item.zh, subject, item.standard, item.data_type, item.code_list, codes)


def _looked_up(entries: Sequence[tuple[str, Entry]]) -> list[tuple[Conflict, ...]]:
    found = find_sources(datum_of(item, entry.subject) for _, entry in entries for item in entry.items)
    named = {
        one.resource for table in (found.by_name, found.by_element) for row in table.values() for one in row
    }
    about = {
        one.id: one
        for one in Resource.objects.filter(id__in=named, state="published").prefetch_related(
            "joint_departments"
        )
    }
    rules = regulation()
    reading = _Reading(found, about, department_refs(), rules, _answers(entries), _assigned(entries, rules))
    return [reading.of_entry(resource, entry) for resource, entry in entries]


def _assigned(entries: Sequence[tuple[str, Entry]], rules: Regulation) -> Mapping[str, frozenset[str]]:
    """The fields that the law's own list assigns, by entry: to whoever keeps the list, and nobody else."""
    kept = Resource.objects.filter(id__in=[resource for resource, _ in entries if resource])
    keepers = {one.id: one for one in kept.prefetch_related("joint_departments")}
    found = {}
    for resource, entry in entries:
        own = keepers.get(resource)
        if own is not None and entry.department in {
            own.department_id,
            *(one.code for one in own.joint_departments.all()),
        }:
            found[resource] = assigned_fields(own.list_key, rules)
    return found


def _answers(entries: Sequence[tuple[str, Entry]]) -> Mapping[tuple[str, str, str, str], Claim]:
    ids = [resource for resource, _ in entries if resource]
    own = Claim.objects.filter(resource__in=ids).exclude(state__in=ENDED).select_related("decision")
    # What was decided binds both sides: the earlier holder's entry too.
    decided = Claim.objects.filter(held_resource__in=ids, state=ClaimState.DECIDED).select_related("decision")
    return {
        **{(one.held_resource_id, one.held_field, one.resource, one.field): one for one in decided},
        **{(one.resource, one.field, one.held_resource_id, one.held_field): one for one in own},
    }


@dataclass(frozen=True)
class _Reading:
    """What several entries need, read once."""

    found: Found
    about: Mapping[str, Resource]
    departments: Mapping[str, DepartmentRef]
    rules: Regulation
    answers: Mapping[tuple[str, str, str, str], Claim]
    assigned: Mapping[str, frozenset[str]]

    def of_entry(self, resource: str, entry: Entry) -> tuple[Conflict, ...]:
        """All conflicts of one entry, in the order of its items, the surest first."""
        result: list[Conflict] = []
        for at, item in enumerate(entry.items):
            if item.field in self.assigned.get(resource, ()):
                # The law itself has this body collect it: that another list has the like is no second claim.
                continue
            mine = datum_of(item, entry.subject)
            likely = []
            for held in self.found.sources(mine):
                if held.resource == resource or held.resource not in self.about:
                    continue
                alike = compare(mine, held.datum, synonyms(), self.found.spread(mine, held.datum))
                if alike.verdict is not Verdict.APART:
                    likely.append((alike, held))
            likely.sort(key=lambda pair: (-pair[0].score, pair[1].resource, pair[1].field))
            seen: set[str] = set()
            for alike, held in likely:
                if held.department in seen or len(seen) >= MOST_FOR_AN_ITEM:
                    continue
                made = self._conflict((resource, entry), at, alike, held)
                if made is not None:
                    seen.add(held.department)
                    result.append(made)
        return tuple(result)

    def _conflict(self, of: tuple[str, Entry], at: int, alike: Likeness, held: Held) -> Conflict | None:
        resource, entry = of
        item, source = entry.items[at], self.about[held.resource]
        holders = {one.code for one in source.joint_departments.all()} | {held.department}
        base = is_base_list(source.list_key, self.rules)
        follows = consequence(entry.department, holders, self.rules, base_item=base, joint=())
        if follows.outcome is Outcome.JOINT:
            return None
        claim = self.answers.get((resource, item.field, held.resource, held.field))
        if claim is not None and is_stale(claim, item):
            claim = None
        zh, en = _said(item, self.departments[held.department], source, held, alike, follows)
        return Conflict(
            path=f"items[{at}].zh",
            item=item,
            holder=self.departments[held.department],
            resource=held.resource,
            resource_name=Text(source.name_zh, source.name_en),
            field=held.field,
            name=held.datum.name,
            likeness=alike,
            outcome=follows.outcome,
            article=follows.article,
            zh=zh,
            en=en,
            answered=_answered(claim, entry.department) if claim else None,
        )


def is_stale(claim: Claim, item: EntryItem) -> bool:
    """Whether an item has got another name since it was explained: the reason was for the old one."""
    free = claim.state in (ClaimState.EXPLAINED, ClaimState.PROPOSED)
    return free and claim.field == item.field and key_of(claim.name) != key_of(item.zh)


def _answered(claim: Claim, department: str) -> Answered:
    settled = claim.state in (ClaimState.EXPLAINED, ClaimState.AGREED)
    if claim.state == ClaimState.DECIDED:
        settled = claim.decision.together or claim.decision.lead_id == department
    return Answered(claim.number, claim.kind, claim.state, claim.reason, settled)


def _said(
    item: EntryItem,
    holder: DepartmentRef,
    source: Resource,
    held: Held,
    alike: Likeness,
    follows: Consequence,
) -> tuple[str, str]:
    """Word a conflict: what, by whom, why it is thought so, what to do; the article stands beside it."""
    why_zh = "、".join(one.zh for one in alike.because if one.points > 0)
    why_en = ", ".join(one.en for one in alike.because if one.points > 0)
    sure = alike.verdict is Verdict.SAME
    theirs = f"{holder.name.zh}的“{source.name_zh}·{held.datum.name}”"
    zh = (
        f"“{item.zh}”{'与' if sure else '可能与'}{theirs}是同一数据"
        f"（{alike.score} 分：{why_zh}）。{follows.zh}"
    )
    name = source.name_en or source.name_zh
    en = (
        f'"{item.en or item.zh}" {"is" if sure else "may be"} the datum {held.datum.name} of {name},'
        f" {holder.name.en} ({alike.score} points: {why_en}). {follows.en}"
    )
    return zh, en
