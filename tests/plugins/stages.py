"""The databases Django stands on in the tests: an empty hub, seeded ones, and copies that a test may change.

A test's own transaction takes back what it did. What is committed goes into a copy of its own, which is
dropped: that is quicker than emptying every table, and leaves nothing behind in those Django doesn't know.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import pytest_django
from psycopg.conninfo import conninfo_to_dict

from tests.plugins.hubs import copy_hub, drop
from tests.plugins.server import RUN, TestServer

Fill = Callable[[], None]


class Stage:
    """Django's connection and the databases it is put on; the connection has control's rights.

    It is the superuser's and takes control's role at once, so that a test can step out of it
    (`tests.control.conftest.beyond_control`) to do within its own transaction what others do.
    """

    def __init__(self, server: TestServer, template: str, blocker: pytest_django.DjangoDbBlocker) -> None:
        """Begin on an empty hub."""
        self._server = server
        self._template = template
        self._blocker = blocker
        self._seeded: dict[Fill, str] = {}
        self._empty = f"sq_{RUN}_django"
        self._settings["OPTIONS"]["assume_role"] = "shuqiao_control"
        self._copy(template, self._empty)
        self._stand_on(self._empty)

    @property
    def _settings(self) -> dict:
        from django.db import connections

        return connections["default"].settings_dict

    def _leave(self) -> None:
        from django.db import connections

        with self._blocker.unblock():
            connections.close_all()

    def _copy(self, template: str, name: str) -> None:
        # PostgreSQL copies only what nobody is connected to.
        self._leave()
        copy_hub(self._server.superuser(), template, name)

    def _stand_on(self, name: str) -> str:
        """Connect anew, also in threads and processes to come; return the name of what it stood on."""
        before = str(self._settings["NAME"])
        self._leave()
        place = conninfo_to_dict(self._server.superuser(name))
        self._settings.update(NAME=name, USER=place["user"], PASSWORD=place["password"])
        os.environ["SHUQIAO_DATABASE_URL"] = self._server.url(name, "shuqiao_control")
        return before

    @contextmanager
    def standing_on(self, name: str) -> Iterator[None]:
        """Stand on another database for a while."""
        before = self._stand_on(name)
        try:
            yield
        finally:
            self._stand_on(before)

    def seeded(self, fill: Fill) -> str:
        """Name of a hub with what `fill` commits, made when it is first asked for; not to be changed."""
        if fill not in self._seeded:
            name = f"sq_{RUN}_s{len(self._seeded)}"
            self._copy(self._template, name)
            with self.standing_on(name), self._blocker.unblock():
                fill()
            self._seeded[fill] = name
        return self._seeded[fill]

    @contextmanager
    def copy(self, fill: Fill | None = None) -> Iterator[None]:
        """Stand on a copy that other connections see and may change, in a test that begins no transaction."""
        name = f"sq_{RUN}_c{uuid.uuid4().hex[:8]}"
        self._copy(self.seeded(fill) if fill else self._template, name)
        try:
            with self.standing_on(name), self._blocker.unblock():
                yield
        finally:
            drop(self._server.superuser(), name)

    def close(self) -> None:
        """Drop all databases."""
        self._leave()
        for name in (self._empty, *self._seeded.values()):
            drop(self._server.superuser(), name)


def _hash_cheaply() -> None:
    """Take a password's hash in this process at a hundredth of its cost: a city has many accounts."""
    from django.contrib.auth.hashers import Argon2PasswordHasher

    Argon2PasswordHasher.memory_cost = 1024
    Argon2PasswordHasher.time_cost = Argon2PasswordHasher.parallelism = 1


@pytest.fixture(scope="session")
def stage(
    pg_server: TestServer, hub_template: str, django_db_blocker: pytest_django.DjangoDbBlocker
) -> Iterator[Stage]:
    """Where Django stands."""
    _hash_cheaply()
    made = Stage(pg_server, hub_template, django_db_blocker)
    yield made
    made.close()


@pytest.fixture(scope="session")
def django_db_setup(stage: Stage) -> None:
    """Give Django a migrated hub, with the rights control has when it is at work."""
