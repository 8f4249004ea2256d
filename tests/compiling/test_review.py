"""Review item by item, and the two persons it takes (CAT-09, ORG-08)."""

import pytest

from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.accounts.models import Account
from shuqiao.control.compiling.actions import MarkInput, accept_rest, mark_places
from shuqiao.control.compiling.drafts import DraftInput, save_draft
from shuqiao.control.compiling.models import Mark
from shuqiao.rules.errors import MarksMissing, SecondPersonRequired, ShuqiaoError

from .conftest import CHAINS, entry


@pytest.fixture
def shenyang(under):
    return under("shenyang-2016")


def reviewer_step(office):
    """The step of a city's chain that demands marks, and who takes it."""
    return {
        "guangzhou-2016": ("verify", "zheng"),
        "guangzhou-2019": ("compile", "zheng"),
        "xiamen-2015": ("confirm", "zheng"),
        "shenyang-2016": ("review", "lin"),
    }[office.rules]


def to_review(office):
    """A case that waits for its review."""
    number = office.draft()
    office.send(number)
    for action, by in CHAINS[office.rules]:
        if action == reviewer_step(office)[0]:
            return number
        office.pass_review(by, number, action)
    raise AssertionError("no review")


@pytest.mark.requirement("CAT-09")
def test_a_review_cannot_pass_while_an_item_has_no_mark_or_is_marked_for_return(office):
    number = to_review(office)
    action, by = reviewer_step(office)
    reviewer = office.viewer(by)
    with pytest.raises(MarksMissing) as refused:
        office.step(by, number, action)
    assert "3" in refused.value.explain("zh")
    mark_places(reviewer, number, [MarkInput("items.applicant_id", accepted=True)])
    mark_places(reviewer, number, [MarkInput("items.applied_on", accepted=False, remark="口径不清")])
    with pytest.raises(MarksMissing) as refused:
        office.step(by, number, action)
    assert "1" in refused.value.explain("en")
    accept_rest(reviewer, number)
    with pytest.raises(MarksMissing):
        office.step(by, number, action)
    mark_places(reviewer, number, [MarkInput("items.applied_on", accepted=True)])
    office.step(by, number, action)
    assert office.case(number).state != "draft"


def test_a_field_marked_for_return_holds_the_review_up_as_well(office):
    number = to_review(office)
    action, by = reviewer_step(office)
    accept_rest(office.viewer(by), number)
    mark_places(office.viewer(by), number, [MarkInput("name_zh", accepted=False, remark="名称不规范")])
    with pytest.raises(MarksMissing):
        office.step(by, number, action)


def test_a_return_says_why_and_marks_are_of_places_that_are_there(office):
    number = to_review(office)
    _, by = reviewer_step(office)
    wrong = [
        MarkInput("items.applied_on", accepted=False, remark=" "),
        MarkInput("items.nothing", accepted=True),
        MarkInput("items.applicant_id", accepted=True, remark="<script>alert(1)</script>"),
        MarkInput("items.approval_status", accepted=True, remark="长" * 301),
    ]
    with pytest.raises(FormRefused) as refused:
        mark_places(office.viewer(by), number, wrong)
    assert len(refused.value.faults) == 4
    assert not Mark.objects.exists()


def test_nobody_else_marks(office):
    number = to_review(office)
    with pytest.raises(ShuqiaoError):
        mark_places(office.viewer("hou"), number, [MarkInput("items.applied_on", accepted=True)])
    assert not Mark.objects.exists()


def test_a_second_round_looks_at_every_item_again(office):
    number = to_review(office)
    _, by = reviewer_step(office)
    mark_places(office.viewer(by), number, [MarkInput("items.applied_on", accepted=False, remark="口径不清")])
    office.step(by, number, "return", reason="见各项意见")
    # The compiler reads the marks until the case is sent again.
    assert Mark.objects.filter(compilation=number).count() == 1
    sender = "pan" if office.rules == "guangzhou-2016" else "hou"
    office.step(sender, number, "compile" if sender == "pan" else "submit")
    assert not Mark.objects.filter(compilation=number).exists()


@pytest.mark.requirement("ORG-08")
@pytest.mark.requirement("CAT-09")
def test_compiler_and_reviewer_are_two_persons(shenyang):
    number = to_review(shenyang)
    # The one who compiled it gets the reviewer's role and still can't pass it.
    Account.objects.filter(username="hou").update(role="reviewer")
    accept_rest(shenyang.viewer("hou"), number)
    with pytest.raises(SecondPersonRequired):
        shenyang.step("hou", number, "review")
    shenyang.step("lin", number, "review")
    assert shenyang.case(number).state == "reviewed"


@pytest.mark.requirement("ORG-08")
def test_whoever_wrote_part_of_it_does_not_review_it_either(shenyang):
    number = shenyang.draft()
    Account.objects.filter(username="lin").update(role="compiler")
    save_draft(shenyang.viewer("lin"), DraftInput(content=entry(scope="全市"), number=number, revision=1))
    given = DraftInput(content=entry(scope="全市各区"), number=number, revision=2)
    save_draft(shenyang.viewer("hou"), given)
    shenyang.send(number)
    Account.objects.filter(username="lin").update(role="reviewer")
    accept_rest(shenyang.viewer("lin"), number)
    with pytest.raises(SecondPersonRequired):
        shenyang.step("lin", number, "review")
