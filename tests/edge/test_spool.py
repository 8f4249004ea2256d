"""The spool: one transaction for batch and position, no gap, no second owner."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shuqiao.edge.cover import Cover
from shuqiao.edge.spool import KEPT_OUTCOMES, Number, Outcome, Position, Seen, Spool, SpooledBatch
from shuqiao.security.suites import SUITES

RESOURCE = "r440100aaaaaaaaaa"
FULL = Position("m1", "full", "cursor", "2026-11-22 00:00:00.000000")


def cover_of(folder: Path, suite: str = "international") -> Cover:
    """The cover of the node in this folder."""
    return Cover(folder / "keys" / "cover.key", SUITES[suite])


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool.sqlite", cover_of(tmp_path))
    made.begin(RESOURCE, "m1", Number(7, 1))
    yield made
    made.close()


def batch(sequence: int) -> SpooledBatch:
    return SpooledBatch(sequence, b"message", f"digest{sequence}", 3)


def test_a_batch_and_its_position_are_stored_together(spool: Spool) -> None:
    spool.store(RESOURCE, [batch(1), batch(2)], FULL, now=1.0)
    state = spool.state(RESOURCE)
    assert state is not None
    assert state.next == Number(7, 3)
    assert state.position == FULL
    assert [b.sequence for b in spool.unsent(RESOURCE, 10)] == [1, 2]


@pytest.mark.parametrize("sequences", [[2], [0], [1, 3], [1, 1]])
def test_a_gap_is_refused_and_nothing_is_written(spool: Spool, sequences: list[int]) -> None:
    with pytest.raises(ValueError, match="sequence"):
        spool.store(RESOURCE, [batch(s) for s in sequences], FULL, [Seen(b"x", "t")], now=1.0)
    state = spool.state(RESOURCE)
    assert state is not None
    assert state.next == Number(7, 1)
    assert state.position.cursor is None
    assert spool.unsent(RESOURCE, 10) == []
    assert spool.unseen(RESOURCE, [b"x"]) == [True]


def test_what_is_stored_outlives_the_process(tmp_path: Path) -> None:
    first = Spool(tmp_path / "s.sqlite", cover_of(tmp_path))
    first.begin(RESOURCE, "m1", Number(7, 5))
    first.store(RESOURCE, [batch(5)], FULL, now=1.0)
    first.close()
    second = Spool(tmp_path / "s.sqlite", cover_of(tmp_path))
    assert [b.sequence for b in second.unsent(RESOURCE, 10)] == [5]
    second.close()


def test_a_second_node_on_the_same_spool_is_refused(spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        Spool(tmp_path / "spool.sqlite", cover_of(tmp_path))


def test_a_batch_waits_until_its_receipt_and_not_until_it_is_sent(spool: Spool) -> None:
    spool.store(RESOURCE, [batch(1), batch(2)], FULL, now=7.0)
    spool.mark_sent(RESOURCE, 1)
    assert [b.sequence for b in spool.unsent(RESOURCE, 10)] == [2]
    assert spool.waiting(RESOURCE) == (1, 6, 7.0)
    spool.receipted(RESOURCE, 1, Outcome(3, "[]", "now"))
    assert spool.waiting(RESOURCE) == (2, 3, 7.0)
    spool.send_again(RESOURCE)
    assert [b.sequence for b in spool.unsent(RESOURCE, 10)] == [2]
    spool.receipted(RESOURCE, 2, Outcome(3, "[]", "now"))
    assert spool.waiting(RESOURCE) == (3, 0, None)


def test_seen_versions_are_forgotten_behind_the_overlap_only(spool: Spool) -> None:
    spool.store(RESOURCE, [], FULL, [Seen(b"old", "2026-11-01"), Seen(b"new", "2026-11-02")], now=1.0)
    assert spool.unseen(RESOURCE, [b"old", b"new", b"other"]) == [False, False, True]
    spool.finish_run(RESOURCE, "2026-11-03", "2026-11-02")
    assert spool.unseen(RESOURCE, [b"old", b"new"]) == [True, False]


def test_outcomes_are_bounded(spool: Spool) -> None:
    for sequence in (1, 2, KEPT_OUTCOMES + 1):
        spool.receipted(RESOURCE, sequence, Outcome(1, "[]", "now"))
    assert [sequence for sequence, _ in spool.outcomes(RESOURCE, 10)] == [KEPT_OUTCOMES + 1, 2]


def test_another_mapping_loads_anew_but_keeps_what_waits(spool: Spool) -> None:
    spool.store(RESOURCE, [batch(1)], FULL, now=1.0)
    spool.restart_load(RESOURCE, "m2")
    state = spool.state(RESOURCE)
    assert state is not None
    assert state.position == Position("m2", "full", None, None)
    assert state.next == Number(8, 2)
    assert len(spool.unsent(RESOURCE, 10)) == 1


def test_the_spool_file_does_not_hold_keys_in_clear(spool: Spool, tmp_path: Path) -> None:
    cover = Cover(tmp_path / "keys" / "cover.key")
    number = "44010519930517992X"
    position = Position("m1", "full", cover.hide(number), None)
    spool.store(RESOURCE, [], position, [Seen(cover.digest(number, "t", ()), "t")], now=1.0)
    written = b"".join(path.read_bytes() for path in tmp_path.glob("spool.sqlite*"))
    assert number.encode() not in written
    state = spool.state(RESOURCE)
    assert state is not None
    assert state.position.cursor is not None
    assert Cover(tmp_path / "keys" / "cover.key").show(state.position.cursor) == number


@pytest.mark.requirement("SEC-01")
@pytest.mark.parametrize("suite", sorted(SUITES))
def test_a_batch_lies_encrypted_and_is_read_whatever_the_suite(tmp_path: Path, suite: str) -> None:
    content = "样例批次，不含身份项".encode() * 20
    path = tmp_path / "spool.sqlite"
    spool = Spool(path, cover_of(tmp_path, suite))
    spool.begin(RESOURCE, "m1", Number(7, 1))
    spool.store(RESOURCE, [SpooledBatch(1, content, "d", 3)], FULL, now=1.0)
    written = b"".join(file.read_bytes() for file in tmp_path.glob("spool.sqlite*"))
    assert content[:30] not in written and SUITES[suite].cipher_name.encode() in written
    spool.close()
    for other in SUITES:
        spool = Spool(path, cover_of(tmp_path, other))
        [read] = spool.unsent(RESOURCE, 10)
        first = spool.first(RESOURCE)
        spool.close()
        assert read.message == content and first == read


def test_a_batch_moved_altered_or_under_a_lost_key_is_not_taken_for_one(tmp_path: Path) -> None:
    cover = cover_of(tmp_path)
    stored = cover.seal(b"batch", "a/1")
    assert cover.open(stored, "a/1") == b"batch"
    assert cover.open(stored, "a/2") == stored
    altered = stored[:-1] + bytes([stored[-1] ^ 1])
    assert cover.open(altered, "a/1") == altered
    assert cover_of(tmp_path / "other").open(stored, "a/1") == stored
    assert cover.open(b"stored by an earlier version", "a/1") == b"stored by an earlier version"


def test_going_back_drops_a_batch_and_those_behind_it_and_keeps_what_came_before(spool: Spool) -> None:
    start = spool.state(RESOURCE)
    spool.store(RESOURCE, [batch(1)], FULL, [Seen(b"a", "t")], now=1.0)
    later = Position("m1", "changes", None, "2026-11-22 00:00:01.000000")
    spool.store(RESOURCE, [batch(2), batch(3)], later, [Seen(b"b", "t"), Seen(b"c", "t")], now=2.0)
    assert spool.rewind(RESOURCE, 3)
    state = spool.state(RESOURCE)
    assert state is not None
    assert (state.position, state.next) == (FULL, Number(8, 3))
    assert spool.unseen(RESOURCE, [b"a", b"b", b"c"]) == [False, True, True]
    assert [b.sequence for b in spool.unsent(RESOURCE, 10)] == [1, 2]
    assert spool.rewind(RESOURCE, 1)
    state = spool.state(RESOURCE)
    assert start is not None and state is not None
    assert (state.position, state.next) == (start.position, Number(9, 1))
    assert not spool.rewind(RESOURCE, 7)


def test_nothing_goes_back_into_the_load_before_the_one_under_way(spool: Spool) -> None:
    """Else the hub would hear that what the later load did not read anew is gone."""
    spool.store(RESOURCE, [batch(1), batch(2)], FULL, now=1.0)
    spool.store(RESOURCE, [batch(3)], replace(FULL, cursor="further"), now=2.0)
    assert spool.oldest_position(RESOURCE) == Position("m1", "full", None, None)
    spool.receipted(RESOURCE, 1, Outcome(3, "[]", "now"))
    spool.restart_load(RESOURCE, "m1")
    spool.store(RESOURCE, [batch(4)], FULL, now=3.0)
    before = spool.state(RESOURCE)
    assert not spool.rewind(RESOURCE, 2) and not spool.rewind(RESOURCE, 3)
    assert spool.state(RESOURCE) == before
    assert [b.sequence for b in spool.unsent(RESOURCE, 10)] == [2, 3, 4]
    assert spool.rewind(RESOURCE, 4)


def test_every_new_beginning_is_a_later_generation(spool: Spool) -> None:
    for asked, got in ((7, 8), (3, 9), (20, 20)):
        spool.begin(RESOURCE, "m1", Number(asked, 2))
        state = spool.state(RESOURCE)
        assert state is not None
        assert state.next == Number(got, 2)


def test_a_file_without_generations_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    before = sqlite3.connect(path)
    before.executescript(
        "CREATE TABLE resource (resource TEXT PRIMARY KEY, mapping TEXT NOT NULL,"
        " next_sequence INTEGER NOT NULL, phase TEXT NOT NULL, cursor TEXT, watermark TEXT) STRICT;"
        f"INSERT INTO resource VALUES ('{RESOURCE}', 'm1', 5, 'changes', NULL, NULL)"
    )
    before.close()
    spool = Spool(path, cover_of(tmp_path))
    state = spool.state(RESOURCE)
    spool.close()
    assert state is not None
    assert state.next == Number(1, 5)
