"""Facet counts against a count by hand: any filters, any catalogue, below the cap and beyond it."""

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.search import FACETS, Sort, Wanted, find, find_ids, store_search_texts
from shuqiao.control.catalogue.words import query_terms, search_text
from tests.control.conftest import BIRTH, rows

VALUES = {
    "department": ("440100-health", "440100-police", "440100-housing"),
    "share_type": ("unconditional", "conditional", ""),
    "format": ("database", "image"),
    "update_cycle": ("daily", "monthly", "yearly"),
    "theme": ("101", "203", "303"),
    "library": ("population", "licence", ""),
    "open": ("true", "false"),
    "mode": ("verify", "query", "bulk"),
}
COUNT = 240


@pytest.fixture
def drawn(city) -> list[dict[str, tuple[str, ...]]]:
    """Entries with facet values drawn at random, as a reader of the catalogue would note them down."""
    template = Resource.objects.get(pk=BIRTH)
    common = {f.attname: getattr(template, f.attname) for f in Resource._meta.concrete_fields}
    draw, made, noted, texts = random.Random(5), [], [], {}
    for number in range(COUNT):
        key = "r440100" + "".join("abcdefghij"[int(digit)] for digit in f"{number:010d}")
        name = f"渔业{number}{'许可' if number % 4 else '名录'}"
        values = {facet: (draw.choice(given),) for facet, given in VALUES.items()}
        values["mode"] = tuple(mode for mode in VALUES["mode"] if draw.random() < 0.5)
        shared = draw.random() < 0.8
        made.append(Resource(**(common | _columns(values) | {
            "id": key, "list_key": key, "code": f"303/{number}", "name_zh": name, "shared": shared,
        })))  # fmt: skip
        texts[key] = search_text(name, "", [("许可日期" if number % 2 else "名称", "")], [])
        licensed = number % 4 or number % 2
        noted.append(values | {"id": (key,), "shared": (str(shared),), "licensed": (str(bool(licensed)),)})
    Resource.objects.bulk_create(made)
    store_search_texts(texts)
    return noted


def _columns(values: dict[str, tuple[str, ...]]) -> dict[str, object]:
    return {
        "department_id": values["department"][0],
        "share_type": values["share_type"][0],
        "format": values["format"][0],
        "update_cycle": values["update_cycle"][0],
        "subject": f"{values['theme'][0]}01001",
        "library": values["library"][0],
        "open_to_public": values["open"][0] == "true",
        "content": {"open_to_public": values["open"][0] == "true"},
        "modes": list(values["mode"]),
    }


def holds(entry: dict[str, tuple[str, ...]], filters: dict[str, tuple[str, ...]]) -> bool:
    """Whether an entry has one of the values of each filter."""
    return all(set(entry[key]) & set(values) for key, values in filters.items() if values)


def counted(entries: list[dict[str, tuple[str, ...]]], facet: str) -> dict[str, int]:
    """How many of some entries have each value of a facet; none counts for an empty one."""
    return dict(Counter(value for entry in entries for value in entry[facet] if value))


CHOSEN = st.fixed_dictionaries(
    {},
    optional={
        facet: st.lists(st.sampled_from([*filter(None, values), "none-such"]), max_size=2, unique=True).map(
            tuple
        )
        for facet, values in VALUES.items()
    },
)


def test_counts_are_those_of_a_count_by_hand(drawn):
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        text=st.sampled_from(["渔业", "渔业许可"]),
        chosen=CHOSEN,
        department=st.sampled_from(["", *VALUES["department"]]),
        sort=st.sampled_from(list(Sort)),
    )
    def check(text, chosen, department, sort):
        there = [
            entry
            for entry in drawn
            if (entry["department"] == (department,) if department else entry["shared"] == ("True",))
            and (text == "渔业" or entry["licensed"] == ("True",))
        ]
        wanted = Wanted(query_terms(text), chosen, sort, department, window=(0, COUNT), cap=COUNT)
        found = find(wanted)
        passing = [entry for entry in there if holds(entry, chosen)]
        assert sorted(found.ids) == sorted(entry["id"][0] for entry in passing)
        assert (found.total, found.capped, found.at_least) == (len(passing), False, frozenset())
        assert find_ids(wanted) == found.ids
        for facet in FACETS:
            others = {key: values for key, values in chosen.items() if key != facet}
            under = [entry for entry in there if holds(entry, others)]
            assert dict(found.facets[facet]) == counted(under, facet), facet

    check()


@pytest.mark.parametrize("cap", [1, 7, 50])
def test_beyond_the_cap_counts_are_lower_bounds_and_the_chosen_value_is_exact(drawn, cap):
    there = [entry for entry in drawn if entry["shared"] == ("True",)]
    chosen = {"format": ("image",), "update_cycle": ("yearly",), "theme": ("203",)}
    passing = [entry for entry in there if holds(entry, chosen)]
    found = find(Wanted(query_terms("渔业"), chosen, cap=cap, window=(0, COUNT)))
    assert found.capped == (len(passing) > cap)
    assert found.total == min(cap, len(passing))
    assert found.at_least >= set(chosen)
    for facet in FACETS:
        others = {key: values for key, values in chosen.items() if key != facet}
        most = counted([entry for entry in there if holds(entry, others)], facet)
        assert all(count <= most[value] for value, count in found.facets[facet]), facet
    if not found.capped:
        assert dict(found.facets["theme"])["203"] == len(passing)


def test_a_value_no_entry_had_is_counted_from_the_change_that_brings_it(drawn):
    key = drawn[0]["id"][0]
    Resource.objects.filter(id=key).update(update_cycle="decade", modes=["bulk", "verify"], shared=True)
    found = find(Wanted(query_terms("渔业"), {"update_cycle": ("decade",), "mode": ("bulk",)}))
    assert found.ids == (key,)
    assert dict(found.facets["update_cycle"])["decade"] == 1
    [(marks,)] = rows("SELECT marks FROM catalogue_search WHERE resource_id = %s", key)
    assert len(marks) == len(FACETS)
