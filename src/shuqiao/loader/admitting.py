"""Admits nodes that ask over the network: `python -m shuqiao.loader.admitting [--watch]`.

Runs beside the message server, with its operator's keys and a role of the database that can admit and nothing
else; the pages have neither. Without `--watch` it does what waits and ends, as a timer wants it. It also
tells the server which users count no more, which cuts their connections. Source: our choice, decision 40.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import asyncpg
import msgspec

from shuqiao.loader.enrol import (
    EnrolmentError,
    HubAccess,
    KeysRefusedError,
    admit_within,
    push_account,
    revoked_users,
)
from shuqiao.security.nats_secrets import load_department_account
from shuqiao.wire.enrolment_token import EnrolmentRequest, is_proved, mark
from shuqiao.wire.nats_client import addresses
from shuqiao.wire.nats_library import NatsError
from shuqiao.wire.outages import DATABASE_TROUBLES

log = logging.getLogger("shuqiao.admitting")

CHANNEL = "exchange_enrolment"
LOOK_EVERY_S = 5.0
_TIMEOUT_S = 10.0
_REQUIRED = ("ADMITTING_DATABASE_URL", "ADMITTING_SECRETS", "NATS_URL")
_NODES_URL = "ADMITTING_NODES_NATS_URL"
_NEXT = """
SELECT id, department, verifier, answer_key, made_by, request, round FROM exchange.enrolment_token
WHERE round > admitted_round AND withdrawn_at IS NULL AND fault IS NULL
ORDER BY made_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_DONE = """
UPDATE exchange.enrolment_token
SET admitted_round = $2, admitted_at = clock_timestamp(), admission = $3, mac = $4 WHERE id = $1
"""
_FAULT = "UPDATE exchange.enrolment_token SET fault = $2 WHERE id = $1"
_UNTOLD = "SELECT DISTINCT department FROM exchange.revoked_user WHERE pushed_at IS NULL ORDER BY department"
_TOLD = """
UPDATE exchange.revoked_user SET pushed_at = clock_timestamp()
WHERE department = $1 AND nats_user = ANY($2) AND pushed_at IS NULL
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Admit what waits, or watch; 2 where a setting is missing, 1 where it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m shuqiao.loader.admitting", description="Admit nodes.")
    parser.add_argument("--watch", action="store_true", help="stay, and admit whenever a node asks")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    missing = [name for name in _REQUIRED if not os.environ.get(name)]
    if missing:
        sys.stderr.write(f"not set: {', '.join(missing)}\n")
        return 2
    try:
        hub = read_hub(os.environ)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if given.watch:
        with suppress(KeyboardInterrupt):
            asyncio.run(watch(hub))
        return 0
    try:
        asyncio.run(_once(hub))
    except (OSError, asyncpg.PostgresError, NatsError, EnrolmentError) as error:
        log.error("admitting_failed %s", type(error).__name__)
        return 1
    return 0


def read_hub(environment: Mapping[str, str]) -> HubAccess:
    """Read the settings; raises ValueError for an address that no node could use."""
    secrets = Path(environment["ADMITTING_SECRETS"])
    nodes_url = environment.get(_NODES_URL, "")
    if nodes_url:
        try:
            addresses(nodes_url)
        except ValueError as error:
            raise ValueError(f"{_NODES_URL} {error}") from None
    return HubAccess(secrets, environment["ADMITTING_DATABASE_URL"], environment["NATS_URL"], nodes_url)


async def watch(hub: HubAccess) -> None:
    """Do what waits whenever the database wakes us, and every few seconds besides; for ever."""
    while True:
        try:
            await _listen(hub)
        except (*DATABASE_TROUBLES, NatsError, EnrolmentError) as error:
            log.error("admitting_failed %s", type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)


async def _listen(hub: HubAccess) -> None:
    connection = await asyncpg.connect(hub.database_url, timeout=_TIMEOUT_S)
    woken = asyncio.Event()
    try:
        await connection.add_listener(CHANNEL, lambda *_: woken.set())
        log.info("ready")
        while True:
            woken.clear()
            await work(connection, hub)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await woken.wait()
    finally:
        await connection.close(timeout=_TIMEOUT_S)


async def _once(hub: HubAccess) -> None:
    connection = await asyncpg.connect(hub.database_url, timeout=_TIMEOUT_S)
    try:
        await work(connection, hub)
    finally:
        await connection.close(timeout=_TIMEOUT_S)


async def work(connection: asyncpg.Connection, hub: HubAccess) -> int:
    """Tell the server of users that count no more, then admit who waits; return how many were admitted."""
    for row in await connection.fetch(_UNTOLD, timeout=_TIMEOUT_S):
        await _tell(connection, hub, row["department"])
    admitted = 0
    while await _admit_next(connection, hub):
        admitted += 1
    return admitted


async def _tell(connection: asyncpg.Connection, hub: HubAccess, department: str) -> None:
    async with connection.transaction():
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtext('exchange.node'), hashtext($1))", department
        )
        revoked = await revoked_users(connection, department)
        await push_account(hub, load_department_account(hub.secrets, department), department, revoked)
        await connection.execute(_TOLD, department, list(revoked))
    log.info("users_revoked department=%s", department)


async def _admit_next(connection: asyncpg.Connection, hub: HubAccess) -> bool:
    """Admit one; killed before the commit, it waits as before and is admitted with the same keys."""
    async with connection.transaction():
        row = await connection.fetchrow(_NEXT, timeout=_TIMEOUT_S)
        if row is None:
            return False
        asked = _asked(row)
        if asked is None:
            await connection.execute(_FAULT, row["id"], "unproved")
            log.error("request_unproved department=%s", row["department"])
            return True
        try:
            async with connection.transaction():
                name, actor = row["department"], f"account:{row['made_by']}"
                admission = await admit_within(connection, asked.request, hub, name=name, actor=actor)
        except KeysRefusedError as error:
            log.error("not_admitted department=%s: %s", row["department"], error)
            await connection.execute(_FAULT, row["id"], "refused")
            return True
        content = msgspec.json.encode(admission)
        marked = mark(row["answer_key"], asked, content)
        await connection.execute(_DONE, row["id"], asked.round, content, marked)
    log.info("admitted department=%s", row["department"])
    return True


def _asked(row: asyncpg.Record) -> EnrolmentRequest | None:
    """What a node asks, if it does: the pages that took it hold no secret of a token, and aren't believed."""
    try:
        asked = msgspec.msgpack.decode(row["request"], type=EnrolmentRequest)
    except msgspec.DecodeError:
        return None
    is_its_own = is_proved(asked, row["verifier"], row["department"]) and asked.round == row["round"]
    return asked if is_its_own else None


if __name__ == "__main__":
    sys.exit(main())
