"""The working city on one machine: prepares its databases, keys and sample data, and lists its processes.

The order is the dependency: servers, schema, keys, people and entries, then the processes that use them.
Every step may be repeated after a crash; what is there is kept.
"""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from shuqiao.demo import own_copy, sources
from shuqiao.demo.home import Home
from shuqiao.embedded import hub, nats, postgres
from shuqiao.embedded.processes import is_root, system_user
from shuqiao.embedded.supervisor import Program, Supervisor, python
from shuqiao.loader.certify import certify_keys, make_seal
from shuqiao.loader.enrol import enrol_department
from shuqiao.security.keys import (
    key_id,
    load_or_create_sealing_key,
    load_or_create_signing_key,
    public_der,
    random_secret_file,
    write_secret_file,
)

VAULT_USER = "shuqiao-vault"
LOG_ORIGIN = "shuqiao-demo"
SEAL_NAME = "Shuqiao demo platform agency (sample)"
VAULT_CLIENTS = ("plane", "bulk", "loader", "control", "auditor")
SIGNING_PURPOSES = ("grants", "log", "promise", "receipts")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What the command line chose. `people` sizes the sample; the rest are port numbers on the loopback."""

    people: int = 50_000
    enterprises: int = 5_000
    port: int = 8000
    plane_port: int = 8001
    nats_port: int = 4222
    websocket_port: int | None = None
    plane_workers: int = 2


@dataclass(frozen=True)
class Source:
    """One sample department with a node: its code, its own database, and the tables its node publishes."""

    department: str
    database: str

    @property
    def node_role(self) -> str:
        """The role with which the node reads its department's database."""
        return f"{self.database}_node"


SOURCES = (Source("440100-health", "health"), Source("440100-police", "police"))

HOLDING = SOURCES[1].department
"""The department that keeps one of its lists to itself, and lets its node answer about it."""

MARKET_DATABASE = "market"
"""Enterprises in a department that has no node yet: the table to connect by hand when trying it out."""


def start_servers(home: Home, supervisor: Supervisor) -> None:
    """Start the hub's PostgreSQL, unless it has one elsewhere, and the one of the sample departments."""
    programs = postgres.runtime(home.data)
    servers = [("department-databases", home.departments_server)]
    if home.external_database is None:
        servers.insert(0, ("hub-database", home.hub_server))
    for name, server in servers:
        supervisor.adopt(name, partial(postgres.start, server, programs=programs), postgres.stop)


def prepare_databases(home: Home) -> None:
    """Create the hub's and the vault's roles and databases."""
    superuser = home.hub_superuser_url()
    hub.create_roles(superuser, {role: home.password(role) for role in hub.ROLES})
    hub.create_database(superuser, "shuqiao", "shuqiao_owner", control_schema=True)
    hub.create_database(superuser, "shuqiao_vault", "shuqiao_vault")


def prepare_sources(home: Home, options: Options, say: Say) -> None:
    """Create the departments' own databases with the sample people; what is there is kept."""
    superuser = home.departments_server.url()
    with psycopg.connect(superuser, autocommit=True) as connection:
        there = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for name in (*(source.database for source in SOURCES), MARKET_DATABASE):
            if name not in there:
                connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
    marker = home.root / "demo" / "sources.made"
    if marker.exists():
        return
    say(f"making {options.people:,} sample persons and {options.enterprises:,} enterprises")
    url = home.departments_server.url
    sources.create_sources(
        url("health"),
        url("police"),
        people=options.people,
        enterprises=options.enterprises,
        market_url=url(MARKET_DATABASE),
    )
    for source in SOURCES:
        _let_node_read(home, source)
    marker.touch()


def _let_node_read(home: Home, source: Source) -> None:
    """Give the node a role of its own that reads the department's tables and nothing else; idempotent."""
    role = sql.Identifier(source.node_role)
    with psycopg.connect(home.departments_server.url(source.database), autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [source.node_role]).fetchone()
        verb = sql.SQL("ALTER" if known else "CREATE")
        password = sql.Literal(home.password(source.node_role))
        connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, password))
        connection.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(role))


def prepare_keys(home: Home) -> None:
    """Make every key of the platform that is missing."""
    for purpose in SIGNING_PURPOSES:
        load_or_create_signing_key(home.secrets / f"{purpose}.key")
    load_or_create_sealing_key(home.secrets / "vault" / "sealing.key")
    random_secret_file(home.secrets / "vault" / "master.key")
    random_secret_file(home.secrets / "plane-session.key")
    random_secret_file(home.secrets / "bulk.key")
    random_secret_file(home.secrets / "files.key")
    for client in VAULT_CLIENTS:
        random_secret_file(home.secrets / "vault-clients" / client)
    secret_key = home.secrets / "django-secret"
    if not secret_key.exists():
        write_secret_file(secret_key, secrets.token_urlsafe(64).encode())


def register_keys(home: Home) -> None:
    """Tell the contract schema the platform's public keys, as its owner; idempotent."""
    keys = [
        (purpose, "ed25519", load_or_create_signing_key(home.secrets / f"{purpose}.key"))
        for purpose in SIGNING_PURPOSES
    ]
    rows = [
        (key_id(key.public_key()), purpose, algorithm, public_der(key.public_key()))
        for purpose, algorithm, key in keys
    ]
    sealing = load_or_create_sealing_key(home.secrets / "vault" / "sealing.key").public_key()
    rows.append((key_id(sealing), "vault", "x25519", public_der(sealing)))
    with psycopg.connect(home.hub_url("shuqiao_owner")) as connection:
        for row in rows:
            connection.execute(
                "INSERT INTO exchange.signing_key (id, purpose, algorithm, public_key) SELECT %s, %s, %s, %s "
                "WHERE NOT EXISTS (SELECT FROM exchange.signing_key WHERE id = %s)",
                [*row, row[0]],
            )


def control_environment(home: Home, options: Options) -> dict[str, str]:
    """Environment of control, its worker and its commands."""
    return {
        "DJANGO_SETTINGS_MODULE": "shuqiao.control.settings",
        "SHUQIAO_DATABASE_URL": home.hub_url("shuqiao_control"),
        "SHUQIAO_SECRET_KEY_FILE": str(home.secrets / "django-secret"),
        "SHUQIAO_ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "SHUQIAO_PUBLIC_URL": f"http://127.0.0.1:{options.port}",
        "SHUQIAO_PLANE_URL": plane_url(options),
        "SHUQIAO_PORTAL_KEYS": str(home.secrets / "portal"),
        "SHUQIAO_GRANT_KEY_FILE": str(home.secrets / "grants.key"),
        "SHUQIAO_REGULATION": "guangzhou-2016",
        "SHUQIAO_LOG_ORIGIN": LOG_ORIGIN,
        "SHUQIAO_SAMPLE": "1",
        "VAULT_SOCKET": str(home.vault_socket),
        "VAULT_CLIENT_KEY_FILE": str(home.secrets / "vault-clients" / "control"),
        "FILES_SECRET_FILE": str(home.secrets / "files.key"),
        "SHUQIAO_SEAL_KEY_FILE": str(home.secrets / "seal.key"),
        "SHUQIAO_SEAL_CERTIFICATE_FILE": str(home.secrets / "seal.pem"),
        "SHUQIAO_VOLUMES": _volumes(home, "hub-database", "vault-database", "messages"),
    }


def _volumes(home: Home, *places: str) -> str:
    """Say where the servers keep their data; of those of one's own it is declared instead."""
    folders = {"messages": home.root / "data" / "nats"}
    if home.external_database is None:
        folders |= dict.fromkeys(("hub-database", "vault-database"), home.hub_server.data)
    return ";".join(f"{place}={folders[place]}" for place in places if place in folders)


def migrate(home: Home, options: Options) -> None:
    """Bring the schemas up to date, as their owner: no process that stays can change them."""
    environment = control_environment(home, options) | {"SHUQIAO_DATABASE_URL": home.hub_url("shuqiao_owner")}
    _run_control(environment, "migrate", "--verbosity", "0")


def run_control(home: Home, options: Options, *arguments: str) -> None:
    """Run one management command of control; its output is shown only when it fails."""
    _run_control(control_environment(home, options), *arguments)


def show_control(home: Home, *arguments: str) -> int:
    """Run one management command of control with its output shown; return its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "django", *arguments, "--skip-checks"],
        env=_inherited() | control_environment(home, Options()),
        check=False,
    ).returncode


def _run_control(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "django", *arguments, "--skip-checks"]
    done = subprocess.run(
        command,
        env=_inherited() | environment,
        capture_output=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise RuntimeError(
            f"{arguments[0]} failed:\n{(done.stdout + done.stderr).decode(errors='replace')[-3000:]}"
        )


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def certify(home: Home) -> None:
    """Give every key that signs a certificate of the hub's authority."""
    certify_keys(home.secrets, home.hub_url("shuqiao_owner"))
    make_seal(home.secrets, SEAL_NAME)


def enrol_nodes(home: Home, options: Options) -> None:
    """Give each sample department's node its account, credentials, key, mappings and subscriptions."""
    for department in (*(source.department for source in SOURCES), own_copy.COPYING):
        folder = home.root / "nodes" / department
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        asyncio.run(
            enrol_department(
                department=department,
                node_home=folder,
                secrets=home.secrets,
                database_url=home.hub_url("shuqiao_owner"),
                nats_url=nats_url(options),
            )
        )
        sources.write_mappings(department, folder / "mappings")
    own_copy.prepare_copy(home, plane_url(options))


def plane_url(options: Options) -> str:
    """Where the plane answers."""
    return f"http://127.0.0.1:{options.plane_port}"


def nats_url(options: Options) -> str:
    """Where NATS listens: our own server, or the one that `NATS_URL` names."""
    return os.environ.get("NATS_URL") or f"tls://127.0.0.1:{options.nats_port}"


def nats_program(home: Home, options: Options) -> Program:
    """The message server. Its configuration is written in any case: one of your own needs its accounts."""
    command = nats.nats_command(
        home.secrets,
        home.root / "data" / "nats",
        port=options.nats_port,
        websocket_port=options.websocket_port,
    )
    return Program("nats", tuple(command), nats.nats_environment(home.secrets))


def hub_programs(home: Home, options: Options) -> list[Program]:
    """The hub's own processes besides the servers, in starting order."""
    clients = home.secrets / "vault-clients"
    vault_socket = str(home.vault_socket)
    control = control_environment(home, options)
    vault = {
        "VAULT_DATABASE_URL": home.hub_url("shuqiao_vault", "shuqiao_vault"),
        "VAULT_SOCKET": vault_socket,
        "VAULT_KEY_FILE": str(home.secrets / "vault" / "master.key"),
        "VAULT_SEALING_KEY_FILE": str(home.secrets / "vault" / "sealing.key"),
        "VAULT_CLIENT_KEYS": str(clients),
        "SHUQIAO_VOLUMES": _volumes(home, "vault-database"),
    }
    if is_root():
        system_user(VAULT_USER)
        vault["VAULT_USER"] = VAULT_USER
    spool = {
        "BULK_SPOOL": str(home.root / "data" / "bulk"),
        "BULK_SECRET_FILE": str(home.secrets / "bulk.key"),
    }
    plane = {
        "PLANE_DATABASE_URL": home.hub_url("shuqiao_plane"),
        "VAULT_SOCKET": vault_socket,
        "VAULT_CLIENT_KEY_FILE": str(clients / "plane"),
        "PLANE_PROMISE_KEY_FILE": str(home.secrets / "promise.key"),
        "PLANE_SESSION_KEY_FILE": str(home.secrets / "plane-session.key"),
        "PLANE_NATS_URL": nats_url(options),
        "PLANE_NATS_CREDS": str(home.secrets / "nats-plane.creds"),
        "PLANE_NATS_CA": str(home.secrets / "ca.pem"),
        "PLANE_SPOOL": str(home.root / "data" / "answers"),
        **spool,
        "FILES_SECRET_FILE": str(home.secrets / "files.key"),
    }
    bulk = {
        "BULK_DATABASE_URL": home.hub_url("shuqiao_bulk"),
        "VAULT_SOCKET": vault_socket,
        "VAULT_CLIENT_KEY_FILE": str(clients / "bulk"),
        "BULK_SIGNING_KEY_FILE": str(home.secrets / "promise.key"),
        **spool,
    }
    loader = {
        "LOADER_DATABASE_URL": home.hub_url("shuqiao_loader"),
        "NATS_URL": nats_url(options),
        "LOADER_CREDS": str(home.secrets / "nats-hub.creds"),
        "LOADER_CA": str(home.secrets / "ca.pem"),
        "VAULT_SOCKET": vault_socket,
        "VAULT_CLIENT_KEY_FILE": str(clients / "loader"),
        "LOADER_RECEIPT_KEY_FILE": str(home.secrets / "receipts.key"),
    }
    admitting = {
        "ADMITTING_DATABASE_URL": home.hub_url("shuqiao_admitting"),
        "ADMITTING_SECRETS": str(home.secrets),
        "NATS_URL": nats_url(options),
    }
    integrator = {
        "INTEGRATOR_DATABASE_URL": home.hub_url("shuqiao_integrator"),
        "LOG_KEY_FILE": str(home.secrets / "log.key"),
        "LOG_ORIGIN": LOG_ORIGIN,
    }
    workers, plane_port = str(options.plane_workers), str(options.plane_port)
    return [
        Program("vault", python("-m", "shuqiao.vault.main"), vault),
        Program("integrator", python("-m", "shuqiao.auditlog.main"), integrator),
        Program("loader", python("-m", "shuqiao.loader.main"), loader),
        Program("admitting", python("-m", "shuqiao.loader.admitting", "--watch"), admitting),
        Program(
            "plane", python("-m", "shuqiao.plane.main", "--workers", workers, "--port", plane_port), plane
        ),
        Program("bulk", python("-m", "shuqiao.plane.bulk.main"), bulk),
        Program("control", python("-m", "shuqiao.control.serve", "--port", str(options.port)), control),
        Program("worker", python("-m", "django", "procrastinate", "worker"), control),
    ]


def source_programs(home: Home, options: Options) -> list[Program]:
    """The nodes of the departments that publish."""
    return [
        _node_program(
            home,
            options,
            source.department,
            home.departments_server.url(source.database, source.node_role, home.password(source.node_role)),
        )
        for source in SOURCES
    ]


def copying_program(home: Home, options: Options) -> Program:
    """The node of the department that keeps a copy; it publishes nothing."""
    return _node_program(home, options, own_copy.COPYING, own_copy.source_url(home))


def _node_program(home: Home, options: Options, department: str, source_url: str) -> Program:
    folder = home.root / "nodes" / department
    environment = {
        "NODE_HOME": str(folder),
        "NODE_DEPARTMENT": department,
        "NATS_URL": nats_url(options),
        "NODE_CREDS": str(folder / "node.creds"),
        "NODE_CA": str(home.secrets / "ca.pem"),
        "NODE_MAPPING": str(folder / "mappings"),
        "NODE_INTERFACES": str(folder / "interfaces"),
        "NODE_SOURCE_URL": source_url,
    }
    return Program(f"node-{department}", python("-m", "shuqiao.edge.main"), environment)


def remove(home: Home) -> None:
    """Delete the city with all its data and keys; its processes must have ended."""
    for folder in (home.data, home.sockets):
        if folder.exists():
            shutil.rmtree(folder)
    for name in ("run", "log", "secrets", "demo", "nodes", "data"):
        shutil.rmtree(home.root / name, ignore_errors=True)


def shown_path(path: Path) -> str:
    """A path as short as it can be said from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
