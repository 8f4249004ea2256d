"""A city whose plane hands out files, and a health department's invented reports."""

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shuqiao.client.files import FilesClient
from shuqiao.security import keys
from shuqiao.security.at_rest import new_key, wrap_key
from shuqiao.security.http_signatures import CallContext
from shuqiao.security.pieces import link_secret, read_wrapping, seal_pieces
from shuqiao.security.suites import INTERNATIONAL, Suite
from shuqiao.wire.grant import Grant
from shuqiao.wire.schemas import ItemSpec, ResourceSpec
from tests.plane import conftest as plane
from tests.plugins.ports import free_port
from tests.plugins.server import TestServer

REPORTS = "r440100reportab23"
PROVIDER = "440100-health"
NO_CONTEXT = CallContext()
ITEMS = ("report_no", "year", "phone")
SPEC = ResourceSpec(
    record_key="report_no",
    modes=("bulk",),
    items=(
        ItemSpec("report_no", "报告编号", "Number of the report", "string", True, "document"),
        ItemSpec("year", "年度", "Year", "string"),
        ItemSpec("phone", "联系电话", "Phone", "string", False, "contact", 2, masked=True),
    ),
)


def content_of(size_bytes: int, seed: int = 0) -> bytes:
    """Content that differs in every piece."""
    blocks = (hashlib.sha256(f"{seed}/{at}".encode()).digest() for at in range(size_bytes // 32 + 1))
    return b"".join(blocks)[:size_bytes]


@dataclass
class FileCity(plane.City):
    """The plane's city with the secret of files."""

    @property
    def secret(self) -> Path:
        """Where the secret of files lies."""
        return self.folder / "files.key"

    @property
    def link_secret(self) -> bytes:
        """What the plane's workers make links with."""
        return link_secret(keys.load_secret_file(self.folder / "session.key"))

    def environment(self) -> dict[str, str]:
        """Settings of the plane."""
        return super().environment() | {"FILES_SECRET_FILE": str(self.secret)}

    def register(self, title: str = "年度报告（样例）", resource: str = REPORTS) -> uuid.UUID:
        """Register a file as control does."""
        file = uuid.uuid4()
        with self.control() as control:
            control.execute(
                "INSERT INTO exchange.file (id, resource_id, title, registered_at)"
                " VALUES (%s, %s, %s, now())",
                [file, resource, title],
            )
        return file

    def store(
        self,
        file: uuid.UUID,
        content: bytes,
        number: int = 1,
        *,
        name: str = "报告 2025.pdf",
        suite: Suite = INTERNATIONAL,
        pieces: list[bytes] | None = None,
    ) -> uuid.UUID:
        """Store a version as control does, under its role; `pieces` are stored instead of the true ones."""
        version, key = uuid.uuid4(), new_key(suite)
        wrapped = wrap_key(read_wrapping(self.secret), key, version.bytes)
        sealed = list(seal_pieces(key, content, version.bytes)) if pieces is None else pieces
        with self.control() as control:
            for at, piece in enumerate(sealed):
                control.execute(
                    "INSERT INTO exchange.file_piece (version, number, content) VALUES (%s, %s, %s)",
                    [version, at, piece],
                )
            control.execute(
                "INSERT INTO exchange.file_version (id, file, number, name, media_type, size_bytes, digest,"
                " wrapped_key, stored_by, stored_at, entry)"
                " VALUES (%s, %s, %s, %s, 'application/pdf', %s, %s, %s, 'account:chen', now(), %s)",
                [
                    version,
                    file,
                    number,
                    name,
                    len(content),
                    hashlib.sha256(content).hexdigest(),
                    wrapped,
                    uuid.uuid4(),
                ],
            )
        return version

    def withdraw(self, file: uuid.UUID) -> None:
        """Withdraw a file as control does."""
        with self.control() as control:
            control.execute(
                "UPDATE exchange.file SET withdrawn_at = %s, withdrawn_reason = '样例' WHERE id = %s",
                [datetime.now(UTC), file],
            )

    @contextlib.contextmanager
    def control(self) -> Iterator[psycopg.Connection]:
        """A connection of control's own role; what is done in it is one transaction."""
        connection = psycopg.connect(self.hub.role("shuqiao_control"))
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()

    def file_grant(self, **changes: Any) -> Grant:
        """Issue a grant on the reports' files."""
        words: dict[str, Any] = {
            "resource": REPORTS,
            "mode": "bulk",
            "items": ITEMS,
            "unmasked": ("phone",),
            "channels": ("interface", "download"),
            "files": ("*",),
        }
        return self.issue(**(words | changes))

    @contextlib.contextmanager
    def files(self, application: str = plane.APP) -> Iterator[FilesClient]:
        """The project's own client for files."""
        with self.client(application) as client:
            files = FilesClient(client, self.url)
            try:
                yield files
            finally:
                files.close()


@contextlib.contextmanager
def running_file_city(server: TestServer, template: str) -> Iterator[FileCity]:
    """A city with vault and plane, and an entry that files serve."""
    with plane.parts_of_city(server, template, "sq-files-") as parts, contextlib.ExitStack() as stack:
        city = FileCity(*parts, free_port())
        keys.random_secret_file(city.secret)
        plane.prepare(city)
        plane.publish(city, REPORTS, PROVIDER, SPEC, ("样例/3", "报告", "Reports"))
        stack.callback(city.stop)
        city.start()
        yield city


@pytest.fixture(scope="session")
def shared_file_city(pg_server: TestServer, hub_template: str) -> Iterator[FileCity]:
    """One city for all tests of files."""
    with running_file_city(pg_server, hub_template) as city:
        yield city


@pytest.fixture
def city(shared_file_city: FileCity) -> FileCity:
    """The shared city without grants and files; its log begins anew for the test."""
    city = shared_file_city
    city.admin.execute('DELETE FROM exchange."grant"')
    city.admin.execute("TRUNCATE exchange.file, exchange.file_version, exchange.file_piece")
    city.seen_before = {row[0] for row in city.admin.execute("SELECT id FROM audit.entry").fetchall()}
    return city
