"""Reconciliations on their pages: who asks, what is shown, what the schedule does, who is told."""

import re
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from django.db import connection
from django.test import Client

from shuqiao.control.accounts.access import NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.exchange.actions import order_node
from shuqiao.control.exchange.reconciliations import (
    FAILURES,
    ask_reconciliation,
    reconciliation_page,
    take_step,
)
from shuqiao.control.exchange.reconciling import ask_scheduled, watch_held_removals, watch_reconciliations
from shuqiao.control.web.range_picture import MAX_CELLS, draw
from shuqiao.wire.node_state import Word, decode_orders

from .conftest import BIRTH, audit_entries, beyond_control, rows
from .test_exchange import HEALTH, POLICE, hear, merged, state

ROOT = Path(__file__).parents[2]
HERE = f"/exchange/{HEALTH}/{BIRTH}/reconciliations/"


def signed(name: str) -> Client:
    """A browser of somebody."""
    client = Client()
    client.force_login(Account.objects.get(username=name))
    return client


def newest() -> UUID:
    """The newest reconciliation of the ledger."""
    found = rows("SELECT id FROM exchange.reconciliation ORDER BY asked_at DESC LIMIT 1")
    return UUID(str(found[0][0]))


def answered(facts: dict[str, object], differences: list[dict[str, object]] | None = None) -> None:
    """The loader has compared, as it does."""
    key = newest()
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT exchange.take_reconciliation_step(%s, %s, %s, 'aaaabbbbccccdddd', 1, '\\x00')",
            [HEALTH, BIRTH, key],
        )
        cursor.execute(
            "SELECT exchange.answer_reconciliation(%s, 'aaaabbbbccccdddd', 1, '{\"state\": \"over\"}', '{}',"
            " %s::jsonb, %s::jsonb)",
            [key, msgspec.json.encode(facts).decode(), msgspec.json.encode(differences or []).decode()],
        )


RESULT = {
    "mapping": "0123456789abcdef",
    "ranges": 4,
    "source_rows": 1000,
    "shared_rows": 999,
    "sampled": 50,
    "sample_agrees": 49,
}
FOUND = RESULT | {
    "found": 2,
    "agrees": False,
    "differing": [[1, 250, 251, "found"], [3, 30000, 3, "too_large"]],
}
ROWS: list[dict[str, object]] = [
    {"kind": "absent_here", "shown": "44****10", "record": None, "items": []},
    {"kind": "differs", "shown": "44****11", "record": None, "items": ["health_status"]},
]


@pytest.mark.requirement("UPD-05")
def test_a_person_of_either_side_asks_and_both_are_told_of_the_result(city):
    hear(state())
    wu = signed("wu")
    assert wu.post(HERE).status_code == 302
    assert not ask_reconciliation(city.viewer("ma"), HEALTH, BIRTH), "one is under way"
    shown = wu.get(HERE).content.decode()
    assert 'role="progressbar"' in shown and "取消对账" in shown and "对账中" in shown
    part = wu.get(HERE, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part and "hx-get" in part
    answered(FOUND, ROWS)
    assert (watch_reconciliations(), watch_reconciliations()) == (1, 0)
    told = Notification.objects.filter(code="reconciliation_differs", reference=BIRTH)
    assert HEALTH in set(told.values_list("department_id", flat=True)) and told.count() >= 2
    assert [entry[-1] for entry in audit_entries("reconciliation_ended")] == ["differs"]
    page = signed("ma").get(HERE).content.decode()
    assert "44****11" in page and "健康状况" in page and "重新装载这些段" in page
    english = signed("ma")
    english.cookies["django_language"] = "en"
    words = english.get(HERE).content.decode()
    assert "Load these ranges again" in words and "Not on the platform" in words
    assert "hx-get" not in english.get(HERE, headers={"HX-Request": "true"}).content.decode()


def test_the_differing_ranges_are_sent_again_once(city):
    hear(state())
    assert ask_reconciliation(city.viewer("ma"), HEALTH, BIRTH)
    answered(FOUND, ROWS)
    key = newest()
    assert take_step(city.viewer("wu"), HEALTH, BIRTH, key, "mend")
    assert not take_step(city.viewer("wu"), HEALTH, BIRTH, key, "mend")
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT exchange.hear_node(%s, %s::jsonb)::text", [HEALTH, msgspec.json.encode(state()).decode()]
        )
        asked = msgspec.json.decode(cursor.fetchone()[0])["mend"][BIRTH]
        assert asked == {"id": key.hex, "run": "aaaabbbbccccdddd", "ranges": 4, "chosen": [1, 3]}
        cursor.execute("SELECT exchange.end_mending(%s, %s, 253)", [HEALTH, key])
    page = reconciliation_page(city.viewer("wu"), HEALTH, BIRTH)
    assert page.shown is not None and page.shown.mended_rows == 253 and not page.may_mend
    assert [entry[-1] for entry in audit_entries("reconciliation_mended")] == ["asked", "mended"]


def test_ranges_that_a_node_cannot_send_again_may_be_asked_for_once_more(city):
    hear(state())
    assert ask_reconciliation(city.viewer("ma"), HEALTH, BIRTH)
    answered(FOUND, ROWS)
    key = newest()
    assert take_step(city.viewer("wu"), HEALTH, BIRTH, key, "mend")
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute("SELECT exchange.fail_reconciliation(%s, %s, 'paused')", [POLICE, key])
        cursor.execute("SELECT mend_asked_at IS NOT NULL FROM exchange.reconciliation")
        assert cursor.fetchone()[0], "another's node says nothing about it"
        cursor.execute("SELECT exchange.fail_reconciliation(%s, %s, 'paused')", [HEALTH, key])
        heard = msgspec.json.encode(state()).decode()
        cursor.execute("SELECT exchange.hear_node(%s, %s::jsonb)::text", [HEALTH, heard])
        assert msgspec.json.decode(cursor.fetchone()[0])["mend"] == {}
    page = reconciliation_page(city.viewer("wu"), HEALTH, BIRTH)
    assert page.shown is not None and page.shown.state == "differs" and page.may_mend
    # Both sides are told, and the page says why; asked for once more, it stands there no longer.
    watch_reconciliations()
    told = Notification.objects.filter(code="reconciliation_not_mended", reference=BIRTH)
    bodies = list(told.values_list("department_id", flat=True))
    assert watch_reconciliations() == 0 and HEALTH in bodies and len(bodies) >= 2
    assert "读取已暂停，恢复后再对账" in signed("wu").get(HERE).content.decode()
    assert "差异段未能重新装载" in signed("wu").get("/").content.decode()
    assert take_step(city.viewer("wu"), HEALTH, BIRTH, key, "mend")
    assert "读取已暂停" not in signed("wu").get(HERE).content.decode()
    with beyond_control():
        rows("SELECT exchange.fail_reconciliation(%s, %s, 'held_back')", HEALTH, key)
    watch_reconciliations()
    assert told.count() == 2 * len(bodies), "each time is told"
    assert {entry[-1] for entry in audit_entries("reconciliation_mended")} == {"asked", "failed"}


def test_every_reason_of_a_failure_has_words():
    said = {
        one
        for part in ("edge", "loader")
        for one in re.findall(
            r'(?:CantCompare|Failed|Unfit)\("([a-z_]+)"',
            (ROOT / f"src/shuqiao/{part}/reconciling.py").read_text(),
        )
    }
    assert "held_back" in said and said <= FAILURES.keys()


def test_a_node_that_was_revoked_is_asked_for_nothing(city):
    hear(state())
    with beyond_control():
        rows("UPDATE exchange.node SET active = false WHERE department = %s RETURNING 1", HEALTH)
    with pytest.raises(NotFound):
        ask_reconciliation(city.viewer("wu"), HEALTH, BIRTH)


def test_others_neither_ask_nor_look(city):
    hear(state())
    hear(state(POLICE))
    with pytest.raises(NotFound):
        ask_reconciliation(city.viewer("chen"), POLICE, BIRTH)
    assert signed("lin").get(HERE).status_code == 404
    assert signed("lin").post(HERE).status_code == 404
    assert ask_reconciliation(city.viewer("wu"), HEALTH, BIRTH)
    assert signed("lin").post(f"{HERE}{newest()}/withdraw").status_code == 404
    assert take_step(city.viewer("wu"), HEALTH, BIRTH, newest(), "withdraw")
    assert not take_step(city.viewer("wu"), HEALTH, BIRTH, newest(), "withdraw")
    with pytest.raises(NotFound):
        take_step(city.viewer("wu"), HEALTH, BIRTH, newest(), "delete")


@pytest.mark.requirement("UPD-05")
def test_the_schedule_asks_as_often_as_it_is_set_to(city, settings):
    hear(state())
    assert ask_scheduled() == 0, "nothing is shared yet"
    merged()
    assert ask_scheduled() == 0, "not due before the first period is over"
    with beyond_control():
        rows("UPDATE exchange.batch SET merged_at = merged_at - interval '31 days' RETURNING 1")
    settings.RECONCILE_DAYS = 0
    assert ask_scheduled() == 0
    settings.RECONCILE_DAYS = 30
    assert (ask_scheduled(), ask_scheduled()) == (1, 0)
    assert [entry[-1] for entry in audit_entries("reconciliation_asked")] == ["asked"]
    answered(RESULT | {"found": 0, "agrees": True, "differing": []})
    assert ask_scheduled() == 0
    with beyond_control():
        rows("UPDATE exchange.reconciliation SET asked_at = asked_at - interval '31 days' RETURNING 1")
    assert ask_scheduled() == 1


def test_what_nobody_answers_is_given_up(city):
    hear(state())
    assert ask_reconciliation(city.viewer("wu"), HEALTH, BIRTH)
    assert watch_reconciliations() == 0
    with beyond_control():
        rows("UPDATE exchange.reconciliation SET asked_at = asked_at - interval '25 hours' RETURNING 1")
    assert watch_reconciliations() == 1
    page = signed("wu").get(HERE).content.decode()
    assert "前置机没有消息" in page


def test_a_step_of_another_run_changes_nothing(city):
    hear(state())
    assert ask_reconciliation(city.viewer("wu"), HEALTH, BIRTH)
    key = newest()
    take = "SELECT exchange.take_reconciliation_step(%s, %s, %s, %s, %s, '\\x00')::text"
    answer = "SELECT exchange.answer_reconciliation(%s, %s, %s, '{\"state\": \"narrow\"}', '{}', '{}', '[]')"

    def ask(sql: str, *given: object) -> object:
        with beyond_control():
            return rows(sql, *given)[0][0]

    assert ask(take, HEALTH, BIRTH, key, "a" * 16, 1) is None
    assert ask(take, HEALTH, BIRTH, key, "a" * 16, 2) == '{"state": "again"}', "step 1 has no answer yet"
    assert ask(take, POLICE, BIRTH, key, "a" * 16, 1) == '{"state": "over"}'
    assert ask(take, HEALTH, BIRTH, key, "b" * 16, 1) is None, "the node began anew"
    assert ask(answer, key, "a" * 16, 1) is False, "an answer to the run before counts no more"
    assert ask(answer, key, "b" * 16, 1) is True
    assert ask(take, HEALTH, BIRTH, key, "b" * 16, 1) == '{"state": "narrow"}', "asked once more"
    assert ask(take, HEALTH, BIRTH, key, "b" * 16, 2) is None


def test_removals_that_are_held_back_are_told_and_let_through_by_a_person(city):
    line = msgspec.structs.replace(state().lines[0], state="held_back", held_back=900, held_of=1000)
    hear(msgspec.structs.replace(state(), lines=(line,)))
    assert watch_held_removals() == 1
    told = Notification.objects.filter(code="removals_held", reference=BIRTH)
    assert HEALTH in set(told.values_list("department_id", flat=True)) and told.count() >= 2
    shown = signed("wu").get(f"/exchange/{HEALTH}/").content.decode()
    assert "来源少了 900 行" in shown and "确认移出 900 行" in shown
    assert 'name="rows" value="900"' in shown and "上次确认" not in shown
    place = f"/exchange/{HEALTH}/{BIRTH}/let-through"
    # A word is about the number that was shown: about another one it is none.
    for other in ("899", "901", "", "x"):
        assert "请看过后重新确认" in signed("wu").post(place, {"rows": other}, follow=True).content.decode()
    assert audit_entries("node_ordered") == []
    assert signed("wu").post(place, {"rows": "900"}).status_code == 302
    assert [entry[-1] for entry in audit_entries("node_ordered")] == ["let_through"]
    more = msgspec.structs.replace(line, held_back=950)
    told_more = msgspec.structs.replace(state(), lines=(more,))
    with beyond_control():
        (row,) = rows(
            "SELECT exchange.hear_node(%s, %s)::text", HEALTH, msgspec.json.encode(told_more).decode()
        )
    assert decode_orders(row[0].encode()).let_through == {BIRTH: Word(1, 900)}
    assert "上次确认针对 900 行；数目已变" in signed("wu").get(f"/exchange/{HEALTH}/").content.decode()
    hear(state())
    with pytest.raises(NotFound):
        order_node(city.viewer("wu"), HEALTH, BIRTH, "let-through", 900)


def test_the_picture_shows_the_gravest_of_many_ranges():
    from shuqiao.control.exchange.reconciliations import Range

    picture = draw(2048, [Range(0, 1, 2, "differs"), Range(1, 1, 2, "found"), Range(2047, 9, 9, "too_large")])
    assert len(picture.cells) == MAX_CELLS and picture.each == 16
    assert (picture.cells[0].kind, picture.cells[-1].kind) == ("differs", "open")
    assert {cell.kind for cell in picture.cells[1:-1]} == {"agrees"}
    assert len(draw(1, []).cells) == 1


def test_the_law_is_cited_from_the_regulation_in_force(city):
    hear(state())
    page = reconciliation_page(city.viewer("wu"), HEALTH, BIRTH)
    assert page.article.article == "8(3)"
