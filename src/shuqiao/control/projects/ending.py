"""Ending a project, and with it what was given in its name (SPC-02)."""

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.grants.actions import end_early
from shuqiao.control.grants.models import Grant
from shuqiao.control.projects.access import access_project_locked
from shuqiao.control.projects.inputs import fault
from shuqiao.control.projects.models import MAX_REASON_CHARS, Project
from shuqiao.control.projects.steps import apply_step, decide_step, tell_everybody
from shuqiao.control.requests.models import Request
from shuqiao.control.requests.steps import Step, decision, facts_of, take
from shuqiao.rules.procedures import Accepted
from shuqiao.rules.regulation import REQUESTER, Phase

END, WITHDRAW = "end", "withdraw"


@transaction.atomic
def end_project(viewer: Viewer, number: str, reason: str) -> None:
    """End a project: its open requests are withdrawn, and its grants end at once, on the plane too.

    Raises `FormRefused` without a reason. Source: guangzhou-2019 art. 16(4); SPC-02.
    """
    project = access_project_locked(viewer, number)
    accepted = decide_step(project, END, viewer)
    words = reason.strip()
    if not words or len(words) > MAX_REASON_CHARS:
        zh = f"请写明结束的理由，不超过 {MAX_REASON_CHARS} 字"
        en = f"Say why it ends, in at most {MAX_REASON_CHARS} characters"
        raise FormRefused((fault("reason", "reason_required", zh, en),))
    _end(project, viewer, accepted, words)


def end_finished() -> int:
    """End the projects whose last day is over; safe late, twice, and beside another worker."""
    over = Project.objects.filter(phase=Phase.GRANTED.value, valid_until__lt=clock.today())
    return sum(_end_finished(number) for number in list(over.values_list("number", flat=True)))


@transaction.atomic
def _end_finished(number: str) -> int:
    running = Project.objects.select_for_update(skip_locked=True).filter(phase=Phase.GRANTED.value)
    project = running.filter(number=number).first()
    if project is None:
        return 0
    _end(project, None, decide_step(project, END, None), "期满")
    return 1


def _end(project: Project, viewer: Viewer | None, accepted: Accepted, reason: str) -> None:
    numbers = [one for one in project.lines.values_list("request_number", flat=True) if one]
    for number in sorted(numbers):
        _close_request(number, project)
    grants = Grant.objects.filter(request_number__in=numbers).order_by("number")
    words = f"专项 {project.number} 已结束 / special project {project.number} has ended"
    ended = [one for one in grants.values_list("number", flat=True) if end_early(one, words)]
    apply_step(project, END, viewer, accepted, {"reason": reason, "grants": ended})
    tell_everybody(project, END, but=viewer.department.code if viewer else "")


def _close_request(number: str, project: Project) -> None:
    """Withdraw an open request of the project; whatever still comes of another can't outlast today."""
    request = Request.objects.select_for_update().get(number=number)
    today = clock.today()
    if request.wanted_until is not None and request.wanted_until > today:
        Request.objects.filter(pk=request.pk).update(wanted_until=today)
        request.wanted_until = today
    if request.phase != Phase.WAITING.value:
        return
    # Its requester took part in the project: the request ends with it, without another word of theirs.
    facts = facts_of(request, frozenset({REQUESTER}), {})
    capabilities = frozenset({Capability.REQUEST_SUBMIT.value})
    accepted = decision(request, WITHDRAW, facts, capabilities)
    if isinstance(accepted, Accepted):
        take(request, Step(WITHDRAW, accepted, None, today, params={"project": project.number}))
