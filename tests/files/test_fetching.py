"""Fetching by a link from somebody who means no good, and what of it stands in a log."""

import contextlib
import hashlib
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shuqiao.client.fetching import CopyBroken, Fetcher, Wanted
from shuqiao.security.tls import client_context

CONTENT = b"a report of the sample city"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class _Endless(BaseHTTPRequestHandler):
    """Gives what was asked for, then something else for as long as it is taken."""

    def do_GET(self) -> None:
        self.send_response(206 if "range" in self.headers else 200)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(CONTENT if "endless" in self.path else CONTENT[:10])
            while "endless" in self.path:
                self.wfile.write(bytes(64 * 1024))

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    """What fetches from a server that can't be trusted."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fetcher = Fetcher(f"http://127.0.0.1:{server.server_port}", client_context())
        yield fetcher
        fetcher.close()
        server.shutdown()


def test_a_sender_that_goes_on_and_on_fills_no_disk(fetcher: Fetcher, tmp_path: Path) -> None:
    begun, target = tmp_path / "begun", tmp_path / "report"
    with pytest.raises(CopyBroken):
        fetcher.fetch(Wanted("/endless", len(CONTENT), DIGEST), begun, target)
    assert list(tmp_path.iterdir()) == []
    begun.write_bytes(CONTENT[:5])
    with pytest.raises(CopyBroken):
        fetcher.fetch(Wanted("/endless", len(CONTENT), DIGEST), begun, target)
    assert list(tmp_path.iterdir()) == []


def test_a_sender_that_ends_early_is_not_believed(fetcher: Fetcher, tmp_path: Path) -> None:
    with pytest.raises(CopyBroken):
        fetcher.fetch(Wanted("/short", len(CONTENT), DIGEST), tmp_path / "begun", tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(30)
def test_no_log_holds_a_link(fetcher: Fetcher, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(CopyBroken):
        wanted = Wanted("/v1/files/1?link=of-one-person", len(CONTENT), DIGEST)
        fetcher.fetch(wanted, tmp_path / "begun", tmp_path / "report")
    assert "of-one-person" not in caplog.text
