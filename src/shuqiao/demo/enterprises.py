"""The enterprises of the sample city, led by adults of the sample families."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from shuqiao.demo.names import (
    BRAND_ENDS,
    BRANDS,
    DISTRICT_CODES,
    DISTRICT_NAMES,
    DISTRICT_WEIGHTS,
    STREETS,
    TOWNS,
    TRADES,
)
from shuqiao.demo.people import CITY_DAY, SEED, Person, families
from shuqiao.rules.identifiers import credit_check_character, organisation_check_character

# 1130 is a limited company with natural persons as shareholders (GS 5), the common case by far.
_TRADES: Final = tuple(TRADES)
_FORMS: Final = ("有限公司", "有限责任公司", "股份有限公司")
_TYPES: Final = ("1130", "1151", "1190", "4500")
_TYPE_WEIGHTS: Final = (70, 90, 97, 100)
_CODE_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@dataclass(frozen=True, slots=True)
class Enterprise:
    """One invented enterprise. `kind` and `trade` are the codes the registration authority stores."""

    credit_code: str
    registration_number: str
    name: str
    representative: Person
    district: str
    address: str
    kind: str
    trade: str
    established_on: date
    authority: str


def enterprises(count: int, seed: int = SEED) -> Iterator[Enterprise]:
    """Yield exactly `count` enterprises; their representatives are parents of the first families."""
    draw = random.Random(seed + 1)
    serial = 0
    for representative in _representatives(seed):
        if serial == count:
            return
        # About one parent in nine leads an enterprise, so the representatives are spread over the families.
        if draw.random() < 0.11 and (CITY_DAY - representative.birth_date).days > 24 * 365:
            serial += 1
            yield _enterprise(draw, serial, representative)


def _representatives(seed: int) -> Iterator[Person]:
    for family in families(seed):
        yield family.father
        yield family.mother


def _enterprise(draw: random.Random, serial: int, representative: Person) -> Enterprise:
    district = draw.choices(DISTRICT_CODES, cum_weights=DISTRICT_WEIGHTS)[0]
    trade, name = _name(serial)
    grown_up = representative.birth_date + timedelta(days=22 * 365)
    place = f"{DISTRICT_NAMES[district]}{draw.choice(TOWNS)}{draw.choice(STREETS)}"
    return Enterprise(
        credit_code=_credit_code(district, serial),
        registration_number=f"{district}{serial:09d}",
        name=name,
        representative=representative,
        district=district,
        address=f"广州市{place}{draw.randrange(1, 320)}号",
        kind=draw.choices(_TYPES, cum_weights=_TYPE_WEIGHTS)[0],
        trade=TRADES[trade],
        established_on=grown_up + timedelta(days=draw.randrange((CITY_DAY - grown_up).days)),
        authority=f"广州市{DISTRICT_NAMES[district]}市场监督管理局",
    )


def _name(serial: int) -> tuple[str, str]:
    """Return the trade and the name of enterprise `serial`; names repeat after 15,552 enterprises."""
    # 7919 shares no factor with the number of combinations, so each comes once, and never in order.
    rest = serial * 7919 % (len(_TRADES) * len(BRANDS) * len(BRAND_ENDS) * len(_FORMS))
    rest, trade = divmod(rest, len(_TRADES))
    rest, brand = divmod(rest, len(BRANDS))
    form, end = divmod(rest, len(BRAND_ENDS))
    return _TRADES[trade], f"广州市{BRANDS[brand]}{BRAND_ENDS[end]}{_TRADES[trade]}{_FORMS[form]}"


def _credit_code(district: str, serial: int) -> str:
    """Number an enterprise: 9 business registration, 1 enterprise, district, organisation, check."""
    # No office issues organisation codes that begin with YY.
    organisation = f"YY{_base31(serial)}"
    body = f"91{district}{organisation}{organisation_check_character(organisation)}"
    return body + credit_check_character(body)


def _base31(serial: int) -> str:
    digits = ""
    for _ in range(6):
        serial, place = divmod(serial, 31)
        digits = _CODE_ALPHABET[place] + digits
    return digits
