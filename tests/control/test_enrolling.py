"""A node is admitted over the network: pages, message server, command and admitting process are real."""

from __future__ import annotations

import contextlib
import html
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import msgspec
import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, connection
from django.test import Client

from shuqiao.cli import main
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.exchange.enrolling import tokens_page
from shuqiao.control.exchange.monitor import node_page
from shuqiao.embedded.nats import nats_command, nats_environment
from shuqiao.security import keys
from shuqiao.security.tls import client_context
from shuqiao.wire.enrolment import Admission, HubKey
from shuqiao.wire.enrolment_token import (
    EnrolmentAnswer,
    EnrolmentRequest,
    create_token,
    fingerprint,
    is_marked,
    read_token,
    sign_request,
    write_token,
)
from shuqiao.wire.node_home import NodeFiles, create_request, load_admission, load_key
from tests.control.conftest import BIRTH, audit_entries, beyond_control, rows, seed_city
from tests.control.conftest import City as Office
from tests.plugins.certificates import Place, new_place
from tests.plugins.ports import free_port
from tests.plugins.server import TestServer
from tests.plugins.stages import Stage

pytestmark = [pytest.mark.database]

HEALTH, POLICE, HOUSING = "440100-health", "440100-police", "440100-housing"
CIVIL = "440100-civil-affairs"
OFFICE = [sys.executable, "-W", "ignore", "-m", "shuqiao.control.serve"]


@dataclass
class Hub:
    """The pages over TLS, a message server, and the settings of the process that admits."""

    place: Place
    port: int
    nats_port: int
    secrets: Path
    database_url: str
    nats: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def browser(self, username: str) -> httpx.Client:
        """Somebody who is signed in."""
        client = Client()
        client.force_login(Account.objects.get(username=username))
        cookie = client.cookies[settings.SESSION_COOKIE_NAME]
        made = httpx.Client(
            base_url=self.url, verify=client_context(self.place.ca_file), timeout=60, trust_env=False
        )
        made.cookies.set(cookie.key, cookie.value, domain="localhost.local")
        return made

    def post(self, username: str, page: str, path: str, **form: str) -> httpx.Response:
        """Fill in a form of a page."""
        with self.browser(username) as browser:
            shown = browser.get(page)
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', shown.text)
            assert found is not None, shown.status_code
            token = {"csrfmiddlewaretoken": found[1]}
            return browser.post(path, data=token | form, headers={"referer": self.url + page})

    def token(self, department: str = HEALTH) -> str:
        """Have the agency's operator make a token, and read it off the page."""
        page = "/exchange/tokens/"
        answer = self.post("ma", page, page, department=department)
        found = re.search(r"shuqiao node enrol (\S+) --home", html.unescape(answer.text))
        assert answer.status_code == 200 and found is not None
        assert answer.headers["cache-control"].count("no-store") == 1
        return found[1]

    def admit(self, **more: str) -> None:
        """Run the process that admits, once."""
        done = subprocess.run(
            [sys.executable, "-m", "shuqiao.loader.admitting"],
            env=self.settings() | more,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr

    def enrol(self, home: Path, *arguments: str, wait_s: float = 0) -> subprocess.CompletedProcess[str]:
        """Run the node's command."""
        command = [sys.executable, "-m", "shuqiao.cli", "node", "enrol", *arguments]
        return subprocess.run(
            [*command, "--home", str(home), "--wait", str(wait_s)],
            env={name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ},
            capture_output=True,
            text=True,
            timeout=100,
        )

    def ask(self, asked: EnrolmentRequest) -> httpx.Response:
        """Send a request as the command does."""
        with self.caller("127.0.0.2") as client:
            return client.post("/api/v1/nodes/enrol", content=msgspec.json.encode(asked))

    def caller(self, address: str) -> httpx.Client:
        """Somebody at an address of this machine: what each may ask is counted by it."""
        transport = httpx.HTTPTransport(
            verify=client_context(self.place.ca_file), local_address=address, trust_env=False
        )
        return httpx.Client(base_url=self.url, transport=transport, timeout=60)

    def settings(self) -> dict[str, str]:
        """What the process that admits is told."""
        return os.environ | {
            "ADMITTING_DATABASE_URL": self.database_url,
            "ADMITTING_SECRETS": str(self.secrets),
            "NATS_URL": f"tls://127.0.0.1:{self.nats_port}",
        }


@contextlib.contextmanager
def running(
    command: list[str], environment: dict[str, str], log: Path, ready: object
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has begun to answer."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=output, stderr=output)
    try:
        for _ in range(300):
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(OSError, httpx.HTTPError):
                if ready():  # type: ignore[operator]
                    break
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def hub(stage: Stage, pg_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A seeded hub that runs."""
    folder = tmp_path_factory.mktemp("hub")
    place, port, nats_port = new_place(tmp_path_factory.mktemp("tls")), free_port(), free_port()
    secrets = folder / "secrets"
    with stage.copy(seed_city):
        name = connection.settings_dict["NAME"]
        with beyond_control(), connection.cursor() as cursor:
            for purpose in ("receipts", "vault"):
                der = keys.public_der(keys.generate_signing_key().public_key())
                cursor.execute(
                    "INSERT INTO exchange.signing_key (id, purpose, algorithm, public_key)"
                    " VALUES (%s, %s, 'ed25519', %s)",
                    [keys.key_id(der), purpose, der],
                )
        made = Hub(place, port, nats_port, secrets, pg_server.url(name, "shuqiao_admitting"))
        verify = client_context(place.ca_file)
        command = nats_command(secrets, folder / "nats", port=nats_port)
        nats_log = folder / "nats.log"
        with (
            running(
                command, nats_environment(secrets), nats_log, lambda: b"is ready" in nats_log.read_bytes()
            ) as made.nats,
            running(
                [*OFFICE, "--port", str(port)],
                place.environment("SHUQIAO"),
                folder / "office.log",
                lambda: httpx.get(f"{made.url}/sign-in/", verify=verify, trust_env=False).status_code == 200,
            ),
        ):
            yield made


def entries(event: str) -> list[tuple]:
    """Actor and outcome of the entries of an event."""
    return [(row[0], row[2], row[6]) for row in audit_entries(event)]


def test_a_token_admits_a_node_once(hub: Hub, tmp_path: Path) -> None:
    """From the page to a node's credentials, killed and repeated on the way; other keys come too late."""
    text, home = hub.token(), tmp_path / "node"
    token = read_token(text)
    with beyond_control():
        stored = rows("SELECT row_to_json(t)::text FROM exchange.enrolment_token t")
    assert token.pin and token.secret.hex() not in str(stored)
    assert Notification.objects.filter(code="node_token_made", department_id=HEALTH).exists()
    waiting = hub.enrol(home, text)
    assert waiting.returncode == 1 and "run the same command again" in waiting.stderr
    first = NodeFiles(home).signing_key.read_bytes()
    assert not NodeFiles(home).credentials.exists()
    other = hub.enrol(tmp_path / "other", text)
    assert other.returncode == 1 and "enrolment_token_used" in other.stderr
    assert hub.enrol(tmp_path / "other", text).returncode == 1
    assert entries("node_enrolment_refused") == [(HEALTH, f"node:{HEALTH}", "used")], "told once"
    hub.admit()
    hub.admit()
    for _ in range(2):
        done = hub.enrol(home, text)
        assert done.returncode == 0, done.stderr
    assert NodeFiles(home).signing_key.read_bytes() == first
    assert load_admission(home).department == HEALTH and NodeFiles(home).credentials.exists()
    by_token = [one for one in entries("department_enrolled") if one[:2] == (HEALTH, "account:ma")]
    assert by_token == [(HEALTH, "account:ma", "enrolled")]
    request = create_request(home, HEALTH)
    shown = fingerprint(request.signing_key, request.nats_user)
    assert shown in done.stdout and BIRTH in done.stdout, "what it may send is named, for the mapping files"
    assert f"NODE_CREDS={NodeFiles(home).credentials}" in done.stdout
    assert load_admission(home).nats_url == f"tls://127.0.0.1:{hub.nats_port}"
    assert "NATS_URL=" not in done.stdout, "the message server's address came with the admission"
    page = tokens_page(Office().viewer("ma"))
    (row,) = [one for one in page.tokens if one.department.code == HEALTH]
    assert (row.state, row.fingerprint, row.was_tried) == ("admitted", shown, True)
    with hub.browser("ma") as browser:
        assert shown in browser.get("/exchange/tokens/").text
        assert shown in browser.get(f"/exchange/{HEALTH}/").text
    renewed_and_revoked(hub, home, text, tmp_path)


def renewed_and_revoked(hub: Hub, home: Path, text: str, tmp_path: Path) -> None:
    """The node fetches what its entries have become; revoked, it comes back with new keys only."""
    assert not node_page(Office().viewer("ma"), HEALTH).row.is_outdated
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE exchange.resource SET spec = jsonb_set(spec, '{modes}', '[\"verify\"]')"
            " WHERE department = %s AND active",
            [HEALTH],
        )
    assert node_page(Office().viewer("ma"), HEALTH).row.is_outdated
    assert hub.enrol(home, "--renew").returncode == 1
    hub.admit(ADMITTING_NODES_NATS_URL="wss://nats.example:443")
    # The command that was ended is run again with the token: it asks what it asked before.
    assert hub.enrol(home, text).returncode == 0
    specs = load_admission(home).resources.values()
    assert specs and {one.modes for one in specs} == {("verify",)}
    assert load_admission(home).nats_url == "wss://nats.example:443", "nodes may reach it at another address"
    assert not node_page(Office().viewer("ma"), HEALTH).row.is_outdated
    with ThreadPoolExecutor() as beside:
        asking = beside.submit(hub.enrol, home, "--renew", wait_s=60)
        while not asking.done():
            hub.admit()
    done = asking.result()
    assert done.returncode == 0 and "start the node anew" in done.stdout and "NODE_HOME" not in done.stdout
    page, path = f"/exchange/{HEALTH}/", f"/exchange/{HEALTH}/revoke"
    assert hub.post("ma", page, path, reason="").status_code == 302
    assert entries("node_revoked") == []
    assert hub.post("ma", page, path, reason="样例：设备遗失").status_code == 302
    assert entries("node_revoked") == [(HEALTH, "account:ma", "revoked")]
    hub.admit()
    ((told,),) = rows("SELECT pushed_at IS NOT NULL FROM exchange.revoked_user WHERE department = %s", HEALTH)
    assert told
    again = hub.enrol(home, hub.token())
    assert again.returncode == 1 and "node_not_in_use" in again.stderr
    anew, new_home = hub.token(), tmp_path / "new"
    assert hub.enrol(new_home, anew).returncode == 1
    hub.admit()
    assert hub.enrol(new_home, anew).returncode == 0
    assert rows("SELECT active FROM exchange.node WHERE department = %s", HEALTH) == [(True,)]


def test_killed_while_it_admits_nothing_is_doubled(hub: Hub, tmp_path: Path) -> None:
    """Killed while the message server is silent: no key is registered; the next run admits it once."""
    home, text = tmp_path / "node", hub.token(CIVIL)
    assert hub.enrol(home, text).returncode == 1
    assert hub.nats is not None
    hub.nats.send_signal(signal.SIGSTOP)
    try:
        process = subprocess.Popen([sys.executable, "-m", "shuqiao.loader.admitting"], env=hub.settings())
        at_work = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shuqiao_admitting' AND state = %s"
        for _ in range(300):
            with beyond_control():
                ((number,),) = rows(at_work, "idle in transaction")
            if number:
                break
            time.sleep(0.1)
        assert number, "it holds its transaction open until the server has answered"
        process.kill()
        process.wait(timeout=30)
    finally:
        hub.nats.send_signal(signal.SIGCONT)
    assert rows("SELECT 1 FROM exchange.node WHERE department = %s", CIVIL) == []
    assert hub.enrol(home, text).returncode == 1
    hub.admit()
    assert hub.enrol(home, text).returncode == 0
    enrolled = [one for one in entries("department_enrolled") if one[:2] == (CIVIL, "account:ma")]
    asked = [one for one in entries("node_enrolment_asked") if one[0] == CIVIL]
    assert len(enrolled) == len(asked) == 1


def test_what_is_not_proved_is_refused(hub: Hub, tmp_path: Path) -> None:
    """Another secret, another department, swapped keys, a token over or withdrawn: one answer."""
    token = read_token(hub.token(HOUSING))
    request = create_request(tmp_path / "node", HOUSING)
    key = load_key(tmp_path / "node")
    good = sign_request(token, request, key, 1)
    forged = [
        sign_request(msgspec.structs.replace(token, secret=bytes(32)), request, key, 1),
        sign_request(token, msgspec.structs.replace(request, department=HEALTH), key, 1),
        msgspec.structs.replace(good, round=2),
        msgspec.structs.replace(good, signature=bytes(64)),
        sign_request(token, request, key, 10**9),
    ]
    for asked in forged:
        answer = hub.ask(asked)
        assert (answer.status_code, answer.json()["code"]) == (403, "enrolment_token_unusable")
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE exchange.enrolment_token SET valid_until = clock_timestamp() WHERE id = %s", [token.id]
        )
    assert hub.ask(good).json()["code"] == "enrolment_token_unusable"
    later = read_token(hub.token(HOUSING))
    withdrawn = hub.post("ma", "/exchange/tokens/", f"/exchange/tokens/{later.id}/withdraw")
    assert withdrawn.status_code == 302
    assert hub.ask(sign_request(later, request, key, 1)).json()["code"] == "enrolment_token_unusable"
    hub.admit()
    assert rows("SELECT count(*) FROM exchange.node WHERE department = %s", HOUSING) == [(0,)]
    made_up = [read_token(hub.token(HOUSING)) for _ in range(2)]
    asked = sign_request(msgspec.structs.replace(made_up[0], secret=bytes(32)), request, key, 1)
    with beyond_control(), connection.cursor() as cursor:
        # What pages that are somebody else's could write: the process that admits believes none of it.
        for one, content in zip(made_up, (msgspec.msgpack.encode(asked), b"no request at all"), strict=True):
            cursor.execute(
                "UPDATE exchange.enrolment_token"
                " SET request = %s, signing_key = %s, nats_user = %s, round = 1 WHERE id = %s",
                [content, request.signing_key, request.nats_user, one.id],
            )
    hub.admit()
    faults = "SELECT fault FROM exchange.enrolment_token WHERE id = ANY(%s)"
    assert rows(faults, [one.id for one in made_up]) == [("unproved",)] * 2
    assert rows("SELECT count(*) FROM exchange.node WHERE department = %s", HOUSING) == [(0,)]
    assert entries("node_token_withdrawn") == [(HOUSING, "account:ma", "withdrawn")]


def test_an_answer_of_somebody_between_is_not_believed(hub: Hub, tmp_path: Path) -> None:
    """The mark covers token, keys, round and all of the admission; the certificate is the named one."""
    text = hub.token(POLICE)
    token = read_token(text)
    request = create_request(tmp_path / "node", POLICE)
    asked = sign_request(token, request, load_key(tmp_path / "node"), 1)
    assert hub.ask(asked).json()["state"] == "waiting"
    hub.admit()
    answer = msgspec.json.decode(hub.ask(asked).content, type=EnrolmentAnswer)
    assert answer.state == "admitted" and is_marked(token, asked, answer)
    swapped = msgspec.structs.replace(answer, admission=answer.admission.replace(b"police", b"health"))
    assert not is_marked(token, asked, swapped)
    assert not is_marked(token, msgspec.structs.replace(asked, round=2), answer)
    elsewhere = write_token(msgspec.structs.replace(token, pin="00" * 32))
    refused = hub.enrol(tmp_path / "third", elsewhere)
    assert refused.returncode == 1 and "another certificate" in refused.stderr
    assert hub.enrol(tmp_path / "third", text[:-9]).returncode == 2


class Between(BaseHTTPRequestHandler):
    """Stands between node and pages, and puts another key to trust into the admission."""

    hub: Hub

    def do_POST(self) -> None:
        """Hand the request on, the answer changed."""
        asked = msgspec.json.decode(
            self.rfile.read(int(self.headers["content-length"])), type=EnrolmentRequest
        )
        answer = msgspec.json.decode(self.hub.ask(asked).content, type=EnrolmentAnswer)
        admission = msgspec.json.decode(answer.admission, type=Admission)
        trusted = msgspec.structs.replace(admission, receipt_keys=(HubKey("0" * 16, b"another"),))
        content = msgspec.json.encode(msgspec.structs.replace(answer, admission=msgspec.json.encode(trusted)))
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_node_takes_nothing_from_somebody_between(hub: Hub, tmp_path: Path) -> None:
    """TLS is opened on the way: the command itself refuses what was changed, and writes nothing."""
    text = hub.token(POLICE)
    home = tmp_path / "node"
    assert hub.enrol(home, text).returncode == 1
    hub.admit()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Between,), {"hub": hub}))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        led = msgspec.structs.replace(read_token(text), url=f"http://127.0.0.1:{server.server_port}", pin="")
        refused = hub.enrol(home, write_token(led))
    finally:
        server.shutdown()
        server.server_close()
    assert refused.returncode == 1 and "does not bear the token's mark" in refused.stderr
    assert not NodeFiles(home).admission.exists()
    assert hub.enrol(home, text).returncode == 0


def test_who_may_not_admit_learns_nothing(hub: Hub) -> None:
    for username in ("wu", "chen", "lin"):
        with hub.browser(username) as browser:
            assert browser.get("/exchange/tokens/").status_code == 404
    with pytest.raises(DatabaseError, match="permission denied"):
        rows("SELECT answer_key FROM exchange.enrolment_token")


def test_the_endpoint_is_bounded(hub: Hub) -> None:
    """A large body, none, another method; and nobody asks for ever at once."""
    with hub.caller("127.0.0.3") as client:
        path = "/api/v1/nodes/enrol"
        assert client.get(path).status_code == 405
        assert client.post(path, content=b"x" * 5000).json()["code"] == "body_too_large"
        assert client.post(path, content=b"{}").json()["code"] == "request_malformed"
        codes = [client.post(path, content=b"{}").status_code for _ in range(120)]
    assert set(codes) == {400, 429}


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT 1 FROM base.{BIRTH}",
        "SELECT 1 FROM audit.entry",
        "SELECT exchange.revoke_node('440100-health', 'ma', 'x', now())",
        "SELECT exchange.make_enrolment_token(gen_random_uuid(), '440100-health', '', '', 'ma', now())",
        "DELETE FROM exchange.node",
        "UPDATE exchange.enrolment_token SET department = '440100-police'",
    ],
)
def test_the_process_that_admits_may_do_nothing_else(hub: Hub, statement: str) -> None:
    with (
        psycopg.connect(hub.database_url) as other,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        other.execute(statement)


def test_the_command_says_what_is_wrong_and_what_comes_next_in_both_languages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write_token(create_token(HEALTH, "http://127.0.0.1:9", ""))
    (tmp_path / "file").write_text("")
    for language, words in (("en", "can't be written"), ("zh", "不能写入")):
        monkeypatch.setenv("SHUQIAO_LANGUAGE", language)
        assert main(["node", "enrol", text, "--home", str(tmp_path / "file" / "node")]) == 2
        assert words in capsys.readouterr().err
    assert main(["node", "enrol", text, "--home", str(tmp_path / "node"), "--wait", "0"]) == 1
    assert "连不上平台http://127.0.0.1:9" in capsys.readouterr().err
