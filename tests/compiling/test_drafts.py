"""Drafts: kept again and again, one writer at a time, nothing that can't be stored."""

from dataclasses import replace

import pytest

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.compiling.access import visible
from shuqiao.control.compiling.checking import Subject
from shuqiao.control.compiling.drafts import (
    DraftInput,
    begin,
    check,
    check_all,
    rebase_draft,
    save_draft,
    save_drafts,
)
from shuqiao.control.compiling.models import Compilation, CompilationEvent
from shuqiao.rules.entries import Entry
from shuqiao.rules.errors import DraftChanged, EntryBeingChanged, PermissionDenied, TransitionRefused
from tests.control.conftest import audit_entries

from .conftest import HEALTH, HOUSING, entry


def test_a_draft_is_kept_whole_and_half_filled_without_an_audit_entry(office):
    kept = save_draft(office.viewer("hou"), DraftInput(content=Entry(name_zh="公租")))
    case = office.case(kept.number)
    assert (case.state, case.phase, case.revision, case.name_zh) == ("draft", "draft", 1, "公租")
    assert case.resource.startswith("r440100") and case.department_id == HOUSING
    assert entry_from(case.content) == Entry(name_zh="公租")
    assert audit_entries("compilation_step") == []


def test_of_two_who_save_at_once_the_second_is_told_and_nothing_is_lost(office):
    hou = office.viewer("hou")
    kept = save_draft(hou, DraftInput(content=entry()))
    first = replace(entry(), summary_zh="甲所写")
    saved = save_draft(hou, DraftInput(content=first, number=kept.number, revision=kept.revision))
    assert saved.revision == kept.revision + 1
    second = replace(entry(), summary_zh="乙所写")
    with pytest.raises(DraftChanged) as refused:
        save_draft(hou, DraftInput(content=second, number=kept.number, revision=kept.revision))
    assert kept.number in refused.value.explain("zh") and str(saved.revision) in refused.value.explain("en")
    assert office.case(kept.number).content["summary_zh"] == "甲所写"


def test_saving_what_is_kept_already_changes_nothing(office):
    hou = office.viewer("hou")
    kept = save_draft(hou, DraftInput(content=entry()))
    again = save_draft(hou, DraftInput(content=entry(), number=kept.number, revision=kept.revision))
    assert again == kept


def test_only_compilers_of_the_department_write(office):
    number = office.draft()
    given = DraftInput(content=entry(scope="全市"), number=number, revision=1)
    for stranger in ("zhao", "wu", "zhou"):
        with pytest.raises((PermissionDenied, NotFound)):
            save_draft(office.viewer(stranger), given)
    with pytest.raises(PermissionDenied):
        save_draft(office.viewer("hou"), DraftInput(content=entry(department=HEALTH)))
    assert Compilation.objects.count() == 1
    assert not visible(office.viewer("chen")).exists()


@pytest.mark.requirement("ORG-08")
def test_that_another_person_goes_on_is_on_record(under):
    from shuqiao.control.accounts.models import Account

    office = under("shenyang-2016")
    number = office.draft()
    Account.objects.filter(username="tan").update(role="compiler")
    save_draft(office.viewer("tan"), DraftInput(content=entry(scope="全市"), number=number, revision=1))
    [event] = CompilationEvent.objects.filter(compilation=number)
    assert (event.action, event.account.username) == ("taken_over", "tan")
    assert [row[5] for row in audit_entries("compilation_step")] == [number]


def test_an_entry_has_one_open_case(office):
    case = office.published()
    number = office.changed(case.resource, scope="全市各级行政机关")
    for kind in ("change", "correction", "withdrawal"):
        with pytest.raises(EntryBeingChanged) as refused:
            begin(office.viewer("hou"), kind, case.resource)
        assert number in refused.value.explain("zh")
    office.step("hou", number, "withdraw")
    assert begin(office.viewer("hou"), "change", case.resource).number != number


def test_the_departments_own_key_is_open_once(office):
    hou = office.viewer("hou")
    save_draft(hou, DraftInput(content=entry(), key="rental-1"))
    with pytest.raises(EntryBeingChanged):
        save_draft(hou, DraftInput(content=entry(name_zh="另一条"), key="rental-1"))


@pytest.mark.parametrize("kind", ["change", "correction", "withdrawal", "new", "nonsense"])
def test_only_an_entry_in_force_can_be_changed(guangzhou, kind):
    with pytest.raises(NotFound):
        begin(guangzhou.viewer("hou"), kind, "r440100aaaaaaaaaa")


def test_another_departments_entry_is_not_ones_own(guangzhou):
    case = guangzhou.published()
    with pytest.raises(PermissionDenied):
        begin(guangzhou.viewer("chen"), "change", case.resource)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (Entry(name_zh="坏\x00名"), "text_not_plain"),
        (Entry(name_zh="坏\ud800名"), "text_not_plain"),
        (Entry(summary_zh="x" * (2 * 1024 * 1024 + 1)), "text_too_long"),
    ],
)
def test_what_cannot_be_stored_is_refused(guangzhou, content, code):
    with pytest.raises(FormRefused) as refused:
        save_draft(guangzhou.viewer("hou"), DraftInput(content=content))
    assert {fault.code for fault in refused.value.faults} == {code}
    assert not Compilation.objects.exists()


def test_many_drafts_are_kept_all_or_none(guangzhou):
    hou = guangzhou.viewer("hou")
    good = [DraftInput(content=entry(name_zh=f"条目{n}"), key=f"k{n}") for n in range(5)]
    with pytest.raises(EntryBeingChanged):
        save_drafts(hou, [*good, DraftInput(content=entry(), key="k3")])
    assert not Compilation.objects.exists()
    kept = save_drafts(hou, good)
    assert len({draft.number for draft in kept}) == len({draft.resource for draft in kept}) == 5


def test_what_was_sent_is_not_written_any_more(office):
    number = office.draft()
    office.send(number)
    with pytest.raises(TransitionRefused):
        save_draft(office.viewer("hou"), DraftInput(content=entry(scope="全市"), number=number, revision=1))


@pytest.mark.requirement("CAT-26")
def test_nothing_is_sent_without_the_declaration_and_it_is_kept_who_declared(office):
    number = office.draft(not_secret=False)
    with pytest.raises(FormRefused) as refused:
        office.send(number)
    assert {fault.field for fault in refused.value.faults} <= {"declaration", "not_secret"}
    assert office.case(number).declared_by is None
    hou = office.viewer("hou")
    save_draft(hou, DraftInput(content=entry(), number=number, revision=1))
    office.send(number)
    case = office.case(number)
    assert case.declared_by.username == "hou" and case.declared_at == case.submitted_at
    body = audit_body(number)
    assert '"declared_not_secret":true' in body


def audit_body(number: str) -> str:
    """The text of the last step's audit entry."""
    from tests.control.conftest import rows

    return rows(
        "SELECT body FROM audit.entry WHERE case_no = %s AND event = 'compilation_step'"
        " ORDER BY occurred_at DESC LIMIT 1",
        number,
    )[0][0]


@pytest.mark.requirement("CAT-26")
def test_a_change_is_declared_anew(office):
    case = office.published()
    begun = begin(office.viewer("hou"), "change", case.resource)
    assert office.case(begun.number).content["not_secret"] is False


FAULTY = {
    "guangzhou-2016": ["platform", "scope", "manner", "update_cycle"],
    "guangzhou-2019": ["share_type", "use", "collecting", "verifying", "scope"],
    "xiamen-2015": ["format", "timeliness", "share_type", "open_to_public"],
    "shenyang-2016": ["format", "timeliness", "share_type", "open_to_public"],
}
DEMANDS = {
    "guangzhou-2016": pytest.mark.requirement("CAT-04"),
    "guangzhou-2019": pytest.mark.requirement("CAT-05"),
    "xiamen-2015": pytest.mark.requirement("CAT-06", source="XM:7"),
    "shenyang-2016": pytest.mark.requirement("CAT-06", source="SY:11¶3"),
}


@pytest.mark.requirement("PUB-01")
@pytest.mark.parametrize("name", [pytest.param(name, marks=mark) for name, mark in DEMANDS.items()])
def test_an_entry_that_lacks_an_element_of_its_city_is_not_sent(under, name):
    office = under(name)
    for field in {*FAULTY[name], "open_to_public"}:
        empty = None if field == "open_to_public" else () if field == "manner" else ""
        content = entry(**{field: empty})
        assert field in {fault.path for fault in check(office.viewer("hou"), content)}
        number = save_draft(office.viewer("hou"), DraftInput(content=content)).number
        with pytest.raises(FormRefused) as refused:
            office.send(number)
        assert field in {fault.field for fault in refused.value.faults}
        assert office.case(number).phase == "draft"
        office.step("hou", number, "withdraw")


@pytest.mark.requirement("CAT-20")
def test_other_than_base_information_needs_its_ground(office):
    bare = {"legal_ground": "", "duty": None, "obliged_by": ""}
    number = office.draft(**bare)
    with pytest.raises(FormRefused) as refused:
        office.send(number)
    assert [fault.code for fault in refused.value.faults] == ["legal_ground_required"]
    assert check(office.viewer("hou"), entry(**bare | {"obliged_by": "《省政务数据条例》第十条"})) == ()


@pytest.mark.requirement("CAT-19")
def test_what_rules_oblige_to_share_keeps_the_rule_as_its_ground(office):
    rule = "《广东省样例规定》第十条"
    case = office.published(obliged_by=rule, legal_ground="", duty=None)
    from shuqiao.control.catalogue.models import Resource

    held = Resource.objects.get(id=case.resource)
    assert held.shared and entry_from(held.content).obliged_by == rule


def test_two_entries_of_a_department_have_two_names(office):
    case = office.published()
    faults = check(office.viewer("hou"), entry())
    assert "entry_name_taken" in {fault.code for fault in faults}
    assert "entry_name_taken" not in {
        fault.code for fault in check(office.viewer("hou"), entry(), resource=case.resource)
    }


def test_a_draft_whose_entry_moved_on_starts_from_it_again(office):
    from shuqiao.control.catalogue.models import Resource

    case = office.published()
    number = office.changed(case.resource, scope="全市各级行政机关")
    Resource.objects.filter(id=case.resource).update(version=4)
    draft = rebase_draft(office.viewer("hou"), number)
    assert office.case(number).base_version == 4
    assert draft.revision == office.case(number).revision


def test_related_entries_that_lead_back_are_refused_beside_what_is_published_and_in_one_batch(guangzhou):
    hou = guangzhou.viewer("hou")
    first = guangzhou.published(name_zh="样例甲").resource
    second = guangzhou.published(name_zh="样例乙", related=(first,)).resource
    back = entry(name_zh="样例甲", related=(second,))
    assert {fault.path: fault.code for fault in check(hou, back, resource=first)} == {
        "related": "entry_circle"
    }
    apart = entry(name_zh="样例乙")
    both = check_all([Subject(back, first), Subject(apart, second)], HOUSING)
    assert both == [(), ()], "the second entry gives up its relation in the same batch"
    onward = check_all([Subject(back, first), Subject(replace(apart, related=(first,)), second)], HOUSING)
    assert [[fault.code for fault in faults] for faults in onward] == [["entry_circle"]] * 2
