"""What the pages of alarms show: those to be judged first, each with its figures day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.actors import ActorRef, actor_refs
from shuqiao.control.alarms.access import access_alarm, explains, judges, sees_alarms, visible
from shuqiao.control.alarms.actions import may_suspend
from shuqiao.control.alarms.models import JUDGED, Alarm, AlarmState, UsageDay
from shuqiao.control.grants.access import grants_visible
from shuqiao.control.grants.terms import GrantView, grant_view
from shuqiao.control.organisations.queries import DepartmentRef, department_ref, department_refs
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text

PAGE_SIZE = 30
SHOWN_DAYS = 30

KINDS = {
    "volume": Text("调用量异常", "Unusual volume"),
    "purpose": Text("超出用途", "Off purpose"),
    "subject": Text("多部门查同一对象", "One subject, many departments"),
    "unknown": Text("大量查无此人", "Many unknown subjects"),
    "sequence": Text("连号试探", "Numbers in sequence"),
    "guessing": Text("试探比对", "Guessing"),
    "log": Text("两边留痕不符", "Two logs differ"),
}
MEANS = {
    "volume": Text("当日调用次数明显高于往日", "Far more calls on this day than on others"),
    "purpose": Text(
        "以未获授权的用途调用，均被拒绝", "Calls for a purpose that was not granted; all refused"
    ),
    "subject": Text(
        "多个部门在几日内查询了同一对象", "Several departments asked for one subject within days"
    ),
    "unknown": Text(
        "查询的号码多数不存在，疑似逐个试号", "Most numbers asked for don't exist: as if tried out"
    ),
    "sequence": Text(
        "查询的号码彼此相邻，疑似按序遍历", "The numbers lie beside each other: as if counted up"
    ),
    "guessing": Text("对同一对象的比对多次不一致，超过限额", "Claims about one subject kept failing"),
    "log": Text(
        "平台与责任部门前置机的留痕逐日核对，有调用对不上或者逾期未报",
        "The platform's log and that of the department's node differ, or the node's is overdue",
    ),
}
STATES = {
    AlarmState.OPEN.value: Text("待研判", "To be judged"),
    AlarmState.ASKED.value: Text("待说明", "Explanation asked for"),
    AlarmState.EXPLAINED.value: Text("已说明", "Explained"),
    AlarmState.JUSTIFIED.value: Text("属正常使用", "Justified"),
    AlarmState.MISUSE.value: Text("认定违规", "Misuse"),
}
PHASES = {
    "open": "waiting",
    "asked": "waiting",
    "explained": "waiting",
    "justified": "granted",
    "misuse": "refused",
}


@dataclass(frozen=True)
class AlarmRow:
    """One alarm of a list."""

    number: str
    kind: Text
    means: Text
    resource: Text
    resource_id: str
    department: DepartmentRef | None
    provider: DepartmentRef
    grant: str
    system: ActorRef | None
    departments: int
    measured: int
    limit: int
    day: date
    raised_at: datetime
    state: str
    state_label: Text
    phase: str


@dataclass(frozen=True)
class AlarmList:
    """A page of alarms."""

    rows: tuple[AlarmRow, ...]
    show: str
    waiting: int
    page: int
    pages: int
    total: int
    article: ArticleRef


@dataclass(frozen=True)
class DayFigure:
    """A day's calls for the chart, as a share of the largest day in per cent."""

    day: date
    calls: int
    percent: int
    marked: bool


@dataclass(frozen=True)
class AlarmPage:
    """Everything the page of one alarm shows."""

    row: AlarmRow
    days: tuple[DayFigure, ...]
    record: str
    departments: tuple[Text, ...]
    explanation: str
    explained_by: str
    reason: str
    judged_by: str
    judged_at: datetime | None
    may_ask: bool
    may_explain: bool
    may_judge: bool
    may_suspend: bool
    grant: GrantView | None
    article: ArticleRef


def alarm_list(viewer: Viewer, show: str, page: int) -> AlarmList:
    """List alarms, newest first; `show` is `open` or `all`. Raises `NotFound` for other roles."""
    if not sees_alarms(viewer):
        raise NotFound
    seen = visible(viewer)
    waiting = seen.exclude(state__in=JUDGED)
    rows = seen if show == "all" else waiting
    total = rows.count()
    pages = max(1, -(-total // PAGE_SIZE))
    number = max(1, min(page, pages))
    chosen = rows.select_related("department", "provider", "resource")[
        (number - 1) * PAGE_SIZE : number * PAGE_SIZE
    ]
    return AlarmList(
        rows=_rows(list(chosen)),
        show="all" if show == "all" else "open",
        waiting=waiting.count(),
        page=number,
        pages=pages,
        total=total,
        article=article_ref(regulation().citations["within_grant"]),
    )


def alarm_page(viewer: Viewer, number: str) -> AlarmPage:
    """Show one alarm with what the viewer can do about it."""
    alarm = access_alarm(viewer, number)
    judging = judges(viewer, alarm) and alarm.state not in JUDGED
    rules = named(alarm.regulation)
    return AlarmPage(
        row=_rows([alarm])[0],
        days=_days(alarm),
        record=str(alarm.record or ""),
        departments=_departments(alarm.departments),
        explanation=alarm.explanation,
        explained_by=alarm.explained_by.display_name if alarm.explained_by else "",
        reason=alarm.reason,
        judged_by=alarm.judged_by.display_name if alarm.judged_by else "",
        judged_at=alarm.judged_at,
        may_ask=judging and alarm.state == AlarmState.OPEN and alarm.department_id is not None,
        may_explain=explains(viewer, alarm) and alarm.state in (AlarmState.ASKED, AlarmState.EXPLAINED),
        may_judge=judging,
        may_suspend=judging and may_suspend(viewer, alarm),
        grant=_grant(viewer, alarm),
        article=article_ref(rules.citations["within_grant"], rules.id),
    )


def _grant(viewer: Viewer, alarm: Alarm) -> GrantView | None:
    """What the grant allows, for whoever judges its use and may see it."""
    found = grants_visible(viewer).filter(number=alarm.grant).prefetch_related("applications").first()
    return grant_view(found) if found is not None else None


def _departments(codes: Sequence[str]) -> tuple[Text, ...]:
    """Name the departments that asked for one subject."""
    names = department_refs() if codes else {}
    return tuple(names[code].name if code in names else Text(code, code) for code in codes)


def _rows(alarms: Sequence[Alarm]) -> tuple[AlarmRow, ...]:
    systems = actor_refs(alarm.application for alarm in alarms)
    return tuple(_row(alarm, systems.get(alarm.application)) for alarm in alarms)


def _row(alarm: Alarm, system: ActorRef | None) -> AlarmRow:
    resource = alarm.resource
    return AlarmRow(
        number=alarm.number,
        kind=KINDS[alarm.kind],
        means=MEANS[alarm.kind],
        resource=resource.name,
        resource_id=resource.id,
        department=department_ref(alarm.department) if alarm.department else None,
        provider=department_ref(alarm.provider),
        grant=alarm.grant,
        system=system,
        departments=len(alarm.departments),
        measured=alarm.measured,
        limit=alarm.limit,
        day=alarm.day,
        raised_at=alarm.raised_at,
        state=alarm.state,
        state_label=STATES[alarm.state],
        phase=PHASES[alarm.state],
    )


def _days(alarm: Alarm) -> tuple[DayFigure, ...]:
    """The calls of the same application under the same grant in the days up to the alarm."""
    if alarm.record is not None:
        return ()
    first = alarm.day - timedelta(days=SHOWN_DAYS - 1)
    place = UsageDay.objects.filter(
        application=alarm.application, resource=alarm.resource_id, grant=alarm.grant,
        department=alarm.department_id, day__range=(first, alarm.day),
    )  # fmt: skip
    return _figures(first, dict(place.values_list("day", "calls")), alarm.day)


def _figures(first: date, calls: dict[date, int], marked: date) -> tuple[DayFigure, ...]:
    most = max(calls.values(), default=0) or 1
    days: Sequence[date] = [first + timedelta(days=at) for at in range(SHOWN_DAYS)]
    return tuple(
        DayFigure(day, calls.get(day, 0), round(100 * calls.get(day, 0) / most), day == marked)
        for day in days
    )
