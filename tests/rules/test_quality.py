"""Indicators of quality as parts of wholes."""

import pytest

from shuqiao.rules.quality import KINDS, Share, share_without, weakest


def test_only_what_is_whole_says_a_hundred() -> None:
    assert Share(99_999, 100_000).rate == 99.99
    assert (Share(3, 3).rate, Share(3, 3).is_whole, Share(2, 3).is_whole) == (100.0, True, False)
    assert Share(0, 0).rate is None


@pytest.mark.parametrize(("part", "whole"), [(-1, 2), (3, 2), (1, 0)])
def test_a_part_is_never_more_than_its_whole(part: int, whole: int) -> None:
    with pytest.raises(ValueError, match="whole"):
        Share(part, whole)


def test_more_faults_than_rows_leave_nothing() -> None:
    assert share_without(7, 5) == Share(0, 5)
    assert share_without(2, 5) == Share(3, 5)


def test_the_weakest_is_named_and_the_first_of_equals() -> None:
    shares: dict[str, Share | None] = dict.fromkeys(KINDS)
    assert weakest(shares) == ""
    shares |= {"validity": Share(9, 10), "uniqueness": Share(8, 10), "timeliness": Share(8, 10)}
    assert weakest(shares) == "uniqueness"
    assert weakest({kind: Share(1, 1) for kind in KINDS}) == ""
