"""Rules of screening on their page: who sets them, versions, refusals; what nodes hold, told and shown."""

from datetime import UTC, datetime

import msgspec
import pytest
from django.db import connection
from django.test import Client

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.exchange.clearances import clearance_page
from shuqiao.control.exchange.screening import (
    RuleInput,
    rules_in_force,
    screening_page,
    set_rule,
    watch_screened,
)
from shuqiao.wire.node_state import ItemColumn, MappingColumns, ScreenedRow
from shuqiao.wire.screening import shipped_rules

from .conftest import BIRTH, audit_entries, beyond_control, rows
from .test_exchange import HEALTH, hear, state

MAPPING = "0123456789abcdef"
MARK = "ab" * 16


def given(**changed) -> RuleInput:
    """What the form says of one rule."""
    named = {
        "key": "internal_document",
        "action": "stop",
        "patterns": "样例内参\n样密字〔#〕#号",
        "only": "",
        "besides": f"{BIRTH}/newborn_name",
        "reason": "试行",
        "after": 0,
    }
    return RuleInput(**(named | changed))


def test_the_office_sets_rules_by_name_and_version(city):
    assert rules_in_force() == shipped_rules()
    who = "ma"
    assert set_rule(city.viewer(who), given()) == 1
    rules = rules_in_force()
    rule = next(one for one in rules.rules if one.key == "internal_document")
    assert (rules.version, rule.action, rule.patterns) == (1, "stop", ("样例内参", "样密字〔#〕#号"))
    assert rule.besides == (f"{BIRTH}/newborn_name",)
    new = given(key="", zh="样例代号", patterns="样例代号#", after=1)
    assert set_rule(city.viewer(who), new) == 2
    assert [one.zh for one in rules_in_force().rules if one.key == "words_1"] == ["样例代号"]
    page = screening_page(city.viewer(who))
    assert [(one.version, one.reason) for one in page.versions] == [(2, "试行"), (1, "试行")]
    assert [entry[-1] for entry in audit_entries("screening_set")] == ["set", "set"]


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"patterns": "密"}, "patterns"),
        ({"patterns": ""}, "patterns"),
        ({"besides": "../"}, "besides"),
        ({"reason": " "}, "reason"),
        ({"after": 7}, "reason"),
        ({"key": "", "zh": ""}, "zh"),
        ({"patterns": "样例\x00内参"}, "patterns"),
        ({"reason": "试\x00行"}, "reason"),
        ({"key": "", "zh": "样例\x00代号"}, "zh"),
    ],
)
def test_rules_that_cannot_be_are_refused_and_change_nothing(city, changed, fault):
    with pytest.raises(FormRefused) as refused:
        set_rule(city.viewer("ma"), given(**changed))
    assert fault in {one.field for one in refused.value.faults}
    assert rules_in_force() == shipped_rules()


def test_nobody_else_sets_rules_and_no_key_is_made_up(city):
    with pytest.raises(NotFound):
        set_rule(city.viewer("chen"), given())
    with pytest.raises(NotFound):
        set_rule(city.viewer("ma"), given(key="invented"))


@pytest.fixture
def held(city):
    """The node of the health department holds a row and tells which columns its mapping reads."""
    now = datetime.now(UTC)
    told = state(how="screening_stopped")
    row = ScreenedRow(MARK, {"newborn_name": "secrecy_mark"}, now, stops=True)
    line = msgspec.structs.replace(told.lines[0], screened=3, screened_rows=(row,))
    hear(msgspec.structs.replace(told, lines=(line,)))
    read = MappingColumns("样例系统", "csyxzm", (ItemColumn("newborn_name", "xsexm"), ItemColumn("sex")))
    with beyond_control(), connection.cursor() as cursor:
        for columns in ({}, {BIRTH: read}):
            cursor.execute(
                "SELECT exchange.hear_mappings(%s, %s::jsonb, %s::jsonb)",
                [
                    HEALTH,
                    msgspec.json.encode({BIRTH: MAPPING}).decode(),
                    msgspec.json.encode(columns).decode(),
                ],
            )
            asked = cursor.fetchone()[0]
            assert asked == ([BIRTH] if not columns else [])
    return city


def test_who_signs_sees_the_columns_and_what_is_held(held):
    page = clearance_page(held.viewer("chen"), HEALTH, BIRTH)
    assert page.table == "样例系统 · csyxzm"
    columns = [item.column for item in page.items if item.column]
    assert columns == ["xsexm"] and sum(item.is_fixed for item in page.items) == 1
    assert page.held == 3 and [one.mark for one in page.held_rows] == [MARK]
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    shown = client.get(f"/exchange/{HEALTH}/{BIRTH}/reviews/").content.decode()
    assert "xsexm" in shown and "国家秘密标志" in shown and MARK[:8] in shown
    assert watch_screened() > 0 and watch_screened() == 0
    assert Notification.objects.filter(code="rows_held").exists()


def test_the_page_of_the_rules_takes_the_form(held):
    client = Client()
    who = "ma"
    client.force_login(Account.objects.get(username=who))
    form = {
        "key": "secrecy_mark",
        "action": "hold",
        "patterns": "绝密",
        "only": "",
        "besides": "",
        "after": "0",
    }
    faulty = client.post("/exchange/screening/", form)
    assert faulty.status_code == 422 and "请填写理由" in faulty.content.decode()
    assert client.post("/exchange/screening/", form | {"reason": "样例"}).status_code == 302
    assert "样例" in client.get("/exchange/screening/").content.decode()
    assert rows("SELECT version FROM exchange.screening") == [(1,)]
    client.force_login(Account.objects.get(username="chen"))
    shown = client.get("/exchange/screening/").content.decode()
    assert "绝密" in shown and "生效为新版本" not in shown
