"""The wizard of one draft: its steps, what each shows, and what is still missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.compiling.access import access_compilation
from shuqiao.control.compiling.case_page import StepOffer, acts_for_all, offer_of
from shuqiao.control.compiling.chain import ChainStep, chain_of
from shuqiao.control.compiling.checking import check
from shuqiao.control.compiling.fields import CHECK_STEP, ITEMS_STEP, STEPS
from shuqiao.control.compiling.form_page import (
    Choices,
    FaultLink,
    Given,
    GroupView,
    ItemTable,
    code_preview,
    department_choices,
    fault_links,
    groups_of,
    item_table,
    overview,
    unread_links,
)
from shuqiao.control.compiling.models import Compilation, CompilationKind
from shuqiao.control.compiling.pages import KINDS, WITHDRAW, may_edit, state_label, steps_of
from shuqiao.control.compiling.wording import wording
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.standards.contents import Kind
from shuqiao.control.standards.queries import contents
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry
from shuqiao.rules.entry_faults import EntryFault, demanded_fields
from shuqiao.rules.regulation import SETTING, Regulation

Overview = tuple[tuple[int, str, Text, tuple[tuple[Text, Text], ...]], ...]


@dataclass(frozen=True)
class Asked:
    """Which step is asked for; `typed` is what was posted where something could not be read."""

    step: int = 1
    page: int = 1
    focus: int = -1
    checked: bool = False
    faults: Mapping[str, Text] = field(default_factory=dict)
    typed: Mapping[str, str] = field(default_factory=dict)
    paste_faults: tuple[Text, ...] = ()
    nothing_saved: bool = False


@dataclass(frozen=True)
class WizardPage:
    """Everything a step of the wizard shows."""

    number: str
    revision: int
    kind: str
    kind_label: Text
    title: str
    department: DepartmentRef
    state_label: Text
    phase: str
    changed_at: datetime
    entry: Entry
    code: str
    step: int
    last: int
    steps: tuple[Text, ...]
    groups: tuple[GroupView, ...]
    subject_groups: tuple["SubjectGroup", ...]
    table: ItemTable | None
    elements: Choices
    code_lists: Choices
    items_article: ArticleRef
    wording_article: ArticleRef
    secret_article: ArticleRef
    focus: int
    pasted: str
    paste_faults: tuple[Text, ...]
    fault_links: tuple[FaultLink, ...]
    unread: tuple[FaultLink, ...]
    nothing_saved: bool
    items_fault: Text | str
    overview: Overview
    chain: tuple[ChainStep, ...]
    offers: tuple[StepOffer, ...]
    discard: StepOffer | None


@dataclass(frozen=True)
class SubjectGroup:
    """One 类 of the classification with its 项."""

    label: str
    choices: Choices


def wizard_page(viewer: Viewer, number: str, asked: Asked) -> WizardPage:
    """Return a step of the wizard; raises `NotFound` unless the viewer may change the draft.

    Its last call has a line for each field of the page.
    """
    case = draft_of(viewer, number)
    rules, entry = named(case.regulation), entry_from(case.content)
    found = check(viewer, entry, resource=case.resource) if _is_checked(asked) else ()
    given = _given(viewer, case, entry, asked, found)
    steps = [offer_of(step, case) for step in steps_of(viewer, case)]
    on_items = asked.step == ITEMS_STEP
    return WizardPage(
        number=case.number,
        revision=case.revision,
        kind=case.kind,
        kind_label=KINDS[case.kind],
        title=case.name_zh or str(Text("未命名条目", "Unnamed entry")),
        department=department_ref(case.department),
        state_label=state_label(rules.id, case.state),
        phase=case.phase,
        changed_at=case.changed_at,
        entry=entry,
        code=code_preview(case.resource, entry.subject),
        step=asked.step,
        last=CHECK_STEP,
        steps=STEPS,
        groups=groups_of(given, asked.step),
        subject_groups=_subject_groups(),
        table=item_table(given, asked.page) if on_items else None,
        elements=_standards(Kind.ELEMENT) if on_items else (),
        code_lists=_standards(Kind.CODE_LIST) if on_items else (),
        items_article=article_ref(demanded_fields(rules)["items"]),
        wording_article=_matter(rules, "catalogue_change"),
        secret_article=_matter(rules, "state_secrets"),
        focus=asked.focus,
        pasted=asked.typed.get("pasted", ""),
        paste_faults=asked.paste_faults,
        fault_links=fault_links(found, entry),
        unread=unread_links(asked.faults, entry),
        nothing_saved=asked.nothing_saved,
        items_fault=given.faults.get("items", ""),
        overview=overview(given),
        chain=chain_of(
            rules,
            case.state,
            list(case.events.select_related("account", "department")),
            correction=case.kind == CompilationKind.CORRECTION,
        ),
        offers=tuple(step for step in steps if not step.ends_badly),
        discard=next((step for step in steps if step.action == WITHDRAW), None),
    )


def _given(
    viewer: Viewer, case: Compilation, entry: Entry, asked: Asked, found: Iterable[EntryFault]
) -> Given:
    """What the fields of the wizard are filled with, each with what is wrong at it."""
    told = {fault.path: Text(fault.zh, fault.en) for fault in found} if asked.checked else {}
    return Given(
        entry=entry,
        regulation=named(case.regulation),
        kind=case.kind,
        faults={**told, **asked.faults},
        typed=asked.typed,
        departments=department_choices(),
        providers=_providers(viewer, case),
        words=wording(case.regulation, entry.department),
    )


def draft_of(viewer: Viewer, number: str) -> Compilation:
    """Return a draft that this viewer may change."""
    case = access_compilation(viewer, number)
    if not may_edit(viewer, case):
        raise NotFound
    return case


def _is_checked(asked: Asked) -> bool:
    return asked.checked or asked.step == CHECK_STEP


def _providers(viewer: Viewer, case: Compilation) -> Choices:
    """For whom the viewer may compile: a body of the city for all, a department for itself."""
    every = department_choices()
    if acts_for_all(viewer, case):
        return every
    return tuple(choice for choice in every if choice[0] == viewer.department.code)


def _subject_groups() -> tuple[SubjectGroup, ...]:
    words = vocabulary()
    return tuple(
        SubjectGroup(
            f"{key} {label}", tuple(pair for pair in words.subjects.items() if pair[0].startswith(key))
        )
        for key, label in words.classes.items()
    )


def _standards(kind: Kind) -> Choices:
    return tuple((key, Text(one.zh, one.en)) for key, one in contents(kind).items())


def _matter(rules: Regulation, matter: str) -> ArticleRef:
    """Cite what a regulation says of a matter; silence is a setting of ours."""
    return article_ref(rules.citations.get(matter, SETTING), rules.id)
