"""Numbers of the national standards: known good ones, every single wrong character, and edges."""

import random
from datetime import date

import pytest

from shuqiao.rules import identifiers as ident

GOOD_CITIZEN_IDS = ["11010519491231002X", "440524188001010014"]
GOOD_CREDIT_CODES = ["91350100M000100Y43", "914403001922038216"]


@pytest.mark.parametrize("number", GOOD_CITIZEN_IDS)
def test_known_citizen_ids_are_sound(number: str) -> None:
    assert ident.check_citizen_id(number).ok


@pytest.mark.parametrize("number", GOOD_CITIZEN_IDS)
def test_every_single_wrong_digit_is_found(number: str) -> None:
    for place in range(18):
        for character in "0123456789X":
            if character != number[place]:
                changed = number[:place] + character + number[place + 1 :]
                assert not ident.check_citizen_id(changed).ok


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("", ident.FORM),
        ("11010519491231002", ident.FORM),
        ("11010519491231002x", ident.FORM),
        ("11010519491231002X0", ident.FORM),
        ("１1010519491231002X", ident.FORM),
        ("110105194912310029", ident.CHECK_DIGIT),
    ],
)
def test_malformed_citizen_ids(number: str, code: str) -> None:
    assert ident.check_citizen_id(number).code == code


@pytest.mark.parametrize("day", ["19490231", "20230229", "19001301", "19000000", "17991231"])
def test_an_impossible_birth_date_is_an_error_though_the_check_digit_fits(day: str) -> None:
    first = f"110105{day}002"
    assert ident.check_citizen_id(first + ident.citizen_check_digit(first)).code == ident.BIRTH_DATE


def test_a_birth_after_today_is_an_error_only_where_today_is_known() -> None:
    number = GOOD_CITIZEN_IDS[0]
    assert ident.check_citizen_id(number, today=date(1949, 12, 30)).code == ident.BIRTH_DATE
    assert ident.check_citizen_id(number, today=date(1949, 12, 31)).ok


def test_an_unknown_region_is_only_a_warning() -> None:
    finding = ident.check_citizen_id(GOOD_CITIZEN_IDS[0], regions={"440100"})
    assert finding.ok and finding.warnings == (ident.REGION_UNKNOWN,)
    assert ident.check_citizen_id(GOOD_CITIZEN_IDS[0], regions={"110105"}).warnings == ()


@pytest.mark.parametrize("number", GOOD_CREDIT_CODES)
def test_known_credit_codes_are_sound_and_every_wrong_character_is_found(number: str) -> None:
    assert ident.check_credit_code(number).ok
    for place in range(18):
        for character in "0123456789ABCDEFGHJKLMNPQRTUWXY":
            if character != number[place]:
                changed = number[:place] + character + number[place + 1 :]
                assert not ident.check_credit_code(changed).ok


def test_a_wrong_inner_organisation_code_is_only_a_warning() -> None:
    first = "91440100" + "M0001001" + "9"
    assert ident.organisation_check_character("M0001001") != "9"
    finding = ident.check_credit_code(first + ident.credit_check_character(first))
    assert finding.ok and ident.ORGANISATION_CODE in finding.warnings


@pytest.mark.parametrize("letter", "IOZSV")
def test_letters_the_standard_leaves_out_are_refused(letter: str) -> None:
    assert ident.check_credit_code(f"9135010{letter}M000100Y43").code == ident.FORM
    assert ident.check_credit_code(f"91350100{letter}000100Y43").code == ident.FORM


@pytest.mark.parametrize(("number", "ok"), [("D2143569-X", True), ("D2143569X", True), ("D21435690", False)])
def test_organisation_code(number: str, ok: bool) -> None:
    assert ident.check_organisation_code(number).ok is ok


@pytest.mark.parametrize(
    ("number", "ok"), [("P440123456", True), ("p440123456", False), ("P44012345", False), ("", False)]
)
def test_birth_certificate_number(number: str, ok: bool) -> None:
    assert ident.check_identifier("document", number, field="birth_certificate_number").ok is ok


def test_another_document_is_bounded_and_warned_of() -> None:
    assert ident.check_identifier("document", "粤C12345").warnings == (ident.NOT_CHECKED,)
    assert not ident.check_identifier("document", "x" * 41).ok
    assert not ident.check_identifier("document", "12;DROP").ok


def test_kinds_without_a_number_are_sound() -> None:
    assert ident.check_identifier("name", "陈").ok


def test_made_numbers_are_sound_and_tell_birth_and_sex() -> None:
    numbers = random.Random(7)
    for _ in range(300):
        day = date.fromordinal(numbers.randint(date(1900, 1, 1).toordinal(), date(2026, 1, 1).toordinal()))
        first = f"440104{day:%Y%m%d}{numbers.randint(0, 999):03d}"
        number = first + ident.citizen_check_digit(first)
        assert ident.check_citizen_id(number).ok
        assert ident.birth_date_of(number) == day
        assert ident.is_male(number) is (int(first[-1]) % 2 == 1)


def test_a_market_registration_number_has_15_digits_and_a_wrong_check_digit_is_a_warning() -> None:
    assert ident.check_registration_number("110108000000016") == ident.Finding()
    assert ident.check_registration_number("110108000000017").warnings == (ident.CHECK_DIGIT,)
    assert ident.check_registration_number("11010800000001").code == ident.FORM
    for field in ("enterprise_registration_number", "individual_business_registration_number"):
        assert not ident.check_identifier("document", "12345", field=field).ok
