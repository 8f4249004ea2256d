"""What pages show of the regulation in force: articles, terms, and the legal clock."""

from dataclasses import dataclass
from datetime import date

from shuqiao.control.texts import Text


@dataclass(frozen=True)
class ArticleRef:
    """A citation as a page shows it; `article` opens its text."""

    regulation: str
    article: str
    cite: Text

    def __str__(self) -> str:
        """Return the citation in the reader's language."""
        return str(self.cite)


@dataclass(frozen=True)
class ArticleText:
    """A citation with its words, in the language of the law; `marked` are the decisive words."""

    ref: ArticleRef
    paragraphs: tuple[str, ...]
    marked: tuple[str, ...]


@dataclass(frozen=True)
class Tick:
    """One working day of a clock: `state` is past, today, left or over."""

    day: date
    state: str


@dataclass(frozen=True)
class Clock:
    """A legal clock. `state` is normal, soon, over, done or wait; `days_left` is negative when overdue."""

    starts_on: date
    due_on: date
    total_days: int
    days_left: int
    state: str
    provisional: bool
    ticks: tuple[Tick, ...]
    article: ArticleRef
