"""What the pages show of special projects and of the register of cross-department applications."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Count

from shuqiao.control.accounts.access import NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue import labels as catalogue_labels
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.grants.models import Grant
from shuqiao.control.organisations.models import Application, Department, Duty
from shuqiao.control.organisations.queries import (
    ApplicationRef,
    DepartmentRef,
    application_ref,
    department_ref,
)
from shuqiao.control.projects.access import access_project, may_join, projects_visible, sides_of
from shuqiao.control.projects.actions import LEAD, SAVE, START, WIDEN
from shuqiao.control.projects.ending import END
from shuqiao.control.projects.models import Line, Project, ProjectEvent
from shuqiao.control.projects.steps import KIND
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.requests.models import Request
from shuqiao.control.texts import Text
from shuqiao.rules.procedures import possible_actions
from shuqiao.rules.regulation import SETTING, Regulation

PAGE_SIZE = 20
_OWN_ACTIONS = {"join": Text("提出本部门的申请", "Own requests made")}


@dataclass(frozen=True)
class ProjectRow:
    """One project of the list."""

    number: str
    title: str
    lead: DepartmentRef
    state_label: Text
    phase: str
    valid_from: date | None
    valid_until: date | None
    lines: int


@dataclass(frozen=True)
class ProjectList:
    """A page of projects; `can_lead` offers a new one."""

    rows: tuple[ProjectRow, ...]
    page: int
    pages: int
    total: int
    can_lead: bool
    article: ArticleRef


@dataclass(frozen=True)
class GrantRow:
    """A grant of the project and its last day."""

    number: str
    valid_until: date
    phase: str


@dataclass(frozen=True)
class LineRow:
    """What one department needs of one entry, and how far its provider has confirmed it."""

    key: int
    user: DepartmentRef
    provider: DepartmentRef
    resource: str
    resource_name: Text
    mode: Text
    items: tuple[Text, ...]
    reason: str
    request: str
    request_label: Text | None
    request_phase: str
    covered_by: str
    grants: tuple[GrantRow, ...]


@dataclass(frozen=True)
class ProjectEventRow:
    """One step of a project's history."""

    label: Text
    by: str
    department: DepartmentRef | None
    at: datetime
    article: ArticleRef
    entry: str
    reason: str


@dataclass(frozen=True)
class Terms:
    """What a department states when it makes its requests: duties, systems and conditions to choose from."""

    duties: tuple[tuple[int, Text, str], ...]
    applications: tuple[ApplicationRef, ...]
    conditions: tuple[tuple[str, Text, ArticleRef], ...]


@dataclass(frozen=True)
class ProjectPage:
    """Everything a project's page shows; `terms` are there where the viewer can start it or join it."""

    number: str
    title: str
    purpose: str
    duty: Text | None
    duty_key: int | None
    ground: str
    lead: DepartmentRef
    participants: tuple[DepartmentRef, ...]
    providers: tuple[DepartmentRef, ...]
    valid_from: date | None
    valid_until: date | None
    max_period_months: int
    state_label: Text
    phase: str
    ended_reason: str
    lines: tuple[LineRow, ...]
    history: tuple[ProjectEventRow, ...]
    can_edit: bool
    can_start: bool
    can_widen: bool
    can_end: bool
    can_join: bool
    terms: Terms | None
    article: ArticleRef


@dataclass(frozen=True)
class ProjectForm:
    """What the form of a project needs; `project` is None for a new one."""

    project: ProjectPage | None
    duties: tuple[tuple[int, Text, str], ...]
    departments: tuple[DepartmentRef, ...]
    article: ArticleRef


@dataclass(frozen=True)
class LineForm:
    """What the form of a line needs: who may use it, and the items of the entry chosen, where one is."""

    number: str
    title: str
    users: tuple[DepartmentRef, ...]
    resource: str
    resource_name: Text | None
    provider: DepartmentRef | None
    modes: tuple[tuple[str, Text], ...]
    items: tuple[tuple[str, Text, tuple[Text, ...]], ...]


def project_list(viewer: Viewer, page: int) -> ProjectList:
    """List the projects this viewer may see, latest change first."""
    found = projects_visible(viewer).select_related("lead").annotate(line_count=Count("lines"))
    total = found.count()
    cut = found.order_by("-changed_at", "-number")[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    return ProjectList(
        rows=tuple(_project_row(project, project.line_count) for project in cut),
        page=page,
        pages=max(1, -(-total // PAGE_SIZE)),
        total=total,
        can_lead=viewer.can(Capability.PROJECT_LEAD),
        article=_start_article(regulation()),
    )


def _project_row(project: Project, lines: int) -> ProjectRow:
    return ProjectRow(
        number=project.number,
        title=project.title,
        lead=department_ref(project.lead),
        state_label=_state_label(project),
        phase=project.phase,
        valid_from=project.valid_from,
        valid_until=project.valid_until,
        lines=lines,
    )


def project_page(viewer: Viewer, number: str) -> ProjectPage:
    """Return the page of a project."""
    project = access_project(viewer, number)
    rules = named(project.regulation)
    offered = possible_actions(
        rules.procedure(KIND), project.state, viewer.capabilities, sides_of(viewer, project)
    )
    actions = {step.action for step in offered}
    can_join, can_start = may_join(viewer, project), START in actions
    lines = list(project.lines.select_related("user", "resource__department").order_by("pk"))
    duty = project.duty
    return ProjectPage(
        number=project.number,
        title=project.title,
        purpose=project.purpose,
        duty=Text(duty.text_zh, duty.text_en) if duty else None,
        duty_key=duty.pk if duty else None,
        ground=duty.ground if duty else "",
        lead=department_ref(project.lead),
        participants=_participants(project),
        providers=tuple(
            department_ref(one)
            for one in Department.objects.filter(
                code__in={line.resource.department_id for line in lines}
            ).order_by("code")
        ),
        valid_from=project.valid_from,
        valid_until=project.valid_until,
        max_period_months=rules.period.maximum_months,
        state_label=_state_label(project),
        phase=project.phase,
        ended_reason=project.ended_reason,
        lines=_line_rows(lines),
        history=tuple(_event_row(row) for row in _events(project)),
        can_edit=SAVE in actions,
        can_start=can_start,
        can_widen=WIDEN in actions,
        can_end=END in actions,
        can_join=can_join,
        terms=_terms(viewer, rules) if can_join or can_start else None,
        article=_start_article(rules),
    )


def project_form(viewer: Viewer, number: str = "") -> ProjectForm:
    """Return what the form of a project needs; an existing one must still be a draft."""
    require(viewer, Capability.PROJECT_LEAD, LEAD)
    page = project_page(viewer, number) if number else None
    if page is not None and not page.can_edit:
        raise NotFound
    others = Department.objects.filter(active=True).exclude(code=viewer.department.code)
    return ProjectForm(
        project=page,
        duties=_duties(viewer),
        departments=tuple(department_ref(one) for one in others.order_by("code")),
        article=_start_article(regulation()),
    )


def line_form(viewer: Viewer, number: str, resource_id: str) -> LineForm:
    """Return what the form of a line needs; the entry is chosen in the catalogue."""
    page = project_page(viewer, number)
    if not (page.can_edit or page.can_widen):
        raise NotFound
    entries = Resource.objects.select_related("department").prefetch_related("items")
    resource = entries.filter(id=resource_id[:20], state="published").first()
    provider = resource.department_id if resource else ""
    return LineForm(
        number=page.number,
        title=page.title,
        users=tuple(one for one in (page.lead, *page.participants) if one.code != provider),
        resource=resource.id if resource else "",
        resource_name=resource.name if resource else None,
        provider=department_ref(resource.department) if resource else None,
        modes=catalogue_labels.mode_labels(resource.modes) if resource else (),
        items=tuple(
            (
                item.field,
                item.name,
                tuple(words for _, words in catalogue_labels.mode_labels(item.modes)),
            )
            for item in (resource.items.all() if resource else ())
            if item.field != (resource.record_key if resource else "")
        ),
    )


def entries_to_choose(viewer: Viewer) -> tuple[tuple[str, Text], ...]:
    """Name the entries of the catalogue that a line may be about."""
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        return ()
    rows = Resource.objects.filter(state="published").order_by("code")[:500]
    return tuple((row.id, Text(row.name_zh, row.name_en)) for row in rows)


def _participants(project: Project) -> tuple[DepartmentRef, ...]:
    rows = project.participants.select_related("department").order_by("department_id")
    return tuple(department_ref(row.department) for row in rows)


def _duties(viewer: Viewer) -> tuple[tuple[int, Text, str], ...]:
    rows = Duty.objects.filter(department_id=viewer.department.code).order_by("number")
    return tuple((row.pk, Text(row.text_zh, row.text_en), row.ground) for row in rows)


def _terms(viewer: Viewer, rules: Regulation) -> Terms:
    own = Application.objects.filter(department_id=viewer.department.code, active=True)
    return Terms(
        duties=_duties(viewer),
        applications=tuple(application_ref(one) for one in own.order_by("-portal", "id")),
        conditions=tuple(
            (one.key, Text(one.zh, one.en), article_ref(one.article, rules.id)) for one in rules.conditions
        ),
    )


def _line_rows(lines: list[Line]) -> tuple[LineRow, ...]:
    """Show the lines with their requests and grants: three queries, however many they are."""
    numbers = [line.request_number for line in lines if line.request_number]
    requests = {row.number: row for row in Request.objects.filter(number__in=numbers)}
    grants: dict[str, list[GrantRow]] = {}
    for grant in Grant.objects.filter(request_number__in=numbers).order_by("number"):
        row = GrantRow(grant.number, grant.valid_until, grant.phase)
        grants.setdefault(grant.request_number, []).append(row)
    wanted = {line.resource_id for line in lines}
    named_items = {
        (resource.id, item.field): item.name
        for resource in Resource.objects.filter(id__in=wanted).prefetch_related("items")
        for item in resource.items.all()
    }
    return tuple(_line_row(line, requests.get(line.request_number), grants, named_items) for line in lines)


def _line_row(
    line: Line,
    request: Request | None,
    grants: dict[str, list[GrantRow]],
    names: dict[tuple[str, str], Text],
) -> LineRow:
    state = named(request.regulation).procedure("request").state(request.state) if request else None
    return LineRow(
        key=line.pk,
        user=department_ref(line.user),
        provider=department_ref(line.resource.department),
        resource=line.resource_id,
        resource_name=line.resource.name,
        mode=catalogue_labels.label(catalogue_labels.MODES, line.mode),
        items=tuple(names.get((line.resource_id, one), Text(one, one)) for one in line.fields),
        reason=line.reason,
        request=line.request_number or "",
        request_label=Text(state.zh, state.en) if state else None,
        request_phase=request.phase if request else "",
        covered_by=line.covered_by,
        grants=tuple(grants.get(line.request_number or "", ())),
    )


def _events(project: Project) -> list[ProjectEvent]:
    return list(project.events.select_related("account", "department", "project"))


def _event_row(row: ProjectEvent) -> ProjectEventRow:
    rules = named(row.project.regulation)
    known = rules.procedure(KIND).action(row.action)
    own = _OWN_ACTIONS.get(row.action, Text(row.action, row.action))
    return ProjectEventRow(
        label=Text(known.zh, known.en) if known else own,
        by=row.account.display_name if row.account else "",
        department=department_ref(row.department) if row.department else None,
        at=row.occurred_at,
        article=article_ref(row.article, rules.id),
        entry=str(row.entry_id),
        reason=str(row.words.get("reason", "")),
    )


def _state_label(project: Project) -> Text:
    state = named(project.regulation).procedure(KIND).state(project.state)
    return Text(state.zh, state.en) if state else Text(project.state, project.state)


def _start_article(rules: Regulation) -> ArticleRef:
    start = rules.procedure(KIND).action(START)
    return article_ref(start.article if start else SETTING, rules.id)
