"""Numbers that lie beside each other are noticed, others are not."""

import random

import pytest

from shuqiao.plane.neighbours import MAX_PLACES, Neighbours


def near(numbers: list[str], kind: str = "plain") -> int:
    seen = Neighbours()
    return sum(seen.is_near("app-a", "r440100aaaaaaaaaa", kind, number) for number in numbers)


@pytest.mark.requirement("SEC-19")
def test_counting_up_is_noticed_however_it_is_mixed() -> None:
    numbers = [f"U44{at:07d}" for at in range(200)]
    assert near(numbers) == 199
    order = list(range(200))
    for at in range(0, 200, 40):
        part = order[at : at + 40]
        random.Random(at).shuffle(part)
        order[at : at + 40] = part
    assert near([numbers[at] for at in order]) > 160


@pytest.mark.requirement("SEC-19")
def test_citizen_numbers_are_compared_without_their_check_digit() -> None:
    assert near(["44010019900101001X", "440100199001010028"], "citizen_id") == 1
    assert near(["44010019900101001X", "440100199001010028"]) == 0


def test_numbers_drawn_at_random_are_not() -> None:
    drawn = random.Random(5)
    assert near([f"U44{drawn.randrange(50_000):07d}" for _ in range(1000)]) < 60


def test_the_same_number_again_and_what_is_no_number_are_not() -> None:
    assert near(["A-17", "A-17", "无", "", "²³"]) == 0


def test_systems_do_not_see_each_other_and_what_is_kept_is_bounded() -> None:
    seen = Neighbours()
    assert not seen.is_near("app-a", "r1", "plain", "17")
    assert not seen.is_near("app-b", "r1", "plain", "18")
    for at in range(MAX_PLACES + 10):
        seen.is_near(f"app-{at}", "r1", "plain", "1")
    assert len(seen._recent) <= MAX_PLACES + 1
