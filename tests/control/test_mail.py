"""Notices by mail: to whom, with what words, once, and again while the server refuses."""

import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.models import Account, Mail
from shuqiao.control.accounts.notices import notify
from shuqiao.control.config import ConfigError, read_config
from shuqiao.control.operations.mail import MAX_ATTEMPTS, address_notices, send_mails
from shuqiao.control.operations.notices import NOTICES
from tests.control.conftest import NOW, rows
from tests.control.mail_server import MailServer, mail_server
from tests.control.test_config import complete

__all__ = ["complete"]

SECRET = "申请人张三的理由"


@pytest.fixture
def server(settings) -> Iterator[MailServer]:
    """A mail server, and control set up to use it."""
    with mail_server() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.port
        settings.EMAIL_TIMEOUT = 5
        settings.DEFAULT_FROM_EMAIL = "notices@share.example"
        yield running


@pytest.fixture
def addresses(city) -> None:
    for username in ("chen", "gong", "wu", "lin"):
        Account.objects.filter(username=username).update(email=f"{username}@health.example")


def received(code: str = "request_received") -> None:
    params = {"due_on": "2026-11-25", "reason": SECRET, "name": SECRET}
    notify("440100-health", code, "R-2026-0001", capability="request_answer", params=params)


def test_everybody_whom_a_notice_concerns_gets_one_mail(addresses, server) -> None:
    received()
    assert (address_notices(), send_mails()) == (1, 2)
    assert (address_notices(), send_mails()) == (0, 0)
    # The technician may not answer, housing is another department, and the clerk has no address.
    assert sorted(message["To"] for message in server.messages) == [
        "chen@health.example",
        "gong@health.example",
    ]


def test_a_notice_for_one_account_goes_to_that_account(addresses, server) -> None:
    notify("440100-health", "grant_expired", "G-1", account=Account.objects.get(username="wu"))
    address_notices()
    send_mails()
    assert [message["To"] for message in server.messages] == ["wu@health.example"]


@pytest.mark.parametrize("code", [*NOTICES, "a_code_without_words"])
def test_a_mail_names_the_case_and_the_day_and_nothing_else(addresses, server, code) -> None:
    received(code)
    address_notices()
    send_mails()
    message = server.messages[0]
    text = f"{message['Subject']}\n{message.get_content()}"
    assert "R-2026-0001" in text and "2026-11-25" in text
    assert SECRET not in text and SECRET not in message.as_string()
    assert message["Auto-Submitted"] == "auto-generated"


def test_a_reference_or_day_of_another_form_stays_out_of_the_mail(addresses, server) -> None:
    params = {"due_on": "明天\r\nBcc: x@x.example"}
    notify("440100-health", "request_answered", "张三\r\nBcc: y@y.example", params=params)
    address_notices()
    send_mails()
    whole = server.messages[0].as_string()
    assert "Bcc" not in whole and "张三" not in server.messages[0].get_content()


def test_a_server_that_refuses_is_asked_again_ever_later_and_each_mail_goes_once(addresses, server) -> None:
    received()
    address_notices()
    server.refusing = True
    assert send_mails() == 0
    assert {(mail.attempts, mail.next_try_at) for mail in Mail.objects.all()} == {
        (1, NOW + timedelta(minutes=2))
    }
    server.refusing = False
    assert send_mails() == 0
    with clock.fixed(NOW + timedelta(minutes=3)):
        assert (send_mails(), send_mails()) == (2, 0)
    identities = {message["Message-ID"] for message in server.messages}
    assert len(server.messages) == len(identities) == 2


def test_a_server_that_is_not_there_is_given_up_in_the_end(addresses, server, settings) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = nobody.getsockname()[1]
        received()
        address_notices()
        moment = NOW
        for _ in range(MAX_ATTEMPTS + 2):
            with clock.fixed(moment):
                assert send_mails() == 0
            moment += timedelta(hours=7)
    assert list(Mail.objects.values_list("attempts", "abandoned")) == [(MAX_ATTEMPTS, True)] * 2


def test_people_set_their_own_address_and_the_log_does_not_hold_it(city) -> None:
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    assert client.post("/account/", {"email": "chen@"}).status_code == 422
    assert client.post("/account/", {"email": "a@b.example\r\nBcc: c@d.example"}).status_code == 422
    assert client.post("/account/", {"email": " chen@health.example "}).status_code == 302
    assert 'value="chen@health.example"' in client.get("/account/").content.decode()
    client.post("/account/", {"email": "chen@health.example"})
    client.post("/account/", {"email": ""})
    assert Account.objects.get(username="chen").email == ""
    entries = rows("SELECT outcome, body FROM audit.entry WHERE event = 'account_changed'")
    assert {outcome for outcome, _ in entries} == {"email_set", "email_removed"} and len(entries) == 2
    assert not any("example" in body for _, body in entries)


def test_without_a_server_mail_is_shown_without_its_address(addresses, settings, capsys) -> None:
    settings.EMAIL_BACKEND = "shuqiao.control.console_mail.EmailBackend"
    received()
    address_notices()
    assert send_mails() == 2
    shown = capsys.readouterr().out
    assert "R-2026-0001" in shown and "@" not in shown


def test_the_mail_server_is_read_from_the_environment(complete, tmp_path) -> None:
    assert read_config(complete).smtp is None
    (tmp_path / "mail").write_text("secret\n", encoding="utf-8")
    given = {
        "SHUQIAO_SMTP_HOST": "mail.example",
        "SHUQIAO_SMTP_USER": "notices",
        "SHUQIAO_SMTP_PASSWORD_FILE": str(tmp_path / "mail"),
        "SHUQIAO_SMTP_FROM": "notices@share.example",
    }
    smtp = read_config(complete | given).smtp
    assert smtp is not None and (smtp.port, smtp.tls, smtp.password) == (587, "starttls", "secret")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SHUQIAO_SMTP_TLS", "maybe"),
        ("SHUQIAO_SMTP_TLS", "none"),
        ("SHUQIAO_SMTP_PORT", "99999"),
        ("SHUQIAO_SMTP_PORT", "25 "),
        ("SHUQIAO_SMTP_FROM", "a@b\r\nBcc: c@d"),
        ("SHUQIAO_SMTP_FROM", ""),
        ("SHUQIAO_SMTP_PASSWORD_FILE", "/nonexistent"),
    ],
)
def test_a_fault_in_the_mail_settings_is_named(complete, tmp_path, name, value) -> None:
    (tmp_path / "mail").write_text("secret", encoding="utf-8")
    given = {
        "SHUQIAO_SMTP_HOST": "mail.example",
        "SHUQIAO_SMTP_USER": "notices",
        "SHUQIAO_SMTP_PASSWORD_FILE": str(tmp_path / "mail"),
        "SHUQIAO_SMTP_FROM": "notices@share.example",
    }
    with pytest.raises(ConfigError) as refused:
        read_config(complete | given | {name: value})
    assert [name in fault for fault in refused.value.faults] == [True]
    assert "secret" not in str(refused.value)
