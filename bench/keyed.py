"""Keyed calls: the whole path, `pgbench -S` on a copy of the same rows, and peers, each measured alike.

`bench.query` and `bench.verify` say what is measured; `bench.figures` makes a table of it.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import births, peers
from bench.place import Place, children_s
from shuqiao.client.plane import PlaneClient
from shuqiao.security.http_signatures import CallContext, KeySigner, RequestSigner, key_signer, sign_request
from shuqiao.security.sessions import MAX_CALLS, SessionSigner

REFERENCE_CLIENTS = 32
SUPPLY_PER_S = {"mac": 15_000, "ed25519": 8_000, "ecdsa-p256-sha256": 8_000, "peer": 30_000}
CONTEXT = CallContext(end_user="bench")


@dataclass(frozen=True)
class Variant:
    """One thing that is measured; `ratio` and `cpu_us` are its targets.

    An operation with the kind of its signature is ours, a peer is somebody else's, neither is the reference.
    """

    name: str
    connections: int
    operation: str = ""
    signature: str = ""
    peer: str = ""
    ratio: float | None = None
    cpu_us: float | None = None


REFERENCE = Variant("pgbench -S, same rows", REFERENCE_CLIENTS)


class Run(NamedTuple):
    """One measurement: calls a second, milliseconds, and microseconds of processor a call by program."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float]


def _request(path: str, host: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n{lines}\r\n".encode("ascii") + body


def body_of(operation: str, serial: int) -> bytes:
    """Write the body of a call about a birth: of a verification with true claims about three items."""
    row = births.identity_row(serial)
    question: dict[str, object] = {"subject": row[births.KEY]}
    if operation == "verify":
        question["claims"] = {
            "mother_name": row["mother_name"],
            "mother_citizen_id_number": row["mother_citizen_id_number"],
            "sex_code": births.plain_row(serial)["sex_code"],
        }
    return msgspec.json.encode(question)


def signed_requests(
    place: Place, variant: Variant, signers: Iterator[RequestSigner], people: int, count: int
) -> list[bytes]:
    """Sign requests for random births, before the clock runs."""
    path = f"/v1/resources/{births.RESOURCE}/{variant.operation}"
    host = f"127.0.0.1:{place.port}"
    now = int(time.time())
    made = []
    for signer in itertools.islice(signers, count):
        body = body_of(variant.operation, random.randrange(people))
        headers = sign_request(signer, ("POST", host, path), body, CONTEXT, now)
        made.append(_request(path, host, headers, body))
    return made


class Bench:
    """Runs variants in a place."""

    def __init__(self, place: Place, people: int, seconds: float) -> None:
        """Copy the rows for the reference and the peers."""
        self._place = place
        self._people = people
        self._seconds = seconds
        self._sessions: list[SessionSigner] = []
        self._script = place.folder / "select.sql"
        self._peers: dict[str, peers.Running] = {}
        self._copy_rows()

    def _copy_rows(self) -> None:
        with self._place.admin() as admin:
            admin.execute(
                "CREATE TABLE public.bench_births AS SELECT row_number() OVER ()::int AS id, b.* "
                f"FROM base.{births.RESOURCE} b"
            )
            admin.execute("ALTER TABLE public.bench_births ADD PRIMARY KEY (id)")
            admin.execute("GRANT SELECT ON public.bench_births TO shuqiao_owner")
            admin.execute("VACUUM ANALYZE public.bench_births")
        self._script.write_text(
            f"\\set n random(1, {self._people})\nSELECT * FROM bench_births WHERE id = :n;\n",
            encoding="ascii",
        )

    def add_peer(self, peer: peers.Peer, folder: Path | None) -> None:
        """Start a peer; raises `PeerMissing` when it can't be installed or started."""
        self._peers[peer.name] = peers.start(peer, self._place, folder)

    def run(self, variant: Variant) -> Run:
        """Measure once."""
        if variant is REFERENCE:
            return self._run_pgbench()
        file = self._place.folder / "requests.msgpack"
        file.write_bytes(msgspec.msgpack.encode(self._requests(variant)))
        port = self._peers[variant.peer].port if variant.peer else self._place.port
        command = [sys.executable, "-m", "bench.load", f"127.0.0.1:{port}", str(variant.connections)]
        before = self._place.cpu_s()
        output = subprocess.run(
            [*command, str(self._seconds), str(file)], check=True, capture_output=True, text=True
        ).stdout
        after = self._place.cpu_s()
        result = json.loads(output)
        self._sign_sessions(result_count=result["count"])
        if result["failed"]:
            raise RuntimeError(f"{variant.name}: {result['failed']} of {result['count']} calls failed")
        if result["ran_out"]:
            print(f"warning: {variant.name} used all its requests up", file=sys.stderr)
        cpu = {name: 1e6 * (after[name] - before[name]) / result["count"] for name in after}
        cpu["load"] = result["cpu_us"]
        return Run(result["per_s"], result["p50_ms"], result["p99_ms"], cpu)

    def _requests(self, variant: Variant) -> list[bytes]:
        if variant.peer:
            count = int(SUPPLY_PER_S["peer"] * self._seconds)
            ask = self._peers[variant.peer].ask
            return [ask(random.randint(1, self._people)) for _ in range(count)]
        count = int(SUPPLY_PER_S[variant.signature] * self._seconds)
        return signed_requests(self._place, variant, self._signers(variant.signature), self._people, count)

    def _signers(self, signature: str) -> Iterator[RequestSigner]:
        """Give a signer for each call: the key, or session after session, each for its number of calls."""
        if signature != "mac":
            yield from itertools.repeat(key_signer(self._place.signing[signature]))
        own: KeySigner = key_signer(self._place.signing["ed25519"])
        with PlaneClient(f"http://127.0.0.1:{self._place.port}", own) as client:
            while True:
                session = client.agree_session(own)
                self._sessions.append(session)
                yield from itertools.repeat(session, MAX_CALLS)

    def _sign_sessions(self, result_count: int) -> None:
        """Sign what was called, as an application does: else no other session would be agreed.

        Requests were sent in their order, so the sessions behind the last call have nothing to sign.
        """
        used = self._sessions[: result_count // MAX_CALLS + 2]
        self._sessions.clear()
        own: KeySigner = key_signer(self._place.signing["ed25519"])
        with PlaneClient(f"http://127.0.0.1:{self._place.port}", own) as client:
            for session in used:
                client.sign_session(own, session)

    def _run_pgbench(self) -> Run:
        clients = str(REFERENCE_CLIENTS)
        command = [
            str(self._place.programs / "pgbench"),
            "-n",
            "-c",
            clients,
            "-j",
            "2",
            "-f",
            str(self._script),
        ]
        before, client_before = self._place.cpu_s(), children_s()
        output = subprocess.run(
            [*command, "-T", str(int(self._seconds)), self._place.server.url("hub")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        client_s = children_s() - client_before
        used = self._place.cpu_s()["postgres"] - before["postgres"]
        rate = float(_found(r"tps = ([0-9.]+)", output))
        latency = float(_found(r"latency average = ([0-9.]+)", output))
        count = rate * int(self._seconds)
        return Run(rate, latency, latency, {"postgres": 1e6 * used / count, "load": 1e6 * client_s / count})


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"pgbench said: {text}")
    return found[1]


def flush_us(folder: Path) -> float:
    """Microseconds one small durable write takes here, which no durable answer can beat."""
    file = folder / "flush"
    with file.open("wb", buffering=0) as target:
        started = time.perf_counter()
        for _ in range(200):
            target.write(b"x" * 4096)
            os.fdatasync(target.fileno())
        return 1e6 * (time.perf_counter() - started) / 200


def sign_us() -> float:
    """Microseconds one Ed25519 signature takes here: how fast this machine's processor is today."""
    key = Ed25519PrivateKey.generate()
    started = time.perf_counter()
    for _ in range(2000):
        key.sign(b"x" * 300)
    return 1e6 * (time.perf_counter() - started) / 2000


def interpreter() -> str:
    """Which Python runs this: one that was not built with optimisation is a quarter slower."""
    return f"Python {platform.python_version()} of {sys.base_prefix}"
