"""Whether data of these names can be had by sharing, from whom and how, for one department."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import connection

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.catalogue.sharing import Current, current
from shuqiao.control.onesource.register import key_of
from shuqiao.control.onesource.words import synonyms
from shuqiao.control.regulations.current import regulation
from shuqiao.rules.datum_names import How, variants
from shuqiao.rules.form_fields import Candidate, FieldAnswer, Standing, pick
from shuqiao.rules.onesource import BRANCH_DIGITS
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.sharing import ItemSharing, WayKind, way_of

MOST_FOR_A_NAME = 40
MOST_GUESSES = 6
LEAST_CONTAINED, LONGEST_TAKEN_APART, MOST_TAKEN_APART = 3, 20, 500
"""Names within longer ones: how long they are, in how long a name, and of how many names of a form."""


@dataclass(frozen=True)
class Option:
    """A source a field may be, with what a department can do about it; `way` is that of its first mode."""

    resource: str
    field: str
    confidence: int
    how: str
    standing: str
    modes: tuple[str, ...]
    way: str


@dataclass(frozen=True)
class Availability:
    """What is said of one name: a verdict of `rules.form_fields`, and the sources it may be."""

    label: str
    verdict: str
    options: tuple[Option, ...]


def availability(viewer: Viewer, labels: Sequence[str], branch: str = "") -> tuple[Availability, ...]:
    """Say of each name whether the viewer's department can have it by sharing, from whom, in which mode."""
    named = _matches(labels)
    sources = _sources({key for keys in named for key in keys})
    reading = _Reading.of({row for rows in sources.values() for row in rows}, viewer.department.code)
    fields = [
        [
            Candidate(resource, name, reading.branch(resource), how, reading.standing(resource, name))
            for key, how in keys.items()
            for resource, name in sources.get(key, ())
            if reading.knows(resource, name)
        ]
        for keys in named
    ]
    answers = pick([_once(candidates) for candidates in fields], branch)
    return tuple(
        Availability(label, answer.verdict.value, reading.options(answer))
        for label, answer in zip(labels, answers, strict=True)
    )


def _matches(labels: Sequence[str]) -> list[Mapping[str, How | None]]:
    """The keys each name may be found by: its own and its other names, else names that it contains."""
    whole = [variants(label, synonyms(), asked=True) for label in labels]
    known = _known({key for keys in whole for key in keys})
    inside: list[dict[str, None]] = []
    left = MOST_TAKEN_APART
    for label, keys in zip(labels, whole, strict=True):
        taken_apart = left > 0 and not known & keys.keys()
        left -= taken_apart
        inside.append(_parts(key_of(label)) if taken_apart else {})
    parts = _known({part for keys in inside for part in keys})
    return [
        {key: how for key, how in keys.items() if key in known} or _longest(within, parts)
        for keys, within in zip(whole, inside, strict=True)
    ]


def _parts(key: str) -> dict[str, None]:
    short = key[:LONGEST_TAKEN_APART]
    return {
        short[start:end]: None
        for start in range(len(short))
        for end in range(start + LEAST_CONTAINED, len(short) + 1)
    }


def _longest(parts: Mapping[str, None], known: Collection[str]) -> dict[str, How | None]:
    found = sorted((part for part in parts if part in known), key=len, reverse=True)
    return dict.fromkeys(found[:1])


def _known(keys: Collection[str]) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT word FROM onesource_datumplace WHERE word = ANY(%s)", [list(keys)])
        return {row[0] for row in cursor.fetchall()}


def _sources(keys: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """The sources of these names among the entries that are shared, base information first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT w.key, s.resource_id, s.field FROM unnest(%s::text[]) AS w(key)"
            " CROSS JOIN LATERAL (SELECT s.resource_id, s.field FROM onesource_source s"
            "  JOIN catalogue_resource r ON r.id = s.resource_id AND r.state = 'published' AND r.shared"
            f"  WHERE s.key = w.key AND s.role = 'responsible' ORDER BY s.leaf LIMIT {MOST_FOR_A_NAME}) s",
            [list(keys)],
        )
        found: dict[str, list[tuple[str, str]]] = {}
        for key, resource, name in cursor.fetchall():
            found.setdefault(key, []).append((resource, name))
        return found


def _once(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Each source once, by the surest of the names it was found by: those come first."""
    found: dict[tuple[str, str], Candidate] = {}
    for one in candidates:
        found.setdefault((one.resource, one.field), one)
    return list(found.values())


@dataclass(frozen=True)
class _Reading:
    """The entries and items in question, and what one department can do about them."""

    department: str
    rules: Regulation
    entries: Mapping[str, Current]
    items: Mapping[tuple[str, str], Item]
    own: frozenset[str]
    ways: dict[tuple[str, str], dict[str, WayKind]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Collection[tuple[str, str]], department: str) -> "_Reading":
        """Read them in four queries."""
        resources = Resource.objects.filter(id__in={resource for resource, _ in rows})
        entries = current(resources)
        items = Item.objects.filter(
            resource_id__in=list(entries), field__in={name for _, name in rows}
        ).order_by()
        joint = Resource.objects.filter(id__in=list(entries), joint_departments=department)
        own = {key for key, at in entries.items() if at.resource.department_id == department}
        own |= set(joint.values_list("id", flat=True))
        by_place = {(item.resource_id, item.field): item for item in items}
        return cls(department, regulation(), entries, by_place, frozenset(own))

    def knows(self, resource: str, name: str) -> bool:
        """Whether the item is still there."""
        return (resource, name) in self.items

    def branch(self, resource: str) -> str:
        """The 项 of an entry."""
        return self.entries[resource].resource.subject[:BRANCH_DIGITS]

    def standing(self, resource: str, name: str) -> Standing:
        """What the department can do about an item."""
        if resource in self.own:
            return Standing.OWN
        return Standing.AVAILABLE if self.modes(resource, name) else Standing.CLOSED

    def modes(self, resource: str, name: str) -> dict[str, WayKind]:
        """The modes in which the department can ask for an item, and how it is then granted."""
        if (resource, name) not in self.ways:
            self.ways[resource, name] = self._modes(resource, name)
        return self.ways[resource, name]

    def _modes(self, resource: str, name: str) -> dict[str, WayKind]:
        at, item = self.entries[resource], self.items[resource, name]
        asked = ItemSharing(
            item.field,
            at.type_of(item, self.rules),
            at.departments_of(item, self.rules),
            item.sensitivity,
            frozenset(item.modes),
        )
        ways = {mode: way_of([asked], self.department, mode, self.rules).kind for mode in item.modes}
        return {mode: kind for mode, kind in ways.items() if kind != WayKind.NOT_AVAILABLE}

    def options(self, answer: FieldAnswer) -> tuple[Option, ...]:
        """The guesses of an answer with how each is had."""
        found = []
        for guess in answer.guesses[:MOST_GUESSES]:
            one = guess.candidate
            modes = {} if one.standing is not Standing.AVAILABLE else self.modes(one.resource, one.field)
            how = one.how.value if one.how else "contained"
            way = next(iter(modes.values())).value if modes else ""
            found.append(
                Option(one.resource, one.field, guess.confidence, how, one.standing.value, tuple(modes), way)
            )
        return tuple(found)
