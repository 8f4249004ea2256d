"""Marks of secrecy and personal numbers are found however they are written, and nothing else is."""

from __future__ import annotations

import time

import pytest

from shuqiao.rules.screening import Rule, Rules, Screen, faults_of, passes_luhn
from shuqiao.wire.screening import decode_rules, encode_rules, shipped_rules

RESOURCE = "r440100aaaaaaaaaa"
SHIPPED = Screen(shipped_rules())


def found(value: str, kind: str = "plain") -> tuple[str, ...]:
    """What is caught in a value; the quick look must never be narrower than the exact one."""
    item = SHIPPED.of_item(RESOURCE, "note", kind)
    if item is None:
        return ()
    caught = item.find(value)
    column = ("\x01".join(["12", value, "3456789012"])).encode()
    assert 1 in item.suspects(column, 3) or not caught
    return caught


@pytest.mark.parametrize(
    ("value", "rules"),
    [
        ("机密★10年", ("secrecy_mark",)),
        ("机 密 ☆", ("secrecy_mark",)),
        ("机\u200b密\u3000★", ("secrecy_mark",)),
        ("定为绝密级的样例", ("secrecy_mark",)),
        ("样密字〔２０１６〕１２号", ("internal_document",)),
        ("保守秘密是义务", ()),
        ("电话13800138000。", ("phone",)),
        ("138-0013-8000", ("phone",)),
        ("138 0013 8000", ("phone",)),
        ("１３８００１３８０００", ("phone",)),
        ("+8613800138000", ("phone",)),
        ("13800138000 13900139000", ("phone",)),
        ("\x01 13800138000", ("phone",)),
        ("a13800138000f", ()),
        ("138001380001", ()),
        ("身份证11010519491231002X", ("citizen_id",)),
        ("11010519491231002x", ("citizen_id",)),
        ("110105194912310021", ()),
        ("", ()),
    ],
)
def test_what_is_caught_and_what_is_not(value: str, rules: tuple[str, ...]) -> None:
    assert found(value) == rules


def test_a_bank_card_is_one_only_with_its_check_digit() -> None:
    body = "622202123456789012"
    right = next(body + digit for digit in "0123456789" if passes_luhn(body + digit))
    wrong = [body + digit for digit in "0123456789" if body + digit != right]
    assert found(f"卡号{right}") == found(" ".join((right[:4], right[4:10], right[10:]))) == ("bank_card",)
    assert all(found(f"卡号{number}") == () for number in wrong)


@pytest.mark.parametrize(
    ("kind", "value", "is_caught"),
    [
        ("citizen_id", "11010519491231002X", False),
        ("document", "11010519491231002X", False),
        ("contact", "13800138000", False),
        ("contact", "11010519491231002X", True),
        ("address", "样例路1号 13800138000", True),
        ("citizen_id", "机密★", True),
    ],
)
def test_what_an_item_is_declared_to_hold_is_expected_there(kind: str, value: str, is_caught: bool) -> None:
    assert bool(found(value, kind)) is is_caught


def test_rules_are_for_places() -> None:
    rule = Rule("word", "字样", "Word", "mark", patterns=("样例字样",))

    def caught(**changed: tuple[str, ...]) -> bool:
        one = Rule(**{**{name: getattr(rule, name) for name in rule.__dataclass_fields__}, **changed})
        item = Screen(Rules(1, (one,))).of_item(RESOURCE, "note", "plain")
        return item is not None and bool(item.find("有样例字样"))

    assert (
        caught()
        and caught(only=(RESOURCE,))
        and caught(only=(f"{RESOURCE}/note",))
        and caught(only=("note",))
    )
    assert not caught(only=("other",)) and not caught(besides=("note",)) and not caught(besides=(RESOURCE,))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"patterns": ("密",)}, "pattern_short"),
        ({"patterns": ("样例[甲",)}, "pattern_unreadable"),
        ({"patterns": ("样" * 41,)}, "pattern_unreadable"),
        ({"patterns": ("样例#1",)}, "pattern_unreadable"),
        ({"patterns": ("样例#[甲9]#",)}, "pattern_unreadable"),
        ({"patterns": ()}, "patterns_missing"),
        ({"kind": "phone"}, "patterns_needless"),
        ({"kind": "bank_card"}, "prefix_wrong"),
        ({"kind": "other"}, "kind_unknown"),
        ({"key": "Word"}, "key_wrong"),
        ({"zh": ""}, "words_missing"),
        ({"only": ("../x",)}, "place_unknown"),
    ],
)
def test_rules_that_cannot_be_are_refused(changed: dict[str, object], code: str) -> None:
    named = {"key": "word", "zh": "字样", "en": "Word", "kind": "mark", "patterns": ("样例字样",)}
    assert code in {one.code for one in faults_of([Rule(**(named | changed))])}  # type: ignore[arg-type]
    assert faults_of([Rule(**named)]) == []  # type: ignore[arg-type]


def test_the_shipped_rules_travel_and_a_hostile_value_costs_no_time() -> None:
    assert decode_rules(encode_rules(shipped_rules())) == shipped_rules()
    long = ("密字〔" + "1" * 60) * 800 + "机" * 20_000 + "62" * 20_000
    begun = time.process_time()
    found(long)
    assert time.process_time() - begun < 2


def test_signs_for_digits_may_stand_in_a_row_and_cost_no_time() -> None:
    def caught(pattern: str, value: str) -> bool:
        rule = Rule("word", "字样", "Word", "mark", patterns=(pattern,))
        assert faults_of([rule]) == []
        item = Screen(Rules(1, (rule,))).of_item(RESOURCE, "note", "plain")
        return item is not None and bool(item.find(value))

    assert caught("样例####号", "样例2026号") and not caught("样例####号", "样例202号")
    assert caught("样例20#年", "样例2026年")
    begun = time.process_time()
    assert not caught("样例" + "#" * 12 + "号", "样例" + "1" * 40 + "样" * 100)
    assert time.process_time() - begun < 1
