"""The read actions of CKAN's API, so that what reads CKAN catalogues reads the sharing catalogue.

Only actions that read exist. An entry the reader may not see is answered as one that isn't there, and is not
counted anywhere. Lists are bounded; who wants everything reads it page by page.
Source: the action API of CKAN 2; our choice, decision 17.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.db.models import QuerySet

from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.exports import ckan_query as asked
from shuqiao.control.exports import ckan_shapes as shapes
from shuqiao.control.exports.ckan_query import CkanRefused, Params
from shuqiao.control.exports.entries import Named, prepared, publisher_of, read
from shuqiao.control.exports.readers import Places, Reader, visible
from shuqiao.control.exports.selecting import counts, ranked, select
from shuqiao.control.organisations.models import Department
from shuqiao.control.texts import Text

__all__ = ["ACTIONS", "Asker", "CkanRefused", "act"]

# The version of CKAN whose answers these follow; clients choose their parameters by it.
FOLLOWED_VERSION = "2.10.0"
TITLE = Text("数桥 政务信息共享目录", "Shuqiao sharing catalogue")


@dataclass(frozen=True)
class Asker:
    """Who asks, of which edition, and where things are."""

    reader: Reader
    places: Places
    edition: str


Action = Callable[[Asker, Params], object]


def act(name: str, asker: Asker, params: Params) -> object:
    """Answer an action; raises `CkanRefused`, also for one that doesn't exist or would write."""
    action = ACTIONS.get(name)
    if action is None:
        raise CkanRefused(400, "Bad request", message=f"Action name not known: {name[:60]}")
    return action(asker, params)


def package_search(asker: Asker, params: Params) -> object:
    """Search packages: q, fq, fq_list, rows, start, sort, facet, facet.field, facet.limit, facet.mincount."""
    asked.known_only(
        params, "q", "fq", "fq_list", "rows", "start", "sort", "facet", "facet.field", "facet.limit",
        "facet.mincount", "include_private", "include_drafts", "include_deleted", "use_default_schema",
    )  # fmt: skip
    words = asked.text(params, "q", 500)
    conditions = [
        condition
        for given in (asked.text(params, "fq", asked.MAX_FILTER_CHARS), *asked.listed(params, "fq_list"))
        for condition in asked.read_filter(given)
    ]
    words = "" if words.strip() == "*:*" else words
    wanted = select(asker.reader, words, conditions)
    order = asked.text(params, "sort") or "score desc"
    start, rows = asked.whole(params, "start", 0, asked.MAX_START), _rows(params)
    found = _sorted(wanted, words, asked.read_order(order))
    facets = _facets(wanted, params) if asked.flag(params, "facet", default=True) else {}
    return {
        "count": wanted.count(),
        "sort": order,
        "results": _packages(asker, found[start : start + rows]),
        "facets": {field: {name: n for name, _, n in values} for field, values in facets.items()},
        "search_facets": {
            field: {
                "title": field,
                "items": [{"name": name, "display_name": words, "count": n} for name, words, n in values],
            }
            for field, values in facets.items()
        },
    }


def package_show(asker: Asker, params: Params) -> object:
    """Show one package: id."""
    asked.known_only(
        params, "id", "name_or_id", "use_default_schema", "include_tracking", "include_plugin_data"
    )
    wanted = asked.required(params, "id", "name_or_id")
    found = _packages(asker, visible(asker.reader).filter(id=wanted))
    if not found:
        raise asked.not_found()
    return found[0]


def package_list(asker: Asker, params: Params) -> object:
    """List the names of packages: limit, offset."""
    asked.known_only(params, "limit", "offset")
    limit = asked.whole(params, "limit", asked.MAX_NAMES, asked.MAX_NAMES)
    offset = asked.whole(params, "offset", 0, asked.MAX_START)
    names = visible(asker.reader).order_by("id").values_list("id", flat=True)
    return list(names[offset : offset + limit])


def current_package_list_with_resources(asker: Asker, params: Params) -> object:
    """List packages, last changed first: limit, offset."""
    asked.known_only(params, "limit", "offset", "page")
    limit = asked.whole(params, "limit", asked.DEFAULT_ROWS, asked.MAX_ROWS)
    offset = asked.whole(params, "offset", 0, asked.MAX_START)
    newest = visible(asker.reader).order_by("-published_at", "code")
    return _packages(asker, newest[offset : offset + limit])


def organization_list(asker: Asker, params: Params) -> object:
    """List departments that have packages: all_fields, limit, offset, sort, organizations."""
    asked.known_only(
        params, "all_fields", "limit", "offset", "sort", "order_by", "organizations", "type",
        "include_dataset_count", "include_extras", "include_users", "include_groups", "include_tags",
    )  # fmt: skip
    listed = [shapes.organization(publisher_of(one), n) for one, n in _departments(asker)]
    return _page_of(_only(listed, asked.listed(params, "organizations")), params)


def organization_show(asker: Asker, params: Params) -> object:
    """Show one department that has packages: id, include_datasets."""
    asked.known_only(
        params, "id", "include_datasets", "include_dataset_count", "include_extras", "include_users",
        "include_groups", "include_tags", "include_followers",
    )  # fmt: skip
    wanted = asked.required(params, "id")
    found = next((pair for pair in _departments(asker) if pair[0].code == wanted), None)
    if found is None:
        raise asked.not_found()
    shape = {**shapes.organization(publisher_of(found[0]), found[1]), "users": [], "groups": [], "tags": []}
    if asked.flag(params, "include_datasets"):
        own = visible(asker.reader).filter(department_id=wanted).order_by("code")
        shape["packages"] = _packages(asker, own[: asked.MAX_ROWS])
    return shape


def group_list(asker: Asker, params: Params) -> object:
    """List subjects (项) that have packages: all_fields, limit, offset, sort, groups."""
    asked.known_only(
        params, "all_fields", "limit", "offset", "sort", "order_by", "groups", "type",
        "include_dataset_count", "include_extras", "include_users", "include_groups", "include_tags",
    )  # fmt: skip
    listed = [shapes.group(theme, n) for theme, n in _themes(asker)]
    return _page_of(_only(listed, asked.listed(params, "groups")), params)


def group_show(asker: Asker, params: Params) -> object:
    """Show one subject that has packages: id."""
    asked.known_only(params, "id", "include_datasets", "include_dataset_count", "include_users")
    wanted = asked.required(params, "id")
    found = [shapes.group(theme, n) for theme, n in _themes(asker) if f"theme-{theme.key}" == wanted]
    if not found:
        raise asked.not_found()
    return {**found[0], "users": [], "tags": [], "groups": []}


def tag_list(asker: Asker, params: Params) -> object:
    """List the words that packages are filed under: query, all_fields."""
    asked.known_only(params, "query", "vocabulary_id", "all_fields")
    query = asked.text(params, "query", 60)
    words = [one for one in _tags(asker.edition, asker.reader) if query in one.zh]
    return (
        [shapes.tag(one) for one in words] if asked.flag(params, "all_fields") else [one.zh for one in words]
    )


def status_show(asker: Asker, params: Params) -> object:
    """Tell what this is."""
    asked.known_only(params)
    return {
        "ckan_version": FOLLOWED_VERSION,
        "site_title": TITLE.zh,
        "site_description": TITLE.en,
        "site_url": asker.places.base,
        "locale_default": "zh_Hans_CN",
        "error_emails_to": None,
        "extensions": [],
    }


def site_read(_asker: Asker, params: Params) -> object:
    """Tell that the catalogue may be read."""
    asked.known_only(params)
    return True


def help_show(_asker: Asker, params: Params) -> object:
    """Explain an action: name."""
    asked.known_only(params, "name")
    action = ACTIONS.get(asked.required(params, "name"))
    if action is None:
        raise asked.not_found()
    return action.__doc__


ACTIONS: Final[Mapping[str, Action]] = {
    action.__name__: action
    for action in (
        package_search, package_show, package_list, current_package_list_with_resources, organization_list,
        organization_show, group_list, group_show, tag_list, status_show, site_read, help_show,
    )
}  # fmt: skip
"""Every action there is: all of them only read."""


def _rows(params: Params) -> int:
    return asked.whole(params, "rows", asked.DEFAULT_ROWS, asked.MAX_ROWS)


def _packages(asker: Asker, wanted: QuerySet[Resource]) -> list[shapes.Shape]:
    found = read(list(prepared(wanted)), asker.reader)
    return [shapes.package(entry, asker.places, asker.reader) for entry in found]


def _sorted(wanted: QuerySet[Resource], words: str, order: list[str]) -> QuerySet[Resource]:
    if not order or order[0] == "score":
        return ranked(wanted, words)
    return wanted.order_by(*(column for column in order if column != "score"), "id")


# Facets under the names CKAN's clients know, and the field of ours that each counts.
_FACETS: Final[Mapping[str, str]] = {
    "organization": "department",
    "groups": "subject",
    "tags": "category",
    "library": "library",
    "update_cycle": "update_cycle",
    "format": "format",
    "share_type": "share_type",
    "region": "region",
}


def _facets(wanted: QuerySet[Resource], params: Params) -> dict[str, list[tuple[str, str, int]]]:
    """Count the values of each facet asked for: (name, words, how many)."""
    limit = asked.whole(params, "facet.limit", 50, 1000)
    least = asked.whole(params, "facet.mincount", 1, 10**9)
    found = {}
    for field in asked.listed(params, "facet.field"):
        if field not in _FACETS:
            raise asked.bad_query(f"unknown facet {field[:60]}")
        rows = [row for row in counts(wanted, _FACETS[field]) if row[1] >= least]
        found[field] = [_facet_row(field, key, n) for key, n in rows[:limit]]
    return found


def _facet_row(field: str, key: str, count: int) -> tuple[str, str, int]:
    words = vocabulary()
    tables = {
        "groups": words.subjects,
        "library": words.libraries,
        "update_cycle": words.cycles,
        "format": words.formats,
    }
    name = f"theme-{key}" if field == "groups" else key
    shown = tables.get(field, {}).get(key)
    return name, shown.zh if shown else key, count


def _page_of(listed: list[shapes.Shape], params: Params) -> object:
    """Sort and cut a list of organisations or groups, whole or as their names."""
    order = asked.text(params, "sort") or asked.text(params, "order_by") or "title asc"
    name, _, direction = order.strip().partition(" ")
    key = {
        "name": "name",
        "title": "title",
        "package_count": "package_count",
        "packages": "package_count",
    }.get(name)
    if key is None or direction.strip() not in ("", "asc", "desc"):
        raise asked.invalid("sort", "Cannot sort by this")
    listed = sorted(listed, key=lambda one: (one[key], one["name"]), reverse=direction.strip() == "desc")
    offset = asked.whole(params, "offset", 0, asked.MAX_START)
    listed = listed[offset : offset + asked.whole(params, "limit", asked.MAX_ROWS, asked.MAX_ROWS)]
    return listed if asked.flag(params, "all_fields") else [one["name"] for one in listed]


def _only(listed: list[shapes.Shape], names: list[str]) -> list[shapes.Shape]:
    return [one for one in listed if one["name"] in names] if names else listed


def _departments(asker: Asker) -> list[tuple[Department, int]]:
    having = dict(_counted(asker.edition, asker.reader, "department"))
    known = Department.objects.in_bulk(list(having))
    return [(known[code], n) for code, n in having.items() if code in known]


def _themes(asker: Asker) -> list[tuple[Named, int]]:
    subjects = vocabulary().subjects
    counted = _counted(asker.edition, asker.reader, "subject")
    return [(Named(key, subjects[key], key), n) for key, n in counted if key in subjects]


@lru_cache(maxsize=64)
def _counted(_edition: str, reader: Reader, field: str) -> tuple[tuple[str, int], ...]:
    """Count all entries a reader sees, once for an edition."""
    return tuple(counts(visible(reader), field))


@lru_cache(maxsize=8)
def _tags(edition: str, reader: Reader) -> tuple[Text, ...]:
    words = vocabulary()
    seen = visible(reader)
    found = [Text(key, key) for key, _ in _counted(edition, reader, "category")]
    found += [words.libraries[k] for k, _ in counts(seen, "library") if k in words.libraries]
    subjects = [key for key, _ in _counted(edition, reader, "subject")]
    found += [
        words.classes[key] for key in sorted({subject[:1] for subject in subjects}) if key in words.classes
    ]
    found += [words.subjects[key] for key in subjects if key in words.subjects]
    return tuple(sorted({one.zh: one for one in found}.values(), key=lambda one: one.zh))


def answer(help_url: str, result: Any) -> dict[str, Any]:
    """An answer as CKAN wraps it."""
    return {"help": help_url, "success": True, "result": result}


def refusal(help_url: str, refused: CkanRefused) -> dict[str, Any]:
    """A refusal as CKAN wraps it."""
    return {"help": help_url, "success": False, "error": refused.error}
