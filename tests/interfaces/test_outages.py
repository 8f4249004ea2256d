"""NATS, the node and the integrator killed while keyed calls and calls of an interface come in."""

import concurrent.futures
import itertools
import json
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from shuqiao.auditlog import proofs
from shuqiao.auditlog.verify import verify_log
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, sign_request
from shuqiao.wire.receipt import HEADER, decode_promise
from tests.interfaces.conftest import PERMITS, InterfaceCity, running_interface_city
from tests.loader.line import Child, wait_for
from tests.plane import conftest as plane
from tests.plugins.server import TestServer
from tests.vault import births

pytestmark = [pytest.mark.database, pytest.mark.timeout(240)]

ORIGIN = "shuqiao-test"
AWAY_S = 3.0
CALLERS = 3


@pytest.fixture
def own_city(pg_server: TestServer, hub_template: str) -> Iterator[InterfaceCity]:
    """A city whose parts the test may kill, with an integrator beside it."""
    with running_interface_city(pg_server, hub_template) as city:
        key_file = city.folder / "log.key"
        plane.register_key(city, "log", keys.load_or_create_signing_key(key_file))
        settings = {
            "INTEGRATOR_DATABASE_URL": city.hub.role("shuqiao_integrator"),
            "LOG_KEY_FILE": str(key_file),
            "LOG_ORIGIN": ORIGIN,
        }
        command = [sys.executable, "-m", "shuqiao.auditlog.main"]
        city.children["integrator"] = Child("integrator", command, settings, city.folder / "log.log")
        city.children["integrator"].start()
        yield city


class Load:
    """Callers that never stop; each keeps status, code and promised entry of every answer."""

    def __init__(self, city: InterfaceCity) -> None:
        self.city = city
        self.ended = threading.Event()
        self.keyed: list[tuple[int, str, uuid.UUID | None]] = []
        self.interface: list[tuple[int, str, uuid.UUID | None]] = []

    def run(self, pool: concurrent.futures.Executor) -> list[concurrent.futures.Future[None]]:
        """Begin to call."""
        begun = [pool.submit(self._keyed, 5 * number) for number in range(CALLERS)]
        return [*begun, *(pool.submit(self._interface, number) for number in range(CALLERS))]

    def _keyed(self, first: int) -> None:
        for serial in itertools.count(first):
            if self.ended.is_set():
                return
            one = serial % plane.PEOPLE
            body = {"subject": births.certificate(one), "claims": {"mother_name": f"样例母亲{one}"}}
            self.keyed.append(self._sent(f"/v1/resources/{plane.RESOURCE}/verify", body))

    def _interface(self, first: int) -> None:
        for serial in itertools.count(first):
            if self.ended.is_set():
                return
            body = {"parameters": {"permit_no": f"P{serial:08d}"}}
            self.interface.append(self._sent(f"/v1/resources/{PERMITS}/interface/getPermit", body))
            time.sleep(0.02)

    def _sent(self, path: str, body: dict[str, object]) -> tuple[int, str, uuid.UUID | None]:
        city, content = self.city, json.dumps(body).encode()
        target = ("POST", f"127.0.0.1:{city.port}", path)
        headers = sign_request(city.signer(), target, content, CallContext(), int(time.time()))
        headers["content-type"] = "application/json"
        answer = httpx.post(city.url + path, content=content, headers=headers, timeout=30, trust_env=False)
        promise = answer.headers.get(HEADER)
        entry = decode_promise(promise).entry if promise else None
        return answer.status_code, answer.json().get("code", ""), entry

    def goes_well(self) -> bool:
        """Whether the newest answers are all good."""
        newest = [*self.keyed[-5:], *self.interface[-12:]]
        return [status for status, _, _ in newest] == [200] * 17


def test_killed_under_load_no_answer_lacks_its_entry_and_all_recovers(own_city: InterfaceCity) -> None:
    city = own_city
    city.issue()
    city.interface_grant()
    load, children = Load(city), city.children
    with concurrent.futures.ThreadPoolExecutor(2 * CALLERS) as pool:
        callers = load.run(pool)
        try:
            wait_for(load.goes_well, what="a good beginning")
            begun = len(load.keyed)
            for name in ("nats", "node", "integrator"):
                children[name].kill()
                time.sleep(AWAY_S)
                children[name].start()
                before = len(load.interface)
                wait_for(
                    lambda b=before: len(load.interface) > b + 12 and load.goes_well(), 60, f"{name} again"
                )
        finally:
            load.ended.set()
        for caller in callers:
            caller.result(timeout=60)
    # Keyed calls need none of the three.
    assert {status for status, _, _ in load.keyed} == {200} and len(load.keyed) > begun
    outcomes = Counter(code for _, code, _ in load.interface)
    assert outcomes[""] > 20 and set(outcomes) <= {"", "interface_failed", "interface_resting"}
    assert outcomes["interface_failed"] >= 1
    entries = recorded(city)
    answers = [*load.keyed, *load.interface]
    promised = [entry for _, _, entry in answers]
    assert None not in promised and len(set(promised)) == len(promised)
    assert set(promised) <= entries
    check_log(city, entries)


def recorded(city: InterfaceCity) -> set[uuid.UUID]:
    """The ids of all entries."""
    return {row[0] for row in city.admin.execute("SELECT id FROM audit.entry").fetchall()}


def check_log(city: InterfaceCity, entries: set[uuid.UUID]) -> None:
    """Every entry is in the tree, once, and the tree is what its checkpoints say."""
    with psycopg.connect(city.hub.role("shuqiao_auditor"), autocommit=True) as auditor:
        wait_for(
            lambda: verify_log(auditor, proofs.read_keys(auditor, "log"), ORIGIN).waiting == 0, 30, "the log"
        )
        report = verify_log(auditor, proofs.read_keys(auditor, "log"), ORIGIN)
        leaves = {row[0] for row in auditor.execute("SELECT entry_id FROM audit.leaf").fetchall()}
    assert report.fault is None and report.size == len(leaves)
    assert entries <= leaves


def test_a_call_on_its_way_when_nats_is_killed_has_both_entries(own_city: InterfaceCity) -> None:
    city = own_city
    assert city.api is not None
    city.interface_grant()
    assert city.call("getPermit", {"permit_no": "P00000001"}).status == 200
    city.api.fault = "slow"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        seen = len(city.api.seen)
        waiting = pool.submit(city.call, "getPermit", {"permit_no": "P00000002"})
        wait_for(lambda: len(city.api.seen) > seen, what="the call at the department")
        city.children["nats"].end(signal.SIGKILL)
        answer = waiting.result(timeout=30)
    assert (answer.status, answer.code) == (502, "interface_failed")
    ended = city.logged("interface_answered")[-1]
    called = city.logged("interface_called")[-1]
    assert ended["said"]["call"] == str(called["id"]) and answer.promise is not None
    assert answer.promise.entry == ended["id"]
    city.api.fault = ""
    city.children["nats"].start()

    def is_well() -> bool:
        return city.call("getPermit", {"permit_no": "P00000003"}).status == 200

    wait_for(is_well, what="a good answer")
    assert list((city.folder / "answers").iterdir()) == []
