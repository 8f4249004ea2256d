"""Share types on one scale, with and without names in the regulation."""

from dataclasses import replace

import pytest

from shuqiao.control.regulations.files import load_regulation
from shuqiao.rules.regulation import ShareType
from shuqiao.rules.sharing import is_stricter, way_of_sharing

GUANGZHOU = load_regulation("guangzhou-2016")
NAMING = replace(
    GUANGZHOU,
    share_types=(
        ShareType("unconditional", "无条件共享", "Unconditional", 2, "9"),
        ShareType("conditional", "有条件共享", "Conditional", 1, "9"),
        ShareType("not_shared", "不予共享", "Not shared", 0, "10"),
    ),
)


def test_rules_that_name_no_type_give_every_request_the_procedure() -> None:
    way = way_of_sharing(None, GUANGZHOU)
    assert (way.may_be_requested, way.needs_decision, way.article) == (
        True,
        True,
        "guangzhou-2016 art. 35(1)",
    )


@pytest.mark.parametrize(
    ("share_type", "may_be_requested", "needs_decision"),
    [("unconditional", True, False), ("conditional", True, True), ("not_shared", False, True)],
)
def test_named_types(share_type: str, may_be_requested: bool, needs_decision: bool) -> None:
    way = way_of_sharing(share_type, NAMING)
    assert (way.may_be_requested, way.needs_decision) == (may_be_requested, needs_decision)
    assert way.article


@pytest.mark.parametrize("share_type", ["open", "", None])
def test_a_type_the_regulation_does_not_name_is_closed(share_type: str | None) -> None:
    assert not way_of_sharing(share_type, NAMING).may_be_requested
    if share_type is not None:
        assert not way_of_sharing(share_type, GUANGZHOU).may_be_requested


def test_the_scale() -> None:
    assert is_stricter("not_shared", "conditional", NAMING)
    assert is_stricter("conditional", "unconditional", NAMING)
    assert not is_stricter("conditional", "conditional", NAMING)
    with pytest.raises(KeyError):
        is_stricter("open", "conditional", NAMING)
