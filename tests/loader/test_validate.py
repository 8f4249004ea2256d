"""Each plain value is checked against its item; the fault names row, item and code."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pytest

from shuqiao.control.regulations.files import load_catalogue, load_regulation
from shuqiao.loader.validate import find_faults
from shuqiao.wire.schemas import ARROW_TYPES, ItemSpec, OnlyWith

TODAY = datetime.date(2026, 11, 22)


def faults_of(item: ItemSpec, values: list[Any]) -> list[tuple[int, str]]:
    column = pa.array(values, type=ARROW_TYPES[item.type])
    rows = pa.record_batch([column], names=[item.field])
    found = find_faults(rows, (item,), TODAY)
    assert all(fault.item == item.field for fault in found)
    return sorted((fault.row, fault.code) for fault in found)


def item(type_: str, **changes: Any) -> ItemSpec:
    return ItemSpec("field", "项", "Item", type_, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "good", "bad", "code"),
    [
        (item("string", required=True), "a", None, "item_required"),
        (item("string", required=True), "a", " \u3000", "item_required"),
        (item("date", required=True), TODAY, None, "item_required"),
        (item("code", codes=("1", "2")), "2", "3", "item_code_unknown"),
        (item("code", codes=("1", "2")), None, "", "item_code_unknown"),
        (item("string"), "字" * 1000, "字" * 1001, "item_too_long"),
        (item("string"), "a", "a\0b", "item_type"),
        (item("date"), datetime.date(1800, 1, 1), datetime.date(1799, 12, 31), "date_impossible"),
        (item("date"), datetime.date(2226, 1, 1), datetime.date(2226, 1, 2), "date_impossible"),
        (item("string", kind="credit_code"), "91440101MA5A0000X0", "x", "identifier_check_digit"),
    ],
)
def test_a_bad_value_is_found_and_a_good_one_is_not(spec: ItemSpec, good: Any, bad: Any, code: str) -> None:
    assert (1, code) in faults_of(spec, [None if spec.kind != "plain" else good, bad, None][:2])
    if spec.kind == "plain":
        assert faults_of(spec, [good]) == []


def test_times_are_bounded_too() -> None:
    good = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
    assert faults_of(item("datetime"), [good, good.replace(year=1700), None]) == [(1, "date_impossible")]


def test_a_sound_number_passes_and_one_with_a_changed_digit_does_not() -> None:
    spec = item("string", kind="citizen_id")
    assert faults_of(spec, ["44010519930517992X", "440105199305179920", None]) == [
        (1, "identifier_check_digit")
    ]


def test_a_value_is_no_longer_than_the_catalogue_allows() -> None:
    assert faults_of(item("string", length=3), ["三个字", "四个字了", None]) == [(1, "item_too_long")]


@pytest.mark.requirement("BAS-01")
def test_cancellation_items_stand_only_beside_the_status_cancelled() -> None:
    """The list as it ships: its specification goes through the catalogue's own file."""
    listed = next(
        one
        for one in load_catalogue(load_regulation("guangzhou-2016"))
        if one.key == "household_registration"
    )
    assert [one.field for one in listed.items if one.only_with] == [
        "division_before_cancellation",
        "police_station_before_cancellation",
        "cancellation_date",
        "cancellation_reason",
    ]
    specs = {one.field: one for one in listed.items}
    status = ItemSpec(
        "household_status", "状态", "Status", "code", codes=specs["household_status"].code_values
    )
    for field in ("division_before_cancellation", "cancellation_date"):
        field_name, values = specs[field].only_with or ("", ())
        late = ItemSpec(field, "项", "Item", specs[field].type, only_with=OnlyWith(field_name, values))  # type: ignore[arg-type]
        value: Any = TODAY if late.type == "date" else "广州市越秀区"
        rows = pa.record_batch(
            [
                pa.array(["正常", "注销", "正常", "注销"]),
                pa.array([value, value, None, None], type=ARROW_TYPES[late.type]),
            ],
            names=["household_status", field],
        )
        found = find_faults(rows, (status, late), TODAY)
        assert [(fault.row, fault.item, fault.code) for fault in found] == [(0, field, "item_not_allowed")]
