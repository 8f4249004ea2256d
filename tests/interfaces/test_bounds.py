"""What bounds an interface: types of answers, paths that can be read in one way, numbers counted up."""

import pytest

from shuqiao.plane.interface.filtering import AnswerRefused, Filter
from shuqiao.wire.interface import Shape
from shuqiao.wire.interface_reading import DescriptionRefused, read_description
from tests.interfaces.conftest import DOCUMENT, InterfaceCity


def filtered(kind: str, value: str, *, item: str = "permit_no", words: tuple[str, ...] = ()) -> bytes:
    """One value of a type, as JSON, through the filter."""
    shape = Shape(kind="object", fields={"x": Shape(kind="value", type=kind, item=item, values=words)})
    kept = Filter(frozenset({"permit_no"}), frozenset(), {})
    return kept.apply(shape, f'{{"x":{value}}}'.encode())


@pytest.mark.parametrize(
    ("kind", "value"),
    [("string", '"a"'), ("date", '"2026-01-01"'), ("integer", "7"), ("number", "1.5"), ("boolean", "true")],
)
def test_a_value_of_its_type_is_given(kind: str, value: str) -> None:
    assert filtered(kind, value) == f'{{"x":{value}}}'.encode()
    assert filtered(kind, "null") == b'{"x":null}'


@pytest.mark.requirement("MOD-03")
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", "13900001234"),
        ("string", "true"),
        ("string", '{"phone":"1"}'),
        ("string", '["1"]'),
        ("date", "20260101"),
        ("integer", '"13900001234"'),
        ("integer", "1.5"),
        ("integer", "true"),
        ("number", '"1.5"'),
        ("boolean", "1"),
        ("boolean", '"13900001234"'),
    ],
)
@pytest.mark.parametrize("item", ["permit_no", ""], ids=["item", "technical"])
def test_a_value_of_another_type_refuses_the_answer(kind: str, value: str, item: str) -> None:
    with pytest.raises(AnswerRefused):
        filtered(kind, value, item=item, words=("13900001234", "1"))


def test_two_parameters_side_by_side_are_refused() -> None:
    document = DOCUMENT.read_text()
    beside = document.replace("/permits/{permit_no}/scan", "/permits/{permit_no}{kind}/scan").replace(
        "        - {name: permit_no, in: path, required: true, schema: {type: string}}",
        "        - {name: permit_no, in: path, required: true, schema: {type: string}}\n"
        "        - {name: kind, in: path, required: true, schema: {type: string}}",
    )
    assert beside != document
    with pytest.raises(DescriptionRefused, match="something must stand"):
        read_description(beside.encode())
    apart = beside.replace("{permit_no}{kind}", "{permit_no}/{kind}")
    assert len(read_description(apart.encode()).operations) == 3


@pytest.mark.requirement("SEC-19")
def test_numbers_counted_up_are_marked_in_the_log(city: InterfaceCity) -> None:
    city.interface_grant()
    for number in ("P77000100", "P77000900", "P77000101", "P77000102", "P77000500"):
        # A page of a list, or a language, is no number of a record.
        assert city.call("getPermit", {"permit_no": number, "lang": "zh"}).status == 200
    near = [row["said"].get("near", False) for row in city.logged("interface_called")]
    assert near == [False, False, True, True, False]
    assert not any("P77000" in row["body"] for row in city.logged("interface_called"))
