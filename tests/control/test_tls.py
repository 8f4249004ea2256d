"""The pages over TLS of their own, as they are served: cookies, a renewed certificate, and no clear text."""

import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings

from shuqiao.control.accounts.models import Account
from shuqiao.security.tls import client_context
from tests.control.conftest import seed_city
from tests.plugins.certificates import Place, new_place, replace
from tests.plugins.ports import free_port
from tests.plugins.stages import Stage

pytestmark = [pytest.mark.database]

PASSWORD = "sample-pass-2026-bridge"
PROGRAM = [sys.executable, "-W", "ignore", "-m", "shuqiao.control.serve"]


@dataclass(frozen=True)
class Served:
    """Pages that are served over TLS."""

    process: subprocess.Popen[bytes]
    port: int
    place: Place

    def connect(self, context: ssl.SSLContext | None = None) -> http.client.HTTPSConnection:
        """A connection that checks the certificate."""
        made = context or client_context(self.place.ca_file)
        return http.client.HTTPSConnection("localhost", self.port, timeout=20, context=made)

    def asked(self, path: str = "/sign-in/") -> http.client.HTTPResponse:
        """The head of a page."""
        connection = self.connect()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer


@pytest.fixture(scope="module")
def served(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The pages of the seeded city."""
    place, port = new_place(tmp_path_factory.mktemp("tls")), free_port()
    log = tmp_path_factory.mktemp("served") / "log"
    with stage.copy(seed_city), log.open("wb") as output:
        process = subprocess.Popen(
            [*PROGRAM, "--port", str(port)],
            env=os.environ | place.environment("SHUQIAO"),
            stdout=output,
            stderr=output,
        )
        made = Served(process, port, place)
        try:
            for _ in range(300):
                assert process.poll() is None, log.read_text()
                with contextlib.suppress(OSError):
                    if made.asked().status == 200:
                        break
                time.sleep(0.2)
            yield made
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.mark.requirement("SEC-01")
def test_the_cookies_of_a_session_travel_by_tls_only(served: Served) -> None:
    account = Account.objects.get(username="lin")
    account.set_password(PASSWORD)
    account.save()
    connection = served.connect()
    connection.request("GET", "/sign-in/")
    page = connection.getresponse()
    token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page.read())
    csrf = page.headers.get_all("set-cookie")
    assert token is not None and csrf is not None
    assert [line for line in csrf if "; Secure" not in line] == []
    form = {"csrfmiddlewaretoken": token[1].decode(), "username": "lin", "password": PASSWORD}
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "cookie": csrf[0].partition(";")[0],
        "referer": f"https://localhost:{served.port}/sign-in/",
    }
    connection.request("POST", "/sign-in/", urlencode(form), headers)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 302
    session = [
        line
        for line in answer.headers.get_all("set-cookie") or []
        if line.startswith(f"{settings.SESSION_COOKIE_NAME}=")
    ]
    assert len(session) == 1
    assert "; Secure" in session[0] and "; HttpOnly" in session[0]
    assert "max-age=31536000" in (answer.headers["strict-transport-security"] or "")
    connection.close()


def test_files_say_too_that_browsers_keep_to_tls(served: Served) -> None:
    for path in ("/", "/static/none"):
        assert "max-age=31536000" in (served.asked(path).headers["strict-transport-security"] or "")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_old_versions_and_plain_requests_are_refused(served: Served) -> None:
    old = client_context(served.place.ca_file)
    # This machine's own policy would refuse it first.
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        served.connect(old).connect()
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as plain:
        plain.sendall(b"GET /sign-in/ HTTP/1.1\r\nhost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"HTTP" not in plain.recv(4096)
    assert served.asked().status == 200


def test_silent_handshakes_keep_nobody_from_reading(served: Served) -> None:
    silent = [socket.create_connection(("127.0.0.1", served.port), timeout=20) for _ in range(200)]
    assert [served.asked().status for _ in range(3)] == [200] * 3
    for link in silent:
        link.close()


def shown(served: Served) -> bytes:
    """The certificate that the pages show."""
    connection = served.connect()
    connection.connect()
    found = connection.sock.getpeercert(binary_form=True)
    connection.close()
    return bytes(found)


def test_a_renewed_certificate_is_read_at_a_signal(served: Served) -> None:
    before = shown(served)
    replace(served.place.files.certificate, served.place.issue().certificate)
    assert checked(served.place) == 2
    served.place.put(served.place.issue())
    assert checked(served.place) == 0
    served.process.send_signal(signal.SIGHUP)
    renewed = 0
    for _ in range(400):
        # Old and new worker serve side by side for a while; on a busy machine there may be a gap.
        with contextlib.suppress(OSError):
            renewed = renewed + 1 if shown(served) != before else 0
        if renewed == 20:
            break
        time.sleep(0.1)
    assert renewed == 20
    assert served.asked().status == 200


def checked(place: Place) -> int:
    """What `--check` says of the files, as an operator asks before the signal."""
    environment = os.environ | place.environment("SHUQIAO")
    return subprocess.run([*PROGRAM, "--check"], env=environment, timeout=60, check=False).returncode


@pytest.mark.requirement("SEC-01")
@pytest.mark.parametrize(
    ("host", "extra", "word"),
    [
        ("0.0.0.0", {}, b"SHUQIAO_BEHIND_TLS"),  # noqa: S104
        ("127.0.0.1", {"SHUQIAO_TLS_KEY_FILE": "/nonexistent"}, b"SHUQIAO_TLS_CERT_FILE"),
    ],
    ids=["in clear", "half a setting"],
)
def test_pages_that_would_be_open_do_not_start(
    stage: Stage, host: str, extra: dict[str, str], word: bytes
) -> None:
    refused = subprocess.run(
        [*PROGRAM, "--host", host, "--port", str(free_port())],
        env=os.environ | extra,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert word in refused.stderr


def test_a_key_that_others_could_read_is_refused(stage: Stage, tmp_path: Path) -> None:
    place = new_place(tmp_path)
    replace(place.files.key, place.files.key.read_bytes())
    place.files.key.chmod(0o640)
    refused = subprocess.run(
        [*PROGRAM, "--port", str(free_port())],
        env=os.environ | place.environment("SHUQIAO"),
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert b"chmod 0400" in refused.stderr
