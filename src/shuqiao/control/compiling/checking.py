"""The one validation of all ways of compiling (CAT-18): the rules, and what only the database knows."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.models import (
    Item,
    Resource,
    Service,
    ServiceKind,
    Sharing,
    SharingOrigin,
)
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.compiling.districts import link_faults, region_of, rules_for
from shuqiao.control.onesource import claims
from shuqiao.control.organisations.models import Department, Duty
from shuqiao.control.regulations.wording import refusal_words
from shuqiao.control.standards.queries import code_lists, elements
from shuqiao.rules.channels import INTERFACE, channels_of
from shuqiao.rules.entries import Entry
from shuqiao.rules.entry_faults import EntryFault, Known, circle_through, faults_of, leads_back
from shuqiao.rules.procedures import Refusal, latest_until
from shuqiao.rules.regulation import SETTING, Regulation, Words
from shuqiao.rules.sharing import Choice, decide_choice
from shuqiao.rules.sharing import Subject as ChoiceSubject

MAX_LINKS = 30
"""So many steps are followed from related entry to related entry."""


@dataclass(frozen=True)
class Subject:
    """An entry to check; `resource` is the id it has or will have, empty where none is given yet."""

    entry: Entry
    resource: str = ""


def check(viewer: Viewer, entry: Entry, *, resource: str | None = None) -> tuple[EntryFault, ...]:
    """Say everything wrong with an entry that is to be submitted; empty where nothing is."""
    return check_all([Subject(entry, resource or "")], viewer.department.code)[0]


def check_all(subjects: Iterable[Subject], department: str) -> list[tuple[EntryFault, ...]]:
    """Check many entries and read what is known only once; the faults in the order given.

    `department` is whose rules hold for an entry that names no department yet.
    """
    asked = list(subjects)
    reading = _Reading(asked)
    whose = [one.entry.department or department for one in asked]
    held = claims.faults(
        [(one.resource, replace(one.entry, department=by)) for one, by in zip(asked, whose, strict=True)]
    )
    return [
        (*_faults(one, by, reading), *claimed) for one, by, claimed in zip(asked, whose, held, strict=True)
    ]


class _Reading:
    """What several entries need from the database, read in few queries."""

    def __init__(self, subjects: list[Subject]) -> None:
        named = {one for subject in subjects for one in (*subject.entry.related, subject.entry.city_entry)}
        found = Resource.objects.filter(id__in=named, state="published").values_list("id", flat=True)
        self.there = frozenset(found)
        self._known: dict[str, Known] = {}
        self.names = _names_taken(subjects)
        ids = [one.resource for one in subjects if one.resource]
        self.columns = _columns(ids)
        self.links = _links(subjects)
        self.list_keys = dict(Resource.objects.filter(id__in=ids).values_list("id", "list_key"))
        rulings = Sharing.objects.filter(resource_id__in=ids, origin=SharingOrigin.RULING, ended_at=None)
        self.ruled = frozenset(rulings.values_list("resource_id", flat=True))

    def known(self, rules: Regulation) -> Known:
        """What is known, by the regulation: the longest sharing period differs."""
        if rules.id not in self._known:
            self._known[rules.id] = _known(self.there, rules)
        return self._known[rules.id]


def _known(there: Collection[str], rules: Regulation) -> Known:
    duties: dict[str, set[int]] = {}
    for department, number in Duty.objects.values_list("department_id", "number"):
        duties.setdefault(department, set()).add(number)
    linked = Resource.objects.filter(city_entry__isnull=False).values_list("id", "city_entry_id")
    today = clock.today()
    return Known(
        departments=frozenset(Department.objects.filter(active=True).values_list("code", flat=True)),
        words=vocabulary().keys(),
        duties=duties,
        resources=lambda ids: frozenset(ids) & frozenset(there),
        city_entries=dict(linked.iterator()),
        elements=frozenset(elements()),
        code_lists=code_lists(),
        latest_until=latest_until(today, rules.entry_months),
        today=today,
    )


def _names_taken(subjects: list[Subject]) -> Mapping[tuple[str, str], str]:
    """Which published entry has a name within its department, for the names asked about."""
    wanted = {one.entry.name_zh for one in subjects} - {""}
    departments = {one.entry.department for one in subjects}
    rows = Resource.objects.filter(department_id__in=departments, name_zh__in=wanted, state="published")
    return {
        (department, name): key
        for department, name, key in rows.values_list("department_id", "name_zh", "id")
    }


def _links(subjects: list[Subject]) -> Mapping[str, Collection[str]]:
    """Which entries those related to the subjects name in turn, and so on; the subjects as they are now.

    A way that is longer than `MAX_LINKS` steps is not followed to its end.
    """
    proposed = {one.resource: one.entry.related for one in subjects if one.resource}
    links: dict[str, Collection[str]] = dict(proposed)
    ahead = {to for related in proposed.values() for to in related} - links.keys()
    for _ in range(MAX_LINKS):
        if not ahead:
            break
        rows = Resource.objects.filter(id__in=ahead, state="published").values_list("id", "content__related")
        links |= {key: related or () for key, related in rows}
        ahead = {to for key in ahead for to in links.get(key, ())} - links.keys()
    return links


def _channel_faults(entry: Entry, rules: Regulation) -> list[EntryFault]:
    """What the regulation confines to interface exchange is offered in no other way (MOD-08)."""
    only = rules.exchange.interface_only
    channels = channels_of(entry.manner, vocabulary().manner_channels)
    confined = rules.exchange.confines(entry.relations, entry.update_cycle)
    if only is None or not entry.manner or not confined or channels == (INTERFACE,):
        return []
    zh = "变化快、时效性强或者与并联审批、协同办公相关的信息只能以接口方式提供"
    en = "What changes fast or serves parallel approval or co-operative work is offered by interface only"
    return [EntryFault("manner", "interface_only", zh, en, rules.cite(only.article))]


def _columns(resources: Collection[str]) -> Mapping[str, Mapping[str, Item]]:
    """The items of those entries whose data are offered as a table of the platform, removed ones too."""
    offered = Service.objects.filter(resource_id__in=resources, kind=ServiceKind.TABLE, ended_at=None)
    tables = list(offered.values_list("resource_id", flat=True))
    found: dict[str, dict[str, Item]] = {key: {} for key in tables}
    for item in Item.every.filter(resource_id__in=tables):
        found[item.resource_id][item.field] = item
    return found


def _faults(subject: Subject, department: str, reading: _Reading) -> tuple[EntryFault, ...]:
    rules = rules_for(department)
    known = reading.known(rules)
    found = [
        *faults_of(subject.entry, known, rules),
        *_place_faults(subject, department, reading, known),
        *_forced_faults(subject, reading, rules),
        *_name_faults(subject, reading.names),
        *_table_faults(subject, reading.columns, rules),
        *_channel_faults(subject.entry, rules),
    ]
    return tuple({fault.path: fault for fault in reversed(found)}.values())[::-1]


def _place_faults(
    subject: Subject, department: str, reading: _Reading, known: Known
) -> tuple[EntryFault, ...]:
    entry = subject.entry
    found = list(link_faults(entry, department))
    if subject.resource and entry.department and region_of(entry.department) != subject.resource[1:7]:
        zh, en = "条目不能转到另一地区的部门", "An entry does not move to another region's department"
        found.append(EntryFault("department", "department_refused", zh, en))
    if subject.resource and circle_through(subject.resource, entry.city_entry, known):
        zh, en = "关联形成循环", "The link leads back to this entry"
        found.append(EntryFault("city_entry", "entry_circle", zh, en))
    if subject.resource and leads_back(subject.resource, entry.related, reading.links):
        zh = "关联的条目又关联回本条目，形成循环；请只在一方填写关联"
        en = "The related entries lead back to this one: name the relation on one side only"
        found.append(EntryFault("related", "entry_circle", zh, en))
    return tuple(found)


def _forced_faults(subject: Subject, reading: _Reading, rules: Regulation) -> list[EntryFault]:
    """Share types that a ruling, the base items or a kind of work do not allow (TYP-05 to TYP-08)."""
    entry = subject.entry
    relations = frozenset(entry.relations)
    whole = Choice(
        entry.share_type,
        entry.ground,
        entry.ground_rank,
        entry.conditions,
        frozenset(entry.shared_with),
        relations,
    )
    names = Words(entry.name_zh, entry.name_en or entry.name_zh)
    about = ChoiceSubject(
        reading.list_keys.get(subject.resource, ""), names, ruled=subject.resource in reading.ruled
    )
    found = _refused_choice(whole, about, rules, "")
    for at, item in enumerate(entry.items):
        if item.share_type:
            own = replace(whole, share_type=item.share_type, departments=frozenset())
            one = replace(about, names=Words(item.zh, item.en or item.zh), item=item.field)
            found += _refused_choice(own, one, rules, f"items[{at}].")
    return found


def _refused_choice(choice: Choice, about: ChoiceSubject, rules: Regulation, place: str) -> list[EntryFault]:
    decision = decide_choice(choice, about, rules) if rules.share_types.types else None
    if not isinstance(decision, Refusal) or decision.code not in _FORCED:
        # What a type needs beside it is said by the rules of an entry already.
        return []
    words = refusal_words(decision)
    place += _FORCED[decision.code]
    return [EntryFault(place, decision.code, words.zh, words.en, decision.article or "")]


_FORCED = {"share_type_forced": "share_type", "departments_refused": "shared_with"}


def _name_faults(subject: Subject, names: Mapping[tuple[str, str], str]) -> tuple[EntryFault, ...]:
    """Two entries of one department have two names."""
    other = names.get((subject.entry.department, subject.entry.name_zh))
    if other is None or other == subject.resource:
        return ()
    zh = f"本部门已有同名条目（{other}），请改用不同的名称，或变更该条目"
    en = f"The department has an entry of this name ({other}): choose another name, or change that entry"
    return (EntryFault("name_zh", "entry_name_taken", zh, en),)


def _table_faults(
    subject: Subject, columns: Mapping[str, Mapping[str, Item]], rules: Regulation
) -> tuple[EntryFault, ...]:
    """What data that are offered already do not allow: another key, or another kind of an item's value."""
    kept = columns.get(subject.resource)
    if kept is None:
        return ()
    article = rules.cite(rules.citations.get("catalogue_entry", SETTING))
    found = []
    key = next((item.field for item in kept.values() if item.is_key and item.removed_in is None), "")
    if key and subject.entry.record_key != key:
        zh = f"已有数据按“{key}”入库，记录主键不能更换"
        en = f"Data are kept by {key}: the record key can't be another"
        found.append(EntryFault("record_key", "structure_kept", zh, en, article))
    stored = vocabulary().storage_types
    for at, item in enumerate(subject.entry.items):
        old = kept.get(item.field)
        if old is None:
            continue
        same = _column_type(old.type) == _column_type(stored.get(item.data_type, "string"))
        if not same or old.identity != item.identity:
            zh = "该字段已有入库数据，类型和是否身份项不能更改；请另设字段"
            en = "Data of this field are kept: its type, and whether it identifies, stay; take a new field"
            place = "data_type" if not same else "identity"
            found.append(EntryFault(f"items[{at}].{place}", "structure_kept", zh, en, article))
    return tuple(found)


def _column_type(kept_as: str) -> str:
    """Texts, codes and strings are kept in columns of one type."""
    return {"date": "date", "datetime": "datetime", "image": "image"}.get(kept_as, "text")
