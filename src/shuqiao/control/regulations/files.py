"""The data files of the regulations: where they lie, and each one read, checked and turned into values.

Every function raises RegulationInvalid with file, line and reason where a file can't be used. Results are
kept for the life of the process: a changed file counts from the next start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import shuqiao
from shuqiao.control.regulations import meaning, values
from shuqiao.control.regulations.completing import complete, split_citation
from shuqiao.control.regulations.documents import Document, read_document
from shuqiao.rules.articles import Article, Clause, find_clause, parse_articles
from shuqiao.rules.catalogue import Bodies, DataList
from shuqiao.rules.errors import RegulationInvalid
from shuqiao.rules.regulation import Head, Regulation, Words
from shuqiao.rules.workdays import Calendar

_ID = re.compile(r"[a-z]+-([0-9]{4}|draft)(-[a-z0-9]+)*", re.ASCII)
_CALENDAR = re.compile(r"[a-z]{2,10}", re.ASCII)


def regulations_dir() -> Path:
    """Where the data files lie: inside an installed package, or at the root of a checkout."""
    package = Path(shuqiao.__file__).resolve().parent
    for folder in (package / "regulations", package.parent.parent / "regulations"):
        if (folder / "schema.json").is_file():
            return folder
    raise RegulationInvalid(file="schema.json", line=1, reason="the folder of regulations is missing")


def regulation_ids(folder: Path | None = None) -> tuple[str, ...]:
    """The ids of all regulation files, sorted."""
    stems = (path.stem for path in (folder or regulations_dir()).glob("*.yaml"))
    return tuple(sorted(stem for stem in stems if _ID.fullmatch(stem)))


@cache
def load_regulation(
    regulation_id: str, folder: Path | None = None, fallback: str | None = None
) -> Regulation:
    """One regulation, checked against its schema, its text and itself, completed from a fallback.

    `fallback` is the city's choice where a file names none itself. A file that leaves sections unknown and
    has neither is refused.
    """
    base = folder or regulations_dir()
    document, content = _completed(base, regulation_id, fallback, ())
    meaning.check_whole(document, content)
    return values.regulation_of(document, content)


def _own_document(base: Path, regulation_id: str) -> Document:
    """A regulation's own file, checked by schema, by its text and section by section."""
    name = f"{regulation_id}.yaml"
    if len(regulation_id) > 64 or not _ID.fullmatch(regulation_id):
        raise RegulationInvalid(file="regulations", line=1, reason="this is no id of a regulation")
    document = _read(base, name, "regulation")
    if document.content["id"] != regulation_id:
        raise document.invalid(("id",), f"the file is called {name}")
    meaning.check_regulation(document, load_articles(document.content["text"], base))
    return document


def _completed(
    base: Path, regulation_id: str, fallback: str | None, above: tuple[str, ...]
) -> tuple[Document, Mapping[str, Any]]:
    document = _own_document(base, regulation_id)
    if not document.content["unknown"] and not document.content.get("fallback"):
        return document, document.content
    chosen = document.content.get("fallback") or fallback
    if chosen is None:
        raise document.invalid(("unknown",), "the city must choose a fallback for what the text leaves open")
    passed = (*above, regulation_id)
    if chosen in passed:
        raise document.invalid(("fallback",), f"{chosen} falls back to itself")
    _, below = _completed(base, chosen, fallback, passed)
    return document, complete(document.content, below)


@cache
def load_articles(text_file: str, folder: Path | None = None) -> Mapping[int, Article]:
    """The articles of a regulation's text; a text without any is refused."""
    path = _inside(folder or regulations_dir(), text_file)
    try:
        articles = parse_articles(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RegulationInvalid(file=text_file, line=1, reason="the text can't be read") from error
    if not articles:
        raise RegulationInvalid(file=text_file, line=1, reason="the text has no article")
    return articles


@cache
def load_text(regulation_id: str, folder: Path | None = None) -> Mapping[int, Article]:
    """The articles of a regulation's own text, whether or not its file can be completed."""
    base = folder or regulations_dir()
    return load_articles(_text_of(regulation_id, base), base)


@cache
def load_head(regulation_id: str, folder: Path | None = None) -> Head:
    """What a regulation's own file says of itself, without what a fallback would add."""
    base = folder or regulations_dir()
    return values.head_of(_own_document(base, regulation_id))


@cache
def load_departments(regulation: Regulation, folder: Path | None = None) -> Bodies:
    """The departments of a regulation, from the file it names.

    Regulations may share one: a role that only the other one knows is left out.
    """
    document = _read_shared(folder or regulations_dir(), regulation.departments_file, "departments")
    roles = frozenset(role.key for role in regulation.body_roles)
    own = document.content["regulation"] == regulation.id
    meaning.check_departments(document, roles if own else None)
    return values.bodies_of(document, roles)


@cache
def load_catalogue(regulation: Regulation, folder: Path | None = None) -> tuple[DataList, ...]:
    """The lists of a regulation's catalogue with all their items, in the order of the law.

    A catalogue cites the regulation it is named for, in full where that is another one.
    """
    base = folder or regulations_dir()
    document = _read_shared(base, regulation.catalogue_file, "catalogue")
    source = document.content["regulation"]
    words = {body.word for body in load_departments(regulation, folder).departments}
    meaning.check_catalogue(document, load_articles(_text_of(source, base), base), words)
    lists = values.lists_of(document, None if source == regulation.id else source)
    meaning.check_base_items(_read(base, f"{regulation.id}.yaml", "regulation"), lists)
    return lists


@cache
def load_calendar(name: str = "cn", folder: Path | None = None) -> Calendar:
    """The calendar of all announced years; a calendar without any year is refused."""
    base = folder or regulations_dir()
    if not _CALENDAR.fullmatch(name):
        raise RegulationInvalid(file="calendars", line=1, reason="this is no name of a calendar")
    paths = sorted((base / "calendars").glob(f"{name}-[0-9][0-9][0-9][0-9].yaml"))
    if not paths:
        raise RegulationInvalid(file=f"calendars/{name}", line=1, reason="there is no such calendar")
    years = [_load_year(base, f"calendars/{path.name}") for path in paths]
    return Calendar(
        frozenset(year for calendar in years for year in calendar.years),
        {day: worked for calendar in years for day, worked in calendar.days.items()},
    )


def _load_year(base: Path, name: str) -> Calendar:
    document = _read(base, name, "calendar")
    if not name.endswith(f"-{document.content['year']}.yaml"):
        raise document.invalid(("year",), "the file is named for another year")
    meaning.check_calendar(document)
    days = {
        values.day_of(document, (part, at, "date"), row["date"]): part == "working_days"
        for part in ("holidays", "working_days")
        for at, row in enumerate(document.content[part])
    }
    return Calendar(frozenset({document.content["year"]}), days)


@cache
def load_holiday_names(name: str = "cn", folder: Path | None = None) -> Mapping[date, Words]:
    """What each announced day of a calendar is off or worked for."""
    base = folder or regulations_dir()
    named: dict[date, Words] = {}
    for year in sorted(load_calendar(name, folder).years):
        document = _read(base, f"calendars/{name}-{year}.yaml", "calendar")
        for part in ("holidays", "working_days"):
            for row in document.content[part]:
                named[date.fromisoformat(row["date"])] = Words(row["zh"], row["en"])
    return named


def clause(regulation: Regulation, citation: str, folder: Path | None = None) -> Clause | None:
    """The clause a citation names, with its name in both languages; None for a setting."""
    source, article = split_citation(citation, regulation.id)
    base = folder or regulations_dir()
    text = regulation.text_file if source == regulation.id else _text_of(source, base)
    return find_clause(load_articles(text, folder), article)


def article_text(regulation: Regulation, citation: str, folder: Path | None = None) -> str:
    """The words of the law that a citation such as `35(1)` names; KeyError where there are none."""
    found = clause(regulation, citation, folder)
    if found is None:
        raise KeyError(citation)
    return "\n".join(found.lines)


def _read(base: Path, name: str, kind: str) -> Document:
    return read_document(_inside(base, name), kind, base / "schema.json")


def _inside(base: Path, name: str) -> Path:
    # The schema already bounds the names; this holds even if a schema is changed.
    path = (base / name).resolve()
    if not path.is_relative_to(base.resolve()):
        raise RegulationInvalid(file="regulations", line=1, reason="a file outside the folder is named")
    return path


def _text_of(regulation_id: str, base: Path) -> str:
    """The text of a regulation that another one cites; it need not be complete itself."""
    if len(regulation_id) > 64 or not _ID.fullmatch(regulation_id):
        raise RegulationInvalid(file="regulations", line=1, reason="this is no id of a regulation")
    text: str = _read(base, f"{regulation_id}.yaml", "regulation").content["text"]
    return text


def _read_shared(base: Path, name: str, kind: str) -> Document:
    """A catalogue or departments file, which is named for the regulation whose articles it cites."""
    document = _read(base, name, kind)
    if document.content["regulation"] != Path(name).stem:
        raise document.invalid(("regulation",), f"the file is called {Path(name).name}")
    return document
