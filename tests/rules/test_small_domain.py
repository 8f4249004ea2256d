"""Items of few values: which they are, and what must stand beside them."""

import pytest

from shuqiao.rules.small_domain import Trait, proving_fields, read_out, small_fields

ITEMS = {
    "citizen_id_number": Trait("string", "citizen_id"),
    "name": Trait("string", "name"),
    "sex": Trait("string"),
    "sex_code": Trait("code", codes=4),
    "marital_status": Trait("code"),
    "division": Trait("code", codes=3000),
    "allowance": Trait("string", declared=True),
    "note": Trait("text"),
    "grade_code": Trait("code", codes=9, declared=False),
}
SMALL = small_fields(ITEMS)


@pytest.mark.requirement("MOD-02")
def test_short_lists_their_words_and_declared_items_are_small() -> None:
    assert {"sex", "sex_code", "marital_status", "allowance"} == SMALL
    assert "division" in small_fields(ITEMS, max_codes=5000)


@pytest.mark.requirement("MOD-02")
@pytest.mark.parametrize(
    ("key", "claimed", "asked"),
    [
        ("citizen_id_number", ("sex",), ("sex",)),
        ("citizen_id_number", ("sex", "note"), ("sex",)),
        ("citizen_id_number", ("name", "sex", "allowance"), ()),
        ("citizen_id_number", ("name", "note"), ()),
        ("note", ("name", "sex_code"), ("sex_code",)),
        ("note", ("name", "citizen_id_number", "sex_code"), ()),
        ("note", ("citizen_id_number", "marital_status"), ("marital_status",)),
    ],
)
def test_a_small_item_wants_identifier_and_name_beside_it(
    key: str, claimed: tuple[str, ...], asked: tuple[str, ...]
) -> None:
    assert read_out(ITEMS, SMALL, key, claimed) == asked


def test_identifiers_and_names_prove_who_is_meant() -> None:
    assert proving_fields(ITEMS, ("sex", "name", "citizen_id_number")) == {"name", "citizen_id_number"}
