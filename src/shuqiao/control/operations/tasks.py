"""The first page after signing in: what is due, in which order, and the ten working days ahead."""

from collections import defaultdict
from datetime import date, datetime, time, timedelta

from django.db.models import Q

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.models import Notification
from shuqiao.control.accounts.notices import notices_for
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.operations.notices import NOTICES
from shuqiao.control.operations.queries import Notice, StripDay, Task, TaskGroup, TaskList
from shuqiao.control.operations.waiting import MAX_TASKS, waiting_for_viewer
from shuqiao.control.regulations.current import calendar
from shuqiao.control.requests.labels import step_label
from shuqiao.control.requests.lists import request_rows
from shuqiao.control.requests.models import DECIDED_PHASES, OPEN_PHASES, Request
from shuqiao.control.requests.queries import RequestRow
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Phase
from shuqiao.rules.workdays import add_working_days, is_working_day, working_days_between

MAX_NOTICES = 8
STRIP_DAYS = 10
_GROUPS = {
    "overdue": Text("已逾期", "Overdue"),
    "today": Text("今天到期", "Due today"),
    "week": Text("本周到期", "Due this week"),
    "later": Text("以后", "Later"),
    "open": Text("无法定期限", "Without a legal date"),
}


def task_list(viewer: Viewer) -> TaskList:
    """Return the viewer's first page, the nearest legal date first; a fixed number of queries."""
    today = clock.today()
    waiting = waiting_for_viewer(viewer)
    # What has no term stands after everything that has one.
    tasks = [(one.due_on or date.max, one.task) for one in waiting]
    notices, unread = _notices(viewer)
    answered = _reply_times(viewer, today)
    return TaskList(
        today=today,
        groups=_grouped(tasks, today),
        task_count=len(tasks),
        is_cut=len(tasks) >= MAX_TASKS,
        strip=_strip(tasks, today),
        my_requests=_own_requests(viewer),
        notices=notices,
        unread=unread,
        overdue=sum(1 for due_on, _ in tasks if due_on < today),
        due_today=sum(1 for due_on, _ in tasks if due_on == today),
        answered_this_month=len(answered),
        mean_reply_days=round(sum(answered) / len(answered), 1) if answered else None,
    )


def _grouped(tasks: list[tuple[date, Task]], today: date) -> tuple[TaskGroup, ...]:
    sunday = today + timedelta(days=6 - today.weekday())
    groups: dict[str, list[Task]] = defaultdict(list)
    for due_on, task in sorted(tasks, key=lambda pair: pair[0]):
        groups[_urgency(due_on, today, sunday)].append(task)
    return tuple(TaskGroup(key, label, tuple(groups[key])) for key, label in _GROUPS.items() if groups[key])


def _urgency(due_on: date, today: date, sunday: date) -> str:
    if due_on < today:
        return "overdue"
    if due_on == today:
        return "today"
    if due_on == date.max:
        return "open"
    return "week" if due_on <= sunday else "later"


def _strip(tasks: list[tuple[date, Task]], today: date) -> tuple[StripDay, ...]:
    """Show overdue days with something on them, today, and the working days after it: ten in all."""
    kept = calendar()
    due: dict[date, list[tuple[str, Text]]] = defaultdict(list)
    for due_on, task in tasks:
        due[due_on].append((task.reference, task.title))
    past = sorted(day for day in due if day < today)[-3:]
    ahead = [today] if is_working_day(kept, today) else []
    while len(past) + len(ahead) < STRIP_DAYS:
        ahead.append(add_working_days(kept, ahead[-1] if ahead else today, 1).day)
    days = [*past, *ahead]
    following = [*days[1:], None]
    return tuple(
        StripDay(
            day=day,
            today=day == today,
            overdue=day < today,
            provisional=day.year not in kept.years,
            week_ends=after is not None and after.isocalendar()[:2] != day.isocalendar()[:2],
            items=tuple(due.get(day, ())),
        )
        for day, after in zip(days, following, strict=True)
    )


def _own_requests(viewer: Viewer) -> tuple[RequestRow, ...]:
    if not viewer.can(Capability.REQUEST_SUBMIT):
        return ()
    shown = [*OPEN_PHASES, *DECIDED_PHASES]
    visible = Q(phase__in=shown) | Q(phase=Phase.DRAFT.value, created_by_id=viewer.account_id)
    found = Request.objects.filter(visible, requester_id=viewer.department.code)
    return request_rows(found.order_by("-changed_at", "-pk")[:4])


def _reply_times(viewer: Viewer, today: date) -> list[int]:
    """Return the working days that each answer of this month took."""
    if not viewer.can(Capability.REQUEST_ANSWER):
        return []
    first = datetime.combine(today.replace(day=1), time(), clock.LEGAL_ZONE)
    answered = Request.objects.filter(provider_id=viewer.department.code, decided_at__gte=first)
    kept = calendar()
    return [
        working_days_between(kept, received or clock.legal_day(submitted), clock.legal_day(decided))
        for submitted, received, decided in answered.values_list(
            "submitted_at", "form_received_on", "decided_at"
        )
        if submitted and decided
    ]


def _notices(viewer: Viewer) -> tuple[tuple[Notice, ...], int]:
    found = notices_for(viewer)
    newest = list(found.order_by("-created_at", "-pk")[:MAX_NOTICES])
    ids = {str(notice.params.get("resource", "")) for notice in newest}
    names = {r.id: r.name for r in Resource.objects.filter(id__in=ids)}
    return tuple(_notice(notice, names) for notice in newest), found.filter(read_at=None).count()


def _step_words(notice: Notification) -> dict[str, str]:
    """The words of the step that a notice tells of, in the regulation's own."""
    params = notice.params
    if "action" not in params or "regulation" not in params:
        return {}
    words = step_label(params["regulation"], params["action"], "", params.get("state", ""))
    return {"step_zh": words.zh, "step_en": words.en}


def _notice(notice: Notification, names: dict[str, Text]) -> Notice:
    title, detail = NOTICES.get(
        notice.code, (Text(notice.code, notice.code), Text("{reference}", "{reference}"))
    )
    name = names.get(str(notice.params.get("resource", "")), Text("", ""))
    given = {"due_on": "", "reason": "", "document": "", **notice.params, "reference": notice.reference}
    given |= _step_words(notice)
    return Notice(
        id=notice.pk,
        code=notice.code,
        reference=notice.reference,
        title=title,
        detail=Text(
            detail.zh.format_map({**given, "name": name.zh}), detail.en.format_map({**given, "name": name.en})
        ),
        at=notice.created_at,
        read=notice.read_at is not None,
    )
