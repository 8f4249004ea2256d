"""The hub's certificate runs out: the node says so, reads on, and goes on once it is renewed."""

from __future__ import annotations

import io
import ssl
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta

import pytest
from nats.errors import Error as NatsError

from shuqiao.cli import main as shuqiao
from shuqiao.security.certificates import (
    SERVER_DAYS,
    KeyedCertificate,
    issue_server_certificate,
)
from shuqiao.security.nats_secrets import HOSTS
from shuqiao.security.replacing import replace_file
from shuqiao.wire.nats_client import Link, diagnosis
from tests.loader.line import BIRTHS, Line, wait_for
from tests.loader.test_kills import receipted

pytestmark = pytest.mark.database


def renew(line: Line, authority: KeyedCertificate, at: datetime) -> None:
    """Give the message server another certificate, and have it come back with that."""
    made = issue_server_certificate(authority, HOSTS, at)
    line.children["nats"].kill()
    replace_file(line.secrets / "nats.pem", made.certificate, mode=0o444)
    replace_file(line.secrets / "nats.key", made.key, mode=0o400)
    line.start("nats")


def said(line: Line) -> str:
    """What `shuqiao node status` prints."""
    with redirect_stdout(io.StringIO()) as printed:
        shuqiao(["node", "status", "--home", str(line.node_home)])
    return printed.getvalue()


async def test_a_certificate_that_ran_out_is_said_and_renewed(line: Line) -> None:
    rows = await line.set_up(people=300)
    own = KeyedCertificate((line.secrets / "ca.pem").read_bytes(), (line.secrets / "ca.key").read_bytes())
    now = datetime.now(UTC)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    renew(line, own, now - timedelta(days=SERVER_DAYS + 1))
    wait_for(lambda: "the hub's certificate has expired" in said(line), what="the diagnosis")
    line.change_source("UPDATE csyxzm SET jkzk = '7' WHERE zsbh IN (SELECT zsbh FROM csyxzm LIMIT 10)")
    wait_for(lambda: "10 rows wait" in said(line), what="the rows in the spool")
    # One that is started meanwhile says the same, and reads on too.
    line.children["node"].kill()
    (line.node_home / "status.json").unlink()
    line.start("node")
    wait_for(lambda: "hub_away" in said(line) and "has expired" in said(line), what="the diagnosis")
    renew(line, own, now)
    changed = f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE health_status_code = '7' AND version = 2"
    wait_for(lambda: line.ask(changed) == [{"n": 10}], what="the spooled changes")
    wait_for(lambda: "hub_away" not in said(line), what="a status without a fault")
    assert line.count() == rows


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "not valid yet: look at this machine's clock"),
        (10, "has expired"),
        (20, "an authority that this machine was not told of"),
        (62, "another address"),
        (23, "not accepted (23)"),
    ],
)
def test_a_certificate_that_is_refused_says_why(code: int, words: str) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    assert words in (diagnosis(error) or "")


def test_credentials_that_are_refused_are_told_from_a_hub_that_is_away() -> None:
    link = Link()
    link.hear(ConnectionRefusedError())
    assert "does not answer (ConnectionRefusedError)" in link.fault
    link.hear(NatsError("nats: 'Authorization Violation'"))
    assert "refuses these credentials" in link.fault
    # The server closes after it has refused: that link breaks as well, and is no reason of its own.
    link.hear(BrokenPipeError())
    assert "refuses these credentials" in link.fault
    link.stands()
    link.hear(ConnectionResetError())
    assert "does not answer (ConnectionResetError)" in link.fault
