"""Ids: derived ones are stable, parsed ones bounded and ASCII."""

from collections.abc import Callable

import pytest

from shuqiao.rules import ids
from shuqiao.rules.errors import RequestMalformed


def test_resource_ids_are_the_same_everywhere_and_differ_by_region_and_key() -> None:
    birth = ids.resource_id("440100", "birth")
    assert birth == "r440100zolr7aqm47"
    assert ids.parse_resource_id(birth) == birth
    assert len({birth, ids.resource_id("440100", "death"), ids.resource_id("350200", "birth")}) == 3


@pytest.mark.parametrize(
    ("parse", "good"),
    [
        (ids.parse_resource_id, "r440100x7kq2m5dab"),
        (ids.parse_department_code, "440100-health"),
        (ids.parse_department_code, "440100-human-resources"),
        (ids.parse_application_id, "app-housing-rental"),
        (ids.parse_key_id, "0123456789abcdef"),
        (ids.parse_grant_id, "G-2026-0001"),
        (ids.parse_request_no, "R-2026-123456"),
        (ids.parse_item_field, "mother_name"),
        (ids.parse_region_code, "440100"),
    ],
)
def test_good_ids_pass_and_their_neighbours_do_not(parse: Callable[[str], str], good: str) -> None:
    assert parse(good) == good
    for bad in ["", good + "\n", " " + good, good + "/", good + "'", "é" + good[1:], good * 20, good + "-"]:
        with pytest.raises(RequestMalformed) as caught:
            parse(bad)
        assert bad.strip() == "" or bad not in str(caught.value)


def test_numbers_count_within_their_year() -> None:
    assert ids.request_no(2026, 1) == "R-2026-0001"
    assert ids.grant_no(2026, 12345) == "G-2026-12345"
    with pytest.raises(ValueError):
        ids.grant_no(2026, 0)


def test_department_code_joins_region_and_word() -> None:
    assert ids.department_code("440100", "health") == "440100-health"
    with pytest.raises(RequestMalformed):
        ids.department_code("440100", "Health")
