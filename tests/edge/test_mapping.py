"""The mapping file: what it says is taken, what it says wrongly is refused with its line."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from shuqiao.edge.mapping import (
    ColumnSource,
    ConstantSource,
    MappingError,
    Way,
    load_mappings,
    read_mapping,
)
from shuqiao.wire.schemas import ItemSpec, ResourceSpec

RESOURCE = "r440100aaaaaaaaaa"
SPEC = ResourceSpec(
    record_key="number",
    modes=("verify",),
    items=(
        ItemSpec("number", "号", "Number", "string", True, "document", 2, True),
        ItemSpec("sex_code", "性别", "Sex", "code", codes=("1", "2")),
        ItemSpec("unit", "单位", "Unit", "string"),
    ),
)
GOOD = f"""\
resource: {RESOURCE}
source:
  system: his
  table: public.births
  key: bh
  changed: gxsj
items:
  number: bh
  sex_code: {{column: xb, codes: {{M: "1", F: "2"}}}}
  unit: {{value: 广州市妇幼保健院}}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "births.yaml"
    path.write_text(text)
    return path


def test_a_mapping_is_read(tmp_path: Path) -> None:
    mapping = read_mapping(written(tmp_path, GOOD), {RESOURCE: SPEC})
    assert (mapping.resource, mapping.system, mapping.table) == (RESOURCE, "his", "public.births")
    assert (mapping.key, mapping.changed) == ("bh", "gxsj")
    assert mapping.items == {
        "number": ColumnSource("bh"),
        "sex_code": ColumnSource("xb", {"M": "1", "F": "2"}),
        "unit": ConstantSource("广州市妇幼保健院"),
    }
    assert mapping.source_columns() == ("bh", "xb")


def test_any_change_of_the_file_changes_its_version(tmp_path: Path) -> None:
    first = read_mapping(written(tmp_path, GOOD), {RESOURCE: SPEC}).version
    assert read_mapping(written(tmp_path, GOOD + "# note\n"), {RESOURCE: SPEC}).version != first


@pytest.mark.parametrize(
    ("old", "new", "line", "fault"),
    [
        (RESOURCE, "r440100bbbbbbbbbb", 1, "has no resource"),
        ("  key: bh\n", "", 3, "'key' is missing"),
        ("  changed: gxsj", "  changd: gxsj", 6, "unknown word 'changd'"),
        ("  number: bh", "  numbr: bh", 8, "no item 'numbr'"),
        ("  number: bh\n", "", 8, "required item 'number'"),
        ('F: "2"', 'F: "3"', 9, "'3' is not a code"),
        ("{value: 广州市妇幼保健院}", "{value: x, column: y}", 10, "either a column"),
        ("  unit:", "  number: x\n  unit:", 10, "stand once"),
        ("  table: public.births", "  table: [a, b]", 4, "a text is needed"),
        ("  table: public.births", "  table:", 4, "a text is needed"),
        ("items:", "items: x\nitem:", 7, "name: value"),
        ("resource:", "resource: [", 2, "not readable"),
    ],
)
def test_a_fault_names_its_line(tmp_path: Path, old: str, new: str, line: int, fault: str) -> None:
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(MappingError) as refused:
        read_mapping(path, {RESOURCE: SPEC})
    first = [text for text in str(refused.value).splitlines() if fault in text]
    assert first, str(refused.value)
    assert first[0].startswith(f"{path}:{line}:")


def test_a_folder_without_mappings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="no mapping file"):
        load_mappings(tmp_path, {RESOURCE: SPEC})


def test_a_resource_mapped_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    with pytest.raises(MappingError, match="mapped twice"):
        load_mappings(tmp_path, {RESOURCE: SPEC})


@pytest.mark.requirement("ING-09")
@pytest.mark.parametrize(
    ("own", "hubs", "fault"),
    [
        ("", "hub", ""),
        ("kept: hub\n", "hub", ""),
        ("kept: node\n", "node", ""),
        ("", "node", "the hub says that records are kept at the node: `kept` must agree"),
        ("kept: node\n", "hub", "the hub says that records are kept at the hub: `kept` must agree"),
        ("kept: elsewhere\n", "hub", "`kept` is hub or node"),
    ],
)
def test_where_records_are_kept_is_the_departments_word_and_the_hubs(
    tmp_path: Path, own: str, hubs: str, fault: str
) -> None:
    path = written(tmp_path, own + GOOD)
    spec = msgspec.structs.replace(SPEC, kept=hubs)
    if fault:
        with pytest.raises(MappingError, match=re.escape(fault)):
            read_mapping(path, {RESOURCE: spec})
    else:
        assert read_mapping(path, {RESOURCE: spec}).is_held == (hubs == "node")


def test_records_that_stay_are_found_by_a_plain_column(tmp_path: Path) -> None:
    spec = msgspec.structs.replace(SPEC, kept="node")
    path = written(
        tmp_path, "kept: node\n" + GOOD.replace("number: bh", "number: {column: bh, codes: {A: B}}")
    )
    with pytest.raises(MappingError, match="needs a column without codes"):
        read_mapping(path, {RESOURCE: spec})


@pytest.mark.parametrize(
    ("words", "way", "contract"),
    [
        ("", Way(), ""),
        ("capture: {by: changes}\n", Way(), ""),
        ("capture: {compare_every: 24h}\n", Way("changes", 86_400), ""),
        ("capture: {by: ranges}\non_change: evolve\n", Way("ranges", 300), "evolve"),
        ("capture: {by: ranges, compare_every: 7d}\n", Way("ranges", 604_800), ""),
        ("capture: {remove_at_most: 5%}\n", Way("changes", 0, 0.05), ""),
        ("capture: {by: log, remove_at_most: 100%}\n", Way("log", 0, 1.0), ""),
        ("capture: {by: log}\non_change: discard_value\n", Way("log", 0), "discard_value"),
    ],
)
def test_how_changes_are_found_is_read(tmp_path: Path, words: str, way: Way, contract: str) -> None:
    mapping = read_mapping(written(tmp_path, GOOD + words), {RESOURCE: SPEC})
    assert (mapping.way, mapping.on_change) == (way, contract)
    assert mapping.keeps_ranges == (way.compare_every_s > 0) and mapping.ends_loads


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("capture: {by: magic}", "`by` is one of changes, ranges, log"),
        ("capture: {compare_every: 5}", "a time such as"),
        ("capture: {compare_every: 0s}", "a time such as"),
        ("capture: {compare_every: 32d}", "31 days at most"),
        ("capture: {every: 1h}", "unknown word 'every'"),
        ("capture: {remove_at_most: 101%}", "a share such as 20%"),
        ("capture: {remove_at_most: 0.2}", "a share such as 20%"),
        ("capture: {by: log, compare_every: 1h}", "the log tells itself"),
        ("capture: ranges", "a list of `name: value`"),
        ("on_change: ignore", "`on_change` is one of evolve, freeze, discard_row, discard_value"),
    ],
)
def test_a_way_nobody_knows_is_told_with_its_line(tmp_path: Path, words: str, said: str) -> None:
    with pytest.raises(MappingError, match=re.escape(said)):
        read_mapping(written(tmp_path, GOOD + words + "\n"), {RESOURCE: SPEC})


@pytest.mark.parametrize("number", ["anders", "{value: '1'}", "{column: bh, codes: {a: b}}"])
def test_removed_rows_need_the_record_key_for_their_key(tmp_path: Path, number: str) -> None:
    text = GOOD.replace("number: bh", f"number: {number}")
    read_mapping(written(tmp_path, text), {RESOURCE: SPEC})
    for words in ("capture: {by: ranges}", "capture: {compare_every: 1h}", "capture: {by: log}"):
        with pytest.raises(MappingError, match="removed rows are told by the key 'bh'"):
            read_mapping(written(tmp_path, text + words + "\n"), {RESOURCE: SPEC})


def test_an_entry_without_a_table_is_told_before_its_rows_are_sent(tmp_path: Path) -> None:
    files = msgspec.structs.replace(SPEC, record_key="unit")
    path = tmp_path / "births.yaml"
    path.write_text(GOOD)
    with pytest.raises(MappingError, match=r"births\.yaml:1: the entry .* has no record key that identifies"):
        read_mapping(path, {RESOURCE: files})
