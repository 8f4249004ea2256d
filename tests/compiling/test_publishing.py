"""What comes into force: both catalogues in step, every version kept, every department told once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound
from shuqiao.control.accounts.models import Notification
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.history import (
    Asked,
    resource_catalogue_on,
    sharing_catalogue_on,
    version_on,
)
from shuqiao.control.catalogue.models import (
    Item,
    Resource,
    ResourceVersion,
    Sharing,
    SharingVersion,
    SubjectSequence,
)
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.compiling.actions import take_steps
from shuqiao.control.compiling.drafts import DraftInput, begin, check, save_draft
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import regulation
from shuqiao.rules.errors import CorrectionTooWide, EntryChanged
from tests.control.conftest import NOW, audit_entries

from .conftest import APPLIED, HEALTH, HOUSING, KEY, STATUS, entry


@pytest.mark.requirement("CAT-03")
@pytest.mark.requirement("CAT-14")
def test_both_catalogues_are_written_in_step_and_every_department_is_told_once(office):
    case = office.published()
    [version] = ResourceVersion.objects.filter(resource=case.resource)
    assert (version.version, version.compilation, version.withdrawn) == (1, case.number, False)
    assert entry_from(version.content) == entry_from(Resource.objects.get(id=case.resource).content)
    [shared] = SharingVersion.objects.filter(resource=case.resource)
    assert (shared.of_id, shared.change, shared.published_at) == (version.pk, "added", NOW)
    told = Notification.objects.filter(code="catalogue_published", occasion=case.number)
    active = set(Department.objects.filter(active=True).values_list("code", flat=True))
    assert set(told.values_list("department_id", flat=True)) == active
    assert told.count() == len(active)


def closed_type() -> str:
    """The type of what is not shared at all, where a city has one."""
    return next((one.key for one in regulation().share_types.types if one.openness == 0), "")


@pytest.mark.requirement("CAT-03")
@pytest.mark.requirement("CAT-14")
@pytest.mark.parametrize("name", ["guangzhou-2019", "shenyang-2016"])
def test_what_is_not_shared_stands_in_the_resource_catalogue_only_and_moves_in_step(under, name):
    office = under(name)
    case = office.published(share_type=closed_type(), conditions="")
    held = Resource.objects.get(id=case.resource)
    assert (held.state, held.shared) == ("published", False)
    assert not SharingVersion.objects.filter(resource=held).exists()
    assert not Notification.objects.filter(code="catalogue_published").exists()
    middle = entry().share_type
    for wanted, change in ((middle, "added"), (middle, "changed"), (closed_type(), "removed")):
        conditions = "用于住房保障审核" if wanted == middle else ""
        number = office.changed(
            case.resource, share_type=wanted, conditions=conditions, scope=f"各行政机关{change}"
        )
        office.send(number)
        office.go_on(number)
        newest = SharingVersion.objects.filter(resource=held).order_by("pk").last()
        assert newest.change == change and newest.of.compilation == number
        assert Resource.objects.get(id=case.resource).shared is (change != "removed")


def test_the_share_type_in_force_follows_the_entry(under):
    office = under("guangzhou-2019")
    case = office.published()
    [row] = Sharing.objects.filter(resource=case.resource)
    assert (row.share_type, row.origin, row.set_by.username, row.version) == (
        "conditional", "provider", "hou", 1,
    )  # fmt: skip
    assert row.entry_id and row.conditions == "用于住房保障审核"
    number = office.changed(case.resource, share_type="unconditional", conditions="", ground="")
    office.send(number)
    office.go_on(number)
    before, now = Sharing.objects.filter(resource=case.resource).order_by("version")
    assert before.ended_at == NOW and (now.share_type, now.ended_at, now.version) == (
        "unconditional", None, 2,
    )  # fmt: skip


def test_an_item_that_differs_has_its_own_share_type(under):
    office = under("guangzhou-2019")
    open_status = replace(STATUS, share_type="unconditional")
    case = office.published(items=(KEY, open_status, APPLIED))
    by_item = {row.item.field if row.item else "": row.share_type for row in Sharing.objects.filter(
        resource=case.resource
    )}  # fmt: skip
    assert by_item == {"": "conditional", "approval_status": "unconditional"}


@pytest.mark.requirement("CAT-11")
def test_every_version_is_kept_and_nothing_is_in_force_before_the_whole_procedure(office):
    case = office.published()
    before = Resource.objects.get(id=case.resource)
    grown = (KEY, STATUS, APPLIED, replace(STATUS, field="review_office", zh="审核机关"))
    number = office.changed(case.resource, items=grown, name_zh="公租房申请审核结果")
    assert office.case(number).base_version == 1
    office.send(number)
    assert Resource.objects.get(id=case.resource).content == before.content
    office.go_on(number)
    after = Resource.objects.get(id=case.resource)
    assert (after.version, after.name_zh, after.code) == (2, "公租房申请审核结果", before.code)
    assert [item.field for item in after.items.all()] == [item.field for item in grown]
    kept = ResourceVersion.objects.filter(resource=case.resource).order_by("version")
    assert [entry_from(row.content).name_zh for row in kept] == ["公租房申请审核信息", "公租房申请审核结果"]


def test_an_item_that_is_left_out_stays_for_those_who_name_it_and_may_come_back(office):
    case = office.published()
    first = Item.objects.get(resource=case.resource, field="applied_on").pk
    for items, there in (((KEY, STATUS), False), ((APPLIED, STATUS, KEY), True)):
        number = office.changed(case.resource, items=items)
        office.send(number)
        office.go_on(number)
        held = Resource.objects.get(id=case.resource)
        assert [item.field for item in held.items.all()] == [item.field for item in items]
        assert Item.every.get(pk=first).removed_in == (None if there else 2)
    assert held.version == 3


@pytest.mark.requirement("CAT-11")
def test_the_responsible_department_changes_by_the_full_procedure_only(office):
    case = office.published()
    begun = begin(office.viewer("hou"), "correction", case.resource)
    wanted = replace(entry_from(office.case(begun.number).content), department=HEALTH)
    with pytest.raises(CorrectionTooWide) as refused:
        save_draft(
            office.viewer("hou"),
            DraftInput(content=wanted, number=begun.number, revision=begun.revision),
        )
    assert "department" in refused.value.explain("en")
    office.step("hou", begun.number, "withdraw")
    number = office.changed(case.resource, department=HEALTH, collecting=HEALTH, duty=1)
    office.send(number)
    assert Resource.objects.get(id=case.resource).department_id == HOUSING
    office.go_on(number)
    assert Resource.objects.get(id=case.resource).department_id == HEALTH
    assert entry_from(ResourceVersion.objects.get(resource=case.resource, version=1).content).department == (
        HOUSING
    )
    assert begin(office.viewer("chen"), "change", case.resource).number


@pytest.mark.requirement("CAT-11")
@pytest.mark.parametrize(
    "changed",
    [
        {"items": (KEY, STATUS)},
        {"name_zh": "另一个名称"},
        {"update_cycle": "monthly"},
        {"scope": "全市"},
        {"items": (KEY, replace(STATUS, length=40), APPLIED)},
    ],
)
def test_anything_but_wording_is_refused_the_short_way(guangzhou, changed):
    case = guangzhou.published()
    with pytest.raises(CorrectionTooWide):
        guangzhou.changed(case.resource, kind="correction", **changed)


@pytest.mark.requirement("CAT-11")
def test_wording_is_corrected_the_short_way_with_its_history(office):
    case = office.published()
    number = office.changed(case.resource, kind="correction", summary_zh="公共租赁住房保障的申请与审核结果。")
    office.send(number)
    assert office.case(number).state == "published"
    held = Resource.objects.get(id=case.resource)
    assert (held.version, held.summary_zh) == (2, "公共租赁住房保障的申请与审核结果。")
    old = ResourceVersion.objects.get(resource=held, version=1)
    assert entry_from(old.content).summary_zh == "公共租赁住房保障申请与审核结果。"
    assert [row[6] for row in audit_entries("compilation_step") if row[5] == number] == ["published"]


def test_an_entry_is_taken_out_by_the_procedure_and_its_history_stays(office):
    case = office.published()
    begun = begin(office.viewer("hou"), "withdrawal", case.resource)
    office.send(begun.number)
    office.go_on(begun.number)
    held = Resource.objects.get(id=case.resource)
    assert (held.state, held.shared, held.version) == ("withdrawn", False, 2)
    assert ResourceVersion.objects.get(resource=held, version=2).withdrawn
    assert [row.change for row in SharingVersion.objects.filter(resource=held).order_by("pk")] == [
        "added", "removed",
    ]  # fmt: skip
    assert [row[5] for row in audit_entries("entry_withdrawn")] == [begun.number]
    with pytest.raises(NotFound):
        access_resource(office.viewer("chen"), case.resource)
    with pytest.raises(NotFound):
        begin(office.viewer("hou"), "change", case.resource)


def test_codes_are_given_one_after_another_and_never_twice(guangzhou):
    numbers = [guangzhou.draft(name_zh=f"条目{n}", items=(item(n),), **BARE) for n in range(4)]
    for number in numbers:
        guangzhou.send(number)
    for action, by in (("compile", "pan"), ("verify", "zheng"), ("approve", "shi"), ("publish", "zheng")):
        for number in numbers:
            guangzhou.pass_review(by, number, action) if action == "verify" else None
        if action != "verify":
            assert all(one.done for one in take_steps(guangzhou.viewer(by), numbers, action))
    codes = [Resource.objects.get(id=guangzhou.case(number).resource).code for number in numbers]
    last = SubjectSequence.objects.get(subject="30100801").last
    assert codes == [f"30100801/{n:06d}" for n in range(last - 3, last + 1)]


def item(n: int):
    """An item that no other entry claims."""
    return replace(STATUS, field=f"own_{n}", zh=f"自有信息项第{n}号")


BARE = {"record_key": "", "modes": ()}


def test_an_entry_changed_meanwhile_is_not_overwritten(office):
    case = office.published()
    number = office.changed(case.resource, scope="全市各级行政机关")
    office.send(number)
    Resource.objects.filter(id=case.resource).update(version=7)
    with pytest.raises(EntryChanged):
        office.go_on(number)
    assert Resource.objects.get(id=case.resource).version == 7
    assert office.case(number).phase == "waiting"


@pytest.mark.requirement("CAT-03")
def test_what_was_in_force_on_a_past_day_can_be_read_from_both_catalogues(office):
    case = office.published()
    today = clock.today()
    with clock.fixed(NOW + timedelta(days=10)):
        number = office.changed(case.resource, scope="全市各级行政机关")
        office.send(number)
        office.go_on(number)
    with clock.fixed(NOW + timedelta(days=20)):
        gone = begin(office.viewer("hou"), "withdrawal", case.resource)
        office.send(gone.number)
        office.go_on(gone.number)
    viewer, asked = office.viewer("zheng"), Asked(department=HOUSING)
    for days, scope in (
        (-1, None),
        (0, "各行政机关"),
        (10, "全市各级行政机关"),
        (19, "全市各级行政机关"),
        (20, None),
    ):
        day = today + timedelta(days=days)
        then = version_on(case.resource, day)
        assert (then.entry.scope if then else None) == scope
        for read in (resource_catalogue_on, sharing_catalogue_on):
            found = {one.resource: one.entry.scope for one in read(viewer, day, asked)}
            assert found.get(case.resource) == scope


def test_a_new_classification_brings_a_new_code_and_the_id_stays(office):
    case = office.published()
    before = Resource.objects.get(id=case.resource).code
    number = office.changed(case.resource, subject="20900101")
    office.send(number)
    office.go_on(number)
    held = Resource.objects.get(id=case.resource)
    assert held.code.startswith("20900101/") and held.code != before
    assert held.category_zh == "城乡建设"


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"relations": ("parallel_approval",), "conditions": "", "share_type": "not_shared"}, "share_type"),
        ({"shared_with": (HEALTH,), "share_type": "non_restricted"}, "shared_with"),
        (
            {
                "relations": ("parallel_approval",),
                "items": (KEY, replace(STATUS, share_type="not_shared"), APPLIED),
            },
            "items[1].share_type",
        ),
    ],
)
def test_a_share_type_that_a_rule_does_not_allow_is_said_in_shenyang(under, changed, path):
    office = under("shenyang-2016")
    assert path in {fault.path for fault in check(office.viewer("hou"), entry(**changed))}


def test_what_the_leading_group_has_ruled_open_stays_in_the_sharing_catalogue(under):
    office = under("shenyang-2016")
    case = office.published()
    Sharing.objects.create(
        resource_id=case.resource, regulation="shenyang-2016", share_type="non_restricted", openness=2,
        origin="ruling", document="纪要〔2026〕1号", decided_on=NOW.date(), version=1, set_at=NOW,
    )  # fmt: skip
    closed = {"share_type": "not_shared", "conditions": ""}
    faults = check(office.viewer("hou"), entry(**closed), resource=case.resource)
    assert ("share_type", "share_type_forced") in {(fault.path, fault.code) for fault in faults}
    number = office.changed(case.resource, share_type="non_restricted", conditions="", ground="")
    office.send(number)
    office.go_on(number)
    assert Resource.objects.get(id=case.resource).shared
    assert Sharing.objects.filter(resource=case.resource, origin="ruling", ended_at=None).count() == 1


def test_an_entry_does_not_go_to_another_regions_department(guangzhou):
    case = guangzhou.published()
    Department.objects.create(
        code="440105-housing", word="housing", region="440105", name_zh="海珠区住建局", short_zh="住建",
        name_en="Haizhu housing", kind="organ", level="district", active=True,
    )  # fmt: skip
    faults = check(guangzhou.viewer("hou"), entry(department="440105-housing"), resource=case.resource)
    assert ("department", "department_refused") in {(fault.path, fault.code) for fault in faults}
