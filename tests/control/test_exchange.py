"""Watching the exchange on its pages: who sees what, silence told once, orders with their entries."""

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import msgspec
import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from shuqiao.control.accounts.access import NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.exchange.actions import order_node
from shuqiao.control.exchange.monitor import monitor_page, node_page
from shuqiao.control.exchange.structures import watch_structures
from shuqiao.control.exchange.watching import watch_silence, watch_unacknowledged
from shuqiao.control.exchange.words import _STOPPED, ADVICE, STATES, Condition
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.web.flow_picture import MAX_SIDE, draw
from shuqiao.edge.status import _ORDER
from shuqiao.wire.node_state import LineState, NodeState, Orders, Unacknowledged, decode_orders

from .conftest import BIRTH, audit_entries, beyond_control, rows

HEALTH, POLICE = "440100-health", "440100-police"


def state(department: str = HEALTH, how: str = "up", lag_s: float = 0.4) -> NodeState:
    """What a node says of itself."""
    now = datetime.now(UTC)
    line = LineState(BIRTH, how, "changes", "0123456789abcdef", 12, lag_s)
    return NodeState(department, now, "1.2.3", now, how, 4096, (line,), now + timedelta(days=20))


def hear(told: NodeState, quiet: timedelta = timedelta()) -> None:
    """The loader heard it so long ago."""
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.node (department, name, public_key, nats_user) VALUES (%s, %s, %s, 'U')"
            " ON CONFLICT DO NOTHING",
            [told.department, told.department, told.department.encode()],
        )
        cursor.execute(
            "SELECT exchange.hear_node(%s, %s::jsonb)", [told.department, msgspec.json.encode(told).decode()]
        )
        cursor.execute(
            "UPDATE exchange.node_state SET heard_at = heard_at - %s WHERE department = %s",
            [quiet, told.department],
        )


def merged(department: str = HEALTH, sequence: int = 1, accepted: int = 100, rejected: str = "[]") -> None:
    """A batch stands in the ledger."""
    created = (datetime.now(UTC) - timedelta(seconds=2)).isoformat()
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.batch (department, resource_id, sequence, manifest, manifest_digest,"
            " accepted, inserted, updated, unchanged, rejected) VALUES (%s, %s, %s,"
            " %s, sha256('x'), %s, %s, 0, 0, %s)",
            [department, BIRTH, sequence, f'{{"created": "{created}"}}', accepted, accepted, rejected],
        )


@pytest.mark.requirement("ING-10")
def test_the_page_shows_state_last_contact_lag_version_and_certificate(city):
    hear(state())
    merged(rejected='[{"row": 3, "item": "sex_code", "code": "code_unknown"}]')
    page = monitor_page(city.viewer("chen"))
    (node,) = page.nodes
    assert (node.department.code, node.condition, node.version) == (HEALTH, Condition.WELL, "1.2.3")
    assert node.waiting == 12 and node.is_ending and node.quiet_s is not None and node.quiet_s < 30
    (job,) = page.coming
    assert (job.rows_today, job.rejected, job.resource) == (100, 1, BIRTH)
    assert page.online == 1 and page.rejected == 1 and 1.5 < (page.lag_s or 0) < 30
    assert page.hours[-1].received + page.hours[-2].received == 100
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    shown = client.get("/exchange/").content.decode()
    assert "交换监控" in shown and "1.2.3" in shown and "出生" in shown
    assert page.only_channel.article == "8¶4" and page.only_channel.cite.zh in shown
    detail = client.get(f"/exchange/{HEALTH}/").content.decode()
    assert "sex_code" in detail and "第 3 行" in detail
    part = client.get("/exchange/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part and "1.2.3" in part


@pytest.mark.parametrize("how", ["refused", "source_changed", "source_away", "held_back", "disk_full"])
def test_a_node_that_is_stopped_but_heard_is_not_called_silent(city, client, how):
    hear(state(how=how, lag_s=95.0))
    page = monitor_page(city.viewer("chen"))
    (node,) = page.stopped
    assert page.silent == () and page.online == 1
    assert node.waiting == 12 and node.condition is Condition.STOP and node.advice is not None
    assert page.coming[0].lag_s == 95.0, "how long rows wait, not how long ago the node was heard"
    client.force_login(Account.objects.get(username="chen"))
    for place in ("/exchange/", f"/exchange/{HEALTH}/"):
        shown = client.get(place).content.decode()
        assert "没有消息" not in shown and str(node.words) in shown and str(node.advice) in shown
        assert how not in shown, "a state is told in words"


def test_every_state_of_a_node_has_words_and_each_stop_says_what_to_do():
    assert set(_ORDER) <= set(STATES)
    assert set(_STOPPED) - {"hub_away"} <= set(ADVICE)


def test_why_a_batch_was_refused_is_told_in_words(city, client):
    told = state(how="refused")
    hear(
        msgspec.structs.replace(
            told, lines=(msgspec.structs.replace(told.lines[0], refused="batch_not_cleared"),)
        )
    )
    client.force_login(Account.objects.get(username="chen"))
    shown = client.get(f"/exchange/{HEALTH}/").content.decode()
    assert "batch_not_cleared" not in shown and "提供前审查未签署" in shown


def test_a_page_of_many_tables_asks_no_more_than_one_of_few(city, django_assert_max_num_queries):
    told = state()
    others = Resource.objects.filter(department_id=HEALTH).exclude(pk=BIRTH).values_list("pk", flat=True)
    lines = (*told.lines, *(msgspec.structs.replace(told.lines[0], resource=key) for key in others[:5]))
    hear(told)
    with CaptureQueriesContext(connection) as few:
        node_page(city.viewer("chen"), HEALTH)
    hear(msgspec.structs.replace(told, lines=lines))
    with django_assert_max_num_queries(len(few)):
        assert len(node_page(city.viewer("chen"), HEALTH).lines) == len(lines) > 1


def test_what_was_refused_leads_to_the_articles_it_rests_on(city, client):
    hear(state())
    merged(rejected='[{"row": 3, "item": "sex_code", "code": "item_code_unknown"}]')
    with beyond_control():
        rows(
            "INSERT INTO exchange.batch_refusal (department, resource_id, reason, digest)"
            " VALUES (%s, %s, 'batch_not_cleared', sha256('x')) RETURNING 1",
            HEALTH, BIRTH,
        )  # fmt: skip
    client.force_login(Account.objects.get(username="chen"))
    shown = client.get(f"/exchange/{HEALTH}/").content.decode()
    tables, _, refused = unquote(shown).partition("整批拒收")
    place = "/regulations/guangzhou-2016/articles/"
    assert place + "8(4)" in refused and place + "8(1)" in refused
    # The review that is missing, beside its table, and the standard that a value broke.
    assert place + "8(4)" in tables and place + "29(1)" in tables


def test_a_batch_with_many_faults_shows_the_first(city):
    hear(state())
    faults = [{"row": row, "item": "sex_code", "code": "item_type"} for row in range(500)]
    merged(rejected=msgspec.json.encode(faults).decode())
    (batch,) = node_page(city.viewer("chen"), HEALTH).lines[0].batches
    assert batch.rejected == 500 and len(batch.faults) == 50


@pytest.mark.requirement("ING-10")
def test_a_silent_node_is_told_of_once_to_its_technicians_and_the_agency(city):
    hear(state(), timedelta(minutes=5))
    assert (watch_silence(), watch_silence()) == (1, 0)
    assert monitor_page(city.viewer("chen")).silent[0].department.code == HEALTH
    told = Notification.objects.filter(code="node_silent")
    assert HEALTH in set(told.values_list("department_id", flat=True)) and told.count() >= 2
    assert [entry[-1] for entry in audit_entries("node_silent")] == ["silent"]
    hear(state())
    assert [entry[-1] for entry in audit_entries("node_heard")] == ["heard"]
    assert monitor_page(city.viewer("chen")).silent == ()


def unacknowledged(lasted_s: float, ago_s: float | None = None) -> NodeState:
    """The state of a node whose batches were not acknowledged for so long, until now or so long ago."""
    now = datetime.now(UTC)
    until = None if ago_s is None else now - timedelta(seconds=ago_s)
    known = Unacknowledged(37, (until or now) - timedelta(seconds=lasted_s), until, "the stream takes none")
    said = state(how="up" if until else "not_acknowledged")
    return msgspec.structs.replace(
        said, lines=(msgspec.structs.replace(said.lines[0], unacknowledged=known),)
    )


@pytest.mark.parametrize("ago_s", [None, 3600])
def test_batches_that_are_not_acknowledged_are_told_of_once_and_shown(city, ago_s):
    hear(unacknowledged(300, ago_s))
    assert (watch_unacknowledged(), watch_unacknowledged()) == (1, 1)
    told = Notification.objects.filter(code="batches_unacknowledged", reference=BIRTH)
    bodies = list(told.values_list("department_id", flat=True))
    assert HEALTH in bodies and len(bodies) == len(set(bodies)) >= 2
    assert set(told.values_list("params__tries", flat=True)) == {37}
    client = Client()
    client.force_login(Account.objects.get(username="wu"))
    page = client.get(f"/exchange/{HEALTH}/").content.decode()
    assert ("37 次发送未获消息服务器确认；数据留在前置机" in page) == (ago_s is None)
    assert ("37 次发送未获消息服务器确认；现已确认" in page) == (ago_s is not None)
    assert (monitor_page(city.viewer("wu")).jobs[0].condition is Condition.STOP) == (ago_s is None)
    assert "自 " in client.get("/").content.decode()
    # Another time is told of again.
    hear(unacknowledged(200, ago_s))
    watch_unacknowledged()
    assert told.count() == 2 * len(bodies)


def test_a_message_server_that_starts_anew_alarms_nobody(city):
    hear(unacknowledged(20))
    assert watch_unacknowledged() == 0
    hear(unacknowledged(20, 3600))
    assert watch_unacknowledged() == 0
    assert not Notification.objects.filter(code="batches_unacknowledged").exists()


def test_a_node_nobody_runs_any_more_is_not_missed(city):
    hear(state(), timedelta(minutes=5))
    with beyond_control():
        rows("UPDATE exchange.node SET active = false RETURNING 1")
    assert watch_silence() == 0
    assert monitor_page(city.viewer("chen")).nodes[0].condition is Condition.OFF


def test_a_department_sees_its_own_node_only(city):
    hear(state())
    hear(state(POLICE))
    assert [row.department.code for row in monitor_page(city.viewer("chen")).nodes] == [HEALTH]
    assert len(monitor_page(city.viewer("ma")).nodes) == 2
    with pytest.raises(NotFound):
        node_page(city.viewer("chen"), POLICE)
    assert monitor_page(city.viewer("lin")).nodes == ()
    client = Client()
    client.force_login(Account.objects.get(username="lin"))
    assert client.get(f"/exchange/{HEALTH}/").status_code == 404
    assert HEALTH not in client.get("/exchange/").content.decode()


def test_an_order_is_recorded_and_given_with_the_next_word(city):
    hear(state())
    client = Client()
    client.force_login(Account.objects.get(username="wu"))
    assert client.post(f"/exchange/{HEALTH}/{BIRTH}/pause").status_code == 302
    assert client.post(f"/exchange/{HEALTH}/{BIRTH}/pause").status_code == 302
    assert [entry[-1] for entry in audit_entries("node_ordered")] == ["paused"]
    assert node_page(city.viewer("chen"), HEALTH).lines[0].is_paused
    assert order_node(city.viewer("wu"), HEALTH, BIRTH, "reload")
    with beyond_control():
        (row,) = rows("SELECT exchange.hear_node(%s, '{}')::text", HEALTH)
    assert decode_orders(row[0].encode()) == Orders((BIRTH,), {BIRTH: 1})


@pytest.mark.parametrize(
    ("who", "department", "order"),
    [
        ("lin", HEALTH, "pause"),
        ("wu", POLICE, "pause"),
        ("wu", HEALTH, "erase"),
        ("chen", HEALTH, "pause"),
    ],
)
def test_who_may_not_ask_learns_nothing(city, who, department, order):
    hear(state())
    hear(state(POLICE))
    with pytest.raises(NotFound):
        order_node(city.viewer(who), department, BIRTH, order)
    assert audit_entries("node_ordered") == []


def test_control_changes_no_state_by_itself(city):
    hear(state())
    with pytest.raises(DatabaseError, match="permission denied"):
        rows("UPDATE exchange.node_state SET heard_at = now() RETURNING 1")


def test_the_gravest_stands_first_and_the_picture_is_bounded(city):
    hear(state(how="source_away"))
    hear(state(POLICE))
    page = monitor_page(city.viewer("ma"))
    assert [row.condition for row in page.nodes] == [Condition.STOP, Condition.WELL]
    picture = draw(page.coming, page.going)
    assert picture is not None and [one.kind for one in picture.bringing] == ["stop", ""]
    assert len(picture.bringing) <= MAX_SIDE and draw([], []) is None


def test_both_sides_are_told_once_that_a_source_changed(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    answer_request(city.viewer("chen"), number, city.answer())
    said = state()
    line = msgspec.structs.replace(said.lines[0], changes="gone: qfjg")
    hear(msgspec.structs.replace(said, lines=(line,)))
    assert (watch_structures(), watch_structures()) == (1, 1)
    own = Notification.objects.filter(code="source_changed", reference=BIRTH)
    assert HEALTH in set(own.values_list("department_id", flat=True)) and own.count() >= 2
    assert set(own.values_list("params__changes_zh", flat=True)) == {"缺少列qfjg"}
    (shown,) = node_page(city.viewer("ma"), HEALTH).lines
    assert shown.changes.en == "column qfjg is gone"
    using = Notification.objects.filter(code="source_changed_use", reference=BIRTH)
    assert set(using.values_list("department_id", flat=True)) == {"440100-housing"}
    # The names of columns are the provider's own.
    assert all("changes_zh" not in params for params in using.values_list("params", flat=True))
