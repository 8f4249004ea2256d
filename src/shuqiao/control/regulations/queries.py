"""What pages show of the regulation in force: articles, terms, and the legal clock."""

import re
from dataclasses import dataclass
from datetime import date

from shuqiao.control import clock
from shuqiao.control.regulations.completing import split_citation
from shuqiao.control.regulations.current import calendar, regulation, text_articles
from shuqiao.control.regulations.files import load_head
from shuqiao.control.texts import Text
from shuqiao.rules import deadlines
from shuqiao.rules.articles import find_clause
from shuqiao.rules.regulation import SETTING, Regulation


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


_TERM = re.compile(r"(?:在)?\d+个工作日(?:内)?[^，,。;；、]*")


def citations() -> dict[str, str]:
    """What the regulation in force cites for the matters that refusals name; settings cite nothing."""
    rules = regulation()
    return {
        matter: rules.cite(article)
        for matter, article in rules.citations.items()
        if article.rpartition(" ")[2] != SETTING
    }


def matter_ref(matter: str) -> ArticleRef:
    """Cite what the regulation in force says of a matter."""
    return article_ref(regulation().citations[matter])


def regulation_name() -> Text:
    """Name the regulation in force."""
    title = regulation().title
    return Text(title.zh, title.en)


def article_ref(article: str, regulation_id: str = "") -> ArticleRef:
    """Cite an article such as `35(1)` of a regulation, by default the one in force.

    What the text leaves open cites no article but says that it is a setting of the platform.
    """
    source, article = _source(article, regulation_id)
    clause = find_clause(text_articles(source), article)
    if clause is None:
        return ArticleRef(source, "", Text("平台设定", "Platform setting"))
    short = load_head(source).short
    return ArticleRef(source, article, Text(f"{short.zh} {clause.zh}", f"{short.en}, {clause.en}"))


def article_text(article: str, regulation_id: str = "") -> ArticleText | None:
    """Return a cited article with all its lines, or None where there is no such article.

    Marked are the words that set a term in the paragraph or item that is cited.
    """
    source, article = _source(article, regulation_id)
    texts = text_articles(source)
    clause = find_clause(texts, article)
    if clause is None:
        return None
    whole = texts[int(article.partition("(")[0].partition("¶")[0])]
    return ArticleText(article_ref(article, source), whole.lines, _decisive(clause.lines))


def cited_text(article: str, regulation_id: str = "") -> ArticleText:
    """Return only the paragraph or item cited; a setting has no words of the law."""
    source, article = _source(article, regulation_id)
    clause = find_clause(text_articles(source), article)
    lines = clause.lines if clause else ()
    return ArticleText(article_ref(article, source), lines, _decisive(lines))


def _source(article: str, regulation_id: str) -> tuple[str, str]:
    """The regulation and article a citation names: in full, or of `regulation_id`, or of the one in force."""
    return split_citation(article, regulation_id or regulation().id)


def _decisive(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(found for line in lines for found in _TERM.findall(line))


def due(deadline: str, starts_on: date, rules: Regulation) -> deadlines.Due:
    """Compute when a term of the regulation ends, by the calendar the office keeps."""
    return deadlines.due_date(rules.deadline(deadline), starts_on, rules, calendar())


def clock_of(given: deadlines.Due, *, done_on: date | None = None) -> Clock:
    """Show a term as it stands today, or as it stood when it was met."""
    read = deadlines.read_clock(given, calendar(), clock.today(), done_on=done_on)
    waiting = given.provisional and read.state in (deadlines.ClockState.NORMAL, deadlines.ClockState.SOON)
    regulation_id, article = split_citation(given.article, "")
    return Clock(
        starts_on=given.starts_on,
        due_on=given.due_on,
        total_days=given.working_days,
        days_left=read.days_left,
        state="wait" if waiting else read.state.value,
        provisional=given.provisional,
        ticks=tuple(Tick(tick.day, tick.state.value) for tick in read.ticks),
        article=article_ref(article, regulation_id),
    )
