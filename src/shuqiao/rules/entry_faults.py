"""What is wrong with an entry of the catalogue.

One validation for every way of compiling: `faults_of`. It reads nothing; what it needs to know of the city is
given as `Known`. Which elements an entry must have is said by the regulation (`catalogue.fields`).
Source: guangzhou-2016 art. 30(1); guangzhou-2019-165 art. 11(3); xiamen-2015 art. 7;
shenyang-2016 art. 11(3); the core metadata of the guide for compiling catalogues (2017), GB/T 21063.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date

from shuqiao.rules.catalogue import ITEM_KINDS
from shuqiao.rules.entries import Entry, EntryItem
from shuqiao.rules.regulation import SETTING, Regulation
from shuqiao.rules.sharing import RANKS, Openness

MAX_ITEMS = 500
MAX_LISTED = 50
MAX_CODES = 2000
_LIMITS = {"summary_zh": 500, "summary_en": 700, "ground": 500, "conditions": 500, "use": 500}
_LONGEST = 200
_NAME_LIMITS = {"name_zh": 100, "name_en": 160, "zh": 100, "en": 160}

_FIELD = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_SUBJECT = re.compile(r"[123][0-9]{5,10}", re.ASCII)
_RESOURCE = re.compile(r"r[1-9][0-9]{5}[a-z2-7]{10}", re.ASCII)
_MARKUP = re.compile(r"<\s*[!/?a-zA-Z]|&#|javascript\s*:", re.ASCII | re.IGNORECASE)

# A column of this name means something else to PostgreSQL or to the tables of the platform.
RESERVED_FIELDS = frozenset(
    {
        "record_id", "subject_id", "identity_version", "version", "source_department", "source_system",
        "batch_sequence", "first_received_at", "received_at", "replaced_at", "tableoid", "xmin", "xmax",
        "cmin", "cmax", "ctid",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the city when an entry is checked; read once, however many entries follow.

    `words` are the keys of each vocabulary by its name (formats, cycles, ...). `duties` are the numbers of
    each department's registered duties. `resources` tells which of some ids are published entries,
    `city_entries` which entry of the city a district's is linked to. `latest_until` is the longest period.
    """

    departments: Collection[str]
    words: Mapping[str, Collection[str]]
    duties: Mapping[str, Collection[int]]
    resources: Callable[[Collection[str]], Collection[str]]
    city_entries: Mapping[str, str] = field(default_factory=dict)
    elements: Collection[str] = frozenset()
    code_lists: Mapping[str, Collection[str]] = field(default_factory=dict)
    latest_until: date | None = None
    today: date | None = None


@dataclass(frozen=True, slots=True)
class EntryFault:
    """One thing wrong: where (`name_zh`, `items[2].length`), a stable code, what to do, and the article."""

    path: str
    code: str
    zh: str
    en: str
    article: str = ""


def is_plain(text: str) -> bool:
    """Whether a text holds no markup and no control characters; a line may end in it."""
    if _MARKUP.search(text):
        return False
    # Most texts are printable throughout, which is told without looking at each character from here.
    return text.isprintable() or all(
        c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs", "Co", "Cn") for c in text
    )


def plain_fault(path: str, text: str, limit: int = _LONGEST) -> EntryFault | None:
    """The fault of a text that is too long or not plain, or None."""
    if len(text) > limit:
        return EntryFault(path, "text_too_long", f"最多 {limit} 个字符", f"At most {limit} characters")
    if not is_plain(text):
        zh, en = "只能填写纯文本，不得含有标记或控制字符", "Plain text only: no markup, no control characters"
        return EntryFault(path, "text_not_plain", zh, en)
    return None


def faults_of(entry: Entry, known: Known, regulation: Regulation) -> tuple[EntryFault, ...]:
    """Everything wrong with an entry that is to be submitted, in the order of its form; empty if nothing."""
    found = [
        *_text_faults(entry),
        *_demanded(entry, regulation),
        *_word_faults(entry, known),
        *_party_faults(entry, known),
        *_sharing_faults(entry, regulation),
        *_place_faults(entry, known),
        *_item_faults(entry, known),
    ]
    if not entry.not_secret:
        zh = "须声明本条目不涉及国家秘密"
        en = "Declare that the entry holds no state secret"
        article = regulation.cite(regulation.citations.get("state_secrets", SETTING))
        found.append(EntryFault("not_secret", "declaration_required", zh, en, article))
    # One fault for a place is enough: the first is the plainest.
    return tuple({fault.path: fault for fault in reversed(found)}.values())[::-1]


def _text_faults(entry: Entry) -> Iterator[EntryFault]:
    for one in fields(Entry):
        value = getattr(entry, one.name)
        limit = _NAME_LIMITS.get(one.name) or _LIMITS.get(one.name, _LONGEST)
        texts = (value,) if isinstance(value, str) else value if one.name != "items" else ()
        for text in texts if isinstance(texts, tuple) else ():
            fault = plain_fault(one.name, text, limit)
            if fault:
                yield fault
        if isinstance(value, tuple) and one.name != "items" and len(value) > MAX_LISTED:
            yield _too_many(one.name, MAX_LISTED)
    for number in ("storage_gb", "records"):
        value = getattr(entry, number)
        if value is not None and not 0 <= value <= 10**15:
            yield EntryFault(number, "number_out_of_range", "数值超出范围", "The number is out of range")


# What the elements of a regulation are in an entry: any one of these must be filled.
_ELEMENTS: Mapping[str, tuple[str, ...]] = {
    "name": ("name_zh",),
    "content": ("summary_zh", "items"),
    "department": ("department",),
    "collecting_department": ("collecting",),
    "verifying_department": ("verifying",),
    "update_cycle": ("update_cycle",),
    "platform": ("platform",),
    "scope": ("scope",),
    "manner": ("manner",),
    "period": ("shared_until",),
    "share_type": ("share_type",),
    "share_conditions": ("conditions",),
    "use": ("use",),
    "format": ("format",),
    "timeliness": ("timeliness",),
    "open_to_public": ("open_to_public",),
}
ELEMENTS = frozenset(_ELEMENTS)
"""Every element of an entry that a regulation may demand."""

# Demanded whatever the regulation says: without them there is no entry (GB/T 21063, core metadata).
_ALWAYS = ("name_zh", "summary_zh", "subject", "department", "library_kind", "open_to_public", "items")


def demanded_fields(regulation: Regulation) -> Mapping[str, str]:
    """The fields of an entry that must be filled, each with the citation that demands it."""
    found = dict.fromkeys(_ALWAYS, regulation.cite(SETTING))
    for one in regulation.catalogue_fields:
        for name in _ELEMENTS[one.key]:
            found[name] = regulation.cite(one.article)
    return found


def _demanded(entry: Entry, regulation: Regulation) -> Iterator[EntryFault]:
    for name, article in demanded_fields(regulation).items():
        value = getattr(entry, name)
        if name == "conditions" and _openness(entry, regulation) != Openness.ON_CONDITIONS:
            continue
        if value is None or value == "" or value == () or (isinstance(value, str) and not value.strip()):
            yield EntryFault(name, "field_required", "必填", "It must be filled in", article)


def _word_faults(entry: Entry, known: Known) -> Iterator[EntryFault]:
    single = {
        "origin": "origins", "format": "formats", "library_kind": "library_kinds", "library": "libraries",
        "update_cycle": "cycles", "digitisation": "digitisation", "return_flow": "return_flow",
    }  # fmt: skip
    for name, vocabulary in single.items():
        value = getattr(entry, name)
        if value and value not in known.words[vocabulary]:
            yield _unknown(name)
    for name, vocabulary in {"forms": "forms", "manner": "manners", "modes": "modes"}.items():
        values = getattr(entry, name)
        if any(value not in known.words[vocabulary] for value in values) or len(set(values)) != len(values):
            yield _unknown(name)
    if entry.subject and (
        not _SUBJECT.fullmatch(entry.subject) or entry.subject[:3] not in known.words["subjects"]
    ):
        zh = "分类须为类（1位）、项（2位）、目（3位）和可选细目的数字，且类、项在分类表中"
        en = "The classification is digits: 类 (1), 项 (2), 目 (3) and perhaps 细目; 类 and 项 must exist"
        yield EntryFault("subject", "subject_unknown", zh, en)
    if entry.return_flow and not entry.superior_system:
        zh, en = "填写回流状态时须写明上级系统", "Name the superior system whose data flow back"
        yield EntryFault("superior_system", "field_required", zh, en)
    if entry.superior_system and not entry.return_flow:
        zh, en = "须填写数据回流状态", "Say how far the data flow back"
        yield EntryFault("return_flow", "field_required", zh, en)


def _party_faults(entry: Entry, known: Known) -> Iterator[EntryFault]:
    for name in ("department", "collecting", "verifying"):
        value = getattr(entry, name)
        if value and value not in known.departments:
            yield _unknown_department(name)
    for name in ("joint", "shared_with"):
        values = getattr(entry, name)
        if any(value not in known.departments for value in values) or len(set(values)) != len(values):
            yield _unknown_department(name)
    if entry.duty is not None and entry.duty not in known.duties.get(entry.department, ()):
        zh, en = "不是本部门登记的法定职责", "It is not a registered duty of the department"
        yield EntryFault("duty", "duty_unknown", zh, en)


def _sharing_faults(entry: Entry, regulation: Regulation) -> Iterator[EntryFault]:
    """The share type and its grounds (TYP-04), the ground of other than base information (CAT-20)."""
    types = regulation.share_types
    chosen = types.named(entry.share_type)
    if entry.share_type and chosen is None:
        yield _unknown("share_type")
    if entry.ground_rank and entry.ground_rank not in RANKS:
        yield _unknown("ground_rank")
    if chosen is not None:
        article = regulation.cite(chosen.article)
        if "ground" in chosen.requires and not entry.ground.strip():
            zh, en = f"{chosen.zh}须写明依据", f"{chosen.en}: name the ground"
            yield EntryFault("ground", "ground_required", zh, en, article)
        elif chosen.ground_ranks and entry.ground_rank not in chosen.ground_ranks:
            ranks = [RANKS[rank] for rank in chosen.ground_ranks]
            zh = f"{chosen.zh}的依据须为：{'、'.join(rank.zh for rank in ranks)}"
            en = f"{chosen.en} needs a ground of the rank: {', '.join(rank.en for rank in ranks)}"
            yield EntryFault("ground_rank", "ground_rank_too_low", zh, en, article)
        if "conditions" in chosen.requires and not entry.conditions.strip():
            zh, en = f"{chosen.zh}须写明共享条件", f"{chosen.en}: state the conditions"
            yield EntryFault("conditions", "conditions_required", zh, en, article)
    for at, item in enumerate(entry.items[:MAX_ITEMS]):
        if item.share_type and types.named(item.share_type) is None:
            yield _unknown(f"items[{at}].share_type")
    needs_ground = bool(entry.library_kind) and entry.library_kind != "base"
    if needs_ground and not (entry.legal_ground.strip() or entry.obliged_by.strip() or entry.duty):
        zh = "非基础信息须写明法定职权或政策依据"
        en = "Information other than base data needs a legal competence or policy ground"
        article = regulation.cite(regulation.citations.get("other_information", SETTING))
        yield EntryFault("legal_ground", "legal_ground_required", zh, en, article)


def _openness(entry: Entry, regulation: Regulation) -> int | None:
    chosen = regulation.share_types.named(entry.share_type)
    return chosen.openness if chosen else None


def _place_faults(entry: Entry, known: Known) -> Iterator[EntryFault]:
    """The sharing period, related entries and the city's entry that a district's is linked to."""
    until = entry.shared_until
    if until is not None and known.today is not None and until < known.today:
        zh, en = "共享期限不能早于今天", "The sharing period can't end in the past"
        yield EntryFault("shared_until", "period_past", zh, en)
    elif until is not None and known.latest_until is not None and until > known.latest_until:
        zh, en = f"最晚 {known.latest_until}", f"At the latest {known.latest_until}"
        yield EntryFault("shared_until", "period_too_long", zh, en)
    named = [*entry.related, *([entry.city_entry] if entry.city_entry else [])]
    there = known.resources(named) if named else ()
    if any(not _RESOURCE.fullmatch(one) or one not in there for one in entry.related):
        zh, en = "关联的条目不存在", "A related entry does not exist"
        yield EntryFault("related", "resource_unknown", zh, en)
    if entry.city_entry and (not _RESOURCE.fullmatch(entry.city_entry) or entry.city_entry not in there):
        zh, en = "上级目录条目不存在", "The city's entry does not exist"
        yield EntryFault("city_entry", "resource_unknown", zh, en)


def leads_back(resource: str, related: Iterable[str], links: Mapping[str, Collection[str]]) -> bool:
    """Whether one gets back to `resource` from its related entries by way of theirs."""
    seen: set[str] = set()
    ahead = set(related)
    while ahead:
        if resource in ahead:
            return True
        seen |= ahead
        ahead = {to for at in ahead for to in links.get(at, ())} - seen
    return False


def circle_through(resource: str, city_entry: str, known: Known) -> bool:
    """Whether linking `resource` to `city_entry` would lead back to it."""
    seen: set[str] = set()
    at = city_entry
    while at and at not in seen:
        if at == resource:
            return True
        seen.add(at)
        at = known.city_entries.get(at, "")
    return False


def _item_faults(entry: Entry, known: Known) -> Iterator[EntryFault]:
    if len(entry.items) > MAX_ITEMS:
        yield _too_many("items", MAX_ITEMS)
    seen: dict[str, set[str]] = {"field": set(), "zh": set()}
    for at, item in enumerate(entry.items[:MAX_ITEMS]):
        path = f"items[{at}]"
        yield from _one_item(path, item, known)
        for name, taken in seen.items():
            value = getattr(item, name)
            if value and value in taken:
                zh, en = "本条目中已有同名信息项", "Another item of the entry has this name"
                yield EntryFault(f"{path}.{name}", "item_twice", zh, en)
            taken.add(value)
    own = {item.field: item for item in entry.items}
    if entry.record_key and entry.record_key not in own:
        zh, en = "记录主键须是本条目的信息项", "The record key must be an item of the entry"
        yield EntryFault("record_key", "record_key_unknown", zh, en)
    if entry.modes and not entry.record_key:
        zh, en = "提供核验或查询的条目须指定记录主键", "To be verified or queried an entry needs a record key"
        yield EntryFault("record_key", "field_required", zh, en)


def _one_item(path: str, item: EntryItem, known: Known) -> Iterator[EntryFault]:
    if not _FIELD.fullmatch(item.field) or item.field in RESERVED_FIELDS:
        zh = "英文字段名须以小写字母开头，只含小写字母、数字和下划线，最多 63 个字符，且不是保留字"
        en = "A field is lower-case letters, digits and underscores, a letter first, at most 63, not reserved"
        yield EntryFault(f"{path}.field", "field_name_malformed", zh, en)
    if not item.zh.strip():
        yield EntryFault(f"{path}.zh", "field_required", "必填", "It must be filled in")
    for name in ("zh", "en", "note", "standard", "code_list"):
        fault = plain_fault(f"{path}.{name}", getattr(item, name), _NAME_LIMITS.get(name, _LONGEST))
        if fault:
            yield fault
    if item.data_type not in known.words["data_types"]:
        yield _unknown(f"{path}.data_type")
    if item.length is not None and not 1 <= item.length <= 1_000_000:
        yield EntryFault(
            f"{path}.length", "number_out_of_range", "长度须为 1 至 1000000", "From 1 to 1000000"
        )
    elif item.data_type == "C" and item.length is None:
        yield EntryFault(f"{path}.length", "field_required", "字符型须填写长度", "Characters need a length")
    if not 0 <= item.sensitivity <= 4:
        yield _unknown(f"{path}.sensitivity")
    if item.kind not in ITEM_KINDS:
        yield _unknown(f"{path}.kind")
    if item.standard and known.elements and item.standard not in known.elements:
        zh, en = "数据元标准不存在", "There is no such data element"
        yield EntryFault(f"{path}.standard", "standard_unknown", zh, en)
    yield from _code_faults(path, item, known)


def _code_faults(path: str, item: EntryItem, known: Known) -> Iterator[EntryFault]:
    if item.code_list and known.code_lists and item.code_list not in known.code_lists:
        yield EntryFault(
            f"{path}.code_list", "code_list_unknown", "代码表不存在", "There is no such code list"
        )
    if len(item.codes) > MAX_CODES:
        yield _too_many(f"{path}.codes", MAX_CODES)
        return
    values = [value for value, _ in item.codes]
    texts = [text for pair in item.codes for text in pair]
    if len(set(values)) != len(values) or any(not value for value in values):
        zh, en = "代码不能为空或重复", "A code is neither empty nor twice in the list"
        yield EntryFault(f"{path}.codes", "codes_malformed", zh, en)
    elif any(plain_fault("", text) for text in texts):
        zh, en = "代码和含义须为纯文本", "Codes and their meanings are plain text"
        yield EntryFault(f"{path}.codes", "text_not_plain", zh, en)


def _unknown(path: str) -> EntryFault:
    zh, en = "不是可选的值，请从列表中选择", "It is not one of the values to choose from"
    return EntryFault(path, "value_unknown", zh, en)


def _unknown_department(path: str) -> EntryFault:
    zh, en = (
        "部门不存在或重复，请从部门列表中选择",
        "No such department, or named twice: choose from the list",
    )
    return EntryFault(path, "department_unknown", zh, en)


def _too_many(path: str, limit: int) -> EntryFault:
    return EntryFault(path, "too_many", f"最多 {limit} 个", f"At most {limit}")
