"""Each requirement of the dispute procedure, through the actions, on a real PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from itertools import pairwise

import pytest
from django.conf import settings as configured
from django.db import transaction
from pypdf import PdfReader

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Notification
from shuqiao.control.clocks.queries import clocks_of
from shuqiao.control.disputes.actions import (
    bring_dispute,
    case_provided,
    execute_provided,
    take_step,
    withdraw_with_case,
)
from shuqiao.control.disputes.case import dispute_case
from shuqiao.control.disputes.inputs import DisputeInput, StepInput
from shuqiao.control.disputes.models import (
    AgendaItem,
    Dispute,
    DisputeEvent,
    JointReviewSession,
    ProjectBar,
    RulingApplication,
)
from shuqiao.control.disputes.queries import is_barred, project_gate, published_results
from shuqiao.control.disputes.rulings import apply_for_ruling
from shuqiao.control.disputes.session_page import session_list, session_page
from shuqiao.control.disputes.sessions import collect_for_review, collect_now, convene
from shuqiao.control.disputes.statements import state_position
from shuqiao.control.documents.models import Document
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import regulation
from shuqiao.rules.errors import PermissionDenied, ShuqiaoError, TransitionRefused
from tests.control.conftest import NOW, audit_entries, rows
from tests.disputes.conftest import MEMBERS, RULING, Story

CITIES = {"guangzhou-2016": "440100", "xiamen-2015": "350200", "shenyang-2016": "210100"}


@pytest.fixture
def under(story, settings) -> Callable[[str], Story]:
    """Run the seeded city under another regulation."""

    def switch(name: str) -> Story:
        # The rules of 2019 take what they leave unknown from those of 2016, as the office has chosen.
        fallback = "guangzhou-2016" if name == "guangzhou-2019" else None
        settings.CONFIG = replace(configured.CONFIG, regulation=name, regulation_fallback=fallback)
        group = Department.objects.get(code="440100-government")
        Department.objects.filter(pk=group.pk).update(roles=["approving", "leading_group"])
        return story

    return switch


def refused(act: Callable[[], object]) -> ShuqiaoError:
    """The refusal of an act, which must write nothing."""
    before = (
        DisputeEvent.objects.count(),
        Document.objects.count(),
        rows("SELECT count(*) FROM audit.entry"),
    )
    with pytest.raises(ShuqiaoError) as error, transaction.atomic():
        act()
    after = (DisputeEvent.objects.count(), Document.objects.count(), rows("SELECT count(*) FROM audit.entry"))
    assert before == after
    return error.value


def faults(act: Callable[[], object]) -> set[str]:
    """The fields at fault of an act, which must write nothing."""
    before = DisputeEvent.objects.count()
    with pytest.raises(FormRefused) as error, transaction.atomic():
        act()
    assert DisputeEvent.objects.count() == before
    return {fault.field for fault in error.value.faults}


def told(code: str, department: str) -> int:
    """How many notices of a code a department has about any dispute."""
    return Notification.objects.filter(code=code, department_id=department).count()


@pytest.mark.requirement("DIS-09", source="GZ16:35¶1-3")
def test_the_whole_way_to_execution(story, owner):
    """Every step in its place, each with its actor, date, article, document and audit entry."""
    number = story.open("R-2026-0001")
    story.to_ruled(number)
    owner.provided.add("R-2026-0001")
    story.take("zheng", number, "execute")
    events = list(DisputeEvent.objects.filter(dispute__number=number).select_related("record"))
    assert [event.action for event in events] == [
        *("open", "fail", "schedule", "opine", "opine", "opine"),
        *("review_open", "apply_ruling", "rule_share", "execute"),
    ]
    for before, event in pairwise(events):
        assert event.from_state == before.to_state and event.previous == before.sequence
        assert event.account is not None and event.department is not None
    assert all(event.record.size_bytes > 0 and event.article and event.occurred_at == NOW for event in events)
    entries = rows("SELECT id, body::jsonb->>'record_sha256' FROM audit.entry WHERE case_no = %s", number)
    assert {(event.entry_id, event.record.sha256) for event in events} == set(entries)
    assert owner.told == [("R-2026-0001", True, number)]
    dispute = Dispute.objects.get(number=number)
    assert (dispute.state, dispute.final, dispute.shared) == ("executed", True, True)
    # The term of the ruling is met; nothing keeps running after the end.
    [execution] = clocks_of("dispute", [number])[number]
    assert execution.state == "met"


# City: who negotiates for it, the step that ends it without sharing, the article of the minutes.
CO_ORDINATION = {
    "guangzhou-2016": ("fail", {"minutes": "协商", "result": "未果"}, "guangzhou-2016 art. 35(1)"),
    "xiamen-2015": ("order_no", {"minutes": "协调", "result": "不予共享"}, "xiamen-2015 art. 12(2)"),
    "shenyang-2016": ("refer", {"minutes": "协调", "reason": "不能一致"}, "shenyang-2016 art. 20¶3"),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("guangzhou-2016", marks=pytest.mark.requirement("DIS-01", source="GZ16:35¶1")),
        pytest.param("xiamen-2015", marks=pytest.mark.requirement("DIS-01", source="XM:12(2)")),
        pytest.param("shenyang-2016", marks=pytest.mark.requirement("DIS-01", source="SY:20(4)¶3")),
    ],
)
def test_the_competent_department_negotiates_with_minutes_and_result(under, owner, name):
    """It opens with notices to both sides and itself; only it keeps the minutes; both sides read them."""
    story = under(name)
    number = story.open("R-2026-0002")
    for department in ("440100-housing", "440100-health", "440100-data"):
        assert told("dispute_moved", department) == 1
    for other in ("hou", "chen"):
        by_party = refused(lambda who=other: story.take(who, number, "minute", minutes="记录"))
        assert isinstance(by_party, PermissionDenied)
    assert faults(lambda: story.take("zheng", number, "minute", minutes="  ")) == {"minutes"}
    story.take("zheng", number, "minute", minutes="2026-11-11 上午，双方到场，各自说明。")
    for reader in ("hou", "chen", "zheng"):
        [row] = dispute_case(story.city.viewer(reader), number).negotiation
        assert row.minutes.startswith("2026-11-11")
    with pytest.raises(NotFound):
        dispute_case(story.city.viewer("zhao"), number)
    action, given, article = CO_ORDINATION[name]
    story.take("zheng", number, action, **given)
    last = DisputeEvent.objects.get(dispute__number=number, action=action)
    minute = DisputeEvent.objects.get(dispute__number=number, action="minute")
    assert minute.article == article and last.minutes
    assert told("dispute_moved", "440100-housing") == 3


@pytest.mark.parametrize("name", CITIES)
def test_an_agreement_says_what_was_agreed_and_the_case_is_told(under, owner, name):
    """To share or not: the owner of the case hears it in the same transaction."""
    story = under(name)
    for shared, case in ((True, "R-2026-0003"), (False, "R-2026-0004")):
        number = story.open(case)
        unsaid = faults(lambda one=number: story.take("zheng", one, "agree", minutes="会", result="一致"))
        assert unsaid == {"shared"} and case not in {one[0] for one in owner.told}
        story.take("zheng", number, "agree", minutes="会", result="一致", shared=shared)
        assert owner.told[-1] == (case, shared, number)
        dispute = Dispute.objects.get(number=number)
        assert (dispute.final, dispute.phase, dispute.shared) == (True, "closed", shared)


@pytest.mark.requirement("DIS-02", source="GZ16:35¶1")
def test_the_result_of_a_negotiation_is_published(story, owner):
    """Agreed or not, every department reads the result; the minutes stay with the parties."""
    agreed, failed = story.open("R-2026-0005"), story.open("R-2026-0006")
    assert published_results().rows == ()
    story.take("zheng", agreed, "agree", minutes="内部记录", result="同意提供两项", shared=True)
    story.fail(failed)
    shown = published_results().rows
    assert {(row.number, row.result, row.shared) for row in shown} == {
        (agreed, "同意提供两项", True),
        (failed, "未达成一致", None),
    }
    assert all(row.article.article == "35(1)" for row in shown)
    assert not any("内部记录" in str(row) for row in shown)


@pytest.mark.parametrize("name", ["xiamen-2015", "shenyang-2016"])
def test_a_city_whose_text_publishes_nothing_publishes_nothing(under, owner, name):
    """Only Guangzhou's rules say that results are published."""
    story = under(name)
    number = story.open("R-2026-0007")
    story.take("zheng", number, "agree", minutes="会", result="一致", shared=True)
    assert published_results().rows == ()


@pytest.mark.requirement("DIS-03", source="GZ16:35¶2")
def test_open_disputes_are_collected_periodically_for_a_joint_review(story, owner):
    """At once the first time, then every thirty days; the job may run again and does nothing more."""
    first, agreed = story.open("R-2026-0008"), story.open("R-2026-0009")
    assert collect_for_review() == 0, "nothing has failed in negotiation yet"
    story.fail(first)
    story.take("zheng", agreed, "agree", minutes="会", result="一致", shared=True)
    assert collect_for_review() == 1 and collect_for_review() == 0
    session = JointReviewSession.objects.get()
    assert [item.dispute.number for item in session.agenda.all()] == [first]
    assert told("review_due", "440100-data") == 1
    convene(story.city.viewer("zheng"), session.number, date(2026, 11, 16), {first})
    second = story.open("R-2026-0010")
    story.fail(second)
    days = regulation().disputes.review_every_days
    with clock.fixed(NOW + timedelta(days=days - 1)):
        assert collect_for_review() == 0
        assert session_list(story.city.viewer("zheng")).waiting == 1
    with clock.fixed(NOW + timedelta(days=days)):
        assert collect_for_review() == 1
        assert JointReviewSession.objects.filter(convened_at=None).count() == 1
    assert [entry[5] for entry in audit_entries("review_collected")] == ["S-2026-0001", "S-2026-0002"]


@pytest.mark.requirement("DIS-03", source="GZ16:35¶2")
def test_each_member_gives_an_opinion_before_the_decision(story, owner):
    """The three offices of the article sit; their opinions and the decision are recorded."""
    number = story.open("R-2026-0011")
    story.fail(number)
    session = story.review(number)
    page = session_page(story.city.viewer("zheng"), session)
    offices = [Department.objects.get(code=one.code).legal_names for one in page.members]
    assert offices == [["市政务服务管理部门"], ["市政府法制部门"], ["机构编制管理部门"]]
    early = refused(lambda: story.take("zheng", number, "review_share", result="应当共享"))
    assert early.code == "field_required"
    with pytest.raises(NotFound):
        story.take("shi", number, "opine", opinion="可")
    for other in ("hou", "chen", "zheng"):
        assert isinstance(
            refused(lambda who=other: story.take(who, number, "opine", opinion="可")), PermissionDenied
        )
    story.opine(number, MEMBERS[:2])
    assert faults(lambda: story.take("bian", number, "opine", opinion="再说一次")) == {"opinion"}
    assert (
        refused(lambda: story.take("zheng", number, "review_share", result="应当共享")).code
        == "field_required"
    )
    story.take("wen", number, "opine", opinion="依法不应共享", shared=False)
    story.take("zheng", number, "review_share", result="多数意见：应当共享")
    [row] = session_page(story.city.viewer("bian"), session).agenda
    assert sorted(opinion.shared for opinion in row.opinions) == [False, True, True]
    assert row.decision.result == "多数意见：应当共享" and row.decision.article.article == "35(2)"
    assert owner.told == [("R-2026-0011", True, number)]
    assert story.state(number) == "review_share"


def test_a_review_that_refuses_ends_the_case(story, owner):
    """Decided not to share: final, and the owner is told."""
    number = story.open("R-2026-0012")
    story.fail(number)
    story.review(number)
    story.opine(number)
    story.take("zheng", number, "review_no", result="不属履行职权所需")
    assert owner.told == [("R-2026-0012", False, number)]
    assert Dispute.objects.get(number=number).final


def test_only_the_chosen_disputes_of_an_agenda_are_reviewed(story, owner):
    """What is left out waits for the next session; a session is convened once, for a day to come."""
    one, other = story.open("R-2026-0013"), story.open("R-2026-0014")
    story.fail(one)
    story.fail(other)
    zheng = story.city.viewer("zheng")
    session = collect_now(zheng)
    assert faults(lambda: convene(zheng, session, date(2026, 11, 10), ())) == {"held_on", "disputes"}
    convene(zheng, session, date(2026, 11, 16), {one})
    assert (story.state(one), story.state(other)) == ("in_review", "for_review")
    assert faults(lambda: convene(zheng, session, date(2026, 11, 17), {other})) == {"held_on", "disputes"}
    assert collect_now(zheng) != session
    assert AgendaItem.objects.filter(dispute__number=other).count() == 1
    for outsider in ("hou", "bian", "shi"):
        with pytest.raises(NotFound):
            convene(story.city.viewer(outsider), session, date(2026, 11, 18), {other})
        with pytest.raises(NotFound):
            collect_now(story.city.viewer(outsider))


@pytest.mark.parametrize("side", ["hou", "chen"])
@pytest.mark.requirement("DIS-04", source="GZ16:35¶2")
def test_either_party_applies_for_a_ruling_and_the_platform_writes_it(story, owner, side):
    """The PDF says what happened, carries the case's documents, and its digest stands in the log."""
    number = story.open("R-2026-0015", document=RULING)
    story.to_review_open(number)
    before = list(Document.objects.filter(number=number).order_by("stored_at", "id"))
    viewer = story.city.viewer(side)
    assert faults(lambda: apply_for_ruling(viewer, number, " ")) == {"reason"}
    assert apply_for_ruling(viewer, number, "会审未能解决，请求裁定")
    event = DisputeEvent.objects.select_related("record").get(action="apply_ruling")
    pdf = PdfReader(BytesIO(bytes(event.record.content)))
    words = "".join(page.extract_text() for page in pdf.pages).replace("\n", "")
    for said in (
        number,
        "市人民政府",
        "会审未能解决，请求裁定",
        "双方各持己见",
        "三部门意见不一",
        "第三十五条第二款",
    ):
        assert said in words
    carried = {content for found in pdf.attachments.values() for content in found}
    assert carried == {bytes(one.content) for one in before} and RULING.content in carried
    [digest] = rows(
        "SELECT body::jsonb->>'record_sha256' FROM audit.entry"
        " WHERE event = 'ruling_applied' AND case_no = %s",
        number,
    )
    assert digest == (event.record.sha256,)
    assert told("dispute_moved", "440100-government") == 1
    again = refused(lambda: apply_for_ruling(story.city.viewer("hou"), number, "再次"))
    assert again.code == "transition_refused"


@pytest.mark.requirement("DIS-04", source="GZ16:35¶2")
def test_where_both_must_apply_the_first_waits_for_the_other(story, owner, monkeypatch):
    """A setting: one application alone is only recorded; the second sends it with both reasons."""
    rules = regulation()
    both = replace(rules, disputes=replace(rules.disputes, ruling_applied_by="both"))
    monkeypatch.setattr("shuqiao.control.disputes.steps.named", {rules.id: both}.__getitem__)
    number = story.open("R-2026-0016")
    story.to_review_open(number)
    hou, chen = story.city.viewer("hou"), story.city.viewer("chen")
    assert apply_for_ruling(hou, number, "申请方的理由") is False
    assert story.state(number) == "review_open"
    assert faults(lambda: apply_for_ruling(hou, number, "又一次")) == {"reason"}
    assert apply_for_ruling(chen, number, "提供方的理由") is True
    assert story.state(number) == "ruling_applied"
    assert RulingApplication.objects.filter(dispute__number=number).count() == 2
    content = bytes(DisputeEvent.objects.get(action="apply_ruling").record.content)
    words = "".join(page.extract_text() for page in PdfReader(BytesIO(content)).pages)
    assert "申请方的理由" in words and "提供方的理由" in words


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("guangzhou-2016", marks=pytest.mark.requirement("DIS-04", source="GZ16:35¶2")),
        pytest.param("guangzhou-2019", marks=pytest.mark.requirement("DIS-04", source="GZ165:5¶1")),
        pytest.param("shenyang-2016", marks=pytest.mark.requirement("DIS-04", source="SY:5(1)")),
    ],
)
def test_the_ruling_is_recorded_with_its_document_and_day(under, owner, name):
    """By the government or the leading group alone; dated neither before the application nor tomorrow."""
    story = under(name)
    number = story.open("R-2026-0017")
    if name != "shenyang-2016":
        story.to_review_open(number)
        apply_for_ruling(story.city.viewer("hou"), number, "请求裁定")
    else:
        story.take("zheng", number, "refer", minutes="协调未果", reason="提请领导小组")
    for other in ("hou", "chen", "zheng", "bian"):
        assert (
            refused(
                lambda who=other: _or_not_found(
                    lambda: story.take(who, number, "rule_no", document=RULING, decided_on=clock.today())
                )
            ).code
            == "permission_denied"
        )
    assert faults(lambda: story.take("shi", number, "rule_no")) == {"document", "decided_on"}
    for impossible in (date(2026, 11, 12), date(2026, 11, 10)):
        assert faults(
            lambda day=impossible: story.take("shi", number, "rule_no", document=RULING, decided_on=day)
        ) == {"decided_on"}
    story.take("shi", number, "rule_no", document=RULING, decided_on=clock.today())
    event = DisputeEvent.objects.select_related("attachment").get(dispute__number=number, action="rule_no")
    assert (event.decided_on, bytes(event.attachment.content)) == (clock.today(), RULING.content)
    assert [entry[5] for entry in audit_entries("ruling_recorded")] == [number]
    assert owner.told == [("R-2026-0017", False, number)]
    assert Dispute.objects.get(number=number).final


def _or_not_found(act: Callable[[], object]) -> None:
    """Absent and not permitted are one answer; both are a refusal here."""
    try:
        act()
    except NotFound as error:
        raise PermissionDenied(action="rule") from error


@pytest.mark.requirement("DIS-05", source="GZ16:35¶3")
def test_the_term_of_a_ruling_runs_from_the_day_of_the_decision(story, owner):
    """Decided on Friday and recorded on Tuesday: five working days from Friday."""
    number = story.open("R-2026-0018")
    story.to_review_open(number)
    apply_for_ruling(story.city.viewer("hou"), number, "请求裁定")
    with clock.fixed(datetime(2026, 11, 17, 2, 0, tzinfo=UTC)):
        story.take("shi", number, "rule_share", document=RULING, decided_on=date(2026, 11, 13))
        [running] = clocks_of("dispute", [number])[number]
    assert (running.starts_on, running.due_on) == (date(2026, 11, 13), date(2026, 11, 20))
    assert (running.deadline, running.holder) == ("execute_ruling", "440100-health")
    assert running.due.working_days == 5 and running.shown.article.article == "35(3)"
    unprovided = faults(lambda: story.take("zheng", number, "execute", provided=True))
    assert unprovided == {"provided"}, "the owner of the case says whether, not the form"
    owner.provided.add("R-2026-0018")
    assert execute_provided() == 1 and execute_provided() == 0
    assert story.state(number) == "executed"
    last = DisputeEvent.objects.filter(dispute__number=number).latest("sequence")
    assert last.account is None and last.record.size_bytes > 0
    assert clocks_of("dispute", [number])[number][0].state == "met"


def test_the_owner_of_a_case_says_that_it_was_provided(story, owner):
    """At once, in the owner's own transaction, and safely again."""
    number = story.open("R-2026-0019")
    assert case_provided("request", "R-2026-0019") is False, "nothing has been decided"
    story.to_ruled(number)
    assert case_provided("request", "R-2026-0019") is False, "nothing has been provided"
    owner.provided.add("R-2026-0019")
    assert case_provided("request", "R-2026-0019") is True
    assert case_provided("request", "R-2026-0019") is False
    assert case_provided("request", "R-2026-9999") is False


@pytest.mark.requirement("DIS-06", source="GZ16:35¶3")
def test_a_provider_that_does_not_execute_is_barred_for_the_next_year(story, owner):
    """Not before the term has run out; then for the next calendar year, shown at the gate."""
    number = story.open("R-2026-0020")
    story.to_ruled(number)
    on_time = refused(lambda: story.take("zheng", number, "bar", reason="未提供"))
    assert on_time.code == "transition_refused"
    with clock.fixed(NOW + timedelta(days=7)):
        last_day = refused(lambda: story.take("zheng", number, "bar", reason="未提供"))
        assert last_day.code == "transition_refused"
    with clock.fixed(NOW + timedelta(days=8)):
        assert faults(lambda: story.take("zheng", number, "bar", reason=" ")) == {"reason"}
        story.take("zheng", number, "bar", reason="期满未提供，经督促仍拒不执行")
        assert story.state(number) == "not_executed"
        bar = ProjectBar.objects.get()
        assert (bar.department_id, bar.year, bar.sanction) == ("440100-health", 2027, "it_projects")
        assert is_barred("440100-health", 2027)
        assert not is_barred("440100-health", 2026) and not is_barred("440100-health", 2028)
        assert not is_barred("440100-housing", 2027)
        gate = project_gate(story.city.viewer("lin"), "440100-health", 2027)
        assert [(one.dispute, one.article.article) for one in gate.bars] == [(number, "35(3)")]
        assert project_gate(story.city.viewer("lin"), "440100-health", 2028).bars == ()
    assert [entry[5] for entry in audit_entries("project_barred")] == [number]
    [execution] = clocks_of("dispute", [number])[number]
    assert execution.state == "over", "that the term was not met stays on record"


FREE = {"catalogue": "目录", "provision": "提供", "use": "使用"}


@pytest.mark.parametrize("kind", FREE)
@pytest.mark.parametrize(
    ("name", "cited"),
    [
        pytest.param(
            "guangzhou-2016",
            "guangzhou-2016 art. 45",
            marks=pytest.mark.requirement("DIS-07", source="GZ16:45"),
        ),
        pytest.param(
            "xiamen-2015", "xiamen-2015 art. 6¶1", marks=pytest.mark.requirement("DIS-07", source="XM:6¶1")
        ),
        pytest.param(
            "shenyang-2016",
            "shenyang-2016 art. 5(1)",
            marks=pytest.mark.requirement("DIS-07", source="SY:5(1)"),
        ),
        pytest.param(
            "guangzhou-2019",
            "guangzhou-2016 art. 45",
            marks=pytest.mark.requirement("DIS-07", source="GZ165:5¶1"),
        ),
        pytest.param(
            "haizhu-draft",
            "guangzhou-2016 art. 45",
            marks=pytest.mark.requirement("DIS-07", source="HZ:6¶1"),
        ),
        pytest.param(
            "guangdong-2008",
            "guangzhou-2016 art. 45",
            marks=pytest.mark.requirement("DIS-07", source="GD08:6¶1"),
        ),
    ],
)
def test_a_dispute_that_is_tied_to_no_request_goes_the_same_way(under, name, cited, kind):
    """Brought by either sort of account, co-ordinated by the competent department, with the same steps."""
    story = under(name)
    number = story.bring(kind, by="lin", subject=f"{FREE[kind]}争议")
    dispute = Dispute.objects.get(number=number)
    assert (dispute.case_kind, dispute.case_number, dispute.regulation) == ("", "", name)
    assert dispute.article == cited
    assert dispute.applicant_id == "440100-housing"
    [entry] = [one for one in audit_entries("dispute_opened") if one[5] == number]
    assert entry[:3] == ("440100-housing", "440100-health", "account:lin")
    for department in ("440100-housing", "440100-health", "440100-data"):
        assert told("dispute_moved", department) == 1
    story.take("zheng", number, "minute", minutes="双方到场")
    story.take("zheng", number, "agree", minutes="双方到场", result="按目录办理")
    assert Dispute.objects.get(number=number).final


@pytest.mark.requirement("DIS-07", source="GZ16:45")
@pytest.mark.requirement("DIS-09", source="GZ16:45")
def test_a_dispute_tied_to_nothing_goes_all_the_way_to_its_execution(story):
    """The steps of article 35; that it was carried out is what the co-ordinator has checked."""
    number = story.bring("provision", subject="更新迟延")
    story.to_ruled(number)
    [running] = clocks_of("dispute", [number])[number]
    assert running.due_on == date(2026, 11, 18)
    assert execute_provided() == 0, "no owner can say so"
    assert faults(lambda: story.take("zheng", number, "execute")) == {"provided"}
    story.take("zheng", number, "execute", provided=True)
    dispute = Dispute.objects.get(number=number)
    assert (dispute.state, dispute.shared, dispute.final) == ("executed", True, True)
    with clock.fixed(NOW + timedelta(days=30)):
        assert refused(lambda: story.take("zheng", number, "bar", reason="迟了")).code == "transition_refused"


def test_what_is_wrong_with_a_dispute_brought_is_told_at_once(story):
    """All faults together; a kind that belongs to a case, oneself, and too much text are refused."""
    lin = story.city.viewer("lin")

    def bring(**changes: object) -> set[str]:
        given = {"kind": "use", "case_number": "", "applicant": "", "respondent": "440100-health"}
        whole = given | {"subject": "事项", "reason": "理由"} | changes
        return faults(lambda: bring_dispute(lin, DisputeInput(**whole)))

    everything = bring(kind="request", respondent="440100-housing", subject=" ", reason="")
    assert everything == {"kind", "respondent", "subject", "reason"}
    assert bring(respondent="999999-nobody") == {"respondent"}
    assert bring(subject="长" * 201, reason="长" * 2001) == {"subject", "reason"}
    assert not Dispute.objects.exists()
    wu = story.city.viewer("wu")
    assert refused(lambda: bring_dispute(wu, DisputeInput("use", "", "", "440100-housing"))).code == (
        "permission_denied"
    )


@pytest.mark.parametrize(
    ("name", "decides", "others", "article"),
    [
        pytest.param(
            "guangzhou-2016",
            "chen",
            ("zheng", "hou", "bai"),
            "guangzhou-2016 art. 3(4)",
            marks=pytest.mark.requirement("DIS-08", source="GZ16:3¶4"),
        ),
        pytest.param(
            "shenyang-2016",
            "zheng",
            ("chen", "hou", "gong"),
            "shenyang-2016 art. 15(3)",
            marks=pytest.mark.requirement("DIS-08", source="SY:15¶3"),
        ),
        pytest.param("xiamen-2015", "chen", ("zheng", "hou"), "xiamen-2015 art. 11"),
    ],
)
def test_who_settles_a_datum(under, name, decides, others, article):
    """The responsible department in Guangzhou, the Big Data Bureau in Shenyang; nobody else."""
    story = under(name)
    number = story.bring("data", subject="出生日期两处记载不一")
    for other in others:
        assert (
            refused(lambda who=other: story.take(who, number, "decide_value", result="以我为准")).code
            == "permission_denied"
        )
    assert faults(lambda: story.take(decides, number, "decide_value", result="")) == {"result"}
    story.take(decides, number, "decide_value", result="经核对，以责任采集部门记载为准")
    event = DisputeEvent.objects.get(dispute__number=number, action="decide_value")
    assert event.article == article and Dispute.objects.get(number=number).final
    # A dispute of another kind knows no such step.
    use = story.bring("use")
    assert refused(lambda: story.take(decides, use, "decide_value", result="以我为准")).code in (
        "transition_refused",
        "permission_denied",
    )


def test_taking_a_dispute_back(story, owner):
    """By the applicant alone, with a reason; the owner of the case hears that it stays as it was."""
    number = story.open("R-2026-0021")
    by_other = refused(lambda: story.take("chen", number, "withdraw", reason="不再争议"))
    assert by_other.code == "permission_denied"
    assert faults(lambda: story.take("hou", number, "withdraw", reason="")) == {"reason"}
    story.take("hou", number, "withdraw", reason="已另行取得")
    assert owner.told == [("R-2026-0021", False, number)]
    assert isinstance(refused(lambda: story.fail(number)), TransitionRefused)


def test_a_case_taken_back_ends_its_dispute_without_being_told_of_it(story, owner):
    """The owner ends its case itself."""
    number = story.open("R-2026-0022")
    withdraw_with_case(story.city.viewer("hou"), "request", "R-2026-0022", "不再需要")
    withdraw_with_case(story.city.viewer("hou"), "request", "R-2026-9999", "没有争议")
    assert story.state(number) == "withdrawn" and owner.told == []


def test_a_case_has_one_open_dispute_and_may_have_another_later(story, owner):
    """Opened twice, it is one; after its end a new round may open another."""
    number = story.open("R-2026-0023")
    assert story.open("R-2026-0023") == number
    story.take("hou", number, "withdraw", reason="再议")
    assert story.open("R-2026-0023") != number


def test_steps_with_pages_of_their_own_are_not_taken_by_name(story, owner):
    """Neither a session nor an application for a ruling can be passed over."""
    number = story.open("R-2026-0024")
    story.fail(number)
    for who, action in (("zheng", "schedule"), ("hou", "apply_ruling")):
        with pytest.raises(NotFound):
            take_step(story.city.viewer(who), number, action, StepInput(reason="x"))


def test_nothing_slips_in_with_a_step_that_does_not_ask_for_it(story, owner):
    """A day of a ruling or an outcome given with minutes is not stored."""
    number = story.open("R-2026-0025")
    story.take(
        "zheng", number, "minute", minutes="会", decided_on=date(2026, 11, 11), shared=True, opinion="可"
    )
    event = DisputeEvent.objects.get(dispute__number=number, action="minute")
    assert (event.decided_on, event.shared, event.opinion) == (None, None, "")


def test_texts_longer_than_may_be_stored_are_refused(story, owner):
    """With the limit, at the field."""
    number = story.open("R-2026-0026")
    long = {"minutes": "长" * 10001, "result": "长" * 2001}
    assert faults(lambda: story.take("zheng", number, "fail", **long)) == {"minutes", "result"}


def test_a_party_states_its_position_as_long_as_the_dispute_is_open(story, owner):
    """With a document, read by both sides and in the application for a ruling; nobody else speaks."""
    number = story.open("R-2026-0027")
    hou, chen = story.city.viewer("hou"), story.city.viewer("chen")
    assert faults(lambda: state_position(hou, number, " ")) == {"reason"}
    assert faults(lambda: state_position(hou, number, "长" * 2001)) == {"reason"}
    state_position(chen, number, "所需信息已由另一单位提供", RULING)
    for outsider in ("zheng", "zhou"):
        refusal = refused(lambda who=outsider: state_position(story.city.viewer(who), number, "我认为"))
        assert refusal.code == "permission_denied"
    with pytest.raises(NotFound):
        state_position(story.city.viewer("zhao"), number, "我认为")
    assert (story.state(number), Dispute.objects.get(number=number).step) == ("negotiation", 2)
    [row] = dispute_case(hou, number).negotiation
    assert row.reason == "所需信息已由另一单位提供" and len(row.documents) == 2
    assert told("dispute_moved", "440100-housing") == 2
    story.to_review_open(number)
    apply_for_ruling(hou, number, "请求裁定")
    content = bytes(DisputeEvent.objects.get(action="apply_ruling").record.content)
    words = "".join(page.extract_text() for page in PdfReader(BytesIO(content)).pages)
    assert "所需信息已由另一单位提供" in words
    # A statement made after the application does not move the first day a ruling may have.
    with clock.fixed(NOW + timedelta(days=2)):
        state_position(chen, number, "补充说明")
        story.take("shi", number, "rule_no", document=RULING, decided_on=date(2026, 11, 12))
        assert refused(lambda: state_position(chen, number, "再说")).code == "transition_refused"
