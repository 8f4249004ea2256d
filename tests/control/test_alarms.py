"""Unusual use: counted from the log once, raised once, judged, and the grant suspended by it."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.alarms.actions import Judgement, ask_explanation, explain_use, judge_alarm
from shuqiao.control.alarms.models import Alarm, Reading, SubjectDay, UsageDay
from shuqiao.control.alarms.pages import alarm_list, alarm_page
from shuqiao.control.alarms.watching import LIMITS, watch_usage
from shuqiao.control.grants.models import Grant
from shuqiao.control.organisations.models import Application
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.rules.errors import TransitionRefused

from .conftest import BIRTH, NOW, audit_entries, beyond_control

HOUSING, HEALTH = "440100-housing", "440100-health"


def log(
    count: int,
    *,
    event="verify",
    department=HOUSING,
    grant="",
    record=None,
    at=NOW,
    found=True,
    seen=None,
    outcome="",
    **said,
):
    """Write calls into the log and number them, as plane and integrator do."""
    line = {"event": event, "application": "app-housing-portal", **said}
    body = json.dumps(line) + "\n" + json.dumps({"found": found, **(seen or {})})
    outcome = outcome or ("not_available" if event == "call_refused" else "answered")
    with beyond_control(), connection.cursor() as cursor:
        for _ in range(count):
            entry = uuid4()
            cursor.execute(
                "SELECT audit.append(%s, %s, %s, %s, %s, 'app-housing-portal', %s, %s, %s, NULL, %s, %s)",
                [
                    entry,
                    at,
                    event,
                    department,
                    HEALTH,
                    BIRTH,
                    record or uuid4(),
                    grant or None,
                    outcome,
                    body,
                ],
            )
            cursor.execute(
                "INSERT INTO audit.leaf SELECT coalesce(max(position) + 1, 0), %s, sha256(''::bytea)"
                " FROM audit.leaf",
                [entry],
            )


def raised(kind: str) -> Alarm:
    """The one alarm there is."""
    alarm = Alarm.objects.get()
    assert alarm.kind == kind
    return alarm


@pytest.fixture
def grant(city) -> Grant:
    """A grant of health to housing."""
    number = submit_request(city.viewer("lin"), city.wanted())
    return Grant.objects.get(number=answer_request(city.viewer("chen"), number, city.answer()))


@pytest.mark.requirement("SEC-19")
def test_each_entry_is_counted_once_however_often_the_job_runs(city) -> None:
    log(7)
    log(3, event="call_refused", purpose="别的用途")
    assert watch_usage() == 0
    assert watch_usage() == 0
    (day,) = UsageDay.objects.all()
    assert (day.calls, day.refused, day.day) == (7, 3, clock.legal_day(NOW))
    log(2)
    watch_usage()
    day.refresh_from_db()
    assert day.calls == 9
    assert SubjectDay.objects.count() == 9


@pytest.mark.requirement("SEC-19")
def test_guessing_that_a_node_ended_raises_the_alarm_too(city) -> None:
    log(1, outcome="case_number_demanded", seen={"budget": 2})
    assert watch_usage() == 0, "the platform's own budget writes an entry of its own"
    log(1, outcome="case_number_demanded", seen={"budget": 2, "line": 7, "line_digest": "ab"})
    assert watch_usage() == 1
    assert raised("guessing").department_id == HOUSING


@pytest.mark.requirement("SEC-19")
def test_a_worker_that_dies_between_has_neither_counted_nor_read(city, monkeypatch) -> None:
    log(LIMITS.trial_calls, found=False)
    monkeypatch.setattr("shuqiao.control.alarms.watching._judge", lambda _row: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        watch_usage()
    assert not UsageDay.objects.exists()
    assert not Reading.objects.filter(next_leaf__gt=0).exists()
    monkeypatch.undo()
    assert watch_usage() == 1


@pytest.mark.requirement("SEC-19")
@pytest.mark.parametrize(("kind", "said"), [("unknown", {"found": False}), ("sequence", {"near": True})])
def test_numbers_tried_out_raise_one_alarm_a_day(city, kind, said) -> None:
    log(LIMITS.trial_calls, **said)
    assert watch_usage() == 1
    log(10, **said)
    assert watch_usage() == 0
    alarm = raised(kind)
    assert (alarm.measured, alarm.department_id, alarm.provider_id) == (60, HOUSING, HEALTH)
    assert [entry[:3] for entry in audit_entries("alarm_raised")] == [(HOUSING, HEALTH, "system:worker")]
    assert Notification.objects.filter(code="alarm_raised", department_id=HEALTH).exists()
    assert not Notification.objects.filter(department_id=HOUSING, code__startswith="alarm").exists()


@pytest.mark.requirement("SEC-19")
def test_a_budget_against_guessing_that_was_used_up_raises_one(city) -> None:
    log(1, event="guessing_suspected")
    assert watch_usage() == 1
    assert raised("guessing").measured == 1
    assert UsageDay.objects.get().calls == 0


@pytest.mark.requirement("SEC-19")
@pytest.mark.parametrize("event", ["interface_called", "bulk_delivered", "browse_viewed"])
def test_every_way_of_use_counts_to_the_volume(city, event) -> None:
    log(3, event=event)
    watch_usage()
    assert UsageDay.objects.get().calls == 3


@pytest.mark.requirement("SEC-19")
def test_volume_is_measured_against_the_days_before(city) -> None:
    for days in range(1, 7):
        log(10, at=NOW - timedelta(days=days))
    log(LIMITS.volume_least)
    assert watch_usage() == 0
    log(1)
    assert watch_usage() == 1
    assert raised("volume").limit == LIMITS.volume_least


@pytest.mark.requirement("SEC-13")
@pytest.mark.requirement("SEC-19")
def test_purposes_that_were_not_granted_raise_one(city, grant) -> None:
    log(LIMITS.purpose_calls, event="call_refused", purpose=grant.purpose)
    assert watch_usage() == 0
    log(LIMITS.purpose_calls, event="call_refused", purpose="核对车辆")
    assert watch_usage() == 1
    assert raised("purpose").measured == LIMITS.purpose_calls


@pytest.mark.requirement("SEC-19")
def test_one_subject_asked_for_by_many_departments_raises_one_that_names_nobody(city) -> None:
    record = uuid4()
    for at in range(LIMITS.subject_departments):
        log(1, department=f"440100-office{at}", record=record, at=NOW - timedelta(days=at))
    assert watch_usage() == 1
    alarm = raised("subject")
    assert (alarm.record, alarm.department_id) == (record, None)
    assert len(alarm_page(city.viewer("chen"), alarm.number).record) == 36


@pytest.mark.requirement("SEC-19")
def test_it_is_asked_about_explained_judged_and_the_grant_suspended(city, grant) -> None:
    log(LIMITS.trial_calls, grant=grant.number, near=True)
    watch_usage()
    number = raised("sequence").number
    provider, consumer, clerk = city.viewer("chen"), city.viewer("hou"), city.viewer("lin")
    for stranger in (consumer, clerk):
        with pytest.raises(NotFound):
            alarm_page(stranger, number)
    ask_explanation(provider, number)
    with pytest.raises(NotFound):
        judge_alarm(consumer, number, Judgement(False, "没有问题"))
    with pytest.raises(FormRefused):
        explain_use(consumer, number, " ")
    explain_use(consumer, number, "集中复核了一批旧证")
    with pytest.raises(FormRefused):
        judge_alarm(provider, number, Judgement(True, ""))
    with pytest.raises(FormRefused):
        judge_alarm(provider, number, Judgement(False, "正常", suspend=True))
    judge_alarm(provider, number, Judgement(True, "并无此项工作", suspend=True))
    grant.refresh_from_db()
    assert grant.phase == "waiting"
    assert number in grant.suspended_reason
    alarm = Alarm.objects.get()
    assert (alarm.state, alarm.judged_by.username, alarm.reason) == ("misuse", "chen", "并无此项工作")
    outcomes = [entry[6] for name in ("alarm_asked", "alarm_explained", "alarm_judged")
                for entry in audit_entries(name)]  # fmt: skip
    assert outcomes == ["asked", "explained", "misuse"]
    assert Notification.objects.filter(code="alarm_judged", department_id=HOUSING).exists()
    with pytest.raises(TransitionRefused):
        judge_alarm(provider, number, Judgement(False, "改判"))


def test_supervision_sees_all_and_others_only_their_own(city) -> None:
    log(LIMITS.trial_calls, near=True)
    watch_usage()
    assert alarm_list(city.viewer("zhou"), "", 1).total == 1
    assert alarm_list(city.viewer("chen"), "", 1).total == 1
    for stranger in ("hou", "zhao"):
        assert alarm_list(city.viewer(stranger), "", 1).total == 0
    with transaction.atomic(), pytest.raises(IntegrityError):
        Alarm.objects.update(state="misuse")


@pytest.mark.requirement("SEC-19")
def test_the_pages_show_it_and_say_what_is_wrong_with_a_judgement(city, grant) -> None:
    log(LIMITS.trial_calls, grant=grant.number, near=True)
    watch_usage()
    number = raised("sequence").number
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    assert "连号试探" in client.get(reverse("alarms")).content.decode()
    page = client.get(reverse("alarm", args=[number])).content.decode()
    assert grant.number in page
    assert "同时暂停授权" in page
    refused = client.post(reverse("alarm_step", args=[number, "judge"]), {"judgement": "misuse"})
    assert refused.status_code == 422
    assert "请填写" in refused.content.decode()
    done = client.post(
        reverse("alarm_step", args=[number, "judge"]), {"judgement": "justified", "reason": "专项复核"}
    )
    assert done.status_code == 302
    assert Alarm.objects.get().state == "justified"
    assert client.post(reverse("alarm_step", args=[number, "throw"]), {}).status_code == 404


def test_the_departments_that_asked_for_one_subject_are_named(city) -> None:
    asking = ("440100-housing", "440100-police", "440100-education", "440100-civil-affairs")
    log_by = [*asking, "440100-disabled-federation"][: LIMITS.subject_departments]
    record = uuid4()
    for department in log_by:
        log(1, department=department, record=record)
    watch_usage()
    number = raised("subject").number
    assert sorted(Alarm.objects.get().departments) == sorted(log_by)
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    page = client.get(reverse("alarm", args=[number])).content.decode()
    assert "市住房和城乡建设局" in page and "市教育局" in page
    listed = client.get(reverse("alarms")).content.decode()
    assert f"{LIMITS.subject_departments} 个部门" in listed
    # Who has been forgotten in the figures still stands in the alarm.
    SubjectDay.objects.all().delete()
    assert "市教育局" in client.get(reverse("alarm", args=[number])).content.decode()


def test_a_system_is_named_with_its_id_beside_it(city) -> None:
    Application.objects.filter(pk="app-housing-rental").update(name_zh="公租房审核系统")
    log(LIMITS.trial_calls, near=True, application="app-housing-rental")
    watch_usage()
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    page = client.get(reverse("alarm", args=[raised("sequence").number])).content.decode()
    assert "公租房审核系统" in page and "app-housing-rental" in page
