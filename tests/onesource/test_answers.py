"""A second claim is explained, collected jointly, or co-ordinated and decided; the register follows."""

from datetime import date

import pytest

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.disputes.actions import take_step
from shuqiao.control.disputes.inputs import StepInput
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.onesource.answers import (
    ClaimInput,
    LeadInput,
    answer_conflict,
    answer_joint,
    record_lead_source,
    withdraw_claim,
)
from shuqiao.control.onesource.claims import conflicts
from shuqiao.control.onesource.models import Claim, Source
from shuqiao.control.onesource.register import take_in
from shuqiao.rules.errors import PermissionDenied, TransitionRefused
from tests.control.conftest import HOUSEHOLD as HOUSEHOLD_ENTRY
from tests.control.conftest import audit_entries
from tests.onesource.conftest import NEW, entry, item

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
STATION = item("户籍地派出所", "station")
ENTRY = entry(STATION)
OWN = "10202501"


@pytest.fixture
def other_source(city) -> Resource:
    """An entry of the police that is in no list of the law, so that its sources can be agreed on."""
    made = Resource.objects.get(id=HOUSEHOLD_ENTRY)
    made.id, made.list_key, made.code, made.subject = (
        "r440100gggggggggg",
        "own",
        "20800101/000001",
        "20800101",
    )
    made.name_zh = "信用档案"
    made.save(force_insert=True)
    Item.objects.create(
        resource=made,
        number=1,
        field="grade",
        zh="信用等级",
        type="string",
        identity=False,
        kind="plain",
        sensitivity=0,
    )
    take_in([made.id])
    return made


CREDIT = entry(item("信用等级", "credit_grade"), subject="20800101")


def answer(city, kind: str, of=CREDIT, by: str = "chen", reason: str = "两部门各有职权", **more: str) -> str:
    found = conflicts(of, NEW)[0]
    given = {"field": found.item.field, "held_resource": found.resource, "held_field": found.field}
    return answer_conflict(city.viewer(by), NEW, of, ClaimInput(**(given | more), kind=kind, reason=reason))


def publish(of, department: str = "440100-health") -> Resource:
    """The claimant's entry comes into force."""
    made = Resource.objects.get(id=HOUSEHOLD_ENTRY)
    made.id, made.list_key, made.code, made.subject = NEW, "claimed", "20800101/000099", of.subject
    made.department_id = department
    made.save(force_insert=True)
    for number, one in enumerate(of.items, 1):
        Item.objects.create(
            resource=made,
            number=number,
            field=one.field,
            zh=one.zh,
            type="string",
            identity=False,
            kind="plain",
            sensitivity=0,
        )
    take_in([made.id])
    return made


def role(resource: str) -> str:
    return Source.objects.get(resource_id=resource).role


@pytest.mark.requirement("COL-01")
def test_a_reason_why_it_is_another_datum_is_kept_and_no_longer_blocks(city) -> None:
    number = answer(city, "other", of=ENTRY, reason="指现住地派出所，与户籍无关")
    found = conflicts(ENTRY, NEW)[0]
    assert (found.blocks, found.answered.number, found.answered.reason) == (
        False,
        number,
        "指现住地派出所，与户籍无关",
    )
    assert audit_entries("claim_made") == [
        ("440100-health", "440100-police", "account:chen", HOUSEHOLD_ENTRY, None, number, "explained")
    ]
    claim = Claim.objects.get(number=number)
    assert claim.article == "guangzhou-2016 art. 3(3)" and claim.because[0]["code"] == "name"
    assert conflicts(ENTRY, "r440100zzzzzzzzzz")[0].blocks


@pytest.mark.requirement("COL-01", source="GZ16:3¶1-3")
@pytest.mark.parametrize("kind", ["joint", "coordination"])
def test_what_the_rules_give_to_a_department_cant_be_agreed_on(city, kind) -> None:
    with pytest.raises(FormRefused, match="source_named_by_text"):
        answer(city, kind, of=ENTRY)
    assert not Claim.objects.exists() and not Dispute.objects.exists()


@pytest.mark.requirement("COL-01")
def test_joint_collection_needs_the_holder(city, other_source) -> None:
    number = answer(city, "joint")
    assert conflicts(CREDIT, NEW)[0].blocks
    with pytest.raises(NotFound):
        answer_joint(city.viewer("chen"), number, True, "")
    answer_joint(city.viewer("zhao"), number, True, "")
    assert not conflicts(CREDIT, NEW)[0].blocks
    publish(CREDIT)
    assert (role(NEW), role(other_source.id)) == ("joint", "responsible")
    assert [row[6] for row in audit_entries("claim_settled")] == ["agreed"]
    with pytest.raises(TransitionRefused):
        answer_joint(city.viewer("zhao"), number, False, "不同意")


def test_a_holder_who_declines_says_why_and_the_item_can_be_claimed_otherwise(city, other_source) -> None:
    number = answer(city, "joint")
    with pytest.raises(FormRefused, match="reply"):
        answer_joint(city.viewer("zhao"), number, False, " ")
    answer_joint(city.viewer("zhao"), number, False, "由本局统一采集")
    found = conflicts(CREDIT, NEW)[0]
    assert found.blocks and found.answered is None
    assert answer(city, "other", reason="指企业自评等级") != number


@pytest.mark.requirement("COL-01", source="GZ16:3¶1-3")
@pytest.mark.parametrize(
    ("lead", "together", "roles"),
    [
        ("440100-health", False, ("responsible", "contested")),
        ("440100-health", True, ("responsible", "joint")),
        ("440100-police", True, ("joint", "responsible")),
        ("440100-police", False, ("contested", "responsible")),
    ],
)
def test_co_ordination_ends_in_a_decision_on_the_source(city, other_source, lead, together, roles) -> None:
    number = answer(city, "coordination")
    dispute = Dispute.objects.get()
    assert (dispute.kind, dispute.case_number, dispute.applicant_id, dispute.respondent_id) == (
        "catalogue",
        number,
        "440100-health",
        "440100-police",
    )
    given = LeadInput(
        lead, "穗数字〔2026〕12号", clock.today(), together, document=FileInput("决定.pdf", PDF)
    )
    with pytest.raises(TransitionRefused):
        record_lead_source(city.viewer("zheng"), number, given)
    done = StepInput(minutes="双方到会", result="确定来源", shared=True)
    take_step(city.viewer("zheng"), dispute.number, "agree", done)
    with pytest.raises(PermissionDenied):
        record_lead_source(city.viewer("chen"), number, given)
    record_lead_source(city.viewer("zheng"), number, given)
    found = conflicts(CREDIT, NEW)[0]
    assert found.blocks is (lead == "440100-police" and not together)
    decision = Claim.objects.get(number=number).decision
    assert (decision.document_no, decision.body_id, decision.decided_on) == (
        "穗数字〔2026〕12号",
        "440100-data",
        clock.today(),
    )
    assert decision.document.sha256 and decision.article == "guangzhou-2016 art. 45"
    publish(CREDIT)
    assert (role(NEW), role(other_source.id)) == roles
    take_in([other_source.id])
    assert (role(NEW), role(other_source.id)) == roles
    assert [row[5:] for row in audit_entries("lead_source_recorded")] == [(number, "decided")]


def test_a_decision_is_complete_or_not_recorded(city, other_source) -> None:
    number = answer(city, "coordination")
    take_step(
        city.viewer("zheng"),
        Dispute.objects.get().number,
        "agree",
        StepInput(minutes="到会", result="定", shared=True),
    )
    with pytest.raises(FormRefused) as refused:
        record_lead_source(city.viewer("zheng"), number, LeadInput("440100-tax", " ", date(2027, 1, 1)))
    assert {fault.field for fault in refused.value.faults} == {"lead", "document_no", "decided_on"}
    assert Claim.objects.get(number=number).state == "open"


@pytest.mark.requirement("COL-01", source="GZ165:5¶2")
def test_in_guangzhou_2019_the_staffing_authority_has_a_say(city, other_source, settings) -> None:
    from dataclasses import replace

    settings.CONFIG = replace(
        settings.CONFIG, regulation="guangzhou-2019", regulation_fallback="guangzhou-2016"
    )
    number = answer(city, "coordination")
    take_step(
        city.viewer("zheng"),
        Dispute.objects.get().number,
        "agree",
        StepInput(minutes="到会", result="定", shared=True),
    )
    given = LeadInput("440100-police", "穗数字〔2026〕13号", clock.today())
    with pytest.raises(FormRefused, match="opinion"):
        record_lead_source(city.viewer("zheng"), number, given)
    record_lead_source(city.viewer("zheng"), number, LeadInput(**{**given.__dict__, "opinion": "同意"}))
    assert Claim.objects.get(number=number).decision.article == "guangzhou-2019 art. 5(2)"


def test_an_answer_is_taken_back_with_its_dispute(city, other_source) -> None:
    number = answer(city, "coordination")
    withdraw_claim(city.viewer("chen"), number)
    assert Dispute.objects.get().state == "withdrawn"
    assert conflicts(CREDIT, NEW)[0].answered is None
    with pytest.raises(NotFound):
        withdraw_claim(city.viewer("hou"), number)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"reason": "<script>x</script>"}, "reason"),
        ({"reason": "长" * 1001}, "reason"),
    ],
)
def test_reasons_are_plain_and_bounded(city, changes, field) -> None:
    with pytest.raises(FormRefused, match=field):
        answer(city, "other", of=ENTRY, **changes)


def test_only_who_compiles_answers_and_only_what_is_there(city) -> None:
    with pytest.raises(PermissionDenied):
        answer(city, "other", of=ENTRY, by="bai")
    with pytest.raises(NotFound):
        answer(city, "other", of=ENTRY, field="nothing")
    answer(city, "other", of=ENTRY)
    with pytest.raises(FormRefused, match="already_answered"):
        answer(city, "other", of=ENTRY)


def test_a_reason_holds_for_the_name_it_was_given_for(city) -> None:
    """An item that gets another name is answered anew; the old answer stays on record, ended."""
    before = entry(item("身份证号", "number"))
    first = answer(city, "other", of=before, reason="指旧证号码")
    assert not conflicts(entry(item("身份证号（旧）", "number")), NEW)[0].blocks
    after = entry(item("居民身份证号", "number"))
    assert conflicts(after, NEW)[0].blocks
    second = answer(city, "other", of=after, reason="指注销前的号码")
    assert not conflicts(after, NEW)[0].blocks
    states = dict(Claim.objects.values_list("number", "state"))
    assert states == {first: "withdrawn", second: "explained"}
    assert [row[5:] for row in audit_entries("claim_settled")] == [(first, "withdrawn")]
