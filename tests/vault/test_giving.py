"""What the vault gives beside clear values: masks, a consumer's tokens, marks, and variants of names."""

from pathlib import Path

import pytest

from shuqiao.vault.keys import VaultKeys
from shuqiao.vault.settings import SettingsInvalid, load_settings
from shuqiao.wire.vault import CompareCall, RevealCall

from .births import RESOURCE, birth, certificate
from .conftest import Vault

TABLE = Path(__file__).parents[2] / "standards" / "name-variants.txt"
FIELDS = ("mother_name", "mother_citizen_id_number")


@pytest.mark.requirement("SEC-18")
async def test_values_leave_masked_or_as_tokens_of_the_consumer(vault: Vault) -> None:
    await vault.assign([birth(1), birth(2)])
    plane = vault.client("plane")
    number = str(birth(1)["mother_citizen_id_number"])

    async def give(serial: int, consumer: str) -> dict[str, str | None]:
        call = RevealCall(certificate(serial), FIELDS, "G-1", FIELDS[:1], FIELDS[1:], consumer)
        return (await plane.reveal(RESOURCE, [call], []))[0].values

    ours, again, other = await give(1, "440100-a"), await give(1, "440100-a"), await give(1, "440100-b")
    second, absent = await give(2, "440100-a"), await give(9, "440100-a")
    await plane.close()
    assert ours == again and ours["mother_name"] == "样****1"
    tokens = {row["mother_citizen_id_number"] for row in (ours, other, second)}
    assert len(tokens) == 3 and not any(number in str(token) for token in tokens)
    assert absent == dict.fromkeys(FIELDS)


async def test_a_mark_is_the_same_whether_somebody_is_there_or_not(vault: Vault) -> None:
    await vault.assign([birth(1)])
    plane = vault.client("plane")
    calls = [CompareCall(certificate(serial), {"mother_name": "x"}) for serial in (1, 1, 7, 7)]
    first, again, absent, still_absent = await plane.compare(RESOURCE, calls, [])
    await plane.close()
    assert first.mark == again.mark != absent.mark == still_absent.mark
    assert {len(result.mark) for result in (first, absent)} == {16}
    # The record id of nobody is drawn anew each time; the mark is what can be counted by.
    assert absent.record != still_absent.record


@pytest.mark.parametrize("on", [True, False])
async def test_variants_of_characters_count_as_one_only_where_a_table_is_set(vault: Vault, on: bool) -> None:
    if on:
        vault.kill()
        vault.extra["VAULT_NAME_VARIANTS"] = str(TABLE)
        vault.start()
    await vault.assign([birth(1, mother_name="样例峰")])
    plane = vault.client("plane")
    call = CompareCall(certificate(1), {"mother_name": "样例峯"})
    assert (await plane.compare(RESOURCE, [call], []))[0].matches == {"mother_name": on}
    reveal = RevealCall(certificate(1), ("mother_name",), "G-1")
    assert (await plane.reveal(RESOURCE, [reveal], []))[0].values == {"mother_name": "样例峰"}
    await plane.close()


def test_keys_of_consumers_and_marks_are_their_own() -> None:
    keys, others = VaultKeys(b"1" * 32), VaultKeys(b"2" * 32)
    made = {keys.pseudonym(consumer, number) for consumer in "ab" for number in "12"}
    assert len(made | {others.pseudonym("a", "1")}) == 5
    assert keys.guess_mark(b"x" * 32) not in (b"x" * 16, others.guess_mark(b"x" * 32))


def test_a_table_that_is_not_there_is_a_fault_of_the_settings() -> None:
    with pytest.raises(SettingsInvalid, match="VAULT_NAME_VARIANTS"):
        load_settings({"VAULT_NAME_VARIANTS": "/nowhere/table"})
