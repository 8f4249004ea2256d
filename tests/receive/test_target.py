"""Our own tables in a consumer's database: made by two at once, and a database that ends meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shuqiao.edge.receive.own import Own
from shuqiao.edge.receive.reading import Gone, Subscription
from shuqiao.edge.receive.sessions import TargetError, TargetWrong, open_session
from shuqiao.edge.receive.target import open_target
from tests.loader.line import wait_for
from tests.receive.conftest import TABLES

BLOCKED = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def permits(folder: Path, url: str, **changes: Any) -> Subscription:
    """A subscription into the table of permits."""
    wanted = Subscription(
        name="permits",
        path=folder / "permits.yaml",
        resource="r440100permitab23",
        application="app-housing-rental",
        key_file=folder / "app.pem",
        plane_url="https://127.0.0.1:1",
        plane_keys=folder / "platform.json",
        authority=None,
        target_url=url,
        table="permits",
        mode="upsert",
        key="_key",
        columns={"_key": "shuqiao_key", "permit_no": "number"},
        gone=Gone("delete"),
        most_dead=0,
    )
    return replace(wanted, **changes)


def while_the_name_is_taken(url: str, work: Callable[[], Any], then: str, *, commits: bool) -> Future[Any]:
    """Begin `work`, which has to wait for another's table of the same name; run a statement meanwhile."""
    with ThreadPoolExecutor(1) as pool, psycopg.connect(url) as other:
        other.execute("CREATE TABLE shuqiao_receive (subscription varchar(64) PRIMARY KEY)")
        begun = pool.submit(work)
        with psycopg.connect(url, autocommit=True) as watch:
            wait_for(lambda: watch.execute(f"SELECT {then} {BLOCKED}".encode()).fetchone(), what="the wait")
        if commits:
            other.commit()
        begun.exception(10)
        other.rollback()
    return begun


def test_two_subscriptions_may_make_our_tables_at_once(empty_database: str) -> None:
    def make() -> None:
        session = open_session(empty_database)
        Own(session, "", "late").make()
        session.close()

    while_the_name_is_taken(empty_database, make, "1", commits=True).result()


def test_a_target_that_ends_while_it_is_looked_at_is_away_and_not_wrong(
    empty_database: str, tmp_path: Path
) -> None:
    with psycopg.connect(empty_database) as link:
        link.execute(TABLES["postgresql"].encode())
    wanted = permits(tmp_path, empty_database)
    ended = while_the_name_is_taken(
        empty_database, lambda: open_target(wanted, tmp_path), "pg_terminate_backend(pid)", commits=False
    )
    fault = ended.exception()
    assert isinstance(fault, TargetError) and not isinstance(fault, TargetWrong)


def test_nothing_is_said_to_be_deleted_that_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "target.db"
    with closing(sqlite3.connect(file)) as link, link:
        link.executescript(TABLES["sqlite"])
        link.execute("INSERT INTO permits (shuqiao_key, number) VALUES ('a', 'P1')")
    target = open_target(permits(tmp_path, f"sqlite://{file}", is_position_here=True), tmp_path)
    session = target._session
    run = session.run

    def dies(sql: str, *values: Any) -> int:
        if sql == "COMMIT":
            raise KeyboardInterrupt
        return run(sql, *values)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(session, "run", dies)
        target.delete()
    target.close()
    again = open_target(permits(tmp_path, f"sqlite://{file}", is_position_here=True), tmp_path)
    assert again.position().state == ""
    deleted = again.delete()
    assert (deleted.state, deleted.gone) == ("deleted", 1)
    assert again.position() == deleted
    again.close()
