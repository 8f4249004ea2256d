"""Characters of names that registers write in more than one way."""

from pathlib import Path

import pytest

from shuqiao.rules.name_variants import VariantsFaulty, fold, parse_variants

TABLE = Path(__file__).parents[2] / "standards" / "name-variants.txt"


def test_names_agree_when_every_character_of_a_group_counts_as_its_first() -> None:
    variants = parse_variants("# 样例\n峰峯  # peak\n岩巖嵒\n")
    assert fold(variants, "李峯巖") == fold(variants, "李峰嵒") == "李峰岩"
    assert fold(variants, "李丰") == "李丰"


@pytest.mark.parametrize("text", ["峰", "峰峰", "峰峯\n峯山", "x" * 100_001])
def test_a_faulty_table_is_refused(text: str) -> None:
    with pytest.raises(VariantsFaulty):
        parse_variants(text)


def test_the_table_that_comes_with_the_platform_can_be_used() -> None:
    assert len(parse_variants(TABLE.read_text(encoding="utf-8"))) > 20
