"""Collecting open disputes for a joint review, and convening it. Source: guangzhou-2016 art. 35(2)."""

from collections.abc import Collection
from datetime import date, timedelta

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.disputes.access import (
    is_coordinator,
    lock_dispute,
    regulations_in_use,
)
from shuqiao.control.disputes.advance import Step, advance
from shuqiao.control.disputes.inputs import StepInput
from shuqiao.control.disputes.models import AgendaItem, Dispute, JointReviewSession
from shuqiao.control.disputes.steps import SCHEDULE, procedure_of
from shuqiao.control.organisations.bodies import COMPETENT, JOINT_REVIEW, bodies_with, body_roles
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.texts import Text
from shuqiao.rules.ids import session_no

MAX_AGENDA = 200
"""More than a session can deal with is left for the next one."""

MAX_DAYS_AHEAD = 366


def next_review_on() -> date:
    """Return the day on which open disputes are next collected; today where none ever was."""
    last = JointReviewSession.objects.order_by("-collected_on").values_list("collected_on", flat=True).first()
    if last is None:
        return clock.today()
    return last + timedelta(days=regulation().disputes.review_every_days)


def collect_for_review() -> int:
    """Collect open disputes for the next joint review once its interval has passed; safe late and twice.

    Returns how many were collected.
    """
    return _collect(None)[1] if next_review_on() <= clock.today() else 0


def collect_now(viewer: Viewer) -> str | None:
    """Collect the open disputes before their time, at the co-ordinator's wish."""
    _require_coordinator(viewer)
    return _collect(viewer)[0]


@transaction.atomic
def _collect(viewer: Viewer | None) -> tuple[str | None, int]:
    """Put every dispute that waits on the agenda of the session being prepared, or of a new one.

    Returns the session and how many were added.
    """
    _one_at_a_time()
    waiting = list(waiting_for_review()[:MAX_AGENDA])
    if not waiting:
        return None, 0
    session = JointReviewSession.objects.filter(convened_at=None).first() or _prepare()
    on_agenda = set(session.agenda.values_list("dispute_id", flat=True))
    new = [dispute for dispute in waiting if dispute.pk not in on_agenda][: MAX_AGENDA - len(on_agenda)]
    if not new:
        return session.number, 0
    AgendaItem.objects.bulk_create(AgendaItem(session=session, dispute=dispute) for dispute in new)
    append_entry(
        "review_collected",
        actor=f"account:{viewer.username}" if viewer else "system:worker",
        at=clock.now(),
        outcome="accepted",
        department=viewer.department.code if viewer else None,
        case_no=session.number,
        facts={"regulation": session.regulation, "disputes": sorted(one.number for one in new)},
    )
    total = len(on_agenda) + len(new)
    for code in bodies_with(COMPETENT):
        notify(
            code,
            "review_due",
            session.number,
            capability=Capability.DISPUTE_COORDINATE,
            occasion=f"{total} disputes",
            params={"count": total},
        )
    return session.number, len(new)


def _prepare() -> JointReviewSession:
    today = clock.today()
    return JointReviewSession.objects.create(
        number=session_no(today.year, next_number("S", today.year)),
        regulation=regulation().id,
        collected_on=today,
    )


def waiting_for_review() -> QuerySet[Dispute]:
    """Return the disputes whose regulation goes on to a joint review now, the longest waiting first."""
    states = Q(pk__in=[])
    running = Dispute.objects.filter(final=False)
    for regulation_id in regulations_in_use():
        steps = procedure_of(named(regulation_id)).transitions
        keys = {state for step in steps if step.action == SCHEDULE for state in step.from_states}
        states |= Q(regulation=regulation_id, state__in=keys)
    return running.filter(states).order_by("changed_at", "pk")


def _one_at_a_time() -> None:
    """Let two collections, or one and a convening, wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('joint-review'))")


@transaction.atomic
def convene(viewer: Viewer, number: str, held_on: date | None, chosen: Collection[str]) -> None:
    """Convene the joint review for a day, with the chosen disputes of its agenda; the others wait.

    Its members are the bodies that sit in the joint review today. Raises `FormRefused` with every fault.
    """
    _require_coordinator(viewer)
    _one_at_a_time()
    session = JointReviewSession.objects.select_for_update().filter(number=number).first()
    if session is None:
        raise NotFound
    items = list(session.agenda.select_related("dispute"))
    still = set(waiting_for_review().filter(number__in=list(chosen)).values_list("pk", flat=True))
    taken = [item for item in items if item.dispute_id in still]
    members = bodies_with(JOINT_REVIEW)
    _refuse_faults(session, held_on, taken, members)
    session.agenda.exclude(pk__in=[item.pk for item in taken]).delete()
    now = clock.now()
    JointReviewSession.objects.filter(pk=session.pk).update(
        held_on=held_on, convened_at=now, convened_by_id=viewer.account_id
    )
    session.refresh_from_db()
    session.members.set(Department.objects.filter(code__in=members))
    entry_facts = {
        "regulation": session.regulation,
        "held_on": str(held_on),
        "members": members,
        "disputes": sorted(item.dispute.number for item in taken),
    }
    append_entry(
        "review_convened",
        actor=f"account:{viewer.username}",
        at=now,
        outcome="accepted",
        department=viewer.department.code,
        case_no=session.number,
        facts=entry_facts,
    )
    # In the order of their keys, so that two sessions never wait for each other's disputes.
    for item in sorted(taken, key=lambda one: one.dispute_id):
        given = item.dispute
        dispute = lock_dispute(given.pk, given.case_kind, given.case_number)
        advance(dispute, Step(SCHEDULE, viewer, StepInput(), session=session))


def _refuse_faults(
    session: JointReviewSession, held_on: date | None, taken: list[AgendaItem], members: list[str]
) -> None:
    faults = []
    if session.convened_at is not None:
        faults.append(
            _fault("held_on", "already_convened", "会审已经召集", "The review has been convened already")
        )
    last = clock.today() + timedelta(days=MAX_DAYS_AHEAD)
    if held_on is None or not clock.today() <= held_on <= last:
        words = "请填写会审日期：今天起一年内", "Give the day of the review: from today, within a year"
        faults.append(_fault("held_on", "date_impossible", *words))
    if not taken:
        words = "请至少选择一件争议", "Choose one dispute at least"
        faults.append(_fault("disputes", "field_required", *words))
    if not members:
        words = "尚无单位登记为联合会审成员", "No body is registered as a member of the joint review"
        faults.append(_fault("held_on", "no_members", *words))
    if faults:
        raise FormRefused(tuple(faults))


def _require_coordinator(viewer: Viewer) -> None:
    if not is_coordinator(viewer, body_roles(viewer.department.code)):
        raise NotFound


def _fault(name: str, code: str, zh: str, en: str) -> Fault:
    return Fault(name, code, Text(zh, en))
