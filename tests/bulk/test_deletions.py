"""Copies that systems fetched as files are called back: deleted, signed for, and proved offline."""

import argparse
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from shuqiao.client.call import CallFaulty
from shuqiao.client.deleting import delete_recalled
from shuqiao.client.evidence import HOLDS
from shuqiao.client.fetching import CopyRefused
from shuqiao.plane.bulk.recalls import fitting
from shuqiao.plane.bulk.statements import RecallRow
from shuqiao.security import keys
from shuqiao.wire.grant import Grant
from shuqiao.wire.recalls import Deleted, Deletion, Held, read_deletion, sign_deletion, write_deletion
from tests.bulk.conftest import NO_CONTEXT, PERMITS, PROVIDER, CopyCity
from tests.bulk.test_evidence_of_copies import archive, evidence_of, log_key, verified
from tests.plane import conftest as plane
from tests.plane.test_evidence import Archive

__all__ = ["archive", "log_key"]

pytestmark = pytest.mark.timeout(120)
HOLDER = "440100-housing"
NUMBER = "L-2026-0007"


@pytest.fixture(autouse=True)
def no_recalls(city: CopyCity) -> Iterator[None]:
    """Nothing is called back yet."""
    city.admin.execute("TRUNCATE exchange.recall, exchange.deletion")
    yield
    city.admin.execute("DELETE FROM exchange.node WHERE department = %s", [HOLDER])


def called_back(city: CopyCity, grant: Grant, *held: Held, number: str = NUMBER) -> None:
    """The grant ends and its copies are called back, as control writes it in one transaction."""
    kind = "feed" if held[0].way == "feed" else "files"
    with city.admin.transaction():
        city.revoke(grant)
        city.admin.execute(
            "INSERT INTO exchange.recall (number, grant_id, resource_id, department, provider, application,"
            " kind, reason, regulation, held, called_at, ended_on, due_on, entry) VALUES (%s, %s, %s, %s, %s,"
            " %s, %s, 'revoke', 'guangzhou-2016', %s, now(), '2026-11-23', '2026-12-07', gen_random_uuid())",
            [
                number,
                grant.id,
                PERMITS,
                HOLDER,
                PROVIDER,
                plane.APP,
                kind,
                msgspec.json.encode(held).decode(),
            ],
        )


def words(*folders: Path, **changes: object) -> argparse.Namespace:
    """What the command `shuqiao bulk deleted` was given."""
    given = {"recall": NUMBER, "folder": list(folders), "note": "", "yes": True}
    return argparse.Namespace(**(given | changes))


def test_a_system_deletes_its_files_and_signs_and_anybody_can_check_it(
    city: CopyCity, archive: Archive, tmp_path: Path
) -> None:
    city.fill_permits(10)
    grant = city.bulk_grant()
    mine, other = tmp_path / "one", tmp_path / "other"
    with city.bulk() as bulk:
        job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        bulk.wait(job, NO_CONTEXT)
        copy = bulk.fetch(job, mine, NO_CONTEXT)
        kept = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        bulk.wait(kept, NO_CONTEXT)
        bulk.fetch(kept, other / "deep", NO_CONTEXT)
        (mine / "notes.txt").write_text("ours")
        called_back(city, grant, Held("copy", job, rows=10, parts=1))
        with pytest.raises(CopyRefused):
            bulk.fetch(job, tmp_path / "late", NO_CONTEXT)
        with pytest.raises(CallFaulty, match="--yes"):
            delete_recalled(bulk, words(mine, yes=False), NO_CONTEXT)
        assert copy.files[0].exists()
        with pytest.raises(CallFaulty, match="among those that wait"):
            delete_recalled(bulk, words(mine, recall="L-2026-9999"), NO_CONTEXT)
        delete_recalled(bulk, words(mine, other), NO_CONTEXT)
    # What the recall names went; what it doesn't name stays, and so does what is ours.
    assert sorted(one.name for one in mine.iterdir()) == [f"deletion-{NUMBER}.json", "notes.txt"]
    assert (other / "deep" / "manifest.json").exists()
    (row,) = city.logged("copies_deleted")
    assert row["actor"] == plane.APP and row["seen"]["deleted_by"] == "system"
    statement = read_deletion(row["seen"]["statement"])
    (deleted,) = statement.deleted
    assert (deleted.id, deleted.rows) == (job, 10)
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    for entry in (uuid.UUID(job), row["id"]):
        document, file = evidence_of(archive, entry)
        inside = {document["entry"], *(one["entry"] for one in document["copy"]["entries"])}
        assert str(row["id"]) in inside and job in inside
        code, said = verified(archive, file, nothing)
        assert code == HOLDS, said
        assert f"HOLDS   its holder signed for its deletion on {statement.deleted_at.date()}" in said
        assert "the deletion is the word of the holder's system" in said


def test_the_receipt_of_a_node_is_checked_offline_with_the_key_the_log_names(
    city: CopyCity, archive: Archive, tmp_path: Path
) -> None:
    city.fill_permits(5)
    grant = city.bulk_grant()
    node = keys.generate_signing_key()
    city.admin.execute(
        "INSERT INTO exchange.node (department, name, public_key, nats_user) VALUES (%s, 'sample', %s, %s)",
        [HOLDER, keys.public_der(node.public_key()), "U" + uuid.uuid4().hex],
    )
    with city.bulk() as bulk:
        job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        bulk.wait(job, NO_CONTEXT)
        bulk.fetch(job, tmp_path / "parts", NO_CONTEXT)
        held = Held("copy", job, rows=5, parts=1)
        called_back(city, grant, held)
        text = write_deletion(
            msgspec.convert(
                {
                    "recall": NUMBER,
                    "deleted_at": "2026-11-23T01:02:03Z",
                    "deleted": [{"way": "copy", "id": job}],
                },
                Deletion,
            )
        )
        entry = bulk.sign_for(NUMBER, text, sign_deletion(text, node), NO_CONTEXT).entry
    _, file = evidence_of(archive, entry)
    code, said = verified(archive, file, tmp_path / "parts")
    key = keys.key_id(node.public_key())
    assert code == HOLDS, said
    assert f"HOLDS   the receipt is signed by the node with the key {key} that the log names" in said
    assert "HOLDS   its holder signed for its deletion on 2026-11-23" in said


def test_who_dies_between_deleting_and_signing_says_the_same_again(
    city: CopyCity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    city.fill_permits(3)
    grant = city.bulk_grant()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with city.bulk() as bulk:
        job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        bulk.wait(job, NO_CONTEXT)
        copy = bulk.fetch(job, tmp_path, NO_CONTEXT)
        called_back(city, grant, Held("copy", job, rows=3, parts=1))
        (recall,) = bulk.recalls(NO_CONTEXT)
        assert (recall.number, recall.held[0].id, recall.due_on.isoformat()) == (NUMBER, job, "2026-12-07")
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(bulk, "sign_for", dies)
            delete_recalled(bulk, words(tmp_path), NO_CONTEXT)
        assert not copy.files[0].exists()
        said = (tmp_path / f"deletion-{NUMBER}.json").read_text()
        delete_recalled(bulk, words(tmp_path, note="another word"), NO_CONTEXT)
    found = city.admin.execute("SELECT statement, by FROM exchange.deletion").fetchall()
    assert found == [(said, "system")]


def test_a_feed_finds_its_recall_behind_however_many_others(city: CopyCity) -> None:
    grant, feed, earlier = city.bulk_grant(), str(uuid.uuid4()), str(uuid.uuid4())
    called_back(city, grant, Held("feed", feed, earlier=(earlier,)))
    city.admin.execute(
        "INSERT INTO exchange.recall (number, grant_id, resource_id, department, provider, application, kind,"
        " reason, regulation, held, called_at, ended_on, due_on, entry) SELECT 'L-2025-' || (1000 + n),"
        " 'other-' || n, resource_id, department, provider, application, 'files', reason, regulation, %s,"
        " called_at, '2025-01-01', '2025-02-01', entry FROM exchange.recall, generate_series(1, 120) n",
        [msgspec.json.encode([Held("copy", str(uuid.uuid4())) for _ in range(500)]).decode()],
    )
    with city.bulk() as bulk:
        listed = bulk.recalls(NO_CONTEXT)
        assert 0 < len(listed) <= 100 and all(one.number.startswith("L-2025") for one in listed)
        for named in (feed, earlier):
            assert [one.number for one in bulk.recalls(NO_CONTEXT, named)] == [NUMBER]
        assert bulk.recalls(NO_CONTEXT, str(uuid.uuid4())) == ()


def test_whoever_asks_is_told_at_once_where_a_recall_cannot_be_read(city: CopyCity) -> None:
    grant = city.bulk_grant()
    called_back(city, grant, Held("copy", str(uuid.uuid4())), number="L-2026-0008")
    # A recall never changes: only whoever is above the triggers can spoil one.
    city.admin.execute("ALTER TABLE exchange.recall DISABLE TRIGGER keep_recall")
    city.admin.execute("UPDATE exchange.recall SET held = '[{}]'")
    city.admin.execute("ALTER TABLE exchange.recall ENABLE TRIGGER keep_recall")
    with city.bulk() as bulk, pytest.raises(CopyRefused) as refused:
        bulk.recalls(NO_CONTEXT)
    assert refused.value.code == "unavailable"


def test_a_list_of_recalls_fits_into_one_answer() -> None:
    day = date(2026, 12, 7)
    row = RecallRow("L", "files", "g", "r", "p", "revoke", datetime.now(UTC), day, "x" * 900_000, 0, False)
    assert len(list(fitting([row] * 5))) == 2
    large = row._replace(held="x" * 3_000_000)
    assert list(fitting([large, row])) == [large] and not list(fitting([]))


def test_a_receipt_written_down_before_the_recall_named_more_is_written_anew(
    city: CopyCity, tmp_path: Path
) -> None:
    city.fill_permits(3)
    grant = city.bulk_grant()
    with city.bulk() as bulk:
        job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        bulk.wait(job, NO_CONTEXT)
        called_back(city, grant, Held("copy", job, rows=3, parts=1))
        (recall,) = bulk.recalls(NO_CONTEXT)
        early = Deletion(NUMBER, recall.called_at, (Deleted("copy", job, 3),))
        (tmp_path / f"deletion-{NUMBER}.json").write_text(write_deletion(early))
        late = str(uuid.uuid4())
        more = msgspec.json.encode([Held("copy", late)]).decode()
        city.admin.execute("UPDATE exchange.recall SET held = held || %s::jsonb", [more])
        with pytest.raises(CallFaulty, match="printable"):
            delete_recalled(bulk, words(tmp_path, note="two\nlines"), NO_CONTEXT)
        delete_recalled(bulk, words(tmp_path), NO_CONTEXT)
    ((statement,),) = city.admin.execute("SELECT statement FROM exchange.deletion").fetchall()
    assert {one.id for one in read_deletion(statement).deleted} == {job, late}
