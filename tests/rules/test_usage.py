"""What use stands out, from counts alone."""

import pytest

from shuqiao.rules.usage import Day, Finding, Kind, Limits, findings, is_shared_subject, volume_limit

LIMITS = Limits()
USUAL = [100, 120, 90, 110, 100]


def kinds(today: Day, earlier=USUAL) -> set[Kind]:
    return {found.kind for found in findings(today, earlier, LIMITS)}


@pytest.mark.requirement("SEC-19")
@pytest.mark.parametrize(
    ("calls", "earlier", "stands_out"),
    [
        (500, USUAL, False),
        (501, USUAL, True),
        (200, [3, 4, 5, 4, 3], False),
        (201, [3, 4, 5, 4, 3], True),
        (2_000, [100, 100], False),
        (2_001, [100, 100], True),
        (2_000, [], False),
    ],
)
def test_volume_stands_out_against_what_is_usual(calls, earlier, stands_out) -> None:
    assert (Kind.VOLUME in kinds(Day(calls), earlier)) is stands_out


def test_one_busy_day_does_not_move_what_is_usual() -> None:
    assert volume_limit([100, 100, 100, 100, 100_000], LIMITS) == 500


@pytest.mark.requirement("SEC-19")
@pytest.mark.parametrize(
    ("today", "found"),
    [
        (Day(0, off_purpose=4), set()),
        (Day(0, off_purpose=5), {Kind.PURPOSE}),
        (Day(49, unknown=49, near=49), set()),
        (Day(50, unknown=19), set()),
        (Day(50, unknown=20), {Kind.UNKNOWN}),
        (Day(50, near=20), {Kind.SEQUENCE}),
        (Day(50, unknown=50, near=50), {Kind.UNKNOWN, Kind.SEQUENCE}),
    ],
)
def test_trying_out_and_other_purposes_stand_out(today, found) -> None:
    assert kinds(today) == found


def test_a_finding_says_its_figure_and_its_limit() -> None:
    assert findings(Day(60, near=30), USUAL, LIMITS) == (Finding(Kind.SEQUENCE, 30, 24),)


@pytest.mark.requirement("SEC-19")
def test_a_subject_stands_out_when_many_departments_ask_for_it() -> None:
    assert [is_shared_subject(count, LIMITS) for count in (4, 5, 6)] == [False, True, True]
