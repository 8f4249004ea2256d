"""The picture of the exchange: departments that bring, the platform, departments that take, as SVG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shuqiao.control.exchange.monitor import JobRow
from shuqiao.control.exchange.words import Condition
from shuqiao.control.organisations.queries import DepartmentRef
from shuqiao.control.texts import Text

MAX_SIDE = 6
_WIDTH = 1150
_BOX = 292
_HEIGHT = 52
_PITCH = 64
_TOP = 4
_HUB_LEFT, _HUB_RIGHT = 428, 722
_THIN, _THICK = 2.0, 7.0
_KINDS = {Condition.STOP: "stop", Condition.SLOW: "slow", Condition.OFF: "off", Condition.WELL: ""}


@dataclass(frozen=True)
class Party:
    """A department's box with its line to or from the platform; coordinates are SVG units."""

    name: Text
    what: Text
    per_s: float
    lag_s: float | None
    words: Text
    kind: str
    x: int
    y: int
    width: float
    path: str

    @property
    def is_well(self) -> bool:
        """Nothing is wrong here."""
        return self.kind in ("", "off")

    @property
    def left(self) -> int:
        """Where texts begin."""
        return self.x + 14

    @property
    def right(self) -> int:
        """Where figures end."""
        return self.x + _BOX - 14

    @property
    def first(self) -> int:
        """Base line of the first line."""
        return self.y + 21

    @property
    def second(self) -> int:
        """Base line of the second line."""
        return self.y + 41


@dataclass(frozen=True)
class FlowPicture:
    """Both sides, the heights, and how many departments are left out on each side."""

    bringing: tuple[Party, ...]
    taking: tuple[Party, ...]
    height: int
    hub_top: int
    hub_height: int
    more_bringing: int
    more_taking: int

    @property
    def view(self) -> str:
        """The view box."""
        return f"0 0 {_WIDTH} {self.height}"

    @property
    def hub_middle(self) -> int:
        """Base line of the words in the middle box."""
        return self.hub_top + self.hub_height // 2


def draw(coming: Sequence[JobRow], going: Sequence[JobRow]) -> FlowPicture | None:
    """Draw up to six departments a side, the gravest and busiest first; None where nothing flows."""
    left = _sides(coming, lambda job: job.provider)
    right = _sides(going, lambda job: job.consumer or job.provider)
    if not left and not right:
        return None
    count = max(1, min(MAX_SIDE, max(len(left), len(right))))
    height = count * _PITCH
    most = max((job.per_s for job in (*coming, *going)), default=0.0)
    hub_height = max(96, height - 40)
    return FlowPicture(
        bringing=_parties(left, height, most, is_left=True),
        taking=_parties(right, height, most, is_left=False),
        height=max(height, hub_height + 8),
        hub_top=max(4, (height - hub_height) // 2),
        hub_height=hub_height,
        more_bringing=max(0, len(left) - MAX_SIDE),
        more_taking=max(0, len(right) - MAX_SIDE),
    )


def _sides(
    jobs: Sequence[JobRow], whose: Callable[[JobRow], DepartmentRef]
) -> list[tuple[DepartmentRef, list[JobRow]]]:
    """Gather jobs by department, in the order of their first job."""
    found: dict[str, tuple[DepartmentRef, list[JobRow]]] = {}
    for job in jobs:
        found.setdefault(whose(job).code, (whose(job), []))[1].append(job)
    return list(found.values())


def _parties(
    sides: Sequence[tuple[DepartmentRef, list[JobRow]]], height: int, most: float, *, is_left: bool
) -> tuple[Party, ...]:
    shown = sides[:MAX_SIDE]
    offset = (height - len(shown) * _PITCH) // 2
    return tuple(
        _party(department, jobs, offset + at * _PITCH + _TOP, height, len(shown), at, most, is_left=is_left)
        for at, (department, jobs) in enumerate(shown)
    )


def _party(
    department: DepartmentRef,
    jobs: list[JobRow],
    y: int,
    height: int,
    count: int,
    at: int,
    most: float,
    *,
    is_left: bool,
) -> Party:
    worst = min(jobs, key=lambda job: job.condition.rank)
    rate = sum(job.per_s for job in jobs)
    middle = y + _HEIGHT / 2
    door = height / 2 + (at - (count - 1) / 2) * _PITCH * 0.62
    start, end = (_BOX + 1, _HUB_LEFT) if is_left else (_HUB_RIGHT, _WIDTH - _BOX - 1)
    from_y, to_y = (middle, door) if is_left else (door, middle)
    bend = (start + end) / 2
    lags = [job.lag_s for job in jobs if job.lag_s is not None]
    names = [str(job.name.zh) for job in jobs], [str(job.name.en) for job in jobs]
    what = Text(_listed(names[0], "、"), _listed(names[1], ", "))
    return Party(
        name=department.short,
        what=what,
        per_s=rate,
        lag_s=max(lags) if lags else None,
        words=worst.words,
        kind=_KINDS[worst.condition],
        x=1 if is_left else _WIDTH - _BOX - 1,
        y=y,
        width=round(_THIN + (_THICK - _THIN) * (rate / most if most else 0.0), 1),
        path=f"M{start} {from_y:.0f}C{bend:.0f} {from_y:.0f} {bend:.0f} {to_y:.0f} {end} {to_y:.0f}",
    )


def _listed(names: list[str], between: str, most: int = 14) -> str:
    whole = between.join(names)
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"
