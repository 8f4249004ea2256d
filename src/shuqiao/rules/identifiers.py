"""The numbers that name persons, bodies and documents, checked by the national standards.

A finding never repeats the number. Regions may be historic, so an unknown one is a warning, not an error.
Source: GB 11643-1999, GB 32100-2015, GB 11714-1997, GS 15-2006.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from operator import mul

FORM = "identifier_form"
CHECK_DIGIT = "identifier_check_digit"
BIRTH_DATE = "date_impossible"

REGION_UNKNOWN = "region_unknown"
ORGANISATION_CODE = "organisation_code_check_digit"
NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: `code` is None when the number is sound; warnings never make it unsound."""

    code: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """The number is sound."""
        return self.code is None


_SOUND = Finding()

_CITIZEN_ID = re.compile(r"[1-9][0-9]{16}[0-9X]", re.ASCII)
_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_EXCESS = ord("0") * sum(_CITIZEN_WEIGHTS)
_CITIZEN_CHECKS = "10X98765432"

_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_VALUES = {character: value for value, character in enumerate(_CREDIT_ALPHABET)}
_CREDIT_CODE = re.compile(rf"[{_CREDIT_ALPHABET}]{{2}}[0-9]{{6}}[{_CREDIT_ALPHABET}]{{10}}", re.ASCII)
_CREDIT_WEIGHTS = tuple(3**place % 31 for place in range(17))

_ORGANISATION_CODE = re.compile(r"[0-9A-Z]{8}-?[0-9X]", re.ASCII)
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)

_REGISTRATION = re.compile(r"[0-9]{15}", re.ASCII)
_REGISTRATION_FIELDS = frozenset(
    {"enterprise_registration_number", "individual_business_registration_number"}
)
_ORGANISATION_FIELDS = frozenset({"organisation_code"})

_BIRTH_CERTIFICATE = re.compile(r"[A-Z][0-9]{9}", re.ASCII)
_DOCUMENT = re.compile(r"[0-9A-Za-z\u4e00-\u9fff()\[\]〔〕\-_/.#]{1,40}")


def citizen_check_digit(first_17: str) -> str:
    """The last character that belongs to 17 digits."""
    if len(first_17) != len(_CITIZEN_WEIGHTS) or not (first_17.isascii() and first_17.isdigit()):
        raise ValueError("17 digits are needed")
    # The bytes of the digits are 48 too large each, which is taken off the sum once.
    return _CITIZEN_CHECKS[(sum(map(mul, first_17.encode(), _CITIZEN_WEIGHTS)) - _CITIZEN_EXCESS) % 11]


def credit_check_character(first_17: str) -> str:
    """The last character that belongs to the first 17 of a unified social credit code."""
    total = sum(_CREDIT_VALUES[character] * w for character, w in zip(first_17, _CREDIT_WEIGHTS, strict=True))
    return _CREDIT_ALPHABET[(31 - total % 31) % 31]


def organisation_check_character(first_8: str) -> str:
    """The last character that belongs to the first 8 of an organisation code; letters count from A = 10."""
    total = sum(int(character, 36) * w for character, w in zip(first_8, _ORGANISATION_WEIGHTS, strict=True))
    return {10: "X", 11: "0"}.get(11 - total % 11, str(11 - total % 11))


def _date_of(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def check_citizen_id(
    text: str, *, regions: Collection[str] | None = None, today: date | None = None
) -> Finding:
    """A citizen identity number of 18 characters, already normalised (upper case, no spaces).

    With `regions` (six-digit codes) an unknown one is a warning; with `today` a later birth is an error.
    """
    if _CITIZEN_ID.fullmatch(text) is None:
        return Finding(FORM)
    if citizen_check_digit(text[:17]) != text[17]:
        return Finding(CHECK_DIGIT)
    birth = _date_of(text[6:14])
    if birth is None or birth.year < 1800 or (today is not None and birth > today):
        return Finding(BIRTH_DATE)
    warnings = _region_warning(text[:6], regions)
    return Finding(warnings=warnings) if warnings else _SOUND


def check_credit_code(text: str, *, regions: Collection[str] | None = None) -> Finding:
    """A unified social credit code of 18 characters; a wrong inner organisation code is a warning."""
    if _CREDIT_CODE.fullmatch(text) is None:
        return Finding(FORM)
    if credit_check_character(text[:17]) != text[17]:
        return Finding(CHECK_DIGIT)
    warnings = _region_warning(text[2:8], regions)
    if not check_organisation_code(text[8:17]).ok:
        warnings += (ORGANISATION_CODE,)
    return Finding(warnings=warnings)


def check_organisation_code(text: str) -> Finding:
    """An organisation code of 9 characters, with or without the dash."""
    if _ORGANISATION_CODE.fullmatch(text) is None:
        return Finding(FORM)
    plain = text.replace("-", "")
    return Finding() if organisation_check_character(plain[:8]) == plain[8] else Finding(CHECK_DIGIT)


def registration_check_digit(first_14: str) -> str:
    """The last digit that belongs to the first 14 of a market registration number (MOD 11,10)."""
    product = 10
    for digit in first_14:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return str((11 - product) % 10)


def check_registration_number(text: str) -> Finding:
    """A market registration number of 15 digits; old ones break the check digit, so that is a warning."""
    if _REGISTRATION.fullmatch(text) is None:
        return Finding(FORM)
    return Finding() if registration_check_digit(text[:14]) == text[14] else Finding(warnings=(CHECK_DIGIT,))


def check_birth_certificate(text: str) -> Finding:
    """A birth certificate number: a letter and nine digits; it has no check digit."""
    return _SOUND if _BIRTH_CERTIFICATE.fullmatch(text) else Finding(FORM)


def check_document(text: str) -> Finding:
    """Any other number of a document: bounded, of plain characters, and warned of as not checked further."""
    return Finding(warnings=(NOT_CHECKED,)) if _DOCUMENT.fullmatch(text) else Finding(FORM)


def _region_warning(region: str, regions: Collection[str] | None) -> tuple[str, ...]:
    return () if regions is None or region in regions else (REGION_UNKNOWN,)


def birth_date_of(citizen_id: str) -> date | None:
    """The birth date inside a citizen identity number, or None."""
    return _date_of(citizen_id[6:14]) if _CITIZEN_ID.fullmatch(citizen_id) else None


def is_male(citizen_id: str) -> bool:
    """Whether the 17th digit is odd."""
    return int(citizen_id[16]) % 2 == 1


def checker_of(kind: str, field: str = "") -> Callable[[str], Finding] | None:
    """The check of a normalised number by the kind of its item; None where every text is sound.

    `field` picks the stricter form of a document known by its item.
    """
    match kind:
        case "citizen_id":
            return check_citizen_id
        case "credit_code":
            return check_credit_code
        case "document" if field == "birth_certificate_number":
            return check_birth_certificate
        case "document" if field in _REGISTRATION_FIELDS:
            return check_registration_number
        case "document" if field in _ORGANISATION_FIELDS:
            return check_organisation_code
        case "document":
            return check_document
        case _:
            return None


def check_identifier(kind: str, text: str, *, field: str = "") -> Finding:
    """Check one normalised number as `checker_of` says."""
    check = checker_of(kind, field)
    return _SOUND if check is None else check(text)
