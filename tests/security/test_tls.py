"""Which addresses of databases, and which of our own, would let somebody read on the way."""

import logging

import pytest

from shuqiao.security.tls import is_loopback, tell_database


@pytest.mark.parametrize(
    ("url", "is_told"),
    [
        ("postgresql://u:secret@db.example/hub", True),
        ("postgresql://u:secret@db.example:5432/hub?sslmode=prefer", True),
        ("postgresql://u:secret@127.0.0.1,10.0.0.5:5432/hub", True),
        ("postgresql:///hub?host=10.0.0.5&user=u", True),
        ("postgresql://u:secret@db.example/hub?sslmode=verify-full&sslrootcert=/ca.pem", False),
        ("postgresql://u:secret@127.0.0.1:5432/hub", False),
        ("postgresql://u:secret@[::1]:5432/hub", False),
        ("postgresql://u:secret@localhost/hub", False),
        ("postgresql://u@/hub?host=/run/postgresql", False),
        ("postgresql://u@%2Frun%2Fpostgresql/hub", False),
    ],
)
def test_a_database_asked_in_clear_is_told_and_its_password_is_not(
    url: str, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    tell_database(url, logging.getLogger("shuqiao.test"))
    assert ("database_in_clear" in caplog.text) is is_told
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("10.1.2.3", False),
        ("share.example", False),
        ("", False),
    ],
)
def test_only_this_machines_own_addresses_are_its_own(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
