"""The audit list shows a department its own part; a proof is computed and fails when anything is altered."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.db import connection

from shuqiao.control.accounts.access import NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.operations.audit import audit_page, audit_proof
from shuqiao.control.operations.queries import AuditFilters
from shuqiao.control.organisations.models import Application
from shuqiao.control.requests.actions import submit_request
from shuqiao.rules import merkle
from shuqiao.rules.checkpoint import Checkpoint
from shuqiao.rules.errors import RequestMalformed
from shuqiao.rules.normalise import normalise_text
from shuqiao.security import keys

from .conftest import BIRTH, NOW, audit_entries, beyond_control, rows

EARLIER = 299


def execute(sql: str, *values) -> None:
    """Run one statement on the test's own connection, as the superuser: as integrator, plane, or a thief."""
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def integrate(entry: str | None = None) -> bytes:
    """Number every entry into the tree behind many others and sign a checkpoint, as the integrator does."""
    key = keys.generate_signing_key()
    public = keys.public_der(key.public_key())
    execute(
        "INSERT INTO exchange.signing_key (id, purpose, algorithm, public_key)"
        " VALUES (%s, 'log', 'ed25519', %s)",
        keys.key_id(public),
        public,
    )
    others = [(uuid4(), merkle.leaf_hash(bytes([n % 256, n // 256]))) for n in range(EARLIER)]
    own = [
        (entry_id, merkle.leaf_hash(bytes(digest)))
        for entry_id, digest in rows("SELECT id, digest FROM audit.entry ORDER BY occurred_at, id")
    ]
    leaves = [*others[:150], *own, *others[150:]]
    for position, (entry_id, leaf) in enumerate(leaves):
        execute("INSERT INTO audit.leaf VALUES (%s, %s, %s)", position, entry_id, leaf)
    growth = merkle.append(merkle.EMPTY, (leaf for _, leaf in leaves))
    for node in growth.nodes:
        execute("INSERT INTO audit.node VALUES (%s, %s, %s)", node.level, node.position, node.hash)
    text = Checkpoint(settings.CONFIG.log_origin, len(leaves), growth.root, NOW).text()
    execute(
        "INSERT INTO audit.checkpoint VALUES (%s, %s, %s, %s, %s)",
        len(leaves),
        growth.root,
        NOW,
        keys.key_id(public),
        keys.sign("ed25519", key, text),
    )
    return growth.root


def append(event: str, body: str, *, department="440100-housing", provider="440100-health") -> str:
    """Write one entry with a body of our own."""
    entry = str(uuid4())
    execute(
        "SELECT audit.append(%s, %s, %s, %s, %s, 'app-housing-portal/lin', %s, NULL, NULL, 'GZF-1',"
        " 'answered', %s)",
        entry, NOW, event, department, provider, BIRTH, body,
    )  # fmt: skip
    return entry


@pytest.fixture
def submitted(city) -> str:
    """The entry of a request of housing to health."""
    submit_request(city.viewer("lin"), city.wanted())
    [(entry,)] = rows("SELECT id FROM audit.entry WHERE event = 'request_submitted'")
    return str(entry)


def test_both_sides_and_supervision_see_an_entry_and_nobody_else(city, submitted):
    for username in ("lin", "chen", "zhou", "zheng"):
        found = audit_page(city.viewer(username), AuditFilters(event="request_submitted"))
        assert [row.id for row in found.rows] == [submitted]
        assert audit_proof(city.viewer(username), submitted).row.id == submitted
    assert audit_page(city.viewer("zhao"), AuditFilters(event="request_submitted")).rows == ()
    with pytest.raises(NotFound):
        audit_proof(city.viewer("zhao"), submitted)
    for username in ("wu", "ma"):
        with pytest.raises(NotFound):
            audit_page(city.viewer(username), AuditFilters())
    with pytest.raises(NotFound):
        audit_proof(city.viewer("zhou"), "not a number")


def test_a_search_is_itself_recorded_and_opening_the_list_is_not(city, submitted):
    audit_page(city.viewer("zhou"), AuditFilters())
    assert audit_entries("audit_searched") == []
    audit_page(city.viewer("zhou"), AuditFilters(resource=BIRTH, department="440100-housing"))
    [(department, _, actor, *_)] = audit_entries("audit_searched")
    assert (department, actor) == ("440100-supervision", "account:zhou")


def test_a_user_is_found_by_name_and_account_and_by_what_the_log_writes(city, submitted):
    """A person acts at the pages and through systems of the department; a system stands for all its users."""
    called, person = append("verify", "{}"), Account.objects.get(username="lin").display_name
    system = Application.objects.get(id="app-housing-portal").name_zh

    def found(words: str) -> set[str]:
        return {row.id for row in audit_page(city.viewer("chen"), AuditFilters(actor=words)).rows}

    assert found("lin") == found(person) == {called, submitted}
    assert found("account:lin") == {submitted}
    assert found("app-housing-portal/lin") == found("app-housing-portal") == found(system) == {called}
    assert found("li") == found("app-housing") == found("zhao") == set()


def test_the_list_goes_on_where_a_page_ended(city):
    for number in range(60):
        execute(
            "SELECT audit.append(%s, %s, 'query', '440100-housing', '440100-health', 'a', NULL, NULL, NULL,"
            " NULL, 'answered', '{}')",
            uuid4(),
            NOW + timedelta(seconds=number // 3),
        )
    lin, filters = city.viewer("lin"), AuditFilters(event="query")
    first = audit_page(lin, filters)
    second = audit_page(lin, filters, first.next_before)
    assert (len(first.rows), len(second.rows), second.next_before) == (50, 10, "")
    assert len({row.id for row in (*first.rows, *second.rows)}) == 60
    with pytest.raises(RequestMalformed):
        audit_page(lin, filters, "yesterday_somewhere")


def test_an_entry_waits_for_its_proof_until_it_is_numbered(city, submitted):
    proof = audit_proof(city.viewer("lin"), submitted)
    assert not proof.proved
    assert {check.key: check.passed for check in proof.checks} == {
        "content": True, "leaf": False, "inclusion": False, "signature": False,
    }  # fmt: skip


def test_the_proof_of_an_entry_leads_to_the_signed_root(city, submitted):
    root = integrate()
    proof = audit_proof(city.viewer("lin"), submitted)
    assert proof.proved, proof.checks
    assert proof.root == root.hex()
    assert proof.path[-1].computed == root.hex(), "the drawn path ends in the root"
    assert {sibling.side for sibling in proof.path} == {"left", "right"}
    # Anybody can compute it again from what the page shows.
    verified = merkle.verify_inclusion(
        bytes.fromhex(proof.leaf_hash),
        proof.row.position,
        proof.size,
        [bytes.fromhex(sibling.hash) for sibling in proof.path],
        root,
    )
    assert verified


@pytest.mark.parametrize(
    ("alteration", "failed"),
    [
        ("UPDATE audit.entry SET body = replace(body, 'submitted', 'withdrawn') WHERE id = %s", {"content"}),
        ("UPDATE audit.entry SET digest = sha256('x') WHERE id = %s", {"content", "leaf", "inclusion"}),
        ("UPDATE audit.leaf SET hash = sha256('x') WHERE entry_id = %s", {"leaf"}),
        ("UPDATE audit.checkpoint SET root = sha256('x') WHERE %s IS NOT NULL", {"inclusion", "signature"}),
        ("UPDATE exchange.signing_key SET purpose = 'grants' WHERE %s IS NOT NULL", {"signature"}),
    ],
)
def test_whatever_is_altered_a_check_of_the_proof_fails(city, submitted, alteration, failed):
    integrate()
    assert audit_proof(city.viewer("lin"), submitted).proved
    for table in ("entry", "leaf", "checkpoint"):
        execute(f"ALTER TABLE audit.{table} DISABLE TRIGGER insert_only")
    execute(alteration, UUID(submitted))
    proof = audit_proof(city.viewer("lin"), submitted)
    assert not proof.proved
    assert {check.key for check in proof.checks if not check.passed} == failed


def test_single_results_of_a_grant_that_answers_together_are_not_told_to_the_caller(city):
    body = '{"match":"all","identity":{"mother_name":false}}\n{"matches":{"birth_date":true}}'
    entry = append("verify", body)
    caller = audit_proof(city.viewer("lin"), entry)
    assert (caller.body, caller.salt) == ("", "")
    assert not any("mother_name" in value or "birth_date" in value for _, value in caller.facts)
    owner = audit_proof(city.viewer("chen"), entry)
    assert owner.body == body
    assert audit_proof(city.viewer("zhou"), entry).body == body
    each = append("verify", body.replace('"all"', '"each"'))
    caller = audit_proof(city.viewer("lin"), each)
    assert any("mother_name" in value for _, value in caller.facts)


def test_the_log_does_not_tell_the_caller_whether_a_person_is_there(city):
    said = '{"match":"each","identity":{"mother_name":false}}\n'
    there = append("verify", said + '{"found":true,"record":"' + str(UUID(int=7)) + '","version":3}')
    absent = append("verify", said + '{"found":false,"record":"' + str(UUID(int=8)) + '","version":null}')
    wrong = append("verify", said + '{"found":true,"matches":{"birth_date":false}}')
    lin, chen = city.viewer("lin"), city.viewer("chen")
    first, second = audit_proof(lin, there), audit_proof(lin, absent)
    assert first.facts == second.facts == audit_proof(lin, wrong).facts
    assert {first.body, second.body, first.salt, second.salt} == {""}
    assert {row.record for row in audit_page(lin, AuditFilters(event="verify")).rows} == {""}
    assert '"found":false' in audit_proof(chen, absent).body, "the owner sees all of it"


def test_the_list_can_be_narrowed_to_days_of_the_city(city, submitted):
    lin = city.viewer("lin")
    day = datetime(2026, 11, 11, tzinfo=UTC).date()
    event = {"event": "request_submitted"}
    assert len(audit_page(lin, AuditFilters(since=day, until=day, **event)).rows) == 1
    assert audit_page(lin, AuditFilters(since=day + timedelta(days=1), **event)).rows == ()
    assert audit_page(lin, AuditFilters(until=day - timedelta(days=1), **event)).rows == ()


def test_a_search_is_recorded_wherever_it_begins(city, submitted):
    far = "9999-12-30T00:00:00+00:00_ffffffff-ffff-ffff-ffff-ffffffffffff"
    audit_page(city.viewer("lin"), AuditFilters(event="request_submitted"), far)
    assert rows("SELECT count(*) FROM audit.entry WHERE event = 'audit_searched'") == [(1,)]


def test_a_batch_refused_again_adds_nothing_to_the_log(city):
    for _ in range(3):
        execute("SELECT exchange.refuse_batch('440100-health', %s, 'batch_malformed', sha256('x'))", BIRTH)
    assert rows("SELECT count(*) FROM audit.entry WHERE event = 'batch_refused'") == [(1,)]


def test_plain_values_are_compared_in_the_written_form_of_claims(city):
    stored = ("南沙派出所（东区） ", "a\u3000 b", "x\u200by")
    for value in stored:
        with beyond_control():
            [(form,)] = rows("SELECT exchange.written_form(%s)", value)
        assert form == normalise_text(value)
