"""Numbers and claims of a call in their one written form, checked alike by whoever answers it."""

from __future__ import annotations

from shuqiao.rules.errors import ClaimInvalid, IdentifierInvalid
from shuqiao.rules.identifiers import check_identifier
from shuqiao.rules.normalise import normalise_value, parse_date, parse_moment
from shuqiao.wire.schemas import ItemSpec

MAX_NUMBER = 128
MAX_VALUE = 1024


def subject_number(item: ItemSpec, subject: str) -> str:
    """Give the record key in its written form; a wrong form or check digit raises `IdentifierInvalid`."""
    number = normalise_value(item.kind, item.type, subject)
    # The compatibility form can be longer than what was sent; the vault takes no more than this.
    if not 0 < len(number) <= MAX_NUMBER or not check_identifier(item.kind, number, field=item.field).ok:
        raise IdentifierInvalid(item=item.zh)
    return number


def claimed_value(item: ItemSpec, claim: str) -> str:
    """Give a claim in its written form; raises `IdentifierInvalid` or `ClaimInvalid`."""
    value = normalise_value(item.kind, item.type, claim)
    if item.kind in ("citizen_id", "credit_code") and not check_identifier(item.kind, value).ok:
        raise IdentifierInvalid(item=item.zh)
    if (
        not 0 < len(value) <= MAX_VALUE
        or "\x00" in value
        or (item.type == "date" and parse_date(value) is None)
        or (item.type == "datetime" and parse_moment(value) is None)
    ):
        raise ClaimInvalid(item=item.zh)
    if item.codes is not None and value not in item.codes:
        raise ClaimInvalid(item=item.zh)
    return value
