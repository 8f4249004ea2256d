"""Setting single days of the working calendar, against what was announced."""

from datetime import date

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.regulations.current import forget_calendar
from shuqiao.control.regulations.models import CalendarDay
from shuqiao.rules.errors import ReasonRequired


@transaction.atomic
def set_calendar_day(day: date, *, working: bool, ground: str) -> None:
    """Make a day a working day or a day off, with the ground for it; later due dates follow."""
    if not ground.strip():
        raise ReasonRequired(action="调整工作日历")
    CalendarDay.objects.update_or_create(
        day=day, defaults={"working": working, "ground": ground.strip()[:200], "set_at": clock.now()}
    )
    forget_calendar()
    # Another transaction may have filled the cache from before this one's commit.
    transaction.on_commit(forget_calendar)
