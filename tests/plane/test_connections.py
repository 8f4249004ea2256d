"""HTTP as bytes on a socket: what is no request, comes too slowly, too large, too early or twice."""

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shuqiao.plane.connection import IDLE_TIMEOUT_S, MAX_HEAD_BYTES, MAX_HEADERS
from tests.plane.conftest import RESOURCE, City
from tests.vault import births

BODY = json.dumps(
    {"subject": births.certificate(3), "claims": {"mother_name": "样例母亲3", "sex_code": "2"}}
).encode()
PATH = f"/v1/resources/{RESOURCE}/verify"
LIVE = b"GET /health/live HTTP/1.1\r\nhost: plane\r\n\r\n"


@pytest.fixture
def link(city: City) -> Iterator[socket.socket]:
    """A connection to the plane."""
    with socket.create_connection(("127.0.0.1", city.port), timeout=30) as made:
        yield made


def call(city: City, body: bytes = BODY, *more: str) -> bytes:
    """A signed call as bytes, with more header lines if given."""
    headers = city.signed(body) | {"host": f"127.0.0.1:{city.port}", "content-length": str(len(body))}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"POST {PATH} HTTP/1.1", *lines, *more, "", ""]).encode() + body


def rest(link: socket.socket) -> bytes:
    """Everything until the plane hangs up."""
    received = b""
    while chunk := link.recv(65536):
        received += chunk
    return received


def answer(link: socket.socket) -> tuple[int, bytes, bytes]:
    """Status, head and body of one answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = link.recv(65536)
        assert chunk, received
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head)
    assert found is not None
    while len(body) < int(found[1]):
        body += link.recv(65536)
    return int(head.split()[1]), head, body


def statuses(received: bytes) -> list[int]:
    """The statuses of all answers in what was received."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def calls_answered(city: City) -> int:
    """The number of recorded verifications."""
    return len([entry for entry in city.entries() if entry["event"] == "verify"])


def test_a_connection_serves_many_requests(city: City, link: socket.socket) -> None:
    city.issue()
    for _ in range(3):
        link.sendall(call(city))
        status, head, _ = answer(link)
        assert status == 200
        assert b"connection: close" not in head
        assert b"\r\ndate: " in head
    assert calls_answered(city) == 3


def test_a_request_may_come_byte_by_byte(city: City, link: socket.socket) -> None:
    city.issue()
    for byte in call(city):
        link.sendall(bytes([byte]))
    assert answer(link)[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        "content-length: {n}\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: {n}",
        "transfer-encoding: chunked",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, identity\r\ncontent-length: {n}",
        "transfer-encoding : chunked\r\ncontent-length: {n}",
        "content-length: {n}\r\ncontent-length: {n}",
        "content-length: {n}\r\ncontent-length: 0",
        "content-length: {n}, {n}",
        "content-length: +{n}",
        "content-length: -1",
        "content-length: 0x10",
        "content-length : {n}",
        "content-length: {n}\r\n folded: x",
        "content-length: {n}\nx: y",
        "content-length: {n}\r\nx\x00y: z",
        "content-length: {n}\r\nhost: elsewhere",
        "content-length: 99999999999999999999",
        "content-length:",
    ],
)
def test_a_body_whose_length_can_be_read_in_two_ways(city: City, link: socket.socket, head: str) -> None:
    """One answer, 4xx, and the connection ends: nothing of the body is taken for a next request."""
    city.issue()
    lines = [f"{name}: {value}" for name, value in city.signed(BODY).items()]
    start = [f"POST {PATH} HTTP/1.1", f"host: 127.0.0.1:{city.port}", *lines]
    smuggled = LIVE + call(city)
    text = "\r\n".join([*start, head.format(n=len(BODY)), "", ""]).encode()
    link.sendall(text + BODY + smuggled)
    received = rest(link)
    assert statuses(received) == [400]
    assert b"connection: close" in received
    assert calls_answered(city) == 0


@pytest.mark.parametrize(
    "start",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET http://plane/health/live HTTP/1.1\r\nhost: plane\r\n\r\n",
        b"GET * HTTP/1.1\r\nhost: plane\r\n\r\n",
        b"CONNECT plane:443 HTTP/1.1\r\nhost: plane\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nhost: plane\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        b"GET /health/live HTTP/3.7\r\nhost: plane\r\n\r\n",
        b"GET /health/live\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\n\r\n",
        b"BREW /health/live HTTP/1.1\r\nhost: plane\r\n\r\n",
    ],
    ids=range(10),
)
def test_what_is_no_request_of_ours(link: socket.socket, start: bytes) -> None:
    link.sendall(start)
    received = rest(link)
    assert statuses(received) == [400]
    assert json.loads(received.partition(b"\r\n\r\n")[2])["code"] == "request_malformed"


@pytest.mark.parametrize(
    "head",
    [
        b"x: " + b"y" * MAX_HEAD_BYTES,
        b"y" * MAX_HEAD_BYTES + b": x",
        b"\r\n".join(b"x-%d: y" % number for number in range(MAX_HEADERS + 1)),
    ],
    ids=["value", "name", "count"],
)
def test_a_head_beyond_the_bounds(link: socket.socket, head: bytes) -> None:
    link.sendall(b"GET /health/live HTTP/1.1\r\n" + head + b"\r\n\r\n")
    assert statuses(rest(link)) == [400]


def test_a_header_that_never_ends_is_cut_at_the_bound(link: socket.socket) -> None:
    link.sendall(b"GET /health/live HTTP/1.1\r\nx: ")
    sent = 0
    link.settimeout(0.05)
    while True:
        try:
            sent += link.send(b"y" * 1024)
            received = link.recv(4096)
            break
        except TimeoutError:
            assert sent < 4 * MAX_HEAD_BYTES
    assert statuses(received) == [400]


def test_a_target_that_never_ends_is_cut_at_the_bound(link: socket.socket) -> None:
    link.sendall(b"GET /" + b"x" * (2 * MAX_HEAD_BYTES))
    assert statuses(rest(link)) == [400]


@pytest.mark.timeout(60)
def test_a_slow_head_is_given_up(link: socket.socket) -> None:
    started = time.monotonic()
    link.sendall(b"GET /health/live HTTP/1.1\r\n")
    link.settimeout(0.5)
    received = b""
    # A header every half second keeps the connection lively; the time counts from the first byte.
    while not received:
        try:
            link.sendall(b"x: y\r\n")
            received = link.recv(4096)
        except TimeoutError:
            assert time.monotonic() - started < 20
    assert statuses(received) == [408]
    assert 8 < time.monotonic() - started < 20


def test_a_silent_connection_is_hung_up_on_sooner_than_one_between_requests(link: socket.socket) -> None:
    started = time.monotonic()
    assert rest(link) == b""
    assert 8 < time.monotonic() - started < 20 < IDLE_TIMEOUT_S


def test_pipelined_calls_are_not_answered(city: City, link: socket.socket) -> None:
    """The first is answered and says that the connection ends; the second was never taken."""
    city.issue()
    first, second = call(city), call(city)
    link.sendall(first + second)
    received = rest(link)
    assert statuses(received) == [200]
    assert b"connection: close" in received
    assert calls_answered(city) == 1
    with socket.create_connection(("127.0.0.1", city.port), timeout=10) as other:
        other.sendall(second)
        assert answer(other)[0] == 200


def test_pipelined_requests_that_need_no_waiting_are_answered_in_order(link: socket.socket) -> None:
    unknown = LIVE.replace(b"/health/live", b"/nothing")
    link.sendall(LIVE + unknown + LIVE.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    assert statuses(rest(link)) == [200, 404, 200]


def test_half_a_connection_still_gets_its_answer(city: City, link: socket.socket) -> None:
    city.issue()
    link.sendall(call(city))
    link.shutdown(socket.SHUT_WR)
    assert statuses(rest(link)) == [200]


def test_a_body_that_was_cut_off_is_refused_and_recorded(city: City, link: socket.socket) -> None:
    city.issue()
    link.sendall(call(city)[:-5])
    link.shutdown(socket.SHUT_WR)
    assert statuses(rest(link)) == [400]
    assert [entry["outcome"] for entry in city.entries()] == ["request_malformed"]


def test_a_head_that_was_cut_off_gets_no_answer(link: socket.socket) -> None:
    link.sendall(LIVE[:-2])
    link.shutdown(socket.SHUT_WR)
    assert rest(link) == b""


def test_who_leaves_before_the_answer_disturbs_nobody(city: City) -> None:
    city.issue()
    for _ in range(8):
        with socket.create_connection(("127.0.0.1", city.port)) as link:
            link.sendall(call(city))
    with socket.create_connection(("127.0.0.1", city.port), timeout=10) as link:
        link.sendall(call(city))
        assert answer(link)[0] == 200


def test_a_body_is_asked_for_only_after_the_head_was_accepted(city: City, link: socket.socket) -> None:
    city.issue()
    whole = call(city, BODY, "expect: 100-continue")
    link.sendall(whole[: -len(BODY)])
    assert link.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
    link.sendall(BODY)
    assert answer(link)[0] == 200
    link.sendall(whole[: -len(BODY)].replace(b"signature: ", b"x-signature: "))
    assert statuses(rest(link)) == [401]


def test_who_is_turned_away_cannot_fill_the_memory(city: City, link: socket.socket) -> None:
    """Unsigned bodies are dropped as they come, however much is announced."""
    size = 50 * 1024 * 1024
    head = f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{city.port}\r\ncontent-length: {size}\r\n\r\n"
    link.sendall(head.encode())
    status, answered, _ = answer(link)
    assert (status, b"connection: close" in answered) == (401, True)
    before = peak_bytes(city)
    link.settimeout(2)
    with pytest.raises((ConnectionError, TimeoutError)):
        for _ in range(size // 65536):
            link.sendall(b"x" * 65536)
        rest(link)
        raise ConnectionError
    assert peak_bytes(city) - before < 4 * 1024 * 1024


def peak_bytes(city: City) -> int:
    """The most memory that all workers together have held at once."""
    assert city.process is not None
    parent = city.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    total = 0
    for child in children:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{child}/status").read_text())
        assert found is not None
        total += int(found[1]) * 1024
    return total


def test_who_does_not_read_gets_no_more_work_done(city: City) -> None:
    """Requests without end whose answers are never taken: the plane stops reading and hangs up."""
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.connect(("127.0.0.1", city.port))
        link.settimeout(25)
        request = LIVE.replace(b"/health/live", b"/openapi.json") * 50
        sent = 0
        with pytest.raises(ConnectionError):
            while sent < 200 * 1024 * 1024:
                sent += link.send(request)
        assert sent < 16 * 1024 * 1024


def test_who_reads_late_is_cut_off(link: socket.socket) -> None:
    """One large answer after the other, each asked for when the last should be there, and none taken."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    started = time.monotonic()
    with pytest.raises(ConnectionError):
        while time.monotonic() - started < 30:
            link.sendall(LIVE.replace(b"/health/live", b"/openapi.json"))
            time.sleep(0.02)


def test_workers_share_the_connections(city: City) -> None:
    seen = set()
    for _ in range(64):
        with socket.create_connection(("127.0.0.1", city.port), timeout=10) as link:
            link.sendall(LIVE.replace(b"/health/live", b"/metrics"))
            found = re.search(rb'worker="(\d+)"', answer(link)[2])
            assert found is not None
            seen.add(int(found[1]))
    assert len(seen) == 2
    assert os.getpid() not in seen
