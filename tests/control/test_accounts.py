"""Signing in: every attempt recorded, guessing slowed, and nothing told to a guesser."""

from datetime import timedelta
from ipaddress import ip_network

import psycopg
import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.access import viewer_of
from shuqiao.control.accounts.actions import (
    CHECKS_AT_ONCE,
    WAIT,
    WRONG_BEFORE_WAIT,
    WRONG_FROM_ADDRESS,
    mark_notices_read,
    sign_in,
)
from shuqiao.control.accounts.models import Account, SignInAttempt
from shuqiao.control.accounts.notices import notices_for, notify
from shuqiao.control.web.client_address import client_address

from .conftest import NOW, audit_entries, rows

PASSWORD = "correct horse battery"
HERE, ELSEWHERE = "192.0.2.7", "192.0.2.8"


@pytest.fixture
def lin(city) -> Account:
    """An account with a password."""
    Account.objects.filter(username="lin").update(password=make_password(PASSWORD))
    return Account.objects.get(username="lin")


def test_the_right_password_signs_in_and_is_recorded(lin):
    assert sign_in(" Lin ", PASSWORD, HERE).account == lin
    [(department, _, actor, *_, outcome)] = audit_entries("signed_in")
    assert (department, actor, outcome) == ("440100-housing", "account:lin", "accepted")
    assert lin.password.startswith("argon2") or rows(
        "SELECT 1 FROM accounts_account WHERE username = 'lin' AND password LIKE 'argon2%%'"
    )


@pytest.mark.parametrize("username", ["lin", "nobody"])
def test_five_wrong_passwords_make_even_the_right_one_wait(lin, username):
    for attempt in range(WRONG_BEFORE_WAIT):
        result = sign_in(username, f"wrong {attempt}", HERE)
        assert result.account is None
        assert (result.wait_s > 0) is (attempt == WRONG_BEFORE_WAIT - 1)
    assert sign_in(username, PASSWORD, HERE).account is None
    assert len(audit_entries("sign_in_refused")) == WRONG_BEFORE_WAIT
    with clock.fixed(NOW + WAIT + timedelta(seconds=1)):
        assert (sign_in(username, PASSWORD, HERE).account == lin) is (username == "lin")


def test_one_password_tried_on_many_names_makes_the_address_wait(lin):
    for attempt in range(WRONG_FROM_ADDRESS):
        result = sign_in(f"name{attempt}", "Sample-2026", HERE)
        assert (result.wait_s > 0) is (attempt == WRONG_FROM_ADDRESS - 1)
    refused = len(audit_entries("sign_in_refused"))
    assert sign_in("lin", PASSWORD, HERE).wait_s > 0
    assert len(audit_entries("sign_in_refused")) == refused == WRONG_FROM_ADDRESS
    assert sign_in("lin", PASSWORD, ELSEWHERE).account == lin
    with clock.fixed(NOW + WAIT + timedelta(seconds=1)):
        assert sign_in("lin", PASSWORD, HERE).account == lin


def test_no_more_passwords_are_checked_at_once_than_the_bound(lin, django_db_setup):
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        for slot in range(CHECKS_AT_ONCE):
            other.execute(
                "SELECT pg_advisory_xact_lock(hashtext('password check'), hashtext(%s))", [str(slot)]
            )
        result = sign_in("lin", PASSWORD, HERE)
        assert (result.account, result.busy) == (None, True)
        assert not SignInAttempt.objects.exists(), "it was not looked at"
        page = Client().post("/sign-in/", {"username": "lin", "password": PASSWORD})
        assert page.status_code == 422
        assert "请稍后再试" in page.content.decode()
    assert sign_in("lin", PASSWORD, HERE).account == lin


def test_the_page_counts_by_the_address_of_the_connection(lin):
    for attempt in range(WRONG_FROM_ADDRESS):
        data = {"username": f"name{attempt}", "password": "x"}
        # A header that no trusted proxy wrote changes nothing.
        Client().post(
            "/sign-in/", data, REMOTE_ADDR=HERE, headers={"X-Forwarded-For": f"198.51.100.{attempt}"}
        )
    right = {"username": "lin", "password": PASSWORD}
    assert Client().post("/sign-in/", right, REMOTE_ADDR=HERE).status_code == 422
    assert Client().post("/sign-in/", right, REMOTE_ADDR=ELSEWHERE).status_code == 302


PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))


@pytest.mark.parametrize(
    ("peer", "header", "trusted", "address"),
    [
        ("192.0.2.7", "", (), "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", (), "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", PROXIES, "192.0.2.7"),
        ("10.0.0.1", "198.51.100.1", PROXIES, "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", PROXIES, "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1, 10.0.0.2", PROXIES, "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, forged", PROXIES, "10.0.0.1"),
        ("10.0.0.1", "", PROXIES, "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", PROXIES, "198.51.100.1"),
        ("2001:db8:1::1", "2001:db8:2:3:4:5:6:7", PROXIES, "2001:db8:2:3::/64"),
        ("", "198.51.100.1", PROXIES, ""),
    ],
)
def test_the_address_is_the_nearest_that_is_no_trusted_proxy(peer, header, trusted, address):
    assert client_address(peer, header, trusted) == address


def test_a_name_that_nobody_has_never_reaches_the_log(lin):
    sign_in("my-secret-typed-in-the-wrong-box", "x", HERE)
    assert rows("SELECT count(*) FROM audit.entry WHERE body LIKE '%%my-secret%%'") == [(0,)]
    [(department, _, actor, *_)] = audit_entries("sign_in_refused")
    assert (department, actor) == (None, "unknown")


def test_an_inactive_account_neither_signs_in_nor_may_do_anything(lin):
    Account.objects.filter(pk=lin.pk).update(is_active=False)
    assert sign_in("lin", PASSWORD, HERE).account is None
    lin.refresh_from_db()
    assert viewer_of(lin).capabilities == frozenset()


def test_a_role_the_regulation_does_not_know_allows_nothing(city):
    Account.objects.filter(username="lin").update(role="mayor")
    assert city.viewer("lin").capabilities == frozenset()


def test_notices_reach_those_who_can_act_on_them_once(city):
    for _ in range(2):
        notify("440100-health", "request_received", "R-2026-0001", capability="request_answer")
    assert notices_for(city.viewer("chen")).count() == 1
    assert notices_for(city.viewer("wu")).count() == 0
    assert notices_for(city.viewer("zhao")).count() == 0
    assert mark_notices_read(city.viewer("wu")) == 0
    assert mark_notices_read(city.viewer("chen")) == 1
    assert mark_notices_read(city.viewer("chen")) == 0


@pytest.mark.parametrize(
    ("wanted", "goes_to"),
    [
        ("/audit/", "/audit/"),
        ("//evil.example/x", "/"),
        ("/\\evil.example", "/"),
        ("http://testserver//testserver//evil.example/x", "/"),
        ("https://evil.example/", "/"),
    ],
)
def test_signing_in_leads_to_a_page_of_ours_only(client, lin, wanted, goes_to):
    answer = client.post("/sign-in/", {"username": "lin", "password": PASSWORD, "next": wanted})
    assert (answer.status_code, answer["Location"]) == (302, goes_to)
