"""Signing in: every attempt recorded, guessing slowed, and nothing told to a guesser."""

from datetime import timedelta

import pytest
from django.contrib.auth.hashers import make_password

from shuqiao.control import clock
from shuqiao.control.accounts.access import viewer_of
from shuqiao.control.accounts.actions import WAIT, WRONG_BEFORE_WAIT, mark_notices_read, sign_in
from shuqiao.control.accounts.models import Account
from shuqiao.control.accounts.notices import notices_for, notify

from .conftest import NOW, audit_entries, rows

PASSWORD = "correct horse battery"


@pytest.fixture
def lin(city) -> Account:
    """An account with a password."""
    Account.objects.filter(username="lin").update(password=make_password(PASSWORD))
    return Account.objects.get(username="lin")


def test_the_right_password_signs_in_and_is_recorded(lin):
    assert sign_in(" Lin ", PASSWORD).account == lin
    [(department, _, actor, *_, outcome)] = audit_entries("signed_in")
    assert (department, actor, outcome) == ("440100-housing", "account:lin", "accepted")
    assert lin.password.startswith("argon2") or rows(
        "SELECT 1 FROM accounts_account WHERE username = 'lin' AND password LIKE 'argon2%%'"
    )


@pytest.mark.parametrize("username", ["lin", "nobody"])
def test_five_wrong_passwords_make_even_the_right_one_wait(lin, username):
    for attempt in range(WRONG_BEFORE_WAIT):
        result = sign_in(username, f"wrong {attempt}")
        assert result.account is None
        assert (result.wait_s > 0) is (attempt == WRONG_BEFORE_WAIT - 1)
    assert sign_in(username, PASSWORD).account is None
    assert len(audit_entries("sign_in_refused")) == WRONG_BEFORE_WAIT
    with clock.fixed(NOW + WAIT + timedelta(seconds=1)):
        assert (sign_in(username, PASSWORD).account == lin) is (username == "lin")


def test_a_name_that_nobody_has_never_reaches_the_log(lin):
    sign_in("my-secret-typed-in-the-wrong-box", "x")
    assert rows("SELECT count(*) FROM audit.entry WHERE body LIKE '%%my-secret%%'") == [(0,)]
    [(department, _, actor, *_)] = audit_entries("sign_in_refused")
    assert (department, actor) == (None, "unknown")


def test_an_inactive_account_neither_signs_in_nor_may_do_anything(lin):
    Account.objects.filter(pk=lin.pk).update(is_active=False)
    assert sign_in("lin", PASSWORD).account is None
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
