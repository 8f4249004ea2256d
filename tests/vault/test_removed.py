"""Records that are gone: found by their key, never made, in the order of their batches."""

import psycopg

from .births import KEY, Row, birth, certificate
from .conftest import Vault
from .test_assign import counts, value_of


def gone(serial: int) -> Row:
    """A row that names a record by its key alone."""
    return dict.fromkeys(birth(serial)) | {KEY: certificate(serial)}


async def test_a_removed_record_is_found_by_its_key_and_none_is_made(vault: Vault) -> None:
    first = await vault.assign([birth(1), birth(2)])
    before = counts(vault)
    answer = await vault.assign([gone(2), gone(9)], sequence=2, removed=[0, 1])
    assert answer.removed == (first.rows[1].record,)
    assert (answer.rows, answer.faults) == ((), ())
    assert counts(vault) == before
    # The same batch again gives the same answer: whoever was killed between asks once more.
    assert (await vault.assign([gone(2), gone(9)], sequence=2, removed=[0, 1])).removed == answer.removed


async def test_a_record_that_comes_back_is_the_same(vault: Vault) -> None:
    first = await vault.assign([birth(1)])
    await vault.assign([gone(1)], sequence=2, removed=[0])
    back = await vault.assign([birth(1)], sequence=3)
    assert [(row.record, row.version) for row in back.rows] == [(first.rows[0].record, 1)]
    changed = await vault.assign([birth(1, mother_name="样例改名")], sequence=4)
    assert (changed.rows[0].record, changed.rows[0].version) == (first.rows[0].record, 2)
    # The removal came before: said once more, it is older than what the vault holds now.
    assert (await vault.assign([gone(1)], sequence=2, removed=[0])).removed == ()
    assert await value_of(vault, 1, "mother_name") == "样例改名"


async def test_the_last_word_of_a_batch_counts(vault: Vault) -> None:
    answer = await vault.assign([birth(1), birth(2)])
    records = {row.row: row.record for row in answer.rows}
    mixed = await vault.assign(
        [gone(1), birth(1, mother_name="样例改名"), birth(2), gone(2)], sequence=2, removed=[0, 3]
    )
    assert [row.record for row in mixed.rows] == [records[0]]
    assert mixed.removed == (records[1],)
    assert mixed.faults == ()


async def test_a_removed_row_needs_its_key_and_nothing_else(vault: Vault) -> None:
    nobody = dict.fromkeys(birth(1))
    answer = await vault.assign([nobody, gone(1)], removed=[0, 1])
    assert [(fault.row, fault.item) for fault in answer.faults] == [(0, KEY)]


async def test_what_a_full_load_did_not_meet_is_gone(vault: Vault) -> None:
    first = await vault.assign([birth(serial) for serial in range(1, 7)])
    records = [row.record for row in first.rows]
    # Of the next generation: one unchanged, one changed, one refused elsewhere, one at fault here.
    rows = [birth(1), birth(2, mother_name="样例改名"), birth(3), birth(4, mother_citizen_id_number="1")]
    await vault.assign(rows, generation=2, sequence=2, skip=[2])
    await vault.assign([birth(7)], generation=3, sequence=3)
    ended = await vault.assign([], generation=3, sequence=4, complete_since=2)
    assert set(ended.removed) == set(records[4:])
    again = await vault.assign([], generation=3, sequence=4, complete_since=2)
    assert set(again.removed) == set(records[4:])
    assert (await vault.assign([], generation=3, sequence=5, complete_since=2)).removed == ()
    # A later load says it once more, should the hub have been restored to a state with these records.
    await vault.assign([birth(serial) for serial in (1, 2, 3, 4, 7)], generation=4, sequence=6)
    late = await vault.assign([], generation=4, sequence=7, complete_since=4)
    assert set(late.removed) == set(records[4:])


async def test_what_a_refused_batch_said_is_gone_is_said_by_the_one_in_its_place(vault: Vault) -> None:
    first = await vault.assign([birth(serial) for serial in range(1, 4)])
    records = [row.record for row in first.rows]
    await vault.assign([birth(1)], generation=2, sequence=2)
    ended = await vault.assign([], generation=2, sequence=3, complete_since=2)
    assert set(ended.removed) == set(records[1:])
    # The hub refused it: its node gives the same sequence to the next try, in a later generation.
    for generation in (3, 4, 3):
        again = await vault.assign([], generation=generation, sequence=3, complete_since=2)
        assert set(again.removed) == set(records[1:])
    assert (await vault.assign([], generation=4, sequence=4, complete_since=2)).removed == ()


async def test_an_older_copy_of_a_removal_is_none_of_a_record_that_stays(vault: Vault) -> None:
    first = await vault.assign([birth(1), birth(2)])
    record = first.rows[0].record
    for generation in (2, 3, 2):
        answer = await vault.assign([gone(1)], generation=generation, sequence=2, removed=[0])
        assert answer.removed == (record,)
    # Only its key was said of a record that came back since: it stays.
    await vault.assign([birth(1)], generation=4, sequence=3)
    assert (await vault.assign([gone(1)], generation=3, sequence=2, removed=[0])).removed == ()


async def test_the_end_of_a_load_takes_a_bounded_number_at_once(
    vault: Vault,
) -> None:
    with psycopg.connect(vault.url, autocommit=True) as link:
        await vault.assign([birth(1)])
        link.execute(
            "INSERT INTO vault.record (record_id, resource, key_blind, subject_id, related_fields,"
            " related_subjects, version, payload, content, department, sequence, key_version, generation)"
            " SELECT gen_random_uuid(), resource, sha256(int4send(n)), subject_id, related_fields,"
            " related_subjects, version, payload, content, department, sequence, key_version, generation"
            " FROM vault.record, generate_series(1, 10500) n"
        )
        sizes = []
        for sequence in (2, 3, 4):
            answer = await vault.assign([], generation=2, sequence=sequence, complete_since=2)
            sizes.append(len(answer.removed))
    assert sizes == [10_000, 501, 0]


async def test_another_departments_records_are_gone_too_once_the_list_is_loaded_by_its_own(
    vault: Vault,
) -> None:
    first = await vault.assign([birth(1), birth(2)], generation=9)
    other = "440100-police"
    await vault.assign([birth(1)], department=other)
    ended = await vault.assign([], department=other, sequence=2, complete_since=1)
    assert ended.removed == (first.rows[1].record,)
