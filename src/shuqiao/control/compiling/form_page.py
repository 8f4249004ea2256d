"""What the wizard shows: fields of a step with choices, articles and faults, and the rows of items."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shuqiao.control.catalogue.models import Resource, SubjectSequence
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.compiling.fields import (
    FIELDS,
    GROUPS,
    ITEM_KIND_WORDS,
    FieldSpec,
    label_of,
    step_of,
)
from shuqiao.control.compiling.forms import PAGE_ITEMS, may_change
from shuqiao.control.compiling.wording import Wording
from shuqiao.control.organisations.models import Department, Duty
from shuqiao.control.organisations.queries import department_ref
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry, EntryItem, entry_code
from shuqiao.rules.entry_faults import EntryFault, demanded_fields
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.sharing import RANKS

Choices = tuple[tuple[str, Text], ...]
CHOOSE = Text("请选择", "Choose")
SOURCE_CODES = frozenset({"already_claimed", "maybe_claimed"})
"""Faults that are settled on the page of conflicts of sources, not in a field."""


@dataclass(frozen=True)
class FieldView:
    """One field as its component draws it; `locked` says that this kind of case may not change it."""

    spec: FieldSpec
    value: str
    chosen: tuple[str, ...]
    choices: Choices
    required: bool
    article: ArticleRef | None
    fault: Text | str
    locked: bool
    shown: Text
    parts: tuple[str, str] = ("", "")

    @property
    def help(self) -> Text:
        """Return what to write; how an optional field is read when empty is not said of a required one."""
        is_beside = self.locked or (self.required and self.spec.optional_help)
        return Text("", "") if is_beside else self.spec.help

    @property
    def described(self) -> str:
        """Return the ids of what explains the field."""
        parts = [f"{self.spec.name}-hint"] if self.help.zh or self.article else []
        return " ".join([*parts, *([f"{self.spec.name}-error"] if self.fault else [])])


@dataclass(frozen=True)
class GroupView:
    """Fields under one heading."""

    key: str
    title: Text
    fields: tuple[FieldView, ...]


@dataclass(frozen=True)
class ItemRow:
    """One row of the table of items; `path` begins the names of its fields."""

    at: int
    path: str
    item: EntryItem
    codes: str
    faults: Mapping[str, Text]
    typed: Mapping[str, str]

    @property
    def more_wrong(self) -> bool:
        """Tell whether a fault lies in what is folded away."""
        return bool(set(self.faults) - {"zh", "field", "data_type", "length", "standard", "sensitivity"})

    @property
    def length(self) -> str:
        """Return what stands in the field of the length."""
        return self.typed.get("length", str(self.item.length or ""))


@dataclass(frozen=True)
class ItemTable:
    """A page of the table of items with the choices of its columns."""

    rows: tuple[ItemRow, ...]
    total: int
    page: int
    pages: int
    data_types: Choices
    sensitivities: Choices
    kinds: Choices
    share_types: Choices
    locked: bool


@dataclass(frozen=True)
class FaultLink:
    """One fault of the whole entry and where it is corrected."""

    step: int
    path: str
    label: str
    words: Text
    article: ArticleRef | None
    page: int = 1
    about_source: bool = False


@dataclass(frozen=True)
class Given:
    """What the fields of a step are drawn from; `typed` is what was posted and could not be read."""

    entry: Entry
    regulation: Regulation
    kind: str
    faults: Mapping[str, Text]
    typed: Mapping[str, str]
    departments: Choices
    providers: Choices
    words: Wording


def groups_of(given: Given, step: int) -> tuple[GroupView, ...]:
    """The groups of a step; fields that the regulation has no use for are left out."""
    demanded = demanded_fields(given.regulation)
    found = []
    for group in GROUPS:
        if group.step == step:
            fields = tuple(
                _field_view(given, spec, demanded)
                for spec in group.fields
                if _is_used(spec, given.regulation)
            )
            found.append(GroupView(group.key, group.title, fields))
    return tuple(found)


def _is_used(spec: FieldSpec, rules: Regulation) -> bool:
    if spec.name in ("share_type", "ground_rank", "ground"):
        return bool(rules.share_types.types)
    if spec.name == "relations":
        return bool(rules.share_types.relations)
    return True


def _field_view(given: Given, spec: FieldSpec, demanded: Mapping[str, str]) -> FieldView:
    value = getattr(given.entry, spec.name)
    plain = _plain(value)
    return FieldView(
        spec=spec,
        value=given.typed.get(spec.name, plain),
        chosen=value if isinstance(value, tuple) else (plain,),
        choices=_choices(given, spec, plain),
        required=spec.name in demanded,
        article=article_ref(demanded[spec.name]) if spec.name in demanded else None,
        fault=given.faults.get(spec.name, ""),
        locked=not may_change(spec.name, given.kind),
        shown=given.words.value(spec.name, value),
        parts=(plain[:3], plain[3:]) if spec.kind == "subject" else ("", ""),
    )


def _plain(value: object) -> str:
    """A value as a field holds it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "\n".join(str(one) for one in value)
    return "" if value is None else str(value)


def _choices(given: Given, spec: FieldSpec, value: str) -> Choices:
    if spec.kind == "yesno":
        return (("yes", Text("可以开放", "May be opened")), ("no", Text("不开放", "Not opened")))
    if spec.kind == "subject":
        return tuple(vocabulary().subjects.items())
    if spec.kind in ("department", "departments"):
        found = given.providers if spec.name == "department" else given.departments
    else:
        found = _named_choices(given, spec)
    if spec.kind not in ("select", "department"):
        return found
    known = any(key == value for key, _ in found)
    # A value the vocabulary no longer has is shown, so that saving does not change it unsaid.
    kept: Choices = () if known or not value else ((value, Text(value, value)),)
    return (("", CHOOSE), *found, *kept)


def _named_choices(given: Given, spec: FieldSpec) -> Choices:
    rules = given.regulation
    match spec.choices:
        case "types":
            return share_type_choices(rules)
        case "ranks":
            return tuple((key, Text(words.zh, words.en)) for key, words in RANKS.items())
        case "relations":
            return tuple((one.key, Text(one.zh, one.en)) for one in rules.share_types.relations)
        case "items":
            named = [item for item in given.entry.items if item.field]
            return tuple((item.field, Text(f"{item.zh} {item.field}", item.field)) for item in named)
        case "duties":
            return _duties(given.entry.department)
        case "details":
            details = vocabulary().format_details
            return tuple((one, Text(one, one)) for listed in details.values() for one in listed)
        case "":
            return ()
    return tuple(getattr(vocabulary(), spec.choices).items())


def _duties(department: str) -> Choices:
    duties = Duty.objects.filter(department_id=department).order_by("number")
    return tuple((str(one.number), Text(f"{one.number}. {one.text_zh}", one.text_en)) for one in duties)


def share_type_choices(rules: Regulation) -> Choices:
    """The share types of a regulation, the most open first."""
    ordered = sorted(rules.share_types.types, key=lambda one: -one.openness)
    return tuple((one.key, Text(one.zh, one.en)) for one in ordered)


def item_table(given: Given, page: int) -> ItemTable:
    """A page of the table of items."""
    items = given.entry.items
    pages = max(1, -(-len(items) // PAGE_ITEMS))
    page = min(max(1, page), pages)
    start = (page - 1) * PAGE_ITEMS
    rows = tuple(_row(given, at, items[at]) for at in range(start, min(start + PAGE_ITEMS, len(items))))
    words = vocabulary()
    return ItemTable(
        rows=rows,
        total=len(items),
        page=page,
        pages=pages,
        data_types=tuple(
            (key, Text(f"{word.zh} {key}", f"{word.en} {key}")) for key, word in words.data_types.items()
        ),
        sensitivities=tuple(words.sensitivities.items()),
        kinds=tuple(ITEM_KIND_WORDS.items()),
        share_types=(("", Text("同条目", "As the entry")), *share_type_choices(given.regulation)),
        locked=not may_change("items", given.kind),
    )


def _row(given: Given, at: int, item: EntryItem) -> ItemRow:
    path = f"items[{at}]"
    prefix = f"{path}."
    codes = "\n".join(" ".join(pair).strip() for pair in item.codes)
    typed = {key.removeprefix(prefix): text for key, text in given.typed.items() if key.startswith(prefix)}
    faults = {key.removeprefix(prefix): said for key, said in given.faults.items() if key.startswith(prefix)}
    return ItemRow(at, path, item, typed.get("codes", codes), faults, typed)


def fault_links(faults: Iterable[EntryFault], entry: Entry) -> tuple[FaultLink, ...]:
    """Every fault of an entry, each with the step and page where it is corrected."""
    return tuple(
        FaultLink(
            step=step_of(fault.path),
            path=fault.path,
            label=_fault_label(fault.path, entry),
            words=Text(fault.zh, fault.en),
            article=article_ref(fault.article) if fault.article else None,
            page=_place(fault.path) // PAGE_ITEMS + 1,
            about_source=fault.code in SOURCE_CODES,
        )
        for fault in faults
    )


def unread_links(faults: Mapping[str, Text], entry: Entry) -> tuple[FaultLink, ...]:
    """What of a posted step could not be read, by the place where it was written."""
    return tuple(
        FaultLink(
            step_of(path),
            path if path in FIELDS or "[" in path or path == "pasted" else "",
            _fault_label(path, entry),
            words,
            None,
        )
        for path, words in faults.items()
    )


def _place(path: str) -> int:
    number = path.partition("[")[2].partition("]")[0]
    return int(number) if number.isascii() and number.isdigit() else 0


def _fault_label(path: str, entry: Entry) -> str:
    label = str(label_of(path))
    if not path.startswith("items["):
        return label
    at = _place(path)
    item = entry.items[at] if at < len(entry.items) else EntryItem(field="", zh="")
    row = str(Text(f"第 {at + 1} 项", f"Item {at + 1}"))
    return " ".join(part for part in (row, item.zh or item.field, label) if part)


def code_preview(resource: str, subject: str) -> str:
    """The official code an entry has, or would get if it were published now; empty while unclassified."""
    kept = Resource.objects.filter(id=resource, subject=subject).values_list("code", flat=True).first()
    if kept:
        return str(kept)
    if len(subject) < 6 or subject[:3] not in vocabulary().subjects:
        return ""
    last = SubjectSequence.objects.filter(subject=subject).values_list("last", flat=True).first() or 0
    return entry_code(subject, last + 1)


def overview(given: Given) -> tuple[tuple[int, str, Text, tuple[tuple[Text, Text], ...]], ...]:
    """The whole entry to read through: step, key and title of each group, and what it says."""
    found = []
    for group in GROUPS:
        said = tuple(
            (spec.label, given.words.value(spec.name, getattr(given.entry, spec.name)))
            for spec in group.fields
            if _is_used(spec, given.regulation) and getattr(given.entry, spec.name) not in ("", (), None)
        )
        found.append((group.step, group.key, group.title, said))
    return tuple(found)


def department_choices() -> Choices:
    """Every active department by its code, for the fields that name one."""
    found = Department.objects.filter(active=True).order_by("code")
    return tuple((one.code, department_ref(one).name) for one in found)
