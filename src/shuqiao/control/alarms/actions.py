"""Judging an alarm: asking the department that used the information, its explanation, the judgement.

Each step locks the alarm and writes its state, the audit entry and the notice in one transaction. Whoever
judges a use to be misuse may suspend the grant by it at once.
Source: xiamen-2015 art. 17; shenyang-2016 art. 27(4); guangzhou-2016 art. 42(3); SEC-13, SEC-19.
"""

from dataclasses import dataclass

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.alarms.access import access_alarm, explains, judges
from shuqiao.control.alarms.models import JUDGED, Alarm, AlarmState
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.grants.actions import suspend_grant
from shuqiao.control.grants.models import IN_USE, Grant
from shuqiao.control.regulations.current import named
from shuqiao.control.texts import Text
from shuqiao.rules.errors import TransitionRefused

MAX_CHARS = 500


@dataclass(frozen=True)
class Judgement:
    """What whoever judges has found, and whether the grant is to be suspended."""

    misuse: bool
    reason: str
    suspend: bool = False


@transaction.atomic
def ask_explanation(viewer: Viewer, number: str) -> None:
    """Ask the department whose use stands out to explain it; from now on it sees the alarm."""
    alarm = access_alarm(viewer, number, lock=True)
    if not judges(viewer, alarm) or alarm.department_id is None:
        raise NotFound
    _expect(alarm, (AlarmState.OPEN,), Text("请其说明", "Ask for an explanation"))
    _write(viewer, alarm, AlarmState.ASKED, "alarm_asked")
    notify(alarm.department_id, "alarm_asked", alarm.number, capability=Capability.AUDIT_VIEW)


@transaction.atomic
def explain_use(viewer: Viewer, number: str, explanation: str) -> None:
    """Say what the use was for; may be said anew until it is judged."""
    alarm = access_alarm(viewer, number, lock=True)
    if not explains(viewer, alarm):
        raise NotFound
    _expect(alarm, (AlarmState.ASKED, AlarmState.EXPLAINED), Text("说明", "Explain"))
    alarm.explanation = _text("explanation", explanation)
    alarm.explained_by_id = viewer.account_id
    _write(viewer, alarm, AlarmState.EXPLAINED, "alarm_explained", "explanation", "explained_by")
    notify(alarm.provider_id, "alarm_explained", alarm.number, capability=Capability.GRANT_REVOKE)


@transaction.atomic
def judge_alarm(viewer: Viewer, number: str, given: Judgement) -> None:
    """Judge an alarm, and suspend the grant with it where that is wanted and the viewer may.

    Raises `NotFound` for whoever does not judge it, `TransitionRefused` for whoever comes second,
    `FormRefused` without a reason or where the grant can't be suspended.
    """
    alarm = access_alarm(viewer, number, lock=True)
    if not judges(viewer, alarm):
        raise NotFound
    open_ones = tuple(state for state in AlarmState if state not in JUDGED)
    _expect(alarm, open_ones, Text("研判", "Judge"))
    alarm.reason = _text("reason", given.reason)
    alarm.judged_by_id, alarm.judged_at = viewer.account_id, clock.now()
    if given.suspend:
        if not may_suspend(viewer, alarm) or not given.misuse:
            words = Text(
                "只有认定违规且授权在用时才能暂停", "Only a grant in use that was misused is suspended"
            )
            raise FormRefused((Fault("suspend", "grant_not_suspendable", words),))
        suspend_grant(viewer, alarm.grant, f"{alarm.number}：{alarm.reason}"[:MAX_CHARS])
    state = AlarmState.MISUSE if given.misuse else AlarmState.JUSTIFIED
    _write(viewer, alarm, state, "alarm_judged", "reason", "judged_by", "judged_at")
    if alarm.department_id is not None:
        notify(alarm.department_id, "alarm_judged", alarm.number, capability=Capability.AUDIT_VIEW)


def may_suspend(viewer: Viewer, alarm: Alarm) -> bool:
    """Tell whether the viewer's department gave the grant, and it is in use."""
    own = alarm.provider_id == viewer.department.code and viewer.can(Capability.GRANT_REVOKE)
    return own and Grant.objects.filter(number=alarm.grant, phase=IN_USE).exists()


def _expect(alarm: Alarm, states: tuple[AlarmState, ...], action: Text) -> None:
    if alarm.state not in states:
        raise TransitionRefused(
            case=alarm.number, state=str(AlarmState(alarm.state).label), action=str(action)
        )


def _text(name: str, given: str) -> str:
    words = given.strip()
    if not 0 < len(words) <= MAX_CHARS:
        said = Text(f"请填写，不超过 {MAX_CHARS} 字", f"Write it, in at most {MAX_CHARS} characters")
        raise FormRefused((Fault(name, "field_required", said),))
    return words


def _write(viewer: Viewer, alarm: Alarm, state: AlarmState, event: str, *fields: str) -> None:
    alarm.state = state
    alarm.save(update_fields=["state", *fields])
    append_entry(
        event,
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome=state.value,
        department=alarm.department_id,
        provider=alarm.provider_id,
        resource_id=alarm.resource_id,
        grant_id=alarm.grant or None,
        case_no=alarm.number,
        facts={
            "by": viewer.department.code,
            "reason": alarm.reason,
            "articles": [named(alarm.regulation).cite_matter("within_grant")],
        },
    )
