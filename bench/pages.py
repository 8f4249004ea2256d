"""The pages of requests with a million requests in the database: task list, lists and case page.

A city is seeded as for a demonstration, the requests are made by SQL, and the real server (granian, one
process) is asked by people who have signed in, one page after the other. The target is a 95th percentile of
200 ms for each page. Whether a long list asks the database as many questions as a short one is for the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from bench.place import free_port, wait_for
from shuqiao.embedded import hub, postgres
from shuqiao.security import keys

TARGET_MS = 200.0
TARGET_ROWS = 1_000_000
REQUESTS_SQL = Path(__file__).with_name("requests.sql")
REGULATION = "guangzhou-2016"

_SEED = """
import json, os, sys
from pathlib import Path
import django
django.setup()
from shuqiao.control.operations.sample import ACCOUNTS
from shuqiao.control.operations.seed import Seeding, seed_city
from shuqiao.control.regulations.current import named
passwords = {account.username: sys.argv[1] for account in ACCOUNTS}
seed_city(named(sys.argv[2]), Seeding(passwords, Path(sys.argv[3])))
"""


@dataclass(frozen=True)
class City:
    """A running server over a database full of requests."""

    address: str
    server: postgres.PostgresServer
    password: str
    environment: dict[str, str]

    def numbers(self, provider: str, count: int) -> list[str]:
        """Numbers of requests for the information of a department, drawn at random but always alike."""
        with psycopg.connect(self.server.url("hub")) as admin:
            found = admin.execute(
                "SELECT number FROM control.requests_request WHERE provider_id = %s AND number IS NOT NULL"
                " ORDER BY md5(number) LIMIT %s",
                [provider, count],
            )
            return [str(number) for (number,) in found]


def environment_of(folder: Path, server: postgres.PostgresServer, role: str, password: str) -> dict[str, str]:
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "shuqiao.control.settings",
        "SHUQIAO_DATABASE_URL": server.url("hub", role, password),
        "SHUQIAO_SECRET_KEY_FILE": str(folder / "secret-key"),
        "SHUQIAO_REGULATION": REGULATION,
        "SHUQIAO_ALLOWED_HOSTS": "127.0.0.1",
        "SHUQIAO_PLANE_URL": "http://127.0.0.1:9",
        "SHUQIAO_PORTAL_KEYS": str(folder / "portal"),
        "SHUQIAO_GRANT_KEY_FILE": str(folder / "grants.key"),
        "SHUQIAO_SAMPLE": "1",
    }


@contextlib.contextmanager
def running_city(fill: Callable[[postgres.PostgresServer], None]) -> Iterator[City]:
    """A migrated and seeded hub that something has been filled into, and the server of its pages."""
    folder = Path(tempfile.mkdtemp(prefix="sq-bench-"))
    folder.chmod(0o755)
    password, port = secrets.token_hex(16), free_port()
    server = postgres.PostgresServer(folder / "pg" / "data", folder / "s", folder / "pg.log", password)
    database = postgres.start(server, programs=postgres.runtime(folder), durable=True)
    pages: subprocess.Popen[bytes] | None = None
    try:
        _prepare(folder, server, password)
        fill(server)
        pages = _serve(folder, environment_of(folder, server, "shuqiao_control", password), port)
        wait_for(f"http://127.0.0.1:{port}/sign-in/", pages)
        control = environment_of(folder, server, "shuqiao_control", password)
        yield City(f"http://127.0.0.1:{port}", server, password, control)
    finally:
        if pages is not None:
            pages.terminate()
            pages.wait(timeout=15)
        postgres.stop(database)
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path, server: postgres.PostgresServer, password: str) -> None:
    secret = folder / "secret-key"
    secret.write_text(secrets.token_urlsafe(64), encoding="ascii")
    secret.chmod(0o400)
    hub.create_roles(server.url("postgres"), dict.fromkeys(hub.ROLES, password))
    hub.create_database(server.url("postgres"), "hub", "shuqiao_owner", control_schema=True)
    migrate = [sys.executable, "-m", "django", "migrate", "--skip-checks", "--verbosity", "0"]
    owner = environment_of(folder, server, "shuqiao_owner", password)
    subprocess.run(migrate, check=True, env=owner, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    keys.load_or_create_signing_key(folder / "grants.key")
    (folder / "keys").mkdir(mode=0o700)
    (folder / "portal").mkdir(mode=0o700)
    seed = [sys.executable, "-c", _SEED, password, REGULATION, str(folder / "keys")]
    control = environment_of(folder, server, "shuqiao_control", password)
    subprocess.run(seed, check=True, env=control, stdout=subprocess.DEVNULL)


def _fill(server: postgres.PostgresServer, rows: int) -> None:
    started = time.perf_counter()
    with psycopg.connect(server.url("hub")) as admin:
        admin.execute("SET search_path = control, public")
        statements = REQUESTS_SQL.read_text(encoding="utf-8").split(";\n")
        for statement in filter(str.strip, statements):
            admin.execute(statement.encode(), {"rows": rows} if "%(rows)s" in statement else None)
    with psycopg.connect(server.url("hub"), autocommit=True) as admin:
        admin.execute("VACUUM ANALYZE")
        admin.execute("CHECKPOINT")
    print(f"made {rows} requests in {time.perf_counter() - started:.0f} s", file=sys.stderr)


def _serve(folder: Path, environment: dict[str, str], port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "granian", "--interface", "asginl", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--no-ws", "shuqiao.control.front:application"]
    with (folder / "pages.log").open("ab") as log:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )


def sign_in(city: City, username: str) -> httpx.Client:
    """A browser in which somebody has signed in."""
    client = httpx.Client(base_url=city.address, timeout=120, trust_env=False)
    form = client.get("/sign-in/").text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    fields = {
        "csrfmiddlewaretoken": token.group(1) if token else "",
        "username": username,
        "password": city.password,
    }
    answer = client.post("/sign-in/", data=fields)
    if answer.status_code != 302:
        raise RuntimeError(f"{username} can't sign in: {answer.status_code}")
    return client


def measure(client: httpx.Client, addresses: list[str]) -> list[float]:
    """Milliseconds of each page, one after the other; every answer must be a page."""
    times = []
    for address in addresses:
        started = time.perf_counter()
        answer = client.get(address)
        times.append((time.perf_counter() - started) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{address}: {answer.status_code}")
    return times


def _rounds(city: City, rounds: int) -> dict[str, list[float]]:
    clients = {name: sign_in(city, name) for name in ("chen", "lin", "zheng")}
    numbers = city.numbers("440100-health", rounds)
    drawn = random.Random(1)
    plans = {
        "task list, reviewer": ("chen", ["/"] * rounds),
        "task list, requester": ("lin", ["/"] * rounds),
        "task list, co-ordinator": ("zheng", ["/"] * rounds),
        "requests received": ("chen", ["/requests/inbox/"] * rounds),
        "requests received, a later page": (
            "chen",
            [f"/requests/inbox/?page={drawn.randint(2, 200)}" for _ in range(rounds)],
        ),
        "requests received, one state": ("chen", ["/requests/inbox/?state=approved"] * rounds),
        "own requests": ("lin", ["/requests/"] * rounds),
        "case": ("chen", [f"/requests/{number}/" for number in numbers]),
    }
    for user, addresses in plans.values():
        measure(clients[user], addresses[:3])
    return {name: measure(clients[user], addresses) for name, (user, addresses) in plans.items()}


def main(arguments: list[str]) -> int:
    """Run the benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="bench pages", description=__doc__)
    parser.add_argument("--requests", type=int, default=TARGET_ROWS)
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args(arguments)
    with running_city(lambda server: _fill(server, options.requests)) as city:
        print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; {options.requests} requests")
        found = _rounds(city, options.rounds)
    rows = []
    for name, times in found.items():
        p95 = statistics.quantiles(times, n=20)[-1]
        rows.append(
            {
                "name": name,
                "median_ms": round(statistics.median(times), 1),
                "p95_ms": round(p95, 1),
                "worst_ms": round(max(times), 1),
                "target_ms": TARGET_MS,
                "met": p95 <= TARGET_MS,
            }
        )
        print(f"{name:34} median {rows[-1]['median_ms']:7} ms, 95 % {rows[-1]['p95_ms']:7} ms")
    print(json.dumps({"bench": "pages", "requests": options.requests, "rows": rows}, ensure_ascii=False))
    return 0
