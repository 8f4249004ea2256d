"""Five rounds of killed processes, by a seed that is another each time and is told where a round fails."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from tests.chaos.rig import VICTIMS, running_rig
from tests.chaos.rounds import KILLS, play, victims

ROUNDS = 5
SEED = int(os.environ.get("SHUQIAO_TEST_SEED", random.randrange(10**6)))


def test_every_process_comes_once_before_one_comes_again() -> None:
    rounds = [victims(SEED, number) for number in range(1, 3 * len(VICTIMS) + 1)]
    assert all(len(killed) == KILLS for killed in rounds)
    often = Counter(name for killed in rounds for name in killed)
    assert set(often) == set(VICTIMS)
    assert max(often.values()) - min(often.values()) <= 1


@pytest.mark.acceptance
@pytest.mark.timeout(900)
def test_source_hub_and_consumer_are_equal_whatever_is_killed() -> None:
    with running_rig() as rig:
        for number in range(1, ROUNDS + 1):
            outcome = play(rig, SEED, number)
            print(outcome.line())
            assert not outcome.fault, f"seed {SEED}, {outcome.line()}\n{rig.told()}"
        killed = {name for number in range(1, ROUNDS + 1) for name in victims(SEED, number)}
    assert killed == set(VICTIMS)
