"""A city that nobody thought of is one more file: its whole life of a request runs with no code changed."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from shuqiao.control.regulations import files
from shuqiao.rules import deadlines
from shuqiao.rules.deadlines import Term
from shuqiao.rules.procedures import Accepted, ClockFacts, Decision, Facts, Refusal, decide
from shuqiao.rules.regulation import PROVIDER, REQUESTER, SYSTEM, Phase, Regulation
from shuqiao.rules.workdays import Calendar

CITY = "yunxi-2030"
HERE = Path(__file__).parent / "seventh_city"
ENDS = date(2030, 6, 28)
ASKED: Mapping[str, object] = {"items": ("name",), "duty": "1", "purpose": "测试"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped folder with one more city in it."""
    copy = tmp_path_factory.mktemp("data") / "regulations"
    shutil.copytree(files.regulations_dir(), copy)
    shutil.copy(HERE / f"{CITY}.yaml", copy)
    shutil.copy(HERE / f"{CITY}.txt", copy / "texts")
    return copy


@pytest.fixture(scope="module")
def rules(folder: Path) -> Regulation:
    """The rules of the made-up city."""
    return files.load_regulation(CITY, folder)


@dataclass
class Case:
    """A request played by the rules alone: its state, its terms, and who proposed what."""

    rules: Regulation
    state: str = ""
    terms: dict[str, Term] = field(default_factory=dict)
    met: list[str] = field(default_factory=list)
    proposed: str = ""
    proposer: str = ""
    conditions: frozenset[str] = frozenset()
    # Every weekday is worked: the calendar of a year so far ahead is not announced.
    calendar: Calendar = field(default_factory=lambda: Calendar(frozenset({2029, 2030}), {}))

    def ask(self, action: str, side: str, today: date, by: str = "lin", **given: object) -> Decision:
        """What the rules say to this step."""
        procedure = self.rules.procedure("request")
        roles = (
            frozenset() if side == SYSTEM else frozenset(c for r in self.rules.roles for c in r.capabilities)
        )
        facts = Facts(
            "R-2030-0001",
            frozenset({side}),
            given={**ASKED, **given},
            conditions=self.conditions,
            accepted_conditions=frozenset(one.key for one in self.rules.conditions),
            clocks={key: self._facts(term) for key, term in self.terms.items()},
            valid_until=ENDS,
            proposed=self.proposed,
            actor=by,
            proposer=self.proposer,
        )
        state = self.state or procedure.initial.key
        return decide(procedure, state, action, facts, capabilities=roles, regulation=self.rules, today=today)

    def do(self, action: str, side: str, today: date, by: str = "lin", **given: object) -> Accepted:
        """Take a step that must be allowed, and let the terms follow."""
        done = self.ask(action, side, today, by, **given)
        assert isinstance(done, Accepted), done
        self.state = done.to_state
        for key in done.meets:
            if self.terms.pop(key, None):
                self.met.append(key)
        if done.extends:
            self.terms[done.extends.clock] = deadlines.extend(self.terms[done.extends.clock], done.extends)
        if done.pauses:
            self.terms[done.pauses] = deadlines.pause(self.terms[done.pauses], today)
        if done.resumes:
            self.terms[done.resumes] = deadlines.resume(self.terms[done.resumes], today)
        for key in (*filter(None, (done.restarts,)), *done.starts):
            self.terms[key] = deadlines.begin(self.rules.deadline(key), today)
        if done.proposes:
            self.proposed, self.proposer = done.proposes, by
        return done

    def due(self, key: str) -> date:
        """The last day of a term."""
        counts = self.rules.start_day_counts
        return deadlines.last_day(self.terms[key], self.calendar, start_day_counts=counts).day

    def _facts(self, term: Term) -> ClockFacts:
        counts = self.rules.start_day_counts
        due = deadlines.last_day(term, self.calendar, start_day_counts=counts).day
        return ClockFacts(due, not term.is_paused, term.times_extended)


@pytest.fixture
def accepted(rules: Regulation) -> Case:
    """A request that the provider took in hand on Monday 7 January 2030."""
    case = Case(rules)
    case.do("submit", REQUESTER, date(2030, 1, 4))
    assert case.state == "filed" and not case.terms
    case.do("accept", PROVIDER, date(2030, 1, 7))
    return case


def test_what_its_text_leaves_unknown_says_where_it_comes_from(rules: Regulation) -> None:
    assert rules.fallback == "xiamen-2015"
    assert {field.article for field in rules.catalogue_fields} == {"xiamen-2015 art. 7"}
    assert rules.cite(rules.catalogue_fields[0].article) == "xiamen-2015 art. 7"
    assert rules.cite(rules.deadline("reply").article) == "yunxi-2030 art. 4¶2"
    # A kind of case that the text does not know comes from the fallback as a whole, with its citations.
    assert {step.article for step in rules.procedure("grant").transitions} == {"xiamen-2015 setting"}
    assert rules.cite_matter("no_repeat") == "xiamen-2015 art. 14¶1"


def test_a_text_that_says_by_when_copies_are_deleted_is_followed(rules: Regulation) -> None:
    assert (rules.recall.working_days, rules.cite(rules.recall.article)) == (5, "yunxi-2030 art. 7¶2")
    other = files.load_regulation("guangzhou-2016")
    assert (other.recall.working_days, other.cite(other.recall.article)) == (10, "guangzhou-2016 setting")


def test_its_bodies_and_lists_load_too(rules: Regulation, folder: Path) -> None:
    assert "police" in {body.word for body in files.load_departments(rules, folder).departments}
    assert files.load_catalogue(rules, folder)[0].article == "guangzhou-2016 art. 9"


def test_the_start_day_counts_as_its_text_says(accepted: Case) -> None:
    assert accepted.due("reply") == date(2030, 1, 16)


def test_a_term_is_extended_twice_with_consent_and_no_further(accepted: Case) -> None:
    assert isinstance(accepted.ask("extend", PROVIDER, date(2030, 1, 8)), Refusal)
    accepted.do("extend", PROVIDER, date(2030, 1, 8), consent="yes")
    accepted.do("extend", PROVIDER, date(2030, 1, 9), consent="yes")
    assert accepted.due("reply") == date(2030, 1, 28)
    third = accepted.ask("extend", PROVIDER, date(2030, 1, 10), consent="yes")
    assert isinstance(third, Refusal) and third.article == "yunxi-2030 art. 4¶3"


def test_a_term_stands_still_while_a_third_party_is_asked(accepted: Case) -> None:
    accepted.do("ask_others", PROVIDER, date(2030, 1, 9))
    late = accepted.ask("escalate", SYSTEM, date(2030, 3, 1))
    assert isinstance(late, Refusal), "a term that stands still does not run out"
    accepted.do("others_answered", PROVIDER, date(2030, 1, 16))
    assert accepted.due("reply") == date(2030, 1, 23)


def test_a_return_for_completion_starts_the_term_anew(accepted: Case) -> None:
    accepted.do("return_for_completion", PROVIDER, date(2030, 1, 9), reason="材料不齐")
    accepted.do("complete", REQUESTER, date(2030, 1, 21))
    assert accepted.due("reply") == date(2030, 1, 30)


def test_two_answer_and_only_the_second_ends_the_term(accepted: Case) -> None:
    proposed = accepted.do("approve", PROVIDER, date(2030, 1, 9), by="chen")
    assert not proposed.meets and not proposed.starts
    same = accepted.ask("confirm", PROVIDER, date(2030, 1, 10), by="chen")
    assert isinstance(same, Refusal) and same.code == "second_person_required"
    done = accepted.do("confirm", PROVIDER, date(2030, 1, 10), by="wu")
    assert (done.phase, accepted.met, set(accepted.terms)) == (Phase.GRANTED, ["reply"], {"provide"})
    assert accepted.due("provide") == date(2030, 1, 14)


def test_silence_goes_to_the_bureau_whose_ruling_has_a_term(accepted: Case) -> None:
    assert isinstance(accepted.ask("escalate", SYSTEM, date(2030, 1, 16)), Refusal)
    late = accepted.do("escalate", SYSTEM, date(2030, 1, 17))
    assert late.opens_dispute and late.phase is Phase.DISPUTED
    assert accepted.due("rule") == date(2030, 1, 24)


def test_registered_data_are_opened_at_once(rules: Regulation) -> None:
    case = Case(rules, conditions=frozenset({"immediate"}))
    done = case.do("submit", REQUESTER, date(2030, 1, 4))
    assert (done.phase, done.article) == (Phase.GRANTED, "yunxi-2030 art. 4¶1")
    assert "provide" in case.terms
