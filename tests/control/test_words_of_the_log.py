"""Everything the programs write into the audit log has its words on the pages, in both languages.

A new event, outcome or fact without words fails here, wherever in `src` it is written.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import translation

from shuqiao.control.accounts.actors import actor_refs
from shuqiao.control.accounts.models import Account
from shuqiao.control.alarms import pages as alarms
from shuqiao.control.enrolments import page as enrolments
from shuqiao.control.interconnection.words import STEP_WORDS, WAY_WORDS
from shuqiao.control.onesource.models import ClaimState
from shuqiao.control.operations import labels
from shuqiao.control.operations.audit import audit_proof
from shuqiao.control.organisations.models import Application
from shuqiao.control.othersystems.pages import STATE_WORDS
from shuqiao.control.outside.pages import WORDS
from shuqiao.control.regulations.current import readable
from shuqiao.control.regulations.files import regulation_ids
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.rules.errors import BY_CODE
from shuqiao.wire.messages import CallEntry

from .conftest import rows
from .written_entries import (
    Programs,
    Written,
    built,
    written_by_programs,
    written_by_the_database,
    written_with_sql,
)

CHINESE = re.compile("[一-鿿]")
PROGRAMS = Programs()
ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"


@pytest.fixture(autouse=True)
def in_chinese() -> Iterator[None]:
    """Read in Chinese, whatever language an earlier page was in."""
    with translation.override("zh-hans"):
        yield


def states(kind: str = "") -> set[str]:
    """Every state of a kind of case, in any city."""
    return {
        state.key
        for one in regulation_ids()
        for name, procedure in readable(one).procedures.items()
        if kind in ("", name)
        for state in procedure.states
    }


def share_types() -> set[str]:
    """Every share type of any city."""
    return {one.key for name in regulation_ids() for one in readable(name).share_types.types}


# What the source names by an expression: which words it may be. A new one has to be entered here.
EVENTS = {
    "call.mode": lambda: {"verify", "query"},
    "change.event": lambda: built(PROGRAMS, "_Change", "event", PROGRAMS.words).words,
}
OUTCOMES = {
    "accepted.to_state": states,
    "one.accepted.to_state": states,
    "step.accepted.to_state": states,
    "grant.state": lambda: states("grant"),
    "project.state": lambda: states("project"),
    "claim.state": lambda: set(ClaimState.values),
    "alarm.kind": lambda: set(alarms.KINDS),
    "row.state": lambda: set(enrolments.STATES),
    "system.state": lambda: set(STATE_WORDS),
    "done.kind": lambda: set(STEP_WORDS),
    "passed.way": lambda: set(WAY_WORDS),
    "how": lambda: {"lapsed", "revoked"},
    "resource.state": lambda: {"published", "withdrawn"},
    "given.setting": lambda: {"working", "off", "announced"},
    "row.share_type": share_types,
    "rules.id": lambda: set(regulation_ids()),
    "refusal.code": lambda: set(BY_CODE),
    "error.code": lambda: set(BY_CODE),
    "refused.error.code": lambda: set(BY_CODE),
}
FACTS = {
    "step.facts": lambda: built(PROGRAMS, "Step", "facts", PROGRAMS.keys).words,
    "change.told": lambda: built(PROGRAMS, "_Change", "told", PROGRAMS.keys).words,
    "{key: text.strip() for key, text in step.words.items() if text.strip()}": lambda: set(WORDS),
}
# What the database decides, or a worker hands it: outcomes of answered calls, and why a copy was not made.
BY_THE_DATABASE = {
    "answered",
    "not_available",
    "copy_too_large",
    "grant_ended",
    "grant_changing",
    "bulk_failed",
}


def everything() -> Iterator[Written]:
    """What control, the other programs and the database write."""
    yield written_by_programs(PROGRAMS)
    yield written_with_sql(PROGRAMS)
    yield written_by_the_database()


VOLUMES = {"encrypted", "declared", "memory", "open", "unknown"}


def words_of(kind: str, said_elsewhere: dict) -> set[str]:
    """All words of a kind; fails where an expression is new."""
    found: set[str] = set()
    for written in everything():
        one = getattr(written, kind)
        unknown = one.open - said_elsewhere.keys()
        assert not unknown, f"say which {kind} these may be: {sorted(unknown)}"
        found |= one.words.union(*(said_elsewhere[name]() for name in one.open))
    return found


def without_words(table, codes: set[str]) -> list[str]:
    """The codes that have no Chinese words, or no English ones."""
    shown = {code: table(code) for code in codes}
    return sorted(
        code
        for code, text in shown.items()
        if not CHINESE.search(text.zh) or not text.en or CHINESE.search(text.en) or text.en == code
    )


def test_every_event_has_its_words_and_none_has_words_that_is_not_written(city):
    """The list of the contract, the words and the programs name the same events."""
    written = words_of("events", EVENTS) | {"verify", "query"}
    assert without_words(lambda code: labels.label(labels.EVENTS, code), written) == []
    assert set(labels.EVENTS) == written
    [listed] = re.findall(r"^Events \(stable\): (.*)\.$", ARCHITECTURE.read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", listed)) == written


def test_every_outcome_has_its_words(city):
    """Ours, the codes of every refusal, the states of every kind of case in every city."""
    written = (
        words_of("outcomes", OUTCOMES) | BY_THE_DATABASE | set(BY_CODE) | states() | share_types() | VOLUMES
    )
    assert without_words(labels.outcome_label, written) == []


@pytest.mark.parametrize(
    ("event", "codes"),
    [
        ("alarm_raised", set(alarms.KINDS)),
        ("alarm_judged", {"justified", "misuse"}),
        ("alarm_asked", {"asked"}),
        ("alarm_explained", {"explained"}),
        ("claim_made", set(ClaimState.values)),
        ("key_enrolment_decided", set(enrolments.STATES)),
        ("exchange_system_step", set(STATE_WORDS)),
        ("entry_ended", {"published", "withdrawn"}),
        ("sign_in_refused", {"refused"}),
        ("volume_stated", VOLUMES),
        ("bulk_prepared", BY_THE_DATABASE - {"answered"}),
    ],
)
def test_outcomes_of_an_event_have_its_own_words(city, event, codes):
    """Where one code means something else in another event, the event's words are shown."""
    assert without_words(lambda code: labels.outcome_label(code, event), codes) == []


def test_one_code_is_worded_by_its_event(city):
    """A refused sign-in is no refused request, an alarm that is explained no explained claim."""
    assert str(labels.outcome_label("refused", "sign_in_refused")) == "未通过"
    assert str(labels.outcome_label("refused", "request_decided")) == "不予共享"
    assert labels.outcome_label("explained", "alarm_explained") != labels.outcome_label(
        "explained", "claim_made"
    )
    assert str(labels.outcome_label("active", "grant_issued")) == "使用中"


def test_every_fact_has_its_words(city):
    """The plane's lines too."""
    written = words_of("facts", FACTS) | set(CallEntry.__struct_fields__)
    assert without_words(lambda code: labels.label(labels.FACTS, code), written) == []


def test_a_new_event_without_words_is_noticed(tmp_path):
    """The walk finds what a helper hands on, and what a statement appends."""
    programs = Programs()
    source = ast.parse(
        "NAME = 'flower_watered'\n"
        "def _note(event, outcome, facts):\n"
        "    append_entry(event, actor='x', at=0, outcome=outcome, facts={'pot': 1, **facts})\n"
        "def water(case):\n"
        "    _note(NAME, 'wet' if case else case.state, {'litres': 2})\n"
    )
    programs.__dict__["modules"] = {tmp_path / "flowers.py": source}
    found = written_by_programs(programs)
    assert (found.events.words, found.outcomes.words) == ({"flower_watered"}, {"wet"})
    assert (found.outcomes.open, found.facts.words) == ({"case.state"}, {"pot", "litres"})
    (tmp_path / "flowers.sql").write_text(
        "PERFORM audit.append(v_id, v_at, 'flower_cut', p_a, NULL, p_b, NULL, NULL, NULL, NULL,"
        " CASE WHEN v = 'x' THEN 'cut' ELSE 'kept' END,"
        " jsonb_build_object('event', 'flower_cut', 'stems', v_n)::text);"
    )
    cut = written_by_the_database(tmp_path)
    assert (cut.events.words, cut.outcomes.words, cut.facts.words) == (
        {"flower_cut"},
        {"cut", "kept"},
        {"event", "stems"},
    )


def test_what_an_entry_says_is_shown_in_words(city):
    """Codes by their meaning, systems, departments and items by name, times in the legal zone."""
    Account.objects.filter(username="chen").update(display_name="陈示例")
    number = submit_request(city.viewer("lin"), city.wanted())
    grant = answer_request(city.viewer("chen"), number, city.answer(case_required=True))
    [(entry,)] = rows("SELECT id FROM audit.entry WHERE event = 'grant_issued'")
    said = {str(name): value for name, value in audit_proof(city.viewer("chen"), str(entry)).facts}
    assert (said["动作"], said["结果"], said["方式"]) == ("授权", "使用中", "核验")
    assert (said["应答方式"], said["须填办件编号"]) == ("逐项答复", "是")
    assert said["信息项"] == "母亲姓名、母亲公民身份号码" and said["授权"] == grant
    assert (said["提供方"], said["操作人"]) == ("市卫生健康委员会", "陈示例")
    assert said["时间"] == "2026-11-11 09:42:00"


def test_systems_and_portal_users_are_named(city):
    """The portal's users are accounts; another system's users are its own; what is unknown shows its code."""
    for username, name in (("lin", "林示例"), ("chen", "陈示例")):
        Account.objects.filter(username=username).update(display_name=name)
    Application.objects.filter(pk="app-housing-rental").update(name_zh="公租房审核系统")
    named = actor_refs(
        [
            "app-housing-portal/lin",
            "app-housing-rental/wang",
            "account:chen",
            "system:worker",
            "app-gone",
            "node:x",
        ]
    )
    assert {code: str(one) for code, one in named.items()} == {
        "app-housing-portal/lin": "平台页面 / 林示例",
        "app-housing-rental/wang": "公租房审核系统 / wang",
        "account:chen": "陈示例",
        "system:worker": "平台定时任务",
        "app-gone": "app-gone",
        "node:x": "部门前置机",
    }
    assert str(named["app-housing-rental/wang"].department) == "市住房和城乡建设局"
    assert not named["app-gone"].is_known and named["account:chen"].is_known
