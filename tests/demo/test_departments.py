"""The departments of the sample city."""

from pathlib import Path

import yaml

from shuqiao.demo.departments import DEPARTMENTS, department_named
from shuqiao.rules.ids import parse_department_code

ITEMS = Path(__file__).parents[2] / "regulations" / "base-data-items.yaml"


def named_in(part: object) -> set[str]:
    """Every department that a part of chapter 2 names; the order of 2019 is not of this chapter."""
    if isinstance(part, list):
        return set().union(*map(named_in, part)) if part else set()
    if not isinstance(part, dict):
        return set()
    found = set(part.get("departments_zh", ()))
    return found.union(*(named_in(value) for key, value in part.items() if key != "order165_2019"))


def test_every_department_of_chapter_2_is_there() -> None:
    names = named_in(yaml.safe_load(ITEMS.read_text(encoding="utf-8")))
    assert len(names) > 25
    for name in names:
        assert name in department_named(name).named_as


def test_codes_are_well_formed_and_unique() -> None:
    codes = [department.code for department in DEPARTMENTS]
    assert [parse_department_code(code) for code in codes] == codes
    assert len(set(codes)) == len(codes)
    every_name = [name for department in DEPARTMENTS for name in department.named_as]
    assert len(set(every_name)) == len(every_name)
    assert {"440100-health", "440100-police", "440100-housing"} <= set(codes)
