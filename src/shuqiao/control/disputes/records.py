"""The written record of each step of a dispute: a plain text that stands as its document.

Source: guangzhou-2016 art. 35 (minutes, results, opinions and rulings are kept).
"""

from datetime import date, datetime

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.disputes.inputs import StepInput
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.disputes.steps import action_label, rules_of, state_label
from shuqiao.control.documents.actions import FileInput

_STANCES = {True: "应当共享 To be shared", False: "不共享 Not to be shared", None: "—"}


def record_of(
    dispute: Dispute, action: str, viewer: Viewer | None, given: StepInput, **more: str
) -> FileInput:
    """Write the record of a step that is about to be taken; `more` are further lines by their heading."""
    rules, now = rules_of(dispute), clock.now()
    label = action_label(rules, action)
    lines = [
        ("争议编号 Dispute", dispute.number),
        ("事项 Step", f"{label.zh} {label.en}"),
        ("时间 Time", _moment(now)),
        ("经办 By", _actor(viewer)),
        ("申请方 Applicant", _body(dispute.applicant)),
        ("被申请方 Respondent", _body(dispute.respondent)),
        ("步骤前状态 State before", state_label(rules, dispute.state).zh),
        ("争议事项 Matter", dispute.subject or dispute.case_number or "—"),
        *[(heading, text) for heading, text in _given(given) if text],
        *more.items(),
    ]
    text = "\n".join(f"{heading}：{value}" for heading, value in lines) + "\n"
    return FileInput(f"{dispute.number}-{dispute.step + 1:02d}-{action}.txt", text.encode())


def _given(given: StepInput) -> list[tuple[str, str]]:
    stance = _STANCES[given.shared] if given.shared is not None else ""
    return [
        ("协商记录 Minutes", given.minutes),
        ("意见 Opinion", given.opinion),
        ("结果 Result", given.result),
        ("理由 Reason", given.reason),
        ("结论 Outcome", stance),
        ("决定日期 Decided on", _day(given.decided_on)),
    ]


def _day(value: date | None) -> str:
    return value.isoformat() if value else ""


def _moment(value: datetime) -> str:
    return value.astimezone(clock.LEGAL_ZONE).strftime("%Y-%m-%d %H:%M:%S") + " (Asia/Shanghai)"


def _actor(viewer: Viewer | None) -> str:
    if viewer is None:
        return "平台 The platform"
    return f"{viewer.department.name.zh} {viewer.display_name}"


def _body(department: object) -> str:
    return str(getattr(department, "name_zh", department))
