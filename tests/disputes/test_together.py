"""Two people act on one dispute at the same moment, on two connections."""

import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.disputes.actions import execute_provided, take_step
from shuqiao.control.disputes.inputs import StepInput
from shuqiao.control.disputes.models import Dispute, DisputeEvent, JointReviewSession
from shuqiao.control.disputes.sessions import collect_for_review
from shuqiao.control.documents.models import Document
from shuqiao.rules.errors import ShuqiaoError
from tests.control.conftest import NOW, City, add_people, audit_entries
from tests.disputes.conftest import Story, seed_disputes
from tests.plugins.stages import Stage

SECOND = (("zhu", "data", "coordinator"),)


@pytest.fixture
def committed(stage: Stage) -> Iterator[Story]:
    """A seeded city that other connections see, with a second co-ordinator."""
    with stage.copy(seed_disputes):
        add_people(SECOND)
        yield Story(City())


def together(*acts: Callable[[], object]) -> list[str]:
    """Let all act at once; what each came to: done, or the code of its refusal."""
    start = threading.Barrier(len(acts), timeout=60)
    results: list[str] = []

    def run(act: Callable[[], object]) -> None:
        try:
            with clock.fixed(NOW):
                start.wait()
                act()
            results.append("done")
        except ShuqiaoError as refused:
            results.append(refused.code)
        except FormRefused as refused:
            results.append(refused.faults[0].code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return sorted(results)


def test_two_coordinators_at_once_end_a_negotiation_once(committed, owner):
    """One ends it agreed, the other failed: the second finds it gone on, and nothing of hers is stored."""
    number = committed.open("R-2026-0101")
    agree = {"minutes": "会", "result": "一致", "shared": True}
    viewers = committed.city.viewer("zheng"), committed.city.viewer("zhu")
    # The log is never cleared: entries of earlier tests stay in it.
    before = len(audit_entries("dispute_step"))
    results = together(
        lambda: take_step(viewers[0], number, "agree", StepInput(**agree)),
        lambda: take_step(viewers[1], number, "fail", StepInput(minutes="会", result="未果")),
    )
    assert results == ["done", "transition_refused"]
    dispute = Dispute.objects.get(number=number)
    assert dispute.state in ("agreed", "for_review") and dispute.step == 2
    assert DisputeEvent.objects.filter(dispute=dispute).count() == 2
    assert Document.objects.filter(number=number).count() == 2
    assert len(audit_entries("dispute_step")) == before + 1
    assert len(owner.told) == (1 if dispute.state == "agreed" else 0)


def test_two_people_of_one_member_give_one_opinion(committed, owner):
    """The second is told that her body has spoken."""
    number = committed.open("R-2026-0102")
    committed.fail(number)
    committed.review(number)
    bian = committed.city.viewer("bian")
    results = together(
        *(lambda words=words: take_step(bian, number, "opine", StepInput(opinion=words)) for words in "甲乙")
    )
    assert results == ["done", "opinion_given"]
    assert DisputeEvent.objects.filter(dispute__number=number).exclude(opinion="").count() == 1


def test_workers_beside_each_other_do_everything_once(committed, owner):
    """Two collect for the review, then two record an execution."""
    for place in range(3):
        committed.fail(committed.open(f"R-2026-02{place:02d}"))
    assert together(collect_for_review, collect_for_review) == ["done", "done"]
    assert JointReviewSession.objects.count() == 1 and JointReviewSession.objects.get().agenda.count() == 3
    number = committed.open("R-2026-0103")
    committed.to_ruled(number)
    owner.provided.add("R-2026-0103")
    assert together(execute_provided, execute_provided) == ["done", "done"]
    assert DisputeEvent.objects.filter(dispute__number=number, action="execute").count() == 1
