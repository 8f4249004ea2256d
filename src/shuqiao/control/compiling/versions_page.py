"""The versions of an entry: what each said, how two of them differ, what was in force on a day.

The resource catalogue stands beside the sharing catalogue that follows it.
"""

from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Q

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.history import EntryThen, version_on
from shuqiao.control.catalogue.known import knows
from shuqiao.control.catalogue.models import Resource, ResourceVersion, SharingChange, SharingVersion
from shuqiao.control.compiling.access import OPEN_PHASES, PROCEDURE, sides_of, visible
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.compiling.fields import GROUPS
from shuqiao.control.compiling.models import Compilation, CompilationKind
from shuqiao.control.compiling.pages import SAVE, state_label
from shuqiao.control.compiling.wording import (
    DifferenceRow,
    Wording,
    difference_row,
    item_names,
    wording,
)
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry, differences
from shuqiao.rules.regulation import SETTING

SHARING_CHANGES = {
    "added": Text("列入共享目录", "Entered"),
    "changed": Text("同步更新", "Updated"),
    "removed": Text("移出共享目录", "Taken out"),
}


@dataclass(frozen=True)
class VersionLine:
    """One version of the resource catalogue with what it did to the sharing catalogue."""

    version: int
    note: Text
    published_at: datetime
    compilation: str
    withdrawn: bool
    current: bool
    in_force_then: bool
    sharing: Text | None
    sharing_at: datetime | None


@dataclass(frozen=True)
class EntryText:
    """An entry to read: groups of labels and values, and its items."""

    groups: tuple[tuple[Text, tuple[tuple[Text, Text], ...]], ...]
    items: tuple[tuple[str, str, Text], ...]


@dataclass(frozen=True)
class VersionsPage:
    """Everything the page of versions shows."""

    resource: str
    code: str
    name: Text
    department: DepartmentRef
    withdrawn: bool
    versions: tuple[VersionLine, ...]
    left: int
    right: int
    differences: tuple[DifferenceRow, ...]
    compared: bool
    on: date | None
    then: VersionLine | None
    text: EntryText | None
    article: ArticleRef


def versions_page(
    viewer: Viewer, resource_id: str, *, left: int = 0, right: int = 0, on: date | None = None
) -> VersionsPage:
    """Return the versions of an entry; without a choice the newest two are compared."""
    resource = _resource(viewer, resource_id)
    rows = list(ResourceVersion.objects.filter(resource=resource).order_by("-version"))
    known = {row.version: row for row in rows}
    right = right if right in known else rows[0].version if rows else 0
    left = left if left in known else max((v for v in known if v < right), default=right)
    then = version_on(resource.id, on) if on else None
    lines = _lines(resource, rows, then)
    words = wording(resource.regulation, resource.department_id)
    rules = named(resource.regulation)
    return VersionsPage(
        resource=resource.id,
        code=resource.code,
        name=resource.name,
        department=department_ref(resource.department),
        withdrawn=resource.state == "withdrawn",
        versions=lines,
        left=left,
        right=right,
        differences=_differences(known, left, right, words),
        compared=left != right,
        on=on,
        then=next((line for line in lines if then and line.version == then.version), None),
        text=_entry_text(then.entry, words) if then else None,
        article=article_ref(rules.citations.get("catalogue_change", SETTING), rules.id),
    )


def _resource(viewer: Viewer, resource_id: str) -> Resource:
    """An entry that the viewer knows of, or that stood in the sharing catalogue until it was withdrawn."""
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    was_shared = SharingVersion.objects.filter(change=SharingChange.REMOVED, of__withdrawn=True)
    rows = Resource.objects.filter(knows(viewer) | Q(pk__in=was_shared.values("resource_id")), id=resource_id)
    found = rows.select_related("department").first()
    if found is None:
        raise NotFound
    return found


def _lines(
    resource: Resource, rows: list[ResourceVersion], then: EntryThen | None
) -> tuple[VersionLine, ...]:
    shared = {row.of_id: row for row in SharingVersion.objects.filter(resource=resource)}
    return tuple(
        VersionLine(
            version=row.version,
            note=_note(row),
            published_at=row.published_at,
            compilation=row.compilation,
            withdrawn=row.withdrawn,
            current=row.version == resource.version and resource.state == "published",
            in_force_then=then is not None and row.version == then.version,
            sharing=SHARING_CHANGES[shared[row.pk].change] if row.pk in shared else None,
            sharing_at=shared[row.pk].published_at if row.pk in shared else None,
        )
        for row in rows
    )


def _note(row: ResourceVersion) -> Text:
    """What was done; the number of its case stands beside it as a link."""
    zh = row.note_zh.replace(f"（{row.compilation}）", "") if row.compilation else row.note_zh
    en = row.note_en.replace(f"({row.compilation})", "").strip() if row.compilation else row.note_en
    return Text(zh, en or zh)


def _differences(
    known: dict[int, ResourceVersion], left: int, right: int, words: Wording
) -> tuple[DifferenceRow, ...]:
    if left == right:
        return ()
    old, new = entry_from(known[left].content), entry_from(known[right].content)
    names = item_names(old, new)
    return tuple(difference_row(found, words, names) for found in differences(old, new))


def _entry_text(entry: Entry, words: Wording) -> EntryText:
    groups = tuple(
        (
            group.title,
            tuple((spec.label, words.value(spec.name, getattr(entry, spec.name))) for spec in shown),
        )
        for group in GROUPS
        if (shown := [spec for spec in group.fields if getattr(entry, spec.name) not in ("", (), None)])
    )
    return EntryText(groups, tuple((item.zh, item.field, words.item(item)) for item in entry.items))


@dataclass(frozen=True)
class ChangeKind:
    """One way to change an entry in force, and the article that says how it goes."""

    key: str
    label: Text
    words: Text
    article: ArticleRef


@dataclass(frozen=True)
class ChangePage:
    """What the page offers on which a change of an entry begins; `open_case` is the one under way."""

    resource: str
    name: Text
    version: int
    kinds: tuple[ChangeKind, ...]
    open_case: str
    open_state: str


def may_change(viewer: Viewer, resource_id: str) -> bool:
    """Tell whether the viewer may begin a change of an entry: its department, or who compiles for all."""
    if not viewer.can(Capability.CATALOGUE_EDIT):
        return False
    resource = Resource.objects.filter(id=resource_id, state="published").first()
    if resource is None:
        return False
    procedure = rules_for(resource.department_id).procedure(PROCEDURE)
    savers = {side for step in procedure.transitions if step.action == SAVE for side in step.by}
    return bool(sides_of(viewer, resource.department_id) & savers)


@dataclass(frozen=True)
class ChangeOffer:
    """That the viewer may change an entry, and the case under way, where there is one."""

    case: str


def change_offer(viewer: Viewer, resource_id: str) -> ChangeOffer | None:
    """What the page of an entry offers to its own department; None to everybody else."""
    if not may_change(viewer, resource_id):
        return None
    case = open_case(viewer, resource_id)
    return ChangeOffer(case.number if case else "")


def change_page(viewer: Viewer, resource_id: str) -> ChangePage:
    """Return the ways to change an entry; raises `NotFound` for whoever may not."""
    if not may_change(viewer, resource_id):
        raise NotFound
    resource = _resource(viewer, resource_id)
    rules = named(resource.regulation)
    article = article_ref(rules.citations.get("catalogue_change", SETTING), rules.id)
    case = open_case(viewer, resource_id)
    return ChangePage(
        resource=resource.id,
        name=resource.name,
        version=resource.version,
        kinds=(
            ChangeKind(
                CompilationKind.CHANGE.value,
                Text("变更内容", "Change it"),
                Text(
                    "增减信息项、改共享属性、改责任部门等。按目录程序重新审核后生效。",
                    "Items, sharing, departments and the like. In force after the whole procedure.",
                ),
                article,
            ),
            ChangeKind(
                CompilationKind.CORRECTION.value,
                Text("文字更正", "Correct the wording"),
                Text(
                    "只改英文名称、摘要、内设机构、所属系统、备注等表述，不改内容。留下新版本，历史不丢。",
                    "English names, summary, unit, system, notes. A new version is kept, no history lost.",
                ),
                article_ref(SETTING, rules.id),
            ),
            ChangeKind(
                CompilationKind.WITHDRAWAL.value,
                Text("撤出目录", "Withdraw it"),
                Text(
                    "条目不再有效，同时移出共享目录；历史版本仍可查。",
                    "No longer in force and out of the sharing catalogue; its versions stay to be seen.",
                ),
                article,
            ),
        ),
        open_case=case.number if case else "",
        open_state=str(state_label(case.regulation, case.state)) if case else "",
    )


def open_case(viewer: Viewer, resource_id: str) -> Compilation | None:
    """The case under way about an entry, where the viewer may see it."""
    return visible(viewer).filter(resource=resource_id, phase__in=OPEN_PHASES).first()
