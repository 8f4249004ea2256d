"""Kill -9 of the node and of its database in the middle: nothing is lost, nothing is there twice."""

import random
import resource
import signal
import sqlite3
import time
import uuid
from pathlib import Path

import psycopg
import pytest

from tests.bulk.conftest import CopyCity
from tests.plugins.power import power_of
from tests.plugins.server import TestServer
from tests.receive.conftest import TABLES, Database, Receiver, make_home, merged

pytestmark = pytest.mark.timeout(300)

BATCHES = 25
SEED = 20160


class Story:
    """A source whose records change batch by batch."""

    def __init__(self, city: CopyCity, chance: random.Random) -> None:
        """Begin without records."""
        self._city = city
        self._chance = chance
        self._records: dict[uuid.UUID, tuple[str, str]] = {}
        self.sequence = 0

    def go_on(self) -> None:
        """Merge a batch: a quarter of the records changes, forty are new."""
        self.sequence += 1
        again = self._chance.sample(sorted(self._records), len(self._records) // 4)
        rows = [(one, self._records[one][0], f"K{self._chance.randrange(9)}") for one in again]
        rows += [(self._new(), f"P{self.sequence}-{n}", "K0") for n in range(40)]
        merged(self._city, self.sequence, *rows)
        self._records |= {record: (number, kind) for record, number, kind in rows}

    def _new(self) -> uuid.UUID:
        return uuid.UUID(int=self._chance.getrandbits(128))

    def wanted(self) -> set[tuple[str, str]]:
        """What a table has to hold now."""
        return set(self._records.values())


def test_a_node_killed_again_and_again_loses_and_doubles_nothing(receiver: Receiver) -> None:
    city, database, chance = receiver.city, receiver.database, random.Random(SEED)
    # Every change is one more line here, so that what is applied twice is seen.
    database.run("CREATE TABLE story (number varchar(20), kind varchar(10), what varchar(10), part integer)")
    receiver.write(
        mode="append",
        key="permit_no",
        columns={"permit_no": "number", "kind_code": "kind", "_op": "what", "_part": "part"},
        target={"url": database.url, "table": "story"},
    )
    city.bulk_grant()
    receiver.start()
    source = Story(city, chance)
    for _ in range(BATCHES):
        source.go_on()
        time.sleep(chance.random() * 0.3)
        if chance.random() < 0.4:
            receiver.child.kill()
            time.sleep(chance.random() * 0.2)
            receiver.start()
            time.sleep(chance.random() * 1.5)
    receiver.wait(lambda: database.up_to() == source.sequence, "the last batch")
    lines = database.rows("SELECT number, kind, part FROM story ORDER BY part")
    assert len(lines) == len(set(lines))
    newest = {number: kind for number, kind, _ in lines}
    assert set(newest.items()) == source.wanted()
    given = city.admin.execute("SELECT sum(rows) FROM exchange.bulk_job WHERE state IN ('ready', 'expired')")
    assert (len(lines),) == given.fetchone()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_the_hub_has_a_receipt_for_outlives_a_power_cut(
    receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> None:
    city, chance = receiver.city, random.Random(SEED)
    file = Path(receiver.database.url.removeprefix("sqlite://"))
    elsewhere = tmp_path_factory.mktemp("power")
    power = power_of(file.parent, elsewhere / "kept", elsewhere)

    def held(sql: str) -> list[tuple[int | str, ...]]:
        # A connection that was open before a cut would trust what it had read.
        with sqlite3.connect(file, timeout=10) as link:
            found = link.execute(sql).fetchall()
        link.close()
        return found

    receipts = "SELECT coalesce(max(number), 0) FROM exchange.subscription_receipt"
    receiver.child.environment |= power.environment
    power.on()
    city.bulk_grant()
    receiver.start()
    source = Story(city, chance)
    said = 0
    for _ in range(8):
        source.go_on()

        def newer(than: int = said) -> int:
            [(number,)] = city.admin.execute(receipts).fetchall()
            return number if number > than else 0

        said = receiver.wait(newer, "a receipt")
        receiver.child.kill()
        power.cut(chance)
        [(part,)] = held("SELECT part FROM shuqiao_receive")
        assert part >= said
        receiver.start()
    receiver.wait(lambda: held("SELECT up_to FROM shuqiao_receive") == [(source.sequence,)], "the last batch")
    assert set(held("SELECT number, kind FROM permits")) == source.wanted()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_full_disk_holds_a_subscription_up_and_loses_nothing(receiver: Receiver) -> None:
    """The system refuses every write beyond a size, in the middle of what is applied."""
    city, database = receiver.city, receiver.database
    city.bulk_grant()
    receiver.start()
    source = Story(city, random.Random(SEED))
    source.go_on()
    receiver.wait(lambda: database.permits() == source.wanted(), "the first part")
    process, file = receiver.child.process, Path(database.url.removeprefix("sqlite://"))
    assert process is not None
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (file.stat().st_size, resource.RLIM_INFINITY))
    for _ in range(4):
        source.go_on()
    receiver.wait(lambda: receiver.status().state == "disk_full", "its word about the disk")
    assert process.poll() is None
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    receiver.wait(lambda: database.up_to() == source.sequence, "the last batch")
    assert database.permits() == source.wanted()
    assert len(database.rows("SELECT number FROM permits")) == len(source.wanted())


def test_a_database_killed_again_and_again_is_as_the_source_in_the_end(
    city: CopyCity, own_server: TestServer, tmp_path: Path
) -> None:
    url = own_server.superuser()

    def rows(sql: str) -> list[tuple[object, ...]]:
        with psycopg.connect(url, autocommit=True) as link:
            found = link.execute(sql.encode())
            return found.fetchall() if found.description else []

    rows(TABLES["postgresql"])
    database = Database("postgresql", url, rows, rows)
    chance = random.Random(SEED + 1)
    home = tmp_path / "node"
    home.mkdir()
    receiver = Receiver(city, database, home, make_home(city, home))
    receiver.write()
    city.bulk_grant()
    receiver.start()
    try:
        source = Story(city, chance)
        for number in range(BATCHES):
            source.go_on()
            time.sleep(chance.random() * 0.3)
            if number % 8 == 5:
                own_server.halt(signal.SIGQUIT)
                time.sleep(chance.random())
                own_server.resume()
        receiver.wait_permits(*source.wanted())
        assert len(database.rows("SELECT * FROM permits")) == len(source.wanted())
    finally:
        receiver.child.kill()


def test_what_is_not_signed_by_the_platform_is_not_applied(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    city.bulk_grant()
    merged(city, 1, (uuid.uuid4(), "P1", "1"))
    receiver.start()
    receiver.wait_permits(("P1", "1"))
    receiver.child.kill()
    merged(city, 2, (uuid.uuid4(), "P2", "1"))

    def is_made() -> bool:
        found = city.admin.execute(
            "SELECT count(*) FROM exchange.bulk_job WHERE number = 2 AND state = 'ready'"
        )
        return found.fetchone() == (1,)

    receiver.wait(is_made, "the second part")
    city.admin.execute("UPDATE exchange.bulk_job SET manifest = manifest || ' ' WHERE number = 2")
    receiver.start()
    receiver.wait(lambda: (found := receiver.status()) and found.state == "untrusted", "the distrust")
    assert database.permits() == {("P1", "1")}
    assert len(city.logged("feed_taken")) == 1


def test_a_revoked_grant_ends_the_subscription(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    grant = city.bulk_grant()
    merged(city, 1, (uuid.uuid4(), "P1", "1"))
    receiver.start()
    receiver.wait_permits(("P1", "1"))
    city.revoke(grant)
    merged(city, 2, (uuid.uuid4(), "P2", "1"))
    found = receiver.wait(
        lambda: (found := receiver.status()) and found.state == "refused" and found, "the refusal"
    )
    assert found.fault in ("grant_revoked", "not_available")
    assert database.permits() == {("P1", "1")}


def test_files_of_a_part_that_were_changed_on_their_way_are_not_applied(receiver: Receiver) -> None:
    city, database = receiver.city, receiver.database
    city.bulk_grant()
    merged(city, 1, *((uuid.uuid4(), f"P{n}", "1") for n in range(50)))
    receiver.start()
    receiver.wait(lambda: database.position()[0] == 1, "the first part")
    receiver.child.kill()
    merged(city, 2, *((uuid.uuid4(), f"Q{n}", "1") for n in range(50)))

    def made() -> str:
        row = city.admin.execute(
            "SELECT id || '/' || attempt FROM exchange.bulk_job WHERE number = 2 AND state = 'ready'"
        ).fetchone()
        return str(row[0]) if row else ""

    folder = city.spool / receiver.wait(made, "the second part")
    for file in folder.iterdir():
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    receiver.start()
    receiver.wait(
        lambda: (found := receiver.status()) and found.state in ("untrusted", "hub_away"), "the fault"
    )
    assert database.position()[0] == 1
    assert len(database.permits()) == 50
