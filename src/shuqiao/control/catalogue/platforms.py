"""The two levels of platforms: a district's own lists of base information, and the same list at both levels.

A list lies once on each platform, and its rows once, on the platform of the body that collects them. What
the other level has is asked for there; nothing is copied. Where the city's regulation knows no two levels,
there is nothing of this. Source: guangzhou-2016 art. 28(2), 33.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.actions import Place, lists_to_open, open_list
from shuqiao.control.catalogue.known import knows
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Department, DepartmentLevel
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.regulations.current import bodies, data_lists, regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.standards.queries import binder, code_lists
from shuqiao.control.texts import Text
from shuqiao.rules.catalogue import DataList
from shuqiao.rules.platforms import Platforms, collectors, own_people
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.rows import Row

ACTOR = "system:platforms"
REGIONS = "regions"
"""The code list in which divisions have their names."""
MAX_COUNTERPARTS = 40


@dataclass(frozen=True)
class Counterpart:
    """The same list of the law on another platform."""

    id: str
    code: str
    name: Text
    provider: DepartmentRef
    platform: Text


@dataclass(frozen=True)
class PlatformView:
    """On which platform a list lies, why, and where the same list lies on the others.

    `first` says that the viewer's own level has this list too, which its bodies use first.
    """

    platform: Text
    article: ArticleRef
    counterparts: tuple[Counterpart, ...]
    first: Counterpart | None
    first_article: ArticleRef


def open_district_lists() -> int:
    """Open the lists that bodies of districts collect and that aren't open yet; return how many.

    Safe late and twice. A district gets a list only where an active body of its own answers for a department
    that the law names; the lists of the city stay as they are. Source: guangzhou-2016 art. 28(2).
    """
    rules = regulation()
    if rules.platforms is None:
        return 0
    found = Department.objects.filter(active=True).exclude(region=rules.region)
    districts: dict[str, dict[str, Department]] = {}
    for one in found.exclude(level=DepartmentLevel.CITY).order_by("code"):
        if one.legal_names:
            districts.setdefault(one.region, {})[one.code] = one
    return sum(_open_lists(rules, rules.platforms, region, own) for region, own in districts.items())


def _open_lists(rules: Regulation, at: Platforms, region: str, own: Mapping[str, Department]) -> int:
    answers = {code: frozenset(one.legal_names) for code, one in own.items()}
    wanted = [(one, collectors(_named(rules, one), answers)) for one in lists_to_open(rules, region)]
    wanted = [(one, codes) for one, codes in wanted if codes]
    if not wanted:
        return 0
    standards = binder()
    keys = [one.key for one, _ in wanted]
    city = dict(Resource.objects.filter(list_key__in=keys, region=rules.region).values_list("list_key", "id"))
    name = f"{at.district.zh}（{code_lists().get(REGIONS, {}).get(region, region)}）"
    return sum(
        open_list(
            rules,
            one,
            Place(region, tuple(own[code] for code in codes), name, city_entry=city.get(one.key, "")),
            ACTOR,
            standards,
        )
        for one, codes in wanted
    )


def _named(rules: Regulation, given: DataList) -> list[frozenset[str]]:
    """How the law calls each department of a list, the responsible one first."""
    known = bodies(rules.id)
    found = [known.body(word) for word in given.departments]
    return [frozenset(body.legal_names) for body in found if body is not None]


def platform_view(viewer: Viewer, resource: Resource) -> PlatformView | None:
    """What a page says of a list's platform; None for other entries, and where there is one platform only."""
    rules = regulation()
    if rules.platforms is None or not is_base_list(resource, rules):
        return None
    at = rules.platforms.city
    others = counterparts(viewer, resource)
    own = viewer.department.region
    first = (
        next((one for one in others if one.provider.region == own), None) if own != resource.region else None
    )
    return PlatformView(
        platform=district_platform(resource, rules) or Text(at.zh, at.en),
        article=article_ref(rules.platforms.base_article, rules.id),
        counterparts=others,
        first=first,
        first_article=article_ref(rules.platforms.of(own, rules.region).article, rules.id),
    )


def counterparts(viewer: Viewer, resource: Resource) -> tuple[Counterpart, ...]:
    """The same list on the other platforms, as far as the viewer knows of it; the city's first."""
    rules = regulation()
    if rules.platforms is None or not is_base_list(resource, rules):
        return ()
    same = Resource.objects.filter(knows(viewer), list_key=resource.list_key, state="published", shared=True)
    found = same.exclude(pk=resource.pk).select_related("department").defer("content")
    rows = sorted(found.order_by("region")[:MAX_COUNTERPARTS], key=lambda one: one.region != rules.region)
    return tuple(_counterpart(one, rules, rules.platforms) for one in rows)


def _counterpart(one: Resource, rules: Regulation, at: Platforms) -> Counterpart:
    platform = district_platform(one, rules) or Text(at.city.zh, at.city.en)
    return Counterpart(one.id, one.code, one.name, department_ref(one.department), platform)


def is_base_list(resource: Resource, rules: Regulation) -> bool:
    """Whether an entry is a list of the law, and not one that a department compiled."""
    return resource.list_key != resource.id and any(
        one.key == resource.list_key for one in data_lists(rules.id)
    )


def district_platform(resource: Resource, rules: Regulation) -> Text | None:
    """The platform of an entry that lies in a district; None for the city's, and where there is one only."""
    if rules.platforms is None or resource.region == rules.region:
        return None
    at = rules.platforms.district
    zh = resource.platform_zh if is_base_list(resource, rules) else f"{at.zh}（{resource.region}）"
    return Text(zh, f"{at.en} {resource.region}")


def route_facts(viewer: Viewer, resource: Resource) -> dict[str, str]:
    """On whose platform a request was made and on whose the entry lies, where a district has part in it."""
    rules, own = regulation(), viewer.department.region
    if rules.platforms is None or {own, resource.region} == {rules.region}:
        return {}
    return {"filed_at": own, "region": resource.region}


def rows_of_own_district(viewer: Viewer, resource: Resource) -> tuple[Row, ...]:
    """Which records of the city's list a district's body asks for unless it asks for others.

    Source: guangzhou-2016 art. 4(1), 28(2).
    """
    rules = regulation()
    if rules.platforms is None or not is_base_list(resource, rules):
        return ()
    given = next(one for one in data_lists(rules.id) if one.key == resource.list_key)
    return own_people(
        given.division, region=viewer.department.region, holder=resource.region, city=rules.region
    )
