"""What a schema can't see in a data file: articles that do not exist, unknown roles, doubled names.

Each check raises the document's error with the line of the value at fault.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from shuqiao.control.regulations.completing import CITING, SECTIONS
from shuqiao.control.regulations.documents import Document, KeyPath
from shuqiao.control.regulations.values import day_of
from shuqiao.rules.articles import Article, find_clause
from shuqiao.rules.capabilities import Capability
from shuqiao.rules.catalogue import DataList
from shuqiao.rules.procedures import CONDITIONS, REQUIREMENTS
from shuqiao.rules.regulation import MATTERS, PROPOSED, SETTING, SIDES

OUTSIDE_EVENTS = frozenset(
    {
        "provided",
        "received_across",
        "forwarded",
        "persons_changed",
        "persons_told",
        "objection_received",
        "objection_checked",
        "objection_cause_found",
        "objection_corrected",
        "objection_notified",
        "objection_reported",
        "duty_changed",
        "resource_changed",
        "catalogue_reported",
        "catalogue_updated",
        "data_changed",
        "data_updated",
    }
)
"""What happens outside the procedures and starts or meets terms all the same."""

CASES = ("request", "outside", "grant", "dispute", "project", "entry")
"""The kinds of case every installation has; others, such as publication, only where the text knows them."""

_CLOCK_WORDS = ("clock", "pauses", "resumes", "restarts")


_KEYED_TABLES: tuple[KeyPath, ...] = (
    ("roles",),
    ("body_roles",),
    ("deadlines",),
    ("conditions",),
    ("share_types", "types"),
    ("share_types", "relations"),
    ("catalogue", "fields"),
    ("catalogue", "chain"),
    ("request", "fields"),
    ("disputes", "kinds"),
    ("sanctions",),
    ("reports",),
    ("updates",),
    ("objections",),
    ("evaluation",),
)


def check_regulation(document: Document, articles: Mapping[int, Article]) -> None:
    """Check a regulation file against its text, and that each section is there or named as unknown."""
    check_citations(document, articles)
    it = document.content
    for section in sorted(SECTIONS):
        if (section in it) is (section in it["unknown"]):
            place: KeyPath = ("unknown",)
            if section in it:
                place = ("unknown", it["unknown"].index(section))
            raise document.invalid(place, f"{section} must be given or named in unknown, not both")
    for table in _KEYED_TABLES:
        if table[0] in it:
            _no_doubles(document, table, "key")
    for case in it.get("procedures", ()):
        _check_procedure(document, case)
    validity = it["validity"]
    if "unknown" not in (validity["until"], validity["from"]) and validity["until"] < validity["from"]:
        raise document.invalid(("validity", "until"), "the last day lies before the first")
    if "grants" in it and it["grants"]["period"]["default_months"] > it["grants"]["period"]["maximum_months"]:
        raise document.invalid(("grants", "period", "default_months"), "the default exceeds the maximum")
    if "grants" in it and it["records"]["body_months"] <= it["grants"]["period"]["maximum_months"]:
        reason = "what a call said would be gone before its grant ends"
        raise document.invalid(("records", "body_months"), reason)


def check_whole(document: Document, content: Mapping[str, Any]) -> None:
    """Check what spans sections, once everything unknown is filled; lines are those of the file itself."""
    for case in CASES:
        if case not in content["procedures"]:
            raise document.invalid(("procedures",), f"there is no procedure for {case}")
    missing = sorted(MATTERS - content["citations"].keys())
    if missing:
        raise document.invalid(("citations",), f"no article is cited for {', '.join(missing)}")
    _check_roles(document, content)
    _check_bodies(document, content)
    _check_steps(document, content)
    _check_terms(document, content)
    _check_types(document, content)
    _check_exchange(document, content)


def check_base_items(document: Document, lists: Sequence[DataList]) -> None:
    """Check that the base items of a regulation stand in its catalogue."""
    known = {one.key: {item.field for item in one.items} for one in lists}
    place: KeyPath = ("share_types", "base_items", "lists")
    for name, fields in (
        document.content.get("share_types", {}).get("base_items", {}).get("lists", {}).items()
    ):
        if name not in known:
            raise document.invalid((*place, name), f"no list is called {name}")
        for at, field in enumerate(fields):
            if field not in known[name]:
                raise document.invalid((*place, name, at), f"the list {name} has no item {field}")


def _check_roles(document: Document, content: Mapping[str, Any]) -> None:
    words = {capability.value for capability in Capability}
    for at, role in enumerate(content["roles"]):
        for number, word in enumerate(role["may"]):
            if word not in words:
                raise document.invalid(("roles", at, "may", number), f"no capability is called {word}")


def _check_bodies(document: Document, content: Mapping[str, Any]) -> None:
    """Whoever is to act somewhere is a body of the regulation."""
    bodies = {role["key"] for role in content["body_roles"]}
    named: list[tuple[KeyPath, str]] = [
        *(((*place, at, key), row[key]) for place, key in _ACTING for at, row in _rows(content, place)),
    ]
    ruled_by = content["share_types"].get("ruled_by")
    if ruled_by:
        named.append((("share_types", "ruled_by", "role"), ruled_by["role"]))
    for path, body in named:
        if body not in bodies:
            raise document.invalid(path, f"no body role is called {body}")


_ACTING: tuple[tuple[KeyPath, str], ...] = (
    (("catalogue", "chain"), "by"),
    (("objections",), "by"),
    (("disputes", "kinds"), "decided_by"),
    (("reports",), "by"),
    (("reports",), "to"),
)


def _check_steps(document: Document, content: Mapping[str, Any]) -> None:
    """Every step is taken by somebody who may; its terms and sanctions exist."""
    known = SIDES | {role["key"] for role in content["body_roles"]}
    capabilities = {capability for role in content["roles"] for capability in role["may"]}
    terms = {row["key"] for row in content["deadlines"]}
    sanctions = {row["key"] for row in content["sanctions"]}
    at_once: KeyPath = ()
    for place, step in _all_steps(content):
        for number, side in enumerate(step["by"]):
            if side not in known:
                raise document.invalid((*place, "by", number), f"no side or body role is called {side}")
        if step["capability"] not in capabilities and step["by"] != ["system"]:
            raise document.invalid((*place, "capability"), "no role may do this")
        looked_at = [((*place, word), step[word]) for word in _CLOCK_WORDS if word in step]
        if "extends" in step:
            looked_at.append(((*place, "extends", "clock"), step["extends"]["clock"]))
        for path, term in looked_at:
            if term not in terms:
                raise document.invalid(path, f"no deadline is called {term}")
        if step.get("bars", "") not in sanctions | {""}:
            raise document.invalid((*place, "bars"), f"no sanction is called {step['bars']}")
        at_once = (*place, "when") if step.get("when") == "immediate" else at_once
    if bool(at_once) is not ("openness" in content["immediate"]):
        reason = "immediate.openness and a step with `when: immediate` go together"
        raise document.invalid(at_once or ("immediate",), reason)


def _check_terms(document: Document, content: Mapping[str, Any]) -> None:
    """Every term is started and met by a step or by an event from outside."""
    events = OUTSIDE_EVENTS | {step["event"] for _, step in _all_steps(content) if "event" in step}
    for at, row in enumerate(content["deadlines"]):
        if row["starts_on"] not in events:
            raise document.invalid(("deadlines", at, "starts_on"), f"nothing brings about {row['starts_on']}")
        met = row["met_by"]
        if met not in events and not any(event.startswith(f"{met}_") for event in events):
            raise document.invalid(("deadlines", at, "met_by"), f"nothing brings about {met}")
    terms = {row["key"] for row in content["deadlines"]}
    for at, step in enumerate(content["objections"]):
        if step.get("deadline", "") not in terms | {""}:
            raise document.invalid(
                ("objections", at, "deadline"), f"no deadline is called {step['deadline']}"
            )


def _check_types(document: Document, content: Mapping[str, Any]) -> None:
    rules = content["share_types"]
    types = {row["key"] for row in rules["types"]}
    if "default" in rules and rules["default"]["key"] not in types:
        raise document.invalid(("share_types", "default", "key"), "no share type is called so")
    base = rules["base_items"]
    if base["lists"] and not {"share_type", "article", "items_article"} <= base.keys():
        raise document.invalid(("share_types", "base_items"), "base items need share_type and articles")
    if base.get("share_type", "") not in types | {""}:
        raise document.invalid(("share_types", "base_items", "share_type"), "no share type is called so")


def _check_exchange(document: Document, content: Mapping[str, Any]) -> None:
    """The connected work that is given by interface only is one of the regulation's own kinds."""
    known = {row["key"] for row in content["share_types"]["relations"]}
    for at, key in enumerate(content["exchange"].get("interface_only", {}).get("relations", ())):
        if key not in known:
            place: KeyPath = ("exchange", "interface_only", "relations", at)
            raise document.invalid(place, f"no connected work is called {key}")


def _all_steps(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    for case, procedure in content["procedures"].items():
        for at, step in enumerate(procedure["transitions"]):
            yield ("procedures", case, "transitions", at), step


def _rows(content: Mapping[str, Any], place: KeyPath) -> Iterator[tuple[int, Mapping[str, Any]]]:
    rows: Any = content
    for part in place:
        rows = rows[part]
    return enumerate(rows)


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
        if "division" in entry and fields.get(entry["division"], {}).get("identity", True):
            raise document.invalid((*place, "division"), "the division is no plain item of the list")
        _check_items(document, place, entry["items"])


def check_departments(document: Document, body_roles: Collection[str] | None) -> None:
    """Check a departments file against itself and, where it is its own, the roles of the regulation."""
    _no_doubles(document, ("departments",), "word")
    named: set[str] = set()
    for at, body in enumerate(document.content["departments"]):
        for number, role in enumerate(body["roles"]):
            if body_roles is not None and role not in body_roles:
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
    """Every state can be reached from the first, and every one that is not final can be left."""
    steps = procedure["transitions"]
    _check_proposals(document, base, steps)
    reached = _reached(procedure["states"][0]["key"], steps)
    left = {state for step in steps for state in step["from"] if state != step["to"]}
    for at, state in enumerate(procedure["states"]):
        if state["key"] not in reached:
            raise document.invalid((*base, "states", at), f"no step leads to {state['key']}")
        if not state.get("final") and state["key"] not in left:
            raise document.invalid((*base, "states", at), f"no step leaves {state['key']}")


def _check_proposals(document: Document, base: KeyPath, steps: Sequence[Mapping[str, Any]]) -> None:
    """What is proposed waits where a step leads to it, and such a step has something to lead to."""
    waiting = {step["to"] for step in steps if "proposes" in step}
    deciding = {state for step in steps if step["to"] == PROPOSED for state in step["from"]}
    for at, step in enumerate(steps):
        if "proposes" in step and step["to"] not in deciding:
            raise document.invalid(
                (*base, "transitions", at, "proposes"), "no step leads to what is proposed"
            )
        for number, state in enumerate(step["from"] if step["to"] == PROPOSED else ()):
            if state not in waiting:
                raise document.invalid(
                    (*base, "transitions", at, "from", number), f"nothing is proposed in {state}"
                )


def _reached(first: str, steps: Sequence[Mapping[str, Any]]) -> set[str]:
    reached: set[str] = {first}
    fresh = {first}
    while fresh:
        taken = [step for step in steps if fresh & set(step["from"])]
        fresh = {step[word] for step in taken for word in ("to", "proposes") if word in step} - reached
        reached |= fresh
    return reached


def _check_items(document: Document, place: KeyPath, items: list[Mapping[str, Any]]) -> None:
    code_lists = document.content["code_lists"]
    taken: set[tuple[int, int]] = set()
    for at, item in enumerate(items):
        where: KeyPath = (*place, "items", at)
        if "codes" in item and item["codes"] not in code_lists:
            raise document.invalid((*where, "codes"), f"no code list is called {item['codes']}")
        _check_only_with(document, where, item, items)
        spot = (item["number"], item.get("part", 0))
        if spot in taken:
            raise document.invalid((*where, "number"), "two items stand at one place of the list")
        taken.add(spot)


def _check_only_with(
    document: Document, place: KeyPath, item: Mapping[str, Any], items: list[Mapping[str, Any]]
) -> None:
    """Both items are plain, so that the hub can compare them, and the values are codes of the other."""
    if "only_with" not in item:
        return
    other = next((one for one in items if one["field"] == item["only_with"]["field"]), None)
    if other is None or other["identity"] or item["identity"] or "codes" not in other:
        raise document.invalid((*place, "only_with"), "this needs two plain items, the other one with codes")
    codes = document.content["code_lists"].get(other["codes"], {})
    for number, value in enumerate(item["only_with"]["values"]):
        if value not in codes:
            raise document.invalid((*place, "only_with", "values", number), f"{value} is no code of the item")


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
