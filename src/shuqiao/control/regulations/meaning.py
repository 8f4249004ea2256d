"""What a schema can't see in a data file: articles that do not exist, unknown roles, doubled names.

Each check raises the document's error with the line of the value at fault.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from shuqiao.control.regulations.completing import CITING, SECTIONS
from shuqiao.control.regulations.documents import Document, KeyPath
from shuqiao.control.regulations.values import day_of
from shuqiao.rules.articles import Article, find_clause
from shuqiao.rules.procedures import CONDITIONS, REQUIREMENTS
from shuqiao.rules.regulation import PROPOSED, SETTING, SIDES


def check_regulation(document: Document, articles: Mapping[int, Article]) -> None:
    """Check a regulation file against its text, and that each section is there or named as unknown."""
    check_citations(document, articles)
    it = document.content
    for section in sorted(SECTIONS):
        if (section in it) is (section in it["unknown"]):
            raise document.invalid((section,), f"{section} must be given or named in unknown, not both")
    for place in (("roles",), ("body_roles",), ("deadlines",), ("conditions",), ("share_types", "types")):
        if place[0] in it:
            _no_doubles(document, place, "key")
    for case in it.get("procedures", ()):
        _check_procedure(document, case)
    validity = it["validity"]
    if validity["until"] != "unknown" and validity["until"] < validity["from"]:
        raise document.invalid(("validity", "until"), "the last day lies before the first")
    if "grants" in it and it["grants"]["period"]["default_months"] > it["grants"]["period"]["maximum_months"]:
        raise document.invalid(("grants", "period", "default_months"), "the default exceeds the maximum")


def check_whole(document: Document, content: Mapping[str, Any]) -> None:
    """Check what spans sections, once everything unknown is filled; lines are those of the file itself."""
    bodies = {role["key"] for role in content["body_roles"]}
    capabilities = {capability for role in content["roles"] for capability in role["may"]}
    for case, procedure in content["procedures"].items():
        for at, step in enumerate(procedure["transitions"]):
            place: KeyPath = ("procedures", case, "transitions", at)
            for number, side in enumerate(step["by"]):
                if side not in SIDES | bodies:
                    raise document.invalid((*place, "by", number), f"no side or body role is called {side}")
            if step["capability"] not in capabilities and step["by"] != ["system"]:
                raise document.invalid((*place, "capability"), "no role may do this")
    for at, step in enumerate(content["catalogue"]["chain"]):
        if step["by"] not in bodies:
            raise document.invalid(("catalogue", "chain", at, "by"), f"no body role is called {step['by']}")


def check_catalogue(document: Document, articles: Mapping[int, Article], words: Collection[str]) -> None:
    """Check a catalogue file against the text, the departments and itself."""
    check_citations(document, articles)
    for key in ("key", "code"):
        _no_doubles(document, ("lists",), key)
    for at, entry in enumerate(document.content["lists"]):
        place: KeyPath = ("lists", at)
        _no_doubles(document, (*place, "items"), "field")
        for number, word in enumerate(entry["departments"]):
            if word not in words:
                raise document.invalid((*place, "departments", number), f"no department is called {word}")
        fields = {item["field"]: item for item in entry["items"]}
        if not fields.get(entry["record_key"], {}).get("required"):
            raise document.invalid((*place, "record_key"), "the record key is no required item of the list")
        _check_items(document, place, entry["items"])


def check_departments(document: Document, body_roles: Collection[str]) -> None:
    """Check a departments file against the roles of its regulation and itself."""
    _no_doubles(document, ("departments",), "word")
    named: set[str] = set()
    for at, body in enumerate(document.content["departments"]):
        for number, role in enumerate(body["roles"]):
            if role not in body_roles:
                raise document.invalid(("departments", at, "roles", number), f"no body role is called {role}")
        for number, name in enumerate(body["legal_names"]):
            if name in named:
                raise document.invalid(("departments", at, "legal_names", number), f"{name} stands for two")
            named.add(name)


def check_calendar(document: Document) -> None:
    """Check that every day exists, lies in the year, stands once, and that make-up days are weekend days."""
    seen: set[str] = set()
    for part in ("holidays", "working_days"):
        for at, row in enumerate(document.content[part]):
            place: KeyPath = (part, at, "date")
            day = day_of(document, place, row["date"])
            if day.year != document.content["year"] or row["date"] in seen:
                raise document.invalid(place, f"{row['date']} stands twice or lies in another year")
            if part == "working_days" and day.weekday() < 5:
                raise document.invalid(place, f"{row['date']} is no weekend day")
            seen.add(row["date"])


def check_citations(document: Document, articles: Mapping[int, Article]) -> None:
    """Check that every article cited stands in the text."""
    for path, value in _walk(document.content, ()):
        if (
            path
            and (path[-1] in CITING or path[0] == "citations")
            and value != SETTING
            and find_clause(articles, value) is None
        ):
            raise document.invalid(path, f"the text has no article {value}")


def _check_procedure(document: Document, case: str) -> None:
    base: KeyPath = ("procedures", case)
    procedure = document.content["procedures"][case]
    _no_doubles(document, (*base, "states"), "key")
    states = {state["key"]: state.get("final", False) for state in procedure["states"]}
    taken: set[tuple[str, str, str]] = set()
    for at, step in enumerate(procedure["transitions"]):
        place: KeyPath = (*base, "transitions", at)
        for word in ("to", "proposes"):
            if word in step and step[word] not in states and (word, step[word]) != ("to", PROPOSED):
                raise document.invalid((*place, word), f"no state is called {step[word]}")
        for number, state in enumerate(step["from"]):
            if states.get(state, True):
                raise document.invalid((*place, "from", number), f"{state} is no state with a way out")
            way = (step["action"], state, step.get("when", ""))
            if way in taken:
                raise document.invalid((*place, "from", number), f"{step['action']} leaves {state} twice")
            taken.add(way)
        for number, requirement in enumerate(step.get("requires", ())):
            if requirement not in REQUIREMENTS:
                raise document.invalid((*place, "requires", number), f"nothing checks {requirement}")
        if step.get("when", "immediate") not in CONDITIONS:
            raise document.invalid((*place, "when"), "nothing decides this condition")
    _check_ways(document, base, procedure)


def _check_ways(document: Document, base: KeyPath, procedure: Mapping[str, Any]) -> None:
    """Every state is reached, and every one that is not final has a way out."""
    steps = procedure["transitions"]
    reached = {procedure["states"][0]["key"]}
    reached |= {step[word] for step in steps for word in ("to", "proposes") if word in step}
    left = {state for step in steps for state in step["from"]}
    for at, state in enumerate(procedure["states"]):
        if state["key"] not in reached:
            raise document.invalid((*base, "states", at), f"no step leads to {state['key']}")
        if not state.get("final") and state["key"] not in left:
            raise document.invalid((*base, "states", at), f"no step leaves {state['key']}")


def _check_items(document: Document, place: KeyPath, items: list[Mapping[str, Any]]) -> None:
    code_lists = document.content["code_lists"]
    taken: set[tuple[int, int]] = set()
    for at, item in enumerate(items):
        where: KeyPath = (*place, "items", at)
        if "codes" in item and item["codes"] not in code_lists:
            raise document.invalid((*where, "codes"), f"no code list is called {item['codes']}")
        spot = (item["number"], item.get("part", 0))
        if spot in taken:
            raise document.invalid((*where, "number"), "two items stand at one place of the list")
        taken.add(spot)


def _no_doubles(document: Document, place: KeyPath, key: str) -> None:
    rows: Any = document.content
    for part in place:
        rows = rows[part]
    seen: set[str] = set()
    for at, row in enumerate(rows):
        if row[key] in seen:
            raise document.invalid((*place, at, key), f"{row[key]} stands here twice")
        seen.add(row[key])


def _walk(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _walk(inner, (*path, at))
    else:
        yield path, value
