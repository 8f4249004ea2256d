"""Preparing, starting, widening and joining a special project.

A project gives nothing by itself: it asks. Each department that needs information makes an ordinary request
for it in the project's name, and each provider answers for its own data (SPC-03).
"""

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Duty
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.projects.access import access_project_locked
from shuqiao.control.projects.inputs import (
    JoinInput,
    LineInput,
    ProjectInput,
    fault,
    line_faults,
    project_faults,
)
from shuqiao.control.projects.models import Line, Participant, Project
from shuqiao.control.projects.requesting import ask_for_lines
from shuqiao.control.projects.steps import KIND, apply_step, decide_step, record, tell_everybody
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.texts import Text
from shuqiao.rules.errors import TransitionRefused
from shuqiao.rules.ids import project_no
from shuqiao.rules.regulation import SETTING, Phase

SAVE, START, WIDEN = "save", "start", "widen"
LEAD = Text("牵头专项", "Lead a special project")
MAX_LINES = 200


@transaction.atomic
def save_project(viewer: Viewer, given: ProjectInput) -> str:
    """Keep a project that has not started yet, complete or not, and return its number.

    Source: guangzhou-2019 art. 16(4) (which departments, which information).
    """
    require(viewer, Capability.PROJECT_LEAD, LEAD)
    faults = project_faults(viewer, given)
    if faults:
        raise FormRefused(tuple(faults))
    project = access_project_locked(viewer, given.number) if given.number else _new(viewer)
    decide_step(project, SAVE, viewer)
    project.title, project.purpose = given.title.strip(), given.purpose.strip()
    project.duty = Duty.objects.filter(pk=given.duty).first() if given.duty else None
    project.valid_from, project.valid_until = given.valid_from, given.valid_until
    project.changed_at = clock.now()
    project.save()
    _add_participants(project, given.participants)
    kept = {*given.participants, *project.lines.values_list("user_id", flat=True)}
    project.participants.exclude(department_id__in=kept).delete()
    return project.number


@transaction.atomic
def add_line(viewer: Viewer, number: str, given: LineInput) -> None:
    """Add what a department needs of an entry: to a draft, or to a project under way (SPC-03).

    In a running project it is the lead's step to widen it; the department concerned then makes its request.
    """
    project = access_project_locked(viewer, number)
    running = project.phase == Phase.GRANTED.value
    accepted = decide_step(project, WIDEN if running else SAVE, viewer)
    users = {project.lead_id, *project.participants.values_list("department_id", flat=True)}
    found = Resource.objects.prefetch_related("items").filter(id=given.resource[:20], state="published")
    resource = found.first()
    faults = line_faults(given, frozenset(users), resource)
    if project.lines.count() >= MAX_LINES:
        faults.append(
            fault("resource", "too_many", f"一个专项最多 {MAX_LINES} 行", f"At most {MAX_LINES} lines")
        )
    if faults or resource is None:
        raise FormRefused(tuple(faults))
    line = Line.objects.create(
        project=project,
        user_id=given.user,
        resource=resource,
        mode=given.mode,
        fields=sorted(set(given.fields)),
        reason=given.reason.strip(),
        added_at=clock.now(),
    )
    if running:
        words = {"user": line.user_id, "entry": line.resource_id, "fields": line.fields}
        apply_step(project, WIDEN, viewer, accepted, words)
        tell_everybody(project, f"line {line.pk}", but=viewer.department.code)


@transaction.atomic
def remove_line(viewer: Viewer, number: str, key: int) -> None:
    """Take a line out of a project that has not started yet."""
    project = access_project_locked(viewer, number)
    decide_step(project, SAVE, viewer)
    project.lines.filter(pk=key).delete()


@transaction.atomic
def add_participants(viewer: Viewer, number: str, codes: tuple[str, ...]) -> None:
    """Add departments to a project under way (SPC-03). Source: guangzhou-2019 art. 16(5)."""
    project = access_project_locked(viewer, number)
    accepted = decide_step(project, WIDEN, viewer)
    faults = project_faults(viewer, ProjectInput(project.title, participants=codes))
    if not codes:
        zh, en = "请选择要增加的部门", "Choose the departments to add"
        faults.append(fault("participants", "field_required", zh, en))
    if faults:
        raise FormRefused(tuple(faults))
    added = _add_participants(project, codes)
    if added:
        apply_step(project, WIDEN, viewer, accepted, {"participants": added})
        tell_everybody(project, f"participants {project.events.count()}", but=viewer.department.code)


@transaction.atomic
def start_project(viewer: Viewer, number: str, given: JoinInput) -> tuple[str, ...]:
    """Start a project and make the lead's own requests; return their numbers.

    Raises `FormRefused` with everything that is missing. Source: guangzhou-2019 art. 16(4); SPC-01, SPC-02.
    """
    project = access_project_locked(viewer, number)
    accepted = decide_step(project, START, viewer)
    words: dict[str, object] = {
        "purpose": project.purpose,
        "participants": sorted(project.participants.values_list("department_id", flat=True)),
        "entries": sorted(set(project.lines.values_list("resource_id", flat=True))),
        "valid_until": str(project.valid_until),
    }
    apply_step(project, START, viewer, accepted, words)
    numbers = ask_for_lines(viewer, project, given)
    tell_everybody(project, START, but=viewer.department.code)
    return numbers


@transaction.atomic
def join_project(viewer: Viewer, number: str, given: JoinInput) -> tuple[str, ...]:
    """Make the requests of the viewer's department for its lines of a running project; return their numbers.

    The department states its own duty and accepts the conditions itself: the lead can't do that for it.
    """
    project = access_project_locked(viewer, number)
    require(viewer, Capability.REQUEST_SUBMIT, Text("参与专项", "Take part in a project"))
    if project.phase != Phase.GRANTED.value:
        rules = named(project.regulation)
        state = rules.procedure(KIND).state(project.state)
        name = state.zh if state else project.state
        raise TransitionRefused(case=number, state=name, action="参与专项", rule=_article(project))
    if not _own_lines(project, viewer):
        zh, en = "本部门没有待提出的申请", "Your department has nothing to ask for"
        raise FormRefused((fault("lines", "nothing_to_ask", zh, en),))
    numbers = ask_for_lines(viewer, project, given)
    entry = record(project, "join", viewer, _article(project), {"requests": list(numbers)})
    project.events.create(
        action="join",
        to_state=project.state,
        occurred_at=clock.now(),
        account_id=viewer.account_id,
        department_id=viewer.department.code,
        words={"requests": list(numbers)},
        article=_article(project),
        entry_id=entry,
    )
    return numbers


def _new(viewer: Viewer) -> Project:
    rules, now, year = regulation(), clock.now(), clock.today().year
    initial = rules.procedure(KIND).initial
    return Project(
        number=project_no(year, next_number("Z", year)),
        lead_id=viewer.department.code,
        regulation=rules.id,
        state=initial.key,
        phase=initial.phase.value,
        created_by_id=viewer.account_id,
        created_at=now,
        changed_at=now,
    )


def _add_participants(project: Project, codes: tuple[str, ...]) -> list[str]:
    there = {project.lead_id, *project.participants.values_list("department_id", flat=True)}
    new = sorted(set(codes) - there)
    Participant.objects.bulk_create(
        Participant(project=project, department_id=code, added_at=clock.now()) for code in new
    )
    return new


def _own_lines(project: Project, viewer: Viewer) -> bool:
    own = project.lines.filter(user_id=viewer.department.code)
    return own.filter(request_number=None, covered_by="").exists()


def _article(project: Project) -> str:
    rules = named(project.regulation)
    start = rules.procedure(KIND).action(START)
    return rules.cite(start.article if start else SETTING)
