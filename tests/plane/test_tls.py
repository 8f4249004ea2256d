"""The plane with TLS of its own: real certificates and handshakes, and everybody who doesn't make one."""

import asyncio
import contextlib
import dataclasses
import queue
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop
from cryptography import x509

from shuqiao.client.plane import PlaneClient, PlaneUnreachable
from shuqiao.plane import connection, door
from shuqiao.plane.answers import Reply, Streamed
from shuqiao.plane.connection import BodyReader, Request
from shuqiao.plane.server import Server
from shuqiao.rules.errors import CallError
from shuqiao.rules.pace import Pace
from shuqiao.security.certificates import KeyedCertificate, issue_server_certificate
from shuqiao.security.http_signatures import CallContext, key_signer
from shuqiao.security.tls import RenewedTls, TlsRefused, client_context, read_tls_files
from tests.plane.conftest import APP, RESOURCE, City
from tests.plugins.certificates import HOSTS, Place, new_place, replace
from tests.plugins.ports import free_port
from tests.vault import births

PIECE = bytes(256 * 1024)
PIECES = 40
SIZE = PIECES * len(PIECE)
SMALL = b"GET /small HTTP/1.1\r\nhost: x\r\n\r\n"
BULK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder with an authority and a server's certificate."""
    return new_place(tmp_path_factory.mktemp("tls"))


class Downloads:
    """Answers `/small` with a word and everything else with ten megabytes."""

    def opened(self, request: Request) -> BodyReader | None:
        """Begin at once."""
        small = Reply(200, "", b"word")
        request.answer(small if request.path == "/small" else Streamed(200, "", SIZE, self._pieces()))
        return None

    def refused(self, error: CallError) -> Reply:
        """Say no more than the status."""
        return Reply(error.status, "", b"")

    async def _pieces(self) -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            yield PIECE


@contextlib.contextmanager
def serving(tls: RenewedTls) -> Iterator[int]:
    """A server with TLS on a port of its own, in a thread with the plane's own kind of loop."""
    ports: queue.Queue[int] = queue.Queue()
    loop, stop = uvloop.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        server = Server(Downloads())
        await server.start(listening, tls)
        ports.put(listening.getsockname()[1])
        await stop.wait()
        server.close()
        await server.wait_closed(1.0)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        yield ports.get(timeout=10)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=10)
        loop.close()


@contextlib.contextmanager
def linked(port: int, place: Place, context: ssl.SSLContext | None = None) -> Iterator[ssl.SSLSocket]:
    """A connection with TLS whose certificate was checked."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        made = context or client_context(place.ca_file)
        with made.wrap_socket(raw, server_hostname="localhost") as link:
            yield link


def until(link: socket.socket, end: bytes) -> bytes:
    """Read until the last bytes are these."""
    received = b""
    while not received.endswith(end):
        chunk = link.recv(65536)
        assert chunk, received
        received += chunk
    return received


def rest(link: socket.socket, pause_s: float = 0.0) -> bytes:
    """Everything until the other side hangs up, however it does."""
    received = bytearray()
    with contextlib.suppress(OSError):
        while chunk := link.recv(16384):
            received += chunk
            time.sleep(pause_s)
    return bytes(received)


def closing(request: bytes) -> bytes:
    """The same request, after which the connection ends."""
    return request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")


def comes(is_so: Callable[[], bool]) -> bool:
    """Wait until it is so."""
    for _ in range(1200):
        if is_so():
            return True
        time.sleep(0.05)
    return False


def shown(port: int, place: Place) -> int:
    """The number of the certificate that the next one is shown."""
    with linked(port, place) as link:
        return serial(link)


def serial(link: ssl.SSLSocket) -> int:
    """The number of the certificate that was shown."""
    shown = link.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def test_a_connection_serves_many_requests_under_tls_1_3(place: Place) -> None:
    with serving(RenewedTls(place.files)) as port, linked(port, place) as link:
        assert link.version() == "TLSv1.3"
        for _ in range(3):
            link.sendall(SMALL)
            assert until(link, b"word").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("request_", "size"), [(SMALL, 4), (BULK, SIZE)], ids=["word", "download"])
def test_the_last_answer_comes_whole_and_the_connection_ends(
    place: Place, request_: bytes, size: int
) -> None:
    with serving(RenewedTls(place.files)) as port, linked(port, place) as link:
        link.sendall(closing(request_))
        head, _, body = rest(link).partition(b"\r\n\r\n")
        assert b"connection: close" in head
        assert len(body) == size


def test_a_connection_goes_on_after_a_download(place: Place) -> None:
    with serving(RenewedTls(place.files)) as port, linked(port, place) as link:
        link.sendall(BULK)
        received = until(link, b"\r\n\r\n")
        left = SIZE
        while left:
            received = link.recv(65536)
            assert received
            left -= len(received)
        link.sendall(SMALL)
        assert until(link, b"word").startswith(b"HTTP/1.1 200")


def test_whoever_says_goodbye_in_the_middle_takes_no_answer(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(RenewedTls(place.files)) as port, linked(port, place) as link:
        link.sendall(b"POST /small HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
        with contextlib.suppress(OSError):
            link.unwrap()
        assert b"word" not in rest(link)
        with linked(port, place) as other:
            other.sendall(SMALL)
            until(other, b"word")
    assert "eof_received" not in caplog.text and "failed" not in caplog.text


def test_a_reader_below_the_pace_is_cut_off(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PACE", Pace(1.0, 4_000_000, 60.0))
    with serving(RenewedTls(place.files)) as port, linked(port, place) as link:
        link.sendall(BULK)
        assert 0 < len(rest(link, pause_s=0.02)) < SIZE


def test_a_reader_that_stops_is_cut_off(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_TIMEOUT_S", 1)
    monkeypatch.setattr(connection, "PACE", Pace(1.0, 1, 60.0))
    with serving(RenewedTls(place.files)) as port, linked(port, place) as link:
        link.sendall(BULK)
        time.sleep(3)
        assert len(rest(link)) < SIZE


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01"], ids=["nothing", "the beginning"])
def test_a_handshake_that_never_comes_is_cut_off(
    place: Place, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(door, "HANDSHAKE_TIMEOUT_S", 6.0)
    with (
        serving(RenewedTls(place.files)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=20) as silent,
    ):
        began = time.monotonic()
        silent.sendall(first)
        with linked(port, place) as link:
            link.sendall(SMALL)
            until(link, b"word")
            assert time.monotonic() - began < 5.5
        assert rest(silent) == b""
        assert 1 < time.monotonic() - began < 30


def test_a_handshake_in_drips_has_no_more_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HANDSHAKE_TIMEOUT_S", 1.0)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = client_context(place.ca_file).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    with (
        serving(RenewedTls(place.files)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=20) as slow,
    ):
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            for byte in outgoing.read():
                slow.sendall(bytes([byte]))
                time.sleep(0.1)
        assert time.monotonic() - began < 15


def test_silent_ones_beyond_the_bound_are_hung_up_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MAX_HANDSHAKES", 3)
    with serving(RenewedTls(place.files)) as port, contextlib.ExitStack() as held, linked(port, place) as old:
        silent = [
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in range(4)
        ]
        assert rest(silent[3]) == b""
        # Whoever is in is served on.
        old.sendall(SMALL)
        until(old, b"word")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_old_versions_and_plain_requests_are_refused(place: Place) -> None:
    with serving(RenewedTls(place.files)) as port:
        old = client_context(place.ca_file)
        # This machine's own policy would refuse it first.
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError, match=r"EOF|alert"), linked(port, place, old):
            pass
        with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
            plain.sendall(SMALL)
            assert b"HTTP" not in rest(plain)
        newer = client_context(place.ca_file)
        newer.maximum_version = ssl.TLSVersion.TLSv1_2
        with linked(port, place, newer) as link:
            cipher = link.cipher()
            assert link.version() == "TLSv1.2"
            assert cipher is not None and cipher[0].startswith("ECDHE-")


def test_a_renewed_certificate_is_shown_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(door, "RENEW_EVERY_S", 0.1)
    place = new_place(tmp_path)
    with serving(RenewedTls(place.files)) as port, linked(port, place) as link:
        before = serial(link)
        # A certificate beside the old key changes nothing.
        replace(place.files.certificate, place.issue().certificate)
        assert comes(lambda: "certificate_refused" in caplog.text)
        assert shown(port, place) == before
        place.put(place.issue())
        assert comes(lambda: shown(port, place) != before)
        # Who came before goes on.
        link.sendall(SMALL)
        until(link, b"word")


def test_files_that_cant_be_used_are_refused(tmp_path: Path) -> None:
    place = new_place(tmp_path)
    for variable in ("PLANE_TLS_CERT_FILE", "PLANE_TLS_KEY_FILE"):
        with pytest.raises(TlsRefused, match="both"):
            read_tls_files({variable: "/x"}, "PLANE")
    assert read_tls_files({}, "PLANE") is None
    place.files.key.chmod(0o440)
    with pytest.raises(TlsRefused, match="chmod 0400"):
        RenewedTls(place.files)
    place.put(KeyedCertificate(place.issue().certificate, place.issue().key))
    with pytest.raises(TlsRefused, match="belong together"):
        RenewedTls(place.files)
    past = datetime.now(UTC) - timedelta(days=2000)
    place.put(issue_server_certificate(place.authority, HOSTS, past))
    with pytest.raises(TlsRefused, match="ended"):
        RenewedTls(place.files)


@pytest.fixture
def tls_city(city: City, place: Place) -> Iterator[City]:
    """The shared city with another plane before it, which has TLS."""
    made = dataclasses.replace(city, port=free_port(), process=None, tls=place)
    made.start(workers=2)
    yield made
    made.stop()


def test_our_client_calls_over_https_whom_its_authority_vouches_for(tls_city: City, tmp_path: Path) -> None:
    tls_city.issue()
    claims = {"mother_name": "样例母亲3", "sex_code": "2"}
    with tls_city.client() as client:
        for _ in range(3):
            answer = client.verify(RESOURCE, births.certificate(3), claims, context=CallContext())
            assert answer.is_answered and answer.promise is not None
        client.use_sessions(key_signer(tls_city.application_keys[APP]))
        assert client.verify(RESOURCE, births.certificate(3), claims, context=CallContext()).is_answered
    assert len([entry for entry in tls_city.entries() if entry["event"] == "verify"]) == 4
    for ca_file in (None, new_place(tmp_path).ca_file):
        with (
            PlaneClient(tls_city.url, tls_city.signer(), ca_file=ca_file) as other,
            pytest.raises(PlaneUnreachable, match="not vouched for"),
        ):
            other.verify(RESOURCE, births.certificate(3), claims, context=CallContext())


@pytest.mark.requirement("SEC-01")
def test_others_are_not_answered_in_clear(city: City) -> None:
    """Without TLS the plane starts on this machine's own address, or behind a proxy that is declared."""

    def start(port: int, **more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "shuqiao.plane.main", "--host", "0.0.0.0", "--port", str(port)]  # noqa: S104
        return subprocess.Popen(command, env=city.environment() | more, stderr=subprocess.PIPE)

    refused = start(free_port())
    _, said = refused.communicate(timeout=30)
    assert refused.returncode == 2
    assert b"PLANE_TLS_CERT_FILE" in said and b"PLANE_BEHIND_PROXY" in said
    port = free_port()
    behind = start(port, PLANE_BEHIND_PROXY="1")
    try:
        declared = dataclasses.replace(city, port=port, process=behind)
        for _ in range(300):
            if declared.status("/health/live") == 200:
                break
            assert behind.poll() is None
            time.sleep(0.1)
        assert declared.status("/health/live") == 200
    finally:
        behind.terminate()
        behind.communicate(timeout=20)


@contextlib.contextmanager
def overheard(port: int, heard: bytearray) -> Iterator[int]:
    """A way to the plane on which somebody writes down every byte of both directions."""
    links: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def begin(work: Callable[..., None], *given: socket.socket) -> None:
        threads.append(threading.Thread(target=work, args=given))
        threads[-1].start()

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                heard.extend(chunk)
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)

    def accept(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listening.accept()
                onward = socket.create_connection(("127.0.0.1", port), timeout=20)
                links.extend((peer, onward))
                begin(carry, peer, onward)
                begin(carry, onward, peer)

    links.append(socket.create_server(("127.0.0.1", 0)))
    begin(accept, links[0])
    try:
        yield int(links[0].getsockname()[1])
    finally:
        for link in links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(timeout=10)
        for link in links:
            link.close()


@pytest.mark.requirement("SEC-01")
@pytest.mark.parametrize("is_encrypted", [True, False], ids=["tls", "in clear"])
def test_whoever_listens_on_the_way_learns_nothing_of_a_call(
    city: City, place: Place, monkeypatch: pytest.MonkeyPatch, is_encrypted: bool
) -> None:
    """In clear the same listener learns it: the test hears what it should."""
    heard, port = bytearray(), free_port()
    with overheard(port, heard) as between:
        monkeypatch.setenv("PLANE_AUTHORITIES", f"127.0.0.1:{between}")
        plane = dataclasses.replace(city, port=port, process=None, tls=place if is_encrypted else None)
        plane.start(workers=1)
        try:
            plane.issue(mode="query", items=("newborn_name", "sex_code"))
            caller = dataclasses.replace(plane, port=between)
            with caller.client() as client:
                answer = client.query(RESOURCE, births.certificate(3), [], context=CallContext())
        finally:
            plane.stop()
    assert answer.is_answered
    said = (births.certificate(3), answer.body["data"]["newborn_name"])
    assert [word.encode() in heard for word in said] == [not is_encrypted] * 2
