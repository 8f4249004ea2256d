"""Every error: one code each, both languages, fields named alike, the tree of the docstring kept true."""

import re

import pytest

from shuqiao.rules import errors

CODES = sorted(errors.BY_CODE)


def fields_of(code: str) -> dict[str, str]:
    return dict.fromkeys(errors.BY_CODE[code].field_names, "〈x〉")


@pytest.mark.parametrize("code", CODES)
def test_both_languages_say_something_to_do_and_name_the_same_fields(code: str) -> None:
    error = errors.BY_CODE[code](**fields_of(code))
    zh, en = error.explain("zh"), error.explain("en")
    assert re.search("请", zh) and "{" not in zh and "{" not in en
    assert zh.count("〈x〉") >= len(error.fields) <= en.count("〈x〉")
    assert zh != en and 400 <= error.status <= 504
    assert str(error).startswith(f"{code}: ")


@pytest.mark.parametrize("code", [code for code in CODES if errors.BY_CODE[code].field_names])
def test_a_message_is_never_given_with_a_hole(code: str) -> None:
    with pytest.raises(TypeError):
        errors.BY_CODE[code]()


def test_the_tree_in_the_docstring_names_every_class_with_status_and_code() -> None:
    drawn = re.findall(r"── (\w+)\s+(\d{3}) (\w+)", errors.__doc__ or "")
    real = [(leaf.__name__, str(leaf.status), code) for code, leaf in errors.BY_CODE.items()]
    assert sorted(drawn) == sorted(real)
    assert len({code for _, _, code in drawn}) == len(drawn)


def test_unknown_and_not_granted_and_not_there_are_one_text() -> None:
    assert errors.NotAvailable.field_names == frozenset()
    assert errors.SignatureInvalid.field_names == frozenset()


def test_a_better_citation_replaces_that_of_the_class() -> None:
    error = errors.FieldRequired(field="目的", rule="guangzhou-2016 art. 4(1)")
    assert error.explain("en").endswith("(Rule: guangzhou-2016 art. 4(1))")
    assert error.explain("zh").endswith("（依据：guangzhou-2016 第4条(1)）")


def test_the_regulation_in_force_says_which_article_speaks_of_the_matter() -> None:
    error = errors.FieldRequired(field="目的")
    assert error.cited() is None
    assert error.explain("en", {"first_request": "xiamen-2015 art. 12"}).endswith(
        "(Rule: xiamen-2015 art. 12)"
    )
    signed = errors.SignatureInvalid()
    assert signed.cited({"security": "shenyang-2016 art. 24(1)"}) == "shenyang-2016 art. 24(1); RFC 9421"
    assert signed.cited() == "RFC 9421"
