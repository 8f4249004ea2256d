"""Two people act on the same thing at the same moment, on two connections: one of them is told so."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from django.conf import settings as configured
from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.classifying import ChoiceInput, choose_share_type
from shuqiao.control.catalogue.models import Resource, Sharing
from shuqiao.control.catalogue.search import Wanted, find
from shuqiao.control.catalogue.words import query_terms
from shuqiao.control.grants.models import Grant
from shuqiao.control.organisations.models import Duty
from shuqiao.control.outside.actions import submit_outside, take_step
from shuqiao.control.outside.inputs import OutsideInput
from shuqiao.control.outside.models import CaseEvent, OutsideRequest
from shuqiao.control.projects.actions import add_line, save_project, start_project
from shuqiao.control.projects.ending import end_project
from shuqiao.control.projects.inputs import JoinInput, LineInput, ProjectInput
from shuqiao.control.projects.models import ProjectEvent
from shuqiao.control.regulations.current import regulation
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.inputs import AnswerInput
from shuqiao.control.requests.models import Request
from shuqiao.rules.sharing import Choice

from .conftest import BIRTH, HOUSEHOLD, NOW, audit_entries


def at_once(*acts: Callable[[], object]) -> list[str]:
    """Run the acts together, each on a connection of its own; the names of what came out, sorted."""
    together, results = threading.Barrier(len(acts), timeout=60), []

    def run(act: Callable[[], object]) -> None:
        try:
            with clock.fixed(NOW):
                together.wait()
                act()
            results.append("done")
        except Exception as refused:  # Whatever it is, the test compares its name.
            results.append(type(refused).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return sorted(results)


def test_of_two_answers_to_a_demand_one_counts(committed_city):
    city = committed_city
    duty = Duty.objects.get(department_id="440100-housing", number=1).pk
    given = OutsideInput("440100-health", "床位占用率", duty, "选址")
    number = submit_outside(city.viewer("lin"), given)
    chen, gong = city.viewer("chen"), city.viewer("gong")
    results = at_once(
        lambda: take_step(chen, "outside", number, "agree", {"result": "可以"}),
        lambda: take_step(gong, "outside", number, "decline", {"reason": "不掌握"}),
    )
    assert results == ["AlreadyDecided", "done"]
    assert OutsideRequest.objects.get(number=number).phase in ("granted", "refused")
    assert CaseEvent.objects.filter(number=number).count() == 2
    assert len([entry for entry in audit_entries("outside_step") if entry[5] == number]) == 2


def test_of_two_editors_the_second_must_look_again(committed_city, settings):
    settings.CONFIG = replace(
        configured.CONFIG, regulation="guangzhou-2019", regulation_fallback="guangzhou-2016"
    )
    provider = Resource.objects.get(id=BIRTH).department_id
    for username in ("editor", "colleague"):
        Account.objects.create(
            username=username,
            display_name=username,
            department_id=provider,
            role="sharing_officer",
            password="!",
            created_at=NOW,
        )
    editors = [committed_city.viewer(username) for username in ("editor", "colleague")]
    version = Resource.objects.get(id=BIRTH).version
    given = ChoiceInput(BIRTH, "", version, Choice("unconditional"))
    results = at_once(*(lambda viewer=viewer: choose_share_type(viewer, given) for viewer in editors))
    assert results == ["EntryChanged", "done"]
    assert Sharing.objects.filter(resource_id=BIRTH, ended_at=None).count() == 1
    assert Resource.objects.get(id=BIRTH).version == version + 1


def running(city) -> tuple[str, JoinInput]:
    hou = city.viewer("hou")
    duty = Duty.objects.get(department_id="440100-housing", number=1).pk
    given = ProjectInput(
        "专项核查",
        purpose="集中核查",
        duty=duty,
        valid_from=NOW.date(),
        valid_until=NOW.date().replace(month=12),
        participants=("440100-police",),
    )
    number = save_project(hou, given)
    add_line(hou, number, LineInput("440100-housing", BIRTH, "verify", ("mother_name",), "核对"))
    conditions = tuple(one.key for one in regulation().conditions)
    return number, JoinInput(duty, ("app-housing-portal",), conditions)


def test_a_project_starts_once(committed_city):
    number, terms = running(committed_city)
    hou = committed_city.viewer("hou")
    results = at_once(*[lambda: start_project(hou, number, terms)] * 2)
    assert results == ["TransitionRefused", "done"]
    assert Request.objects.filter(phase="waiting").count() == 1
    assert ProjectEvent.objects.filter(project_id=number).count() == 1


def test_no_grant_outlasts_a_project_that_ends_while_it_is_given(committed_city):
    number, terms = running(committed_city)
    hou, chen = committed_city.viewer("hou"), committed_city.viewer("chen")
    [request] = start_project(hou, number, terms)
    answer = AnswerInput(decisions={"mother_name": True}, mode="verify", match="each", valid_until=NOW.date())
    results = at_once(
        lambda: end_project(hou, number, "任务完成"), lambda: answer_request(chen, request, answer)
    )
    assert "done" in results
    assert not Grant.objects.filter(request_number=request).exclude(phase="closed").exists()
    assert Request.objects.get(number=request).phase in ("closed", "granted")


def test_two_entries_that_bring_the_same_new_values_are_both_found_by_them(committed_city):
    def bring(key: str) -> None:
        with transaction.atomic():
            Resource.objects.filter(pk=key).update(update_cycle="decade", format="hologram")
            # The other one has begun before this one is written for good.
            time.sleep(0.2)

    assert at_once(lambda: bring(BIRTH), lambda: bring(HOUSEHOLD)) == ["done", "done"]
    found = find(Wanted(query_terms(""), {"update_cycle": ("decade",), "format": ("hologram",)}))
    assert set(found.ids) == {BIRTH, HOUSEHOLD}
    assert dict(found.facets["format"])["hologram"] == 2
