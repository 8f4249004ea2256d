"""Peers without access control or audit: how fast others answer keyed reads of the same rows.

The bare handler needs nothing. The others are installed for the benchmark only, by the ordinary clients of
their registries into a folder of their own; one that can't be installed or started is named and left out.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec
import psycopg

from bench import births
from bench.place import Place, free_port, spawn
from shuqiao.embedded import hub

WORKERS = 2
INSTALL_S = 420
PATIENCE_S = 60.0
ITEMS = ("sex", "birth_date", "certificate_issuing_unit")
_ROLE = "shuqiao_owner"

_FASTIFY = """
const cluster = require('node:cluster');
if (cluster.isPrimary) { for (let i = 0; i < WORKERS; i++) cluster.fork(); } else {
  const pool = new (require('pg').Pool)({ connectionString: process.env.PEER_DATABASE_URL, max: 16 });
  const app = require('fastify')();
  const text = 'SELECT sex, birth_date::text, certificate_issuing_unit FROM bench_births WHERE id = $1';
  app.get('/:id', async (asked) => {
    const found = await pool.query({ name: 'one', text, values: [Number(asked.params.id)] });
    return found.rows[0];
  });
  app.listen({ port: Number(process.env.PEER_PORT), host: '127.0.0.1' });
}
"""
_POSTGRAPHILE = """
const cluster = require('node:cluster');
if (cluster.isPrimary) { for (let i = 0; i < WORKERS; i++) cluster.fork(); } else {
  const { postgraphile } = require('postgraphile');
  const pool = new (require('pg').Pool)({ connectionString: process.env.PEER_DATABASE_URL, max: 16 });
  const options = { disableQueryLog: true, disableDefaultMutations: true, graphiql: false };
  require('node:http').createServer(postgraphile(pool, 'public', options))
    .listen(Number(process.env.PEER_PORT), '127.0.0.1');
}
"""
_GRAPHQL = "query($i: Int!) { benchBirthById(id: $i) { sex birthDate certificateIssuingUnit } }"


class PeerMissing(Exception):
    """A peer can't be measured here; the message says why."""


@dataclass(frozen=True)
class Running:
    """A peer that answers: its port, and the bytes that ask it for a row."""

    port: int
    ask: Callable[[int], bytes]


@dataclass(frozen=True)
class Peer:
    """A peer: what is installed for it, how it starts on a port, and how much faster ours is to be."""

    name: str
    packages: tuple[str, ...]
    begin: Callable[[Place, Path, int], Callable[[int], bytes]]
    times: float | None = None
    client: str = "npm"


def start(peer: Peer, place: Place, folder: Path | None) -> Running:
    """Install and start a peer; raises `PeerMissing`."""
    if peer.packages and folder is None:
        raise PeerMissing("no folder was named to install it in")
    home = place.folder if folder is None else folder / peer.name.lower()
    if peer.packages:
        install(peer.packages, peer.client, home)
    running = Running(free_port(), lambda _: b"")
    try:
        running = Running(running.port, peer.begin(place, home, running.port))
        _wait_for(peer, place, running)
    except (OSError, subprocess.SubprocessError, psycopg.Error, sqlite3.Error) as error:
        said = _last_words(place, peer.name) or str(error)[:200]
        raise PeerMissing(f"{type(error).__name__}: {said}") from error
    return running


def install(packages: Sequence[str], client: str, home: Path) -> None:
    """Install packages into a folder of their own, unless they are there; raises `PeerMissing`."""
    done = home / ".installed"
    wanted = " ".join(packages)
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return
    home.mkdir(parents=True, exist_ok=True)
    steps = [["npm", "install", "--prefix", str(home), "--no-audit", "--no-fund", "--silent", *packages]]
    if client == "pip":
        python = str(home / "venv" / "bin" / "python")
        steps = [
            [sys.executable, "-m", "venv", str(home / "venv")],
            [python, "-m", "pip", "install", "--quiet", *packages],
        ]
    for step in steps:
        try:
            subprocess.run(step, check=True, capture_output=True, text=True, timeout=INSTALL_S)
        except subprocess.CalledProcessError as error:
            raise PeerMissing(f"{step[0]}: {error.stderr.strip()[-300:]}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PeerMissing(f"{step[0]}: {type(error).__name__}") from error
    done.write_text(wanted, encoding="utf-8")


def _wait_for(peer: Peer, place: Place, running: Running) -> None:
    """Wait until it gives a row as it should."""
    deadline = time.monotonic() + PATIENCE_S
    process = place.processes[peer.name]
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if births.plain_row(0)["certificate_issuing_unit"][:2] in _answer(running):
                return
        time.sleep(0.2)
    raise PeerMissing(f"it gives no rows: {_last_words(place, peer.name)}")


def _answer(running: Running) -> str:
    head, _, body = running.ask(1).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    url = f"http://127.0.0.1:{running.port}{path}"
    # A datasette or a Directus writes Chinese as escapes or not; read as JSON it is the same.
    with httpx.Client(timeout=5, trust_env=False) as client:
        answer = client.request(method, url, headers=headers, content=body)
    return str(answer.json()) if answer.status_code == 200 else ""


def _last_words(place: Place, name: str) -> str:
    log = place.folder / f"{name}.log"
    return log.read_text(encoding="utf-8", errors="replace").strip()[-300:] if log.exists() else ""


def _get(path: str, headers: str = "") -> Callable[[int], bytes]:
    return lambda number: f"GET {path.format(number)} HTTP/1.1\r\nhost: peer\r\n{headers}\r\n".encode()


def _environment(place: Place, port: int) -> dict[str, str]:
    return {"PEER_DATABASE_URL": place.url(_ROLE), "PEER_PORT": str(port)}


def _begin_bare(place: Place, _home: Path, port: int) -> Callable[[int], bytes]:
    spawn(place, BARE.name, [sys.executable, "-m", "bench.peer"], _environment(place, port))
    return _get("/{}")


def _begin_node(place: Place, home: Path, port: int, name: str, script: str) -> None:
    file = home / "peer.cjs"
    file.write_text(script.replace("WORKERS", str(WORKERS)), encoding="utf-8")
    environment = _environment(place, port) | {"NODE_ENV": "production"}
    spawn(place, name, ["node", str(file)], environment)


def _begin_fastify(place: Place, home: Path, port: int) -> Callable[[int], bytes]:
    _begin_node(place, home, port, FASTIFY.name, _FASTIFY)
    return _get("/{}")


def _begin_postgraphile(place: Place, home: Path, port: int) -> Callable[[int], bytes]:
    _begin_node(place, home, port, POSTGRAPHILE.name, _POSTGRAPHILE)

    def ask(number: int) -> bytes:
        body = msgspec.json.encode({"query": _GRAPHQL, "variables": {"i": number}})
        head = "POST /graphql HTTP/1.1\r\nhost: peer\r\ncontent-type: application/json\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body

    return ask


def _begin_datasette(place: Place, home: Path, port: int) -> Callable[[int], bytes]:
    file = place.folder / "births.db"
    with place.admin() as admin, contextlib.closing(sqlite3.connect(file)) as copy:
        found = admin.execute(f"SELECT id, {', '.join(f'{item}::text' for item in ITEMS)} FROM bench_births")
        copy.execute(f"CREATE TABLE bench_births (id INTEGER PRIMARY KEY, {' TEXT, '.join(ITEMS)} TEXT)")
        copy.executemany("INSERT INTO bench_births VALUES (?, ?, ?, ?)", found)
        copy.commit()
    program = str(home / "venv" / "bin" / "datasette")
    command = [program, "serve", "--immutable", str(file), "--host", "127.0.0.1", "--port", str(port)]
    spawn(place, DATASETTE.name, command, {})
    return _get("/births/bench_births/{}.json?_shape=objects")


def _begin_directus(place: Place, home: Path, port: int) -> Callable[[int], bytes]:
    token = secrets.token_hex(16)
    superuser = place.server.url("postgres")
    hub.create_database(superuser, "directus", _ROLE)
    environment = {
        "DB_CLIENT": "pg",
        "DB_HOST": str(place.server.socket),
        "DB_PORT": "5432",
        "DB_DATABASE": "directus",
        "DB_USER": _ROLE,
        "DB_PASSWORD": place.password,
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "SECRET": secrets.token_hex(16),
        "ADMIN_EMAIL": "sample@example.com",
        "ADMIN_PASSWORD": secrets.token_hex(8),
        "LOG_LEVEL": "error",
        "TELEMETRY": "false",
        "SERVE_APP": "false",
        "EXTENSIONS_PATH": str(place.folder / "extensions"),
        "STORAGE_LOCAL_ROOT": str(place.folder / "uploads"),
    }
    program = str(home / "node_modules" / ".bin" / "directus")
    with (place.folder / f"{DIRECTUS.name}.log").open("ab") as log:
        subprocess.run(
            [program, "bootstrap"],
            check=True,
            env=os.environ | environment,
            cwd=home,
            timeout=PATIENCE_S,
            stdout=log,
            stderr=log,
        )
    _copy_to_directus(place, token)
    spawn(place, DIRECTUS.name, [program, "start"], environment)
    fields = quote(",".join(ITEMS), safe=",")
    return _get(f"/items/bench_births/{{}}?fields={fields}", f"authorization: Bearer {token}\r\n")


def _copy_to_directus(place: Place, token: str) -> None:
    with place.admin() as source, place.admin("directus") as target:
        target.execute(f"CREATE TABLE bench_births (id int PRIMARY KEY, {' text, '.join(ITEMS)} text)")
        target.execute(f"ALTER TABLE bench_births OWNER TO {_ROLE}")
        found = source.execute(f"SELECT id, {', '.join(f'{item}::text' for item in ITEMS)} FROM bench_births")
        with target.cursor() as cursor, cursor.copy("COPY bench_births FROM STDIN") as rows:
            for row in found:
                rows.write_row(row)
        target.execute("INSERT INTO directus_collections (collection) VALUES ('bench_births')")
        target.execute("UPDATE directus_users SET token = %s", [token])
        target.execute("VACUUM ANALYZE bench_births")


BARE = Peer("bare asyncpg handler", (), _begin_bare)
FASTIFY = Peer("Fastify", ("fastify@5", "pg@8"), _begin_fastify, 1.3)
POSTGRAPHILE = Peer("PostGraphile", ("postgraphile@4", "pg@8"), _begin_postgraphile, 5)
DATASETTE = Peer("datasette", ("datasette==0.65.*",), _begin_datasette, 17, "pip")
DIRECTUS = Peer("Directus", ("directus@11.3", "pg@8"), _begin_directus, 50)
PEERS = (BARE, FASTIFY, POSTGRAPHILE, DATASETTE, DIRECTUS)
