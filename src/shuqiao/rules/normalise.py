"""One written form for every value, so that the same name or number always compares equal.

Used before the blind index, before comparison and before checks, by every process alike: a change here makes
stored indexes stale. Idempotent: normalising twice changes nothing more.
Source: our choice, decision "one written form".
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone

FORM = 1
"""Version of the written form; stored with an index that was built from it."""

_SPACES = re.compile(r"\s+")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff\u00ad]")
_DOTS = re.compile("\\s*[·•・‧∙⋅.．‐●]\\s*")
_LATIN_DOTS = re.compile("\\s*[·•・‧∙⋅●]\\s*")
_MIDDLE_DOT = "·"
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff·"
_SPACE_AT_HAN = re.compile(f"(?<=[{_HAN}])\\s+|\\s+(?=[{_HAN}])")
_SOME_HAN = re.compile(f"[{_HAN[:-1]}]")
_COMMON_HAN = re.compile("[\u4e00-\u9fff]+")
_HYPHENS = re.compile("[‐‑‒–—―−－]")
_NOT_PHONE = re.compile(r"[^0-9+]")
_SHANGHAI = timezone(timedelta(hours=8))
_COMPACT_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII)
_SEPARATED_DATE = re.compile(r"([0-9]{4})\s*[-/.年]\s*([0-9]{1,2})\s*[-/.月]\s*([0-9]{1,2})\s*日?", re.ASCII)


def normalise_text(text: str) -> str:
    """Compatibility form (half width), no invisible characters, single spaces, none at the ends."""
    if text.isascii() and text.isalnum():
        # Most numbers and codes are in this form already, and every call compares some.
        return text
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))).strip()


def _upper(text: str) -> str:
    # Upper case can take a composed letter apart, so it is composed once more.
    return unicodedata.normalize("NFKC", text.upper())


def normalise_name(text: str) -> str:
    """A name of a person or body: upper case, one form of the middle dot, no spaces beside Chinese.

    Latin names keep single spaces, so that `ANNA LI` and `ANNALI` stay different. A full stop between Latin
    letters is kept; between Chinese ones it is a middle dot somebody couldn't type.
    """
    if _COMMON_HAN.fullmatch(text):
        # Most names are in this form already; a test holds the shortcut against the long way.
        return text
    plain = normalise_text(text)
    dots = _DOTS if _SOME_HAN.search(plain) else _LATIN_DOTS
    plain = dots.sub(_MIDDLE_DOT, plain)
    return _upper(_SPACE_AT_HAN.sub("", plain))


def normalise_number(text: str) -> str:
    """A number of a person, body or document: half width, upper case, no spaces, one hyphen."""
    if text.isascii() and text.isalnum():
        return text.upper()
    return _upper(_HYPHENS.sub("-", normalise_text(text)).replace(" ", ""))


def normalise_phone(text: str) -> str:
    """A telephone number: digits, with a leading plus where written; Chinese country code left out."""
    digits = _NOT_PHONE.sub("", normalise_text(text))
    for prefix in ("+86", "0086"):
        digits = digits.removeprefix(prefix)
    return digits


def normalise_address(text: str) -> str:
    """An address: half width, upper case, no spaces at Chinese, one hyphen."""
    return _upper(_SPACE_AT_HAN.sub("", _HYPHENS.sub("-", normalise_text(text))))


def parse_date(text: str) -> date | None:
    """A day, read from 2016-07-01, 2016/7/1, 2016.7.1, 20160701 or 2016年7月1日; None if there is none."""
    plain = normalise_text(text)
    found = _COMPACT_DATE.fullmatch(plain) or _SEPARATED_DATE.fullmatch(plain)
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None


def normalise_date(text: str) -> str:
    """A day as 2016-07-01; text that is no day is returned as plain text, so that it equals no day."""
    day = parse_date(text)
    return normalise_text(text) if day is None else day.isoformat()


def parse_moment(text: str) -> datetime | None:
    """A moment in ISO form; without a zone it is read as Asia/Shanghai. None if there is none."""
    try:
        moment = datetime.fromisoformat(normalise_text(text).replace("/", "-"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=_SHANGHAI)


def normalise_moment(text: str) -> str:
    """A moment in UTC as 2016-07-01T00:30:00+00:00; text that is none is returned as plain text."""
    moment = parse_moment(text)
    if moment is None:
        return normalise_text(text)
    whole = moment.astimezone(UTC)
    fraction = f".{whole.microsecond:06d}".rstrip("0") if whole.microsecond else ""
    return f"{whole:%Y-%m-%dT%H:%M:%S}{fraction}+00:00"


_BY_KIND = {
    "name": normalise_name,
    "citizen_id": normalise_number,
    "credit_code": normalise_number,
    "document": normalise_number,
    "contact": normalise_phone,
    "address": normalise_address,
    "plain": normalise_text,
}


def normalise(kind: str, text: str) -> str:
    """The one written form of a value of this kind; a picture is returned as it is."""
    change = _BY_KIND.get(kind)
    return text if change is None else change(text)


def normalise_value(kind: str, item_type: str, text: str) -> str:
    """As `normalise`, with days and moments in one form whatever their kind."""
    if item_type == "date":
        return normalise_date(text)
    return normalise_moment(text) if item_type == "datetime" else normalise(kind, text)
