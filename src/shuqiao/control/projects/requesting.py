"""The ordinary requests of a project: one for each entry that a department needs (SPC-02, SPC-03)."""

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer
from shuqiao.control.projects.inputs import JoinInput, fault
from shuqiao.control.projects.models import Line, Project
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.inputs import RequestInput, covering_grant
from shuqiao.control.requests.models import Request
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Phase


def ask_for_lines(viewer: Viewer, project: Project, given: JoinInput) -> tuple[str, ...]:
    """Submit the requests for the lines of the viewer's department that have none; return their numbers.

    A line that a grant in force covers for the whole period needs none. What a request lacks is told with
    the name of its entry, and then no request is made at all.
    """
    numbers, faults = [], []
    for line in _waiting(project, viewer):
        wanted = _request(project, line, given)
        covering = covering_grant(viewer, wanted, clock.today())
        if covering:
            Line.objects.filter(pk=line.pk).update(covered_by=covering)
            continue
        try:
            _keep_draft(viewer, line)
            number = submit_request(viewer, wanted)
        except FormRefused as refused:
            faults += _named(refused, line)
            continue
        Line.objects.filter(pk=line.pk).update(request_number=number)
        numbers.append(number)
    if faults:
        raise FormRefused(tuple(faults))
    return tuple(numbers)


def _waiting(project: Project, viewer: Viewer) -> list[Line]:
    own = project.lines.filter(user_id=viewer.department.code, request_number=None, covered_by="")
    return list(own.select_related("resource").order_by("pk"))


def _request(project: Project, line: Line, given: JoinInput) -> RequestInput:
    """A request of the line; it is wanted no longer than the project lasts, so no grant outlasts it."""
    return RequestInput(
        resource=line.resource_id,
        mode=line.mode,
        duty=given.duty,
        purpose=f"{project.title}（{project.number}）：{project.purpose}"[:200],
        items=dict.fromkeys(line.fields, line.reason),
        applications=given.applications,
        accepted_conditions=given.accepted_conditions,
        wanted_until=project.valid_until,
    )


def _keep_draft(viewer: Viewer, line: Line) -> None:
    """An account has one draft for each entry: what somebody has begun to write is not lost to a project."""
    own = Request.objects.filter(created_by_id=viewer.account_id, resource_id=line.resource_id)
    if own.filter(phase=Phase.DRAFT.value).exists():
        zh = "您有一份尚未提交的申请草稿，请先提交或撤回"
        raise FormRefused(
            (fault("lines", "draft_there", zh, "You have a draft for it: submit or withdraw it"),)
        )


def _named(refused: FormRefused, line: Line) -> list[Fault]:
    entry = line.resource.name
    return [
        Fault(
            _field_of(one.field),
            one.code,
            Text(f"{entry.zh}：{one.message.zh}", f"{entry.en}: {one.message.en}"),
        )
        for one in refused.faults
    ]


def _field_of(name: str) -> str:
    """Lead a fault to the field of the project's form that it is corrected in."""
    return name if name in ("duty", "applications", "conditions") else "lines"
