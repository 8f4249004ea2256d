"""Removals that are too many: what is held back, and for how long a person's word counts."""

from __future__ import annotations

import sqlite3

import pytest

from shuqiao.edge import guard
from shuqiao.edge.guard import ALWAYS, WINDOW_S, Count, Held, judge, judge_end, judge_log

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("rows", "held", "share", "said"),
    [
        (200, 1000, 0.2, None),
        (201, 1000, 0.2, Held(201, 1000)),
        (1000, 1000, 0.2, Held(1000, 1000)),
        (1000, 1000, 1.0, None),
        (ALWAYS, ALWAYS, 0.0, None),
        (ALWAYS + 1, ALWAYS + 1, 0.0, Held(ALWAYS + 1, ALWAYS + 1)),
        (5000, None, 0.2, None),
    ],
)
def test_a_share_of_the_list_may_leave(rows: int, held: int | None, share: float, said: Held | None) -> None:
    assert judge(rows, Count(held), share, NOW) == said


def test_a_load_that_met_nothing_is_held_even_where_nobody_knows_how_many_there_were() -> None:
    assert judge_end(Count(None, 0), 0.2, NOW) == Held(0, 0)
    assert judge_end(Count(None, 1), 0.2, NOW) is None
    assert judge_end(Count(500, 380), 0.2, NOW) == Held(120, 500)
    assert judge_end(Count(500, 420), 0.2, NOW) is None
    assert judge_end(Count(0, 0), 0.2, NOW) is None, "the very first load of an empty table"


def test_a_word_counts_for_an_hour_whatever_the_clock_does() -> None:
    let = Count(1000, let_until=NOW + 60, let_rows=1000)
    assert judge(1000, let, 0.2, NOW) is None
    assert judge(1000, let, 0.2, NOW + 61) == Held(1000, 1000)
    assert judge(1000, let, 0.2, NOW - 2 * WINDOW_S) == Held(1000, 1000), "a clock that was set back"


def test_a_word_is_about_the_number_that_was_shown_and_none_greater() -> None:
    let = Count(2000, let_until=NOW + 60, let_rows=900)
    assert judge(900, let, 0.2, NOW) is None
    assert judge(899, let, 0.2, NOW) is None, "some came back"
    assert judge(901, let, 0.2, NOW) == Held(901, 2000)
    assert judge_log(1, Count(2000, gone=900, since=NOW, let_until=NOW + 60, let_rows=900), 0.2, NOW) == Held(
        901, 2000
    )
    assert judge_end(Count(None, 0, let_until=NOW + 60), 0.2, NOW) is None, "how many there are nobody knows"


def test_removals_of_a_log_that_a_word_was_about_spend_it() -> None:
    with sqlite3.connect(":memory:") as db:
        db.executescript(guard.SCHEMA)
        guard.begin(db, "r", is_first=True)
        guard.receipted(db, "r", 1000, ends_load=False)
        guard.told(db, "r", 150, NOW)
        guard.let(db, "r", NOW + WINDOW_S, 450)
        guard.told(db, "r", 300, NOW + 1)
        count = guard.read(db, "r")
        assert (count.gone, count.let_until, count.let_rows) == (0, 0, 0), "counting begins anew"
        assert judge_log(201, count, 0.2, NOW + 2) == Held(201, 1000)


def test_removals_of_a_log_count_together_within_the_hour() -> None:
    count = Count(1000, gone=150, since=NOW - 60)
    assert judge_log(50, count, 0.2, NOW) is None
    assert judge_log(51, count, 0.2, NOW) == Held(201, 1000)
    assert judge_log(51, count, 0.2, NOW + WINDOW_S) is None


def test_the_count_follows_the_receipts() -> None:
    with sqlite3.connect(":memory:") as db:
        db.executescript(guard.SCHEMA)
        assert guard.read(db, "r") == Count()
        guard.begin(db, "r", is_first=True)
        guard.loaded(db, "r", 90)
        guard.receipted(db, "r", 90, ends_load=False)
        guard.receipted(db, "r", -7, ends_load=True)
        assert guard.read(db, "r").held == 83
        guard.told(db, "r", 5, NOW)
        guard.told(db, "r", 6, NOW + 1)
        assert (guard.read(db, "r").gone, guard.read(db, "r").since) == (11, NOW)
        guard.told(db, "r", 2, NOW + WINDOW_S)
        assert guard.read(db, "r").gone == 2
        # After the loss of the disk nobody knows, until a load has ended.
        guard.begin(db, "r", is_first=False)
        guard.loaded(db, "r", 80)
        guard.receipted(db, "r", 3, ends_load=False)
        assert guard.read(db, "r").held is None
        guard.receipted(db, "r", 0, ends_load=True)
        assert guard.read(db, "r").held == 80
