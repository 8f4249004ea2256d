"""Evidence of a call: one file, made by the platform, checked by anybody without it."""

import asyncio
import copy
import hashlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from shuqiao.auditlog.integrator import Integrator, LogKey, load_frontier
from shuqiao.client.evidence import read_authorities, read_trusted_keys
from shuqiao.loader.certify import certify_keys
from shuqiao.security import keys
from shuqiao.security.certificates import create_authority_certificate
from shuqiao.security.http_signatures import CallContext, key_signer
from shuqiao.wire.evidence import EvidenceUnreadable, read_evidence
from shuqiao.wire.evidence_checking import Given, verify_evidence
from tests.plane.conftest import (
    APP,
    OTHER_APP,
    PURPOSE,
    QUERY_ITEMS,
    RESOURCE,
    City,
    enrol,
    entry_of,
    register_key,
)
from tests.vault import births

AUTO = CallContext()
CLAIMS = {"mother_name": "样例母亲3", "sex_code": "2"}
ORIGIN = "shuqiao-test"
SM2_APP = "app-housing-national"


@dataclass
class Archive:
    """A city with a log: makes evidence as the auditor's command does."""

    city: City
    folder: Path
    log: LogKey

    def integrate(self) -> None:
        """Take every entry into the tree."""
        asyncio.run(self._integrate())

    async def _integrate(self) -> None:
        url = self.city.hub.role("shuqiao_integrator")
        integrator, connection = Integrator(url, self.log), await asyncpg.connect(url)
        try:
            integrator._frontier = await load_frontier(connection)
            while await integrator.step(connection):
                pass
        finally:
            await connection.close()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `shuqiao` as the auditor."""
        environment = os.environ | {
            "SHUQIAO_DATABASE_URL": self.city.hub.role("shuqiao_auditor"),
            "LOG_ORIGIN": ORIGIN,
            "VAULT_SOCKET": str(self.city.vault.socket),
            "AUDIT_VAULT_KEY_FILE": str(self.city.vault.folder / "secrets" / "vault-clients" / "auditor"),
        }
        command = [sys.executable, "-m", "shuqiao.cli", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def evidence(self, entry: uuid.UUID) -> tuple[dict[str, Any], Path]:
        """The evidence of an entry, whose promise was kept meanwhile."""
        self.wait_for_promise(entry)
        self.integrate()
        file = self.folder / f"{entry}.json"
        done = self.command("audit", "evidence", str(entry), "--out", str(file))
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(file.read_text(encoding="utf-8")), file

    def wait_for_promise(self, entry: uuid.UUID) -> None:
        """Wait until the worker has written what it keeps of its promises."""
        for _ in range(100):
            found = self.city.admin.execute(
                "SELECT 1 FROM exchange.promise WHERE %s = ANY (entries)", [entry]
            ).fetchone()
            if found is not None:
                return
            asyncio.run(asyncio.sleep(0.05))
        raise AssertionError("the promise was not kept")

    def keys_file(self) -> Path:
        """The platform's public keys and the application's, as a verifier has them."""
        file = self.folder / "keys.pem"
        assert self.command("audit", "keys", "--out", str(file)).returncode == 0
        return file

    def trusted(self) -> dict[tuple[str, str], keys.PublicKey]:
        """The same, read; with the applications' keys."""
        trusted = read_trusted_keys(self.keys_file().read_text())
        for key in self.city.application_keys.values():
            trusted["application", keys.key_id(key.public_key())] = key.public_key()
        return trusted


@pytest.fixture(scope="session")
def log_key(shared_city: City, tmp_path_factory: pytest.TempPathFactory) -> LogKey:
    """The log's key, registered once."""
    key = keys.generate_signing_key()
    register_key(shared_city, "log", key)
    return LogKey(ORIGIN, key, keys.key_id(key.public_key()))


@pytest.fixture
def archive(city: City, log_key: LogKey, tmp_path: Path) -> Iterator[Archive]:
    """The shared city with a log and no unsigned session."""
    city.admin.execute("UPDATE exchange.session SET settled = true")
    yield Archive(city, tmp_path, log_key)


def signed_call(city: City, application: str = APP) -> tuple[uuid.UUID, bytes]:
    """One call signed with the application's own key: its entry and the answer."""
    with city.client(application) as client:
        context = CallContext(PURPOSE, "经办人甲")
        answer = client.query(RESOURCE, births.certificate(3), [], case="GZF-7", context=context)
    assert answer.status == 200
    return entry_of(answer.body), json.dumps(answer.body, ensure_ascii=False, separators=(",", ":")).encode()


def enrol_once(city: City, application: str, department: str, algorithm: str) -> None:
    """Register an application with a fresh key, and wait until both workers know of it."""
    enrol(city, application, department, algorithm)
    time.sleep(0.5)


def session_call(city: City) -> uuid.UUID:
    """One call of a session that the client signs at its end."""
    with city.client() as client:
        client.use_sessions(key_signer(city.application_keys[APP]))
        client.verify(RESOURCE, births.certificate(4), CLAIMS, context=AUTO)
        answer = client.verify(RESOURCE, births.certificate(3), CLAIMS, context=AUTO)
    return entry_of(answer.body)


def broken(document: dict[str, Any], given: Given) -> bool:
    """Whether verification says that something does not hold."""
    try:
        evidence = read_evidence(json.dumps(document, ensure_ascii=False).encode())
    except EvidenceUnreadable:
        return True
    return any(finding.holds is False for finding in verify_evidence(evidence, given))


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all single values of a document."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, (*place, name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from leaves(part, (*place, number))
    elif value not in (None, "", {}):
        yield place


def changed(document: dict[str, Any], place: tuple[Any, ...]) -> dict[str, Any]:
    """The document with one value altered, still of the same form."""
    altered = copy.deepcopy(document)
    part = altered
    for step in place[:-1]:
        part = part[step]
    old = part[place[-1]]
    if isinstance(old, int):
        part[place[-1]] = old + 1
    else:
        middle = len(old) // 2
        other = "1" if old[middle] != "1" else "2"
        part[place[-1]] = old[:middle] + other + old[middle + 1 :]
    return altered


@pytest.mark.requirement("SEC-02")
def test_a_signed_call_is_proved_offline_to_a_third_party(archive: Archive) -> None:
    archive.city.issue(mode="query", items=QUERY_ITEMS)
    entry, answer = signed_call(archive.city)
    document, file = archive.evidence(entry)
    assert document["confirmed"] == "signed"
    assert document["request"]["algorithm"] == document["application"]["algorithm"] == "ed25519"
    assert document["promise"]["answer"] == hashlib.sha256(answer).hexdigest()
    (archive.folder / "answer").write_bytes(answer)
    arguments = ("evidence", "verify", str(file), "--keys", str(archive.keys_file()))
    # No database and no vault in sight: a stranger's machine.
    done = subprocess.run(
        [sys.executable, "-m", "shuqiao.cli", *arguments, "--answer", str(archive.folder / "answer")],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", "src"),
            "PYTHONUTF8": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BROKEN" not in done.stdout
    assert "the request is signed with that key (ed25519)" in done.stdout
    assert "your copy of the answer is the one that was promised" in done.stdout


def test_a_call_of_a_session_is_confirmed_by_the_signed_list(archive: Archive) -> None:
    archive.city.issue()
    document, _ = archive.evidence(session_call(archive.city))
    assert document["confirmed"] == "confirmed-by-chain"
    assert len(json.loads(document["head"]["body"])["calls"]) == 2
    assert not broken(document, Given(archive.trusted()))
    # Without the list the MAC proves nothing, and the file may not say otherwise.
    assert broken(document | {"head": None}, Given(archive.trusted()))
    assert not broken(document | {"head": None, "confirmed": "unconfirmed"}, Given(archive.trusted()))


@pytest.mark.parametrize("place", [0, 2])
def test_each_subject_of_a_call_about_many_has_evidence(archive: Archive, place: int) -> None:
    city = archive.city
    city.issue()
    people = [(births.certificate(n), {"mother_name": f"样例母亲{n}"}) for n in (3, 4, 5)]
    with city.client() as client:
        answer = client.verify_batch(RESOURCE, people, context=AUTO)
    results = answer.body["results"]
    archive.wait_for_promise(uuid.UUID(results[0]["entry"]))
    archive.integrate()
    file = archive.folder / "subject.json"
    done = archive.command("audit", "evidence", results[place]["entry"], "--out", str(file))
    assert done.returncode == 0, done.stderr + done.stdout
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["confirmed"] == "signed"
    assert not broken(document, Given(archive.trusted()))
    assert json.loads(document["body"].partition("\n")[0]).get("place", 0) == place
    # The signature over all subjects shows each of them in its own place only.
    other = document["body"].replace(f'"place":{place}', '"place":1') if place else document["body"]
    assert broken(document | {"body": other + " "}, Given(archive.trusted()))


def test_an_unsigned_session_is_evidence_of_nothing_by_the_application(archive: Archive) -> None:
    city = archive.city
    city.issue()
    with city.client() as client:
        session = client.agree_session(key_signer(city.application_keys[APP]))
    with city.client() as client:
        client._signer = session
        entry = entry_of(client.verify(RESOURCE, births.certificate(3), CLAIMS, context=AUTO).body)
    document, _ = archive.evidence(entry)
    assert document["confirmed"] == "unconfirmed"
    assert not broken(document, Given(archive.trusted()))
    assert broken(document | {"confirmed": "confirmed-by-chain"}, Given(archive.trusted()))


@pytest.mark.parametrize("kind", ["signed", "session", "p256", "sm2"])
def test_no_field_can_be_altered(archive: Archive, kind: str) -> None:
    city = archive.city
    if kind == "session":
        city.issue()
        document, _ = archive.evidence(session_call(city))
    else:
        if kind == "sm2":
            enrol_once(city, SM2_APP, "440100-housing", "sm2-sm3")
        department = {"p256": ("440100-education", OTHER_APP), "sm2": ("440100-housing", SM2_APP)}.get(
            kind, ("440100-housing", APP)
        )
        city.issue(mode="query", items=QUERY_ITEMS, department=department[0], applications=(department[1],))
        document, _ = archive.evidence(signed_call(city, department[1])[0])
    regulation = Path("regulations/guangzhou-2016.yaml").read_bytes()
    given = Given(archive.trusted(), regulation=regulation)
    assert not broken(document, given)
    places = list(leaves(document))
    assert len(places) > 40
    assert [place for place in places if not broken(changed(document, place), given)] == []
    parts = [name for name in document if document[name] is not None and name != "regulation"]
    assert [name for name in parts if not broken(document | {name: ""}, given)] == []


@pytest.mark.requirement("SEC-02")
def test_both_sides_are_known_by_certificates_of_one_authority(archive: Archive) -> None:
    """Who trusts the city's authority needs no list of keys: it certified those of both sides."""
    city = archive.city
    secrets = archive.folder / "secrets"
    secrets.mkdir(mode=0o700)
    issued = certify_keys(secrets, city.hub.role("shuqiao_owner"))
    assert issued >= 5
    assert certify_keys(secrets, city.hub.role("shuqiao_owner")) == 0
    city.issue(mode="query", items=QUERY_ITEMS)
    document, file = archive.evidence(signed_call(city)[0])
    city.admin.execute("UPDATE exchange.application_key SET certificate = NULL")
    city.admin.execute("UPDATE exchange.signing_key SET certificate = NULL")
    authority = secrets / "ca.pem"
    done = archive.command("evidence", "verify", str(file), "--keys", str(authority))
    assert done.returncode == 0, done.stdout + done.stderr
    application = document["application"]
    assert f"key {application['id']} is certified for {APP} of 440100-housing" in done.stdout
    assert "platform's word" not in done.stdout
    given = Given({}, read_authorities(authority.read_text()))
    assert not broken(document, given)
    certified = [place for place in leaves(document) if place[-1] == "certificate"]
    assert len(certified) == 4
    assert [place for place in certified if not broken(changed(document, place), given)] == []
    # A certificate of one application or purpose is none of another.
    assert broken(document | {"application": application | {"application": OTHER_APP}}, given)
    assert broken(document | {"application": application | {"certificate": ""}}, Given({}))
    other = create_authority_certificate("样例机构", datetime.now(UTC))
    assert broken(document, Given({}, read_authorities(other.certificate.decode())))


def test_keys_of_another_purpose_or_stranger_count_for_nothing(archive: Archive) -> None:
    archive.city.issue(mode="query", items=QUERY_ITEMS)
    document, _ = archive.evidence(signed_call(archive.city)[0])
    trusted = archive.trusted()
    swapped = {
        ({"log": "promise", "promise": "log"}.get(purpose, purpose), number): key
        for (purpose, number), key in trusted.items()
    }
    assert broken(document, Given(swapped))
    assert broken(document, Given({}))
    stranger = keys.generate_signing_key().public_key()
    assert broken(document, Given(dict.fromkeys(trusted, stranger)))


def test_evidence_of_one_call_does_not_pass_for_another(archive: Archive) -> None:
    archive.city.issue(mode="query", items=QUERY_ITEMS)
    one, _ = archive.evidence(signed_call(archive.city)[0])
    two, _ = archive.evidence(signed_call(archive.city)[0])
    given = Given(archive.trusted())
    for part in ("request", "promise"):
        assert broken(one | {part: two[part]}, given)
    assert broken(one | {name: two[name] for name in ("body", "salt", "digest")}, given)


def test_the_vault_records_that_evidence_was_opened(archive: Archive) -> None:
    archive.city.issue(mode="query", items=QUERY_ITEMS)
    entry, _ = signed_call(archive.city)
    archive.evidence(entry)
    with psycopg.connect(archive.city.vault.url) as vault:
        rows = vault.execute(
            "SELECT client, count, entries_digest FROM vault.operation WHERE op = 'open_sealed'"
            " ORDER BY id DESC LIMIT 2"
        ).fetchall()
    assert rows == [("auditor", 1, hashlib.sha256(entry.bytes).digest())] * 2


@pytest.mark.requirement("MOD-10")
@pytest.mark.parametrize("mode", ["verify", "query"])
def test_every_delivery_is_logged_with_all_it_rests_on(archive: Archive, mode: str) -> None:
    city = archive.city
    items = {} if mode == "verify" else {"items": QUERY_ITEMS}
    grant = city.issue(mode=mode, **items)
    context = CallContext(PURPOSE, "经办人甲", grant.id)
    with city.client() as client:
        if mode == "verify":
            answer = client.verify(RESOURCE, births.certificate(3), CLAIMS, case="GZF-7", context=context)
        else:
            answer = client.query(RESOURCE, births.certificate(3), [], case="GZF-7", context=context)
    row = next(row for row in city.entries() if row["id"] == entry_of(answer.body))
    said = row["said"]
    assert (said["department"], said["application"], said["end_user"]) == ("440100-housing", APP, "经办人甲")
    assert (said["resource"], said["mode"], said["provider"]) == (RESOURCE, mode, births.DEPARTMENT)
    assert row["record_id"] is not None
    assert row["seen"]["version"] == 1
    assert said["at"].endswith("Z")
    assert (said["purpose"], said["case"], said["grant"]) == (PURPOSE, "GZF-7", grant.id)
    assert (said["request_no"], said["regulation"]) == (grant.request_no, grant.regulation)
    assert set(said["items"]) == set(CLAIMS if mode == "verify" else QUERY_ITEMS)
