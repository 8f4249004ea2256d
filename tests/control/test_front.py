"""The office as it is served: bodies that never come, heads that never end, and too many at once."""

import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from shuqiao.control.accounts.models import Account
from tests.control.conftest import seed_city
from tests.plugins.ports import free_port
from tests.plugins.stages import Stage

pytestmark = [pytest.mark.database]

SERVE = (
    *("--interface", "asginl", "--http", "1", "--workers", "1", "--no-ws"),
    *("--http1-header-read-timeout", "3000", "--host", "127.0.0.1"),
)
BODY_TIMEOUT_S = 8
THREADS = 2
HEAD = "POST /sign-in/ HTTP/1.1\r\nhost: localhost\r\n"


@pytest.fixture(scope="module")
def port(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of the office with two threads."""
    with stage.copy(seed_city):
        yield from serve(tmp_path_factory.mktemp("front"))


def serve(tmp_path: Path) -> Iterator[int]:
    """Serve the database that Django stands on."""
    port = free_port()
    bounds = {
        "SHUQIAO_CONTROL_THREADS": str(THREADS),
        "SHUQIAO_CONTROL_BODY_TIMEOUT_S": str(BODY_TIMEOUT_S),
    }
    command = [sys.executable, "-W", "ignore", "-m", "granian", *SERVE, "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        served = subprocess.Popen(
            [*command, "shuqiao.control.front:application"], env=os.environ | bounds, stdout=log, stderr=log
        )
    try:
        for _ in range(300):
            assert served.poll() is None, (tmp_path / "log").read_text()
            with contextlib.suppress(OSError):
                if asked(port) == 200:
                    break
            time.sleep(0.2)
        yield port
    finally:
        served.terminate()
        served.wait(timeout=30)


def asked(port: int, path: str = "/sign-in/", timeout_s: float = 10) -> int:
    """Status of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"host": "localhost"})
        with connection.getresponse() as answer:
            answer.read()
            return answer.status
    finally:
        connection.close()


def linked(port: int, first: bytes) -> socket.socket:
    """A connection on which something was sent."""
    made = socket.create_connection(("127.0.0.1", port), timeout=30)
    made.sendall(first)
    return made


def rest(link: socket.socket) -> bytes:
    """Everything until the other side hangs up."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := link.recv(65536):
            received += chunk
    link.close()
    return received


def status(received: bytes) -> int:
    """The status of the first answer."""
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", received)
    assert found is not None, received
    return int(found[1])


def test_bodies_that_never_come_keep_nobody_from_working(port: int) -> None:
    """Many more than there are threads; each is told after a time, and pages are served meanwhile."""
    started = time.monotonic()
    links = [linked(port, (HEAD + "content-length: 1000\r\n\r\nx").encode()) for _ in range(10 * THREADS)]
    time.sleep(0.5)
    assert [asked(port, timeout_s=BODY_TIMEOUT_S) for _ in range(5)] == [200] * 5
    assert time.monotonic() - started < BODY_TIMEOUT_S
    assert {status(rest(link)) for link in links} == {408}
    assert asked(port) == 200


def test_a_body_in_drips_has_no_more_time(port: int) -> None:
    link = linked(port, (HEAD + "content-length: 1000\r\n\r\n").encode())
    link.settimeout(0.3)
    started = time.monotonic()
    received = b""
    while not received and time.monotonic() - started < 40:
        with contextlib.suppress(TimeoutError):
            link.sendall(b"x")
            received = link.recv(4096)
    link.close()
    assert status(received) == 408
    assert time.monotonic() - started < 2 * BODY_TIMEOUT_S


@pytest.mark.parametrize("drip", [b"", b"x: y\r\n"], ids=["silent", "in drips"])
def test_a_head_that_never_ends_is_given_up(port: int, drip: bytes) -> None:
    link = linked(port, HEAD.encode())
    link.settimeout(0.3)
    started = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - started < 40:
            with contextlib.suppress(TimeoutError):
                link.sendall(drip)
                if not link.recv(4096):
                    break
    link.close()
    assert time.monotonic() - started < 20


def test_silent_connections_keep_nobody_from_working(port: int) -> None:
    links = [linked(port, b"") for _ in range(300)]
    assert [asked(port, timeout_s=BODY_TIMEOUT_S) for _ in range(5)] == [200] * 5
    for link in links:
        link.close()


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /sign-in/ HTTP/1.1\r\nhost: localhost\r\nhost: elsewhere\r\n\r\n",
        "GET /sign-in/ HTTP/1.1\r\n\r\n",
        HEAD + "content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        HEAD + "content-length: -1\r\n\r\n",
        HEAD + "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + "content-length: 3\r\ncontent-type: a/b\r\ncontent-type: c/d\r\n\r\nabc",
        "GET /sign-in/ HTTP/1.1\r\nhost: localhost\r\nx\x00y: z\r\n\r\n",
        "GET /sign-in/ HTTP/1.1\r\nhost: elsewhere.example\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01",
    ],
    ids=[
        "two hosts",
        "no host",
        "two lengths",
        "negative",
        "length and chunks",
        "two types",
        "null",
        "other host",
        "tls",
    ],
)
def test_what_is_no_request_is_refused(port: int, request_text: str) -> None:
    link = linked(port, request_text.encode("latin-1"))
    link.settimeout(10)
    assert status(link.recv(4096)) in (400, 411)
    link.close()


def test_a_head_or_a_body_beyond_the_bounds_is_refused(port: int) -> None:
    link = linked(port, b"GET /sign-in/ HTTP/1.1\r\nhost: localhost\r\nx: ")
    with contextlib.suppress(OSError):
        link.sendall(b"y" * 600_000 + b"\r\n\r\n")
    assert status(rest(link)) == 431
    link = linked(port, (HEAD + f"content-length: {80 * 1024 * 1024}\r\n\r\n").encode())
    sending = threading.Thread(target=_send_much, args=(link,))
    sending.start()
    assert status(link.recv(4096)) == 413
    link.close()
    sending.join()
    assert asked(port) == 200


def _send_much(link: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for _ in range(80 * 16):
            link.sendall(b"x" * 65536)


def test_too_many_at_once_are_told_to_come_again(port: int) -> None:
    """Far more at one moment than may wait; everybody has an answer, and those turned away have it early."""
    results: list[tuple[int, float]] = []

    def ask() -> None:
        started = time.monotonic()
        with contextlib.suppress(OSError):
            results.append((asked(port, timeout_s=60), time.monotonic() - started))

    threads = [threading.Thread(target=ask) for _ in range(250)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 250
    assert {status for status, _ in results} == {200, 503}
    assert asked(port) == 200


def test_pages_files_and_paths_are_as_they_were(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/sign-in/", headers={"host": "localhost", "accept-language": "en"})
    answer = connection.getresponse()
    page = answer.read().decode()
    assert answer.status == 200 and "csrfmiddlewaretoken" in page
    assert int(answer.headers["content-length"]) == len(page.encode())
    assert "default-src" in answer.headers["content-security-policy"]
    for path, expected in (("/static/none", 404), ("/%E7%9B%AE%E5%BD%95/?a=%E7%9B%AE%00", 404)):
        connection.request("GET", path, headers={"host": "localhost"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()[:0]) == (expected, b"")
    connection.close()


def test_a_file_of_the_whole_catalogue_comes_piece_by_piece(port: int) -> None:
    client = Client()
    client.force_login(Account.objects.get(username="lin"))
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(4):
        connection.request("GET", "/catalogue/export.csv", headers={"host": "localhost", "cookie": cookie})
        answer = connection.getresponse()
        table = answer.read().decode("utf-8-sig")
        assert answer.status == 200 and answer.headers["transfer-encoding"] == "chunked"
        assert len(table.splitlines()) > 20
    connection.close()
