"""Two at once: of two who act on one case or one classification, each is told the truth."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from django.db import DatabaseError, close_old_connections, connection

from shuqiao.control import clock
from shuqiao.control.catalogue.models import Resource, SubjectSequence
from shuqiao.control.compiling import publishing
from shuqiao.control.compiling.actions import take_step
from shuqiao.control.compiling.drafts import DraftInput, begin, save_draft
from shuqiao.control.compiling.models import Compilation
from shuqiao.rules.errors import ShuqiaoError
from tests.control.conftest import NOW, audit_entries

from .conftest import STATUS, entry


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Do these at the same time, each on a connection of its own; what each gives or raises."""
    start = Barrier(len(acts))

    def act(one: Callable[[], object]) -> object:
        close_old_connections()
        try:
            with clock.fixed(NOW):
                start.wait(timeout=60)
                return one()
        except ShuqiaoError as refused:
            return refused
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))


def refusals(outcomes: list[object]) -> list[str]:
    """The codes of the refusals among them."""
    return [one.code for one in outcomes if isinstance(one, ShuqiaoError)]


@pytest.fixture
def office(committed):
    return committed("guangzhou-2016")


def test_of_two_who_save_one_draft_at_once_one_is_told(office):
    kept = save_draft(office.viewer("hou"), DraftInput(content=entry()))

    def save(words: str) -> Callable[[], object]:
        content = replace(entry(), summary_zh=words)
        return lambda: save_draft(
            office.viewer("hou"), DraftInput(content=content, number=kept.number, revision=kept.revision)
        )

    outcomes = at_once(save("甲所写"), save("乙所写"))
    assert refusals(outcomes) == ["draft_changed"]
    assert office.case(kept.number).revision == kept.revision + 1


def test_of_two_who_begin_a_change_of_one_entry_one_is_told(office):
    case = office.published()
    outcomes = at_once(*[lambda: begin(office.viewer("hou"), "change", case.resource)] * 2)
    assert refusals(outcomes) == ["entry_being_changed"]
    assert Compilation.objects.filter(resource=case.resource, phase="draft").count() == 1


def test_of_two_who_take_one_step_at_once_one_takes_it(office):
    number = office.draft()
    office.send(number)
    outcomes = at_once(*[lambda: take_step(office.viewer("pan"), number, "compile")] * 2)
    assert refusals(outcomes) == ["transition_refused"]
    # The log keeps the steps of other tests' cases.
    own = [row for row in audit_entries("compilation_step") if row[3] == office.case(number).resource]
    assert [row[6] for row in own].count("compiled") == 1


@pytest.mark.requirement("CAT-01")
def test_entries_published_at_the_same_time_never_share_a_code(office):
    numbers = []
    for n in range(4):
        items = (replace(STATUS, field=f"own_{n}", zh=f"自有信息项第{n}号"),)
        numbers.append(office.draft(name_zh=f"同时公布第{n}号", record_key="", modes=(), items=items))
        office.send(numbers[-1])
        for action, by in (("compile", "pan"), ("verify", "zheng"), ("approve", "shi")):
            office.pass_review(by, numbers[-1], action)
    outcomes = at_once(
        *[lambda number=number: take_step(office.viewer("zheng"), number, "publish") for number in numbers]
    )
    assert refusals(outcomes) == []
    codes = sorted(Resource.objects.filter(subject="30100801").values_list("code", flat=True))
    assert len(codes) == 4 == len(set(codes))
    assert int(codes[-1].partition("/")[2]) == SubjectSequence.objects.get(subject="30100801").last


def test_a_process_that_dies_while_publishing_leaves_nothing_and_another_publishes(office, monkeypatch):
    number = office.draft()
    office.send(number)
    for action, by in (("compile", "pan"), ("verify", "zheng"), ("approve", "shi")):
        office.pass_review(by, number, action)
    before = Resource.objects.count()

    def die(*_args: object) -> None:
        """The server sees what it sees when a process is killed: the connection is gone."""
        connection.connection.pgconn.finish()

    with monkeypatch.context() as patched:
        patched.setattr(publishing, "_tell_all", die)
        with pytest.raises(DatabaseError):
            office.step("zheng", number, "publish")
    connection.close()
    assert office.case(number).state == "approved"
    assert Resource.objects.count() == before
    assert not [row for row in audit_entries("entry_published") if row[5] == number]
    office.step("zheng", number, "publish")
    assert Resource.objects.filter(id=office.case(number).resource, state="published").exists()
