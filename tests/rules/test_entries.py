"""What an entry of the catalogue must say under every regulation, and how two versions of it differ."""

from dataclasses import replace
from datetime import date
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shuqiao.control.catalogue.entries import EntryUnreadable, entry_from, entry_json
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.regulations.files import load_regulation
from shuqiao.rules.entries import Difference, Entry, EntryItem, differences, entry_code, only_wording
from shuqiao.rules.entry_faults import (
    ELEMENTS,
    Known,
    circle_through,
    demanded_fields,
    faults_of,
    is_plain,
    leads_back,
)
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.sharing import RANKS

TODAY = date(2026, 3, 2)
THERE = "r440100aaaaaaaaaa"
WATER = EntryItem(field="meter_number", zh="水表编号", length=20, key=True, required=True)
READING = EntryItem(field="read_on", zh="抄表日期", data_type="D", timestamp=True)

# The elements that each text demands of an entry, in the words of the entry's form.
DEMANDED = {
    "guangzhou-2016": {
        "name_zh", "summary_zh", "items", "department", "update_cycle", "platform", "scope", "manner",
        "shared_until",
    },
    "guangzhou-2019": {
        "summary_zh", "items", "share_type", "conditions", "manner", "scope", "update_cycle", "use",
        "collecting", "verifying", "department",
    },
    "xiamen-2015": {
        "name_zh", "format", "share_type", "scope", "update_cycle", "timeliness", "manner", "department",
        "open_to_public",
    },
    "shenyang-2016": {
        "name_zh", "format", "share_type", "scope", "update_cycle", "timeliness", "manner", "department",
        "open_to_public",
    },
}  # fmt: skip


@cache
def rules(name: str) -> Regulation:
    return load_regulation(name, fallback=None if name == "guangzhou-2016" else "guangzhou-2016")


def known(**changes: object) -> Known:
    facts = Known(
        departments=frozenset({"440100-water", "440100-health"}),
        words=vocabulary().keys(),
        duties={"440100-water": {1, 2}},
        resources=lambda ids: [one for one in ids if one == THERE],
        latest_until=date(2031, 3, 2),
        today=TODAY,
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def share_type(name: str, openness: int) -> str:
    return next((t.key for t in rules(name).share_types.types if t.openness == openness), "")


def whole(name: str) -> Entry:
    """An entry that every regulation takes, but for its share type, which is the regulation's own."""
    return Entry(
        name_zh="供水水表读数", summary_zh="样例：各用户水表的读数。", subject="30100901",
        department="440100-water", collecting="440100-water", verifying="440100-water",
        origin="direct", forms=("structured",), format="database", format_detail="postgresql",
        library_kind="business", library="department", share_type=share_type(name, 1),
        ground="《样例规定》第三条",
        ground_rank="law", conditions="用于核定水费补贴", manner=("platform_database",), scope="各部门",
        use="核定补贴", open_to_public=False, update_cycle="monthly", timeliness="次月五日前",
        platform="市共享平台", shared_until=date(2027, 3, 2), modes=("query",), record_key="meter_number",
        duty=1, digitisation="database", not_secret=True, items=(WATER, READING),
    )  # fmt: skip


def faults(entry: Entry, name: str = "guangzhou-2016", facts: Known | None = None) -> dict[str, str]:
    return {fault.path: fault.code for fault in faults_of(entry, facts or known(), rules(name))}


@pytest.mark.parametrize("name", [*DEMANDED, "haizhu-draft", "guangdong-2008"])
def test_a_whole_entry_has_no_faults(name: str) -> None:
    assert faults_of(whole(name), known(), rules(name)) == ()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("guangzhou-2016", marks=pytest.mark.requirement("CAT-04")),
        pytest.param("guangzhou-2019", marks=pytest.mark.requirement("CAT-05")),
        pytest.param("xiamen-2015", marks=pytest.mark.requirement("CAT-06")),
        pytest.param("shenyang-2016", marks=pytest.mark.requirement("CAT-06")),
    ],
)
def test_an_entry_that_lacks_an_element_of_the_law_is_refused_with_its_article(name: str) -> None:
    law = {key for key, article in demanded_fields(rules(name)).items() if "art." in article}
    assert law == DEMANDED[name]
    entry = whole(name)
    for field in DEMANDED[name]:
        empty = {"items": (), "manner": (), "shared_until": None, "open_to_public": None}.get(field, "")
        lacking = replace(entry, **{field: empty, **({"record_key": ""} if field == "items" else {})})
        found = {fault.path: fault for fault in faults_of(lacking, known(), rules(name))}
        assert field in found, field
        assert found[field].article.startswith(f"{name} art. "), field


def test_every_element_a_regulation_may_name_is_a_field_of_an_entry() -> None:
    named = {field.key for name in DEMANDED for field in rules(name).catalogue_fields}
    assert named == ELEMENTS


@pytest.mark.requirement("CAT-26")
@pytest.mark.parametrize("name", DEMANDED)
def test_no_entry_without_the_declaration_that_it_is_no_state_secret(name: str) -> None:
    (fault,) = faults_of(replace(whole(name), not_secret=False), known(), rules(name))
    assert (fault.path, fault.code) == ("not_secret", "declaration_required")
    assert fault.article


@pytest.mark.requirement("PUB-01")
@pytest.mark.parametrize("name", [*DEMANDED, "haizhu-draft"])
def test_whether_an_entry_may_be_opened_must_be_said_whatever_its_share_type(name: str) -> None:
    for openness in (0, 1, 2):
        entry = replace(whole(name), share_type=share_type(name, openness), open_to_public=None)
        assert faults(entry, name)["open_to_public"] == "field_required"
        for answer in (True, False):
            assert "open_to_public" not in faults(replace(entry, open_to_public=answer), name)


@pytest.mark.requirement("TYP-04")
@pytest.mark.parametrize("name", ["guangzhou-2019", "shenyang-2016", "guangdong-2008", "haizhu-draft"])
def test_what_is_not_shared_needs_a_ground_of_the_rank_the_law_demands(name: str) -> None:
    chosen = next(t for t in rules(name).share_types.types if t.openness == 0)
    entry = replace(whole(name), share_type=chosen.key)
    if "ground" in chosen.requires:
        assert faults(replace(entry, ground=" "), name)["ground"] == "ground_required"
    for rank in RANKS:
        refused = bool(chosen.ground_ranks) and rank not in chosen.ground_ranks
        found = faults(replace(entry, ground_rank=rank), name)
        assert (found.get("ground_rank") == "ground_rank_too_low") is refused, rank


@pytest.mark.requirement("CAT-20")
def test_other_than_base_information_needs_a_competence_or_policy_ground() -> None:
    bare = replace(whole("guangzhou-2016"), duty=None)
    (fault,) = faults_of(bare, known(), rules("guangzhou-2016"))
    assert (fault.path, fault.article) == ("legal_ground", "guangzhou-2016 art. 27")
    assert faults(replace(bare, legal_ground="《样例条例》第五条")) == {}
    assert faults(replace(bare, obliged_by="省样例规定")) == {}
    assert faults(replace(bare, library_kind="base", library="population")) == {}


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"name_zh": "<b>水</b>"}, "name_zh", "text_not_plain"),
        ({"scope": "javascript:alert(1)"}, "scope", "text_not_plain"),
        ({"use": "x\x00y"}, "use", "text_not_plain"),
        ({"name_zh": "水" * 101}, "name_zh", "text_too_long"),
        ({"subject": "4010"}, "subject", "subject_unknown"),
        ({"subject": "39900901"}, "subject", "subject_unknown"),
        ({"department": "440100-nobody"}, "department", "department_unknown"),
        ({"joint": ("440100-health", "440100-health")}, "joint", "department_unknown"),
        ({"format": "papyrus"}, "format", "value_unknown"),
        ({"manner": ("pigeon",)}, "manner", "value_unknown"),
        ({"duty": 3}, "duty", "duty_unknown"),
        ({"shared_until": date(2026, 3, 1)}, "shared_until", "period_past"),
        ({"shared_until": date(2031, 3, 3)}, "shared_until", "period_too_long"),
        ({"related": ("r440100bbbbbbbbbb",)}, "related", "resource_unknown"),
        ({"city_entry": "x' OR '1"}, "city_entry", "resource_unknown"),
        ({"return_flow": "running"}, "superior_system", "field_required"),
        ({"superior_system": "省级样例系统"}, "return_flow", "field_required"),
        ({"record_key": "nothing"}, "record_key", "record_key_unknown"),
        ({"records": -1}, "records", "number_out_of_range"),
        ({"items": (WATER, replace(READING, field="meter_number"))}, "items[1].field", "item_twice"),
        ({"items": (WATER, replace(READING, zh="水表编号"))}, "items[1].zh", "item_twice"),
        ({"items": (WATER, replace(READING, field="Read On"))}, "items[1].field", "field_name_malformed"),
        ({"items": (WATER, replace(READING, field="record_id"))}, "items[1].field", "field_name_malformed"),
        ({"items": (WATER, replace(READING, data_type="Z"))}, "items[1].data_type", "value_unknown"),
        ({"items": (replace(WATER, length=None),)}, "items[0].length", "field_required"),
        ({"items": (replace(WATER, codes=(("1", "一"), ("1", "二"))),)}, "items[0].codes", "codes_malformed"),
        ({"items": (replace(WATER, sensitivity=5),)}, "items[0].sensitivity", "value_unknown"),
    ],
)  # fmt: skip
def test_each_fault_is_told_at_its_place(changes: dict[str, object], path: str, code: str) -> None:
    entry = replace(whole("guangzhou-2016"), **changes)  # type: ignore[arg-type]
    assert faults(entry).get(path) == code


def test_links_to_the_citys_entry_that_lead_back_are_found() -> None:
    a, b, c = "r440105aaaaaaaaaa", "r440105bbbbbbbbbb", "r440100cccccccccc"
    chain = known(city_entries={a: b, b: c})
    assert circle_through(c, a, chain)
    assert not circle_through("r440105dddddddddd", a, chain)
    assert not circle_through(a, c, known(city_entries={b: b}))


def test_related_entries_that_lead_back_are_found() -> None:
    assert leads_back("a", ["a"], {})
    assert leads_back("a", ["b"], {"b": ["c"], "c": ["a"]})
    assert not leads_back("a", ["b", "c"], {"b": ["c"], "c": ["b"]})
    assert not leads_back("a", [], {"b": ["a"]})


def test_differences_name_the_place_and_items_are_told_apart_by_their_field() -> None:
    old = whole("guangzhou-2016")
    longer = replace(WATER, length=30)
    added = EntryItem(field="volume", zh="用水量", data_type="N")
    new = replace(old, scope="市级部门", items=(added, longer))
    assert differences(old, new) == (
        Difference("scope", "各部门", "市级部门"),
        Difference("items.meter_number.length", 20, 30),
        Difference("items.read_on", READING, None),
        Difference("items.volume", None, added),
    )
    assert differences(old, old) == ()
    (moved,) = differences(old, replace(old, items=(READING, WATER)))
    assert moved.path == "items"


@pytest.mark.requirement("CAT-11")
def test_only_wording_goes_the_short_way() -> None:
    old = whole("guangzhou-2016")
    reworded = replace(old, summary_zh="样例：用户水表的读数。", items=(replace(WATER, note="八位"), READING))
    assert only_wording(differences(old, reworded))
    for changes in (
        {"department": "440100-health"}, {"items": (WATER,)}, {"name_zh": "水表"}, {"share_type": "x"},
        {"items": (replace(WATER, zh="表号"), READING)},
    ):  # fmt: skip
        assert not only_wording(differences(old, replace(old, **changes)))  # type: ignore[arg-type]


def test_the_code_is_classification_and_number() -> None:
    assert entry_code("30100901", 7) == "30100901/000007"


@given(st.text(max_size=80))
def test_plain_text_never_opens_a_tag(text: str) -> None:
    if is_plain(text):
        assert "<script" not in text.lower()
        assert "\x00" not in text


ENTRY = whole("guangzhou-2016")


@given(
    st.builds(
        Entry,
        name_zh=st.text(max_size=20),
        manner=st.lists(st.text(max_size=5), max_size=3).map(tuple),
        open_to_public=st.none() | st.booleans(),
        shared_until=st.none() | st.dates(),
        duty=st.none() | st.integers(0, 9),
        items=st.lists(
            st.builds(
                EntryItem,
                field=st.text(max_size=5),
                zh=st.text(max_size=5),
                length=st.none() | st.integers(1, 9),
                codes=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=3).map(tuple),
            ),
            max_size=3,
        ).map(tuple),
    )
)
def test_an_entry_survives_its_json_form(entry: Entry) -> None:
    assert entry_from(entry_json(entry)) == entry


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({"name": "x"}, "name"),
        ({"items": [{"field": "a", "zh": "b", "x": 1}]}, "items[0].x"),
        ({"name_zh": 5}, "name_zh"),
        ({"items": [{"field": "a", "zh": "b", "length": "long"}]}, "items[0].length"),
        ({"shared_until": "tomorrow"}, "shared_until"),
    ],
)
def test_json_that_is_no_entry_is_refused_with_its_place(content: dict[str, object], path: str) -> None:
    with pytest.raises(EntryUnreadable) as refused:
        entry_from(content)
    assert refused.value.path == path
