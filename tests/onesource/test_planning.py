"""What can be had by sharing is not collected again, and every item rests on a duty."""

from dataclasses import replace

import pytest

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.onesource.models import CollectionPlan, PlannedItem
from shuqiao.control.onesource.planning import PlanInput, PlannedInput, register_plan, withdraw_plan
from shuqiao.control.organisations.models import Duty
from shuqiao.rules.errors import PermissionDenied
from tests.control.conftest import HOUSEHOLD as HOUSEHOLD_ENTRY
from tests.control.conftest import audit_entries

LAW = "《样本条例》第八条"


def duty() -> int:
    return Duty.objects.get(department_id="440100-housing", number=1).pk


def plan(*items: PlannedInput, **changes: object) -> PlanInput:
    return PlanInput(
        **({"title": "租赁备案采集", "purpose": "办理租赁备案", "branch": "", "items": items} | changes)
    )


def wanted(name: str, **more: object) -> PlannedInput:
    return PlannedInput(name, duty(), **more)


@pytest.mark.requirement("COL-02", source="GZ16:3¶1")
@pytest.mark.requirement("COL-02", source="GZINT:§3¶1")
def test_what_can_be_had_by_sharing_is_refused_with_article_holder_and_way_to_ask(city) -> None:
    with pytest.raises(FormRefused) as refused:
        register_plan(city.viewer("lin"), plan(wanted("租赁合同编号"), wanted("户籍地派出所")))
    (fault,) = refused.value.faults
    assert (fault.field, fault.code) == ("item-1", "already_available")
    assert "公安" in fault.message.zh and "第三条第一款" in fault.message.zh
    assert "申请共享" in fault.message.zh
    assert not CollectionPlan.objects.exists()


@pytest.mark.requirement("COL-02", source="GZ16:3¶1")
def test_the_law_that_lets_it_be_collected_again_is_recorded(city) -> None:
    number = register_plan(
        city.viewer("lin"),
        plan(wanted("户籍地派出所", ground_rank="rule", ground=LAW), wanted("租赁合同编号")),
    )
    again, free = PlannedItem.objects.filter(plan__number=number)
    assert (again.outcome, again.ground, again.held_resource_id, again.article) == (
        "again",
        LAW,
        HOUSEHOLD_ENTRY,
        "guangzhou-2016 art. 3(1)",
    )
    assert (free.outcome, free.held_resource_id) == ("free", None)
    assert audit_entries("collection_planned") == [
        ("440100-housing", None, "account:lin", None, None, number, "planned")
    ]


@pytest.mark.requirement("COL-02", source="SY:14¶2")
@pytest.mark.requirement("COL-02", source="SY:4(1)")
@pytest.mark.requirement("COL-02", source="SY:27(3)")
@pytest.mark.requirement("COL-02", source="XM:5(3)")
@pytest.mark.requirement("COL-02", source="GZ165:18")
@pytest.mark.requirement("COL-02", source="HZ:6¶2-3")
@pytest.mark.requirement("COL-02", source="GD08:8")
@pytest.mark.parametrize(
    ("rules", "article", "rule_will_do"),
    [
        ("guangzhou-2016", "细则 第三条第一款", True),
        ("guangzhou-2019", "第十八条", True),
        ("haizhu-draft", "海珠征求意见稿 第六条第二款", True),
        ("xiamen-2015", "第五条第(三)项", False),
        ("shenyang-2016", "第十四条第二款", False),
        ("guangdong-2008", "广东试行办法 第八条", False),
    ],
)
def test_each_city_cites_its_own_article_and_takes_its_own_ranks(
    city, settings, rules, article, rule_will_do
) -> None:
    viewer = city.viewer("lin")
    fallback = None if rules == "guangzhou-2016" else "guangzhou-2016"
    settings.CONFIG = replace(settings.CONFIG, regulation=rules, regulation_fallback=fallback)
    with pytest.raises(FormRefused, match="already_available") as refused:
        register_plan(viewer, plan(wanted("户籍地派出所")))
    assert article in refused.value.faults[0].message.zh
    by_rule = plan(wanted("户籍地派出所", ground_rank="rule", ground=LAW))
    if rule_will_do:
        register_plan(viewer, by_rule)
    else:
        with pytest.raises(FormRefused, match="ground_rank_refused"):
            register_plan(viewer, by_rule)
        register_plan(viewer, plan(wanted("户籍地派出所", ground_rank="local_regulation", ground=LAW)))


def test_a_rank_alone_or_a_policy_is_no_ground(city) -> None:
    for item in (
        wanted("户籍地派出所", ground_rank="law"),
        wanted("户籍地派出所", ground_rank="policy", ground="通知"),
        wanted("户籍地派出所", ground="某规定"),
    ):
        with pytest.raises(FormRefused, match="ground_"):
            register_plan(city.viewer("lin"), plan(item))


def test_another_datum_under_the_same_name_is_registered_with_its_reason(city) -> None:
    register_plan(city.viewer("lin"), plan(wanted("户籍地派出所", other="指出租屋管辖派出所")))
    item = PlannedItem.objects.get()
    assert (item.outcome, item.ground, item.ground_rank) == ("other", "指出租屋管辖派出所", "")


@pytest.mark.requirement("COL-03", source="GZ16:8¶1")
@pytest.mark.requirement("COL-03", source="SY:14¶1")
@pytest.mark.requirement("COL-03", source="SY:4(1)")
@pytest.mark.requirement("COL-03", source="SY:27(3)")
@pytest.mark.requirement("COL-03", source="XM:8")
@pytest.mark.requirement("COL-03", source="GZ165:18")
@pytest.mark.parametrize(
    ("rules", "article"),
    [
        ("guangzhou-2016", "guangzhou-2016 art. 8(1)"),
        ("guangzhou-2019", "guangzhou-2019 art. 18"),
        ("xiamen-2015", "xiamen-2015 art. 8"),
        ("shenyang-2016", "shenyang-2016 art. 14(1)"),
    ],
)
def test_an_item_without_a_duty_is_flagged_everywhere(city, settings, rules, article) -> None:
    viewer = city.viewer("lin")
    fallback = None if rules == "guangzhou-2016" else "guangzhou-2016"
    settings.CONFIG = replace(settings.CONFIG, regulation=rules, regulation_fallback=fallback)
    number = register_plan(viewer, plan(PlannedInput("宠物名字"), wanted("租赁合同编号")))
    flagged = PlannedItem.objects.filter(plan__number=number, duty=None)
    assert [(item.name, item.article) for item in flagged] == [("宠物名字", article)]


def test_a_duty_must_be_the_departments_own(city) -> None:
    other = Duty.objects.filter(department_id="440100-health").first()
    with pytest.raises(FormRefused, match="duty_unknown"):
        register_plan(city.viewer("lin"), plan(PlannedInput("宠物名字", other.pk)))


@pytest.mark.parametrize(
    "changes",
    [
        {"title": ""},
        {"purpose": "<i>"},
        {"items": ()},
        {"items": (PlannedInput("宠物名字"), PlannedInput("宠物的名字"))},
        {"items": (PlannedInput("（）"),)},
        {"items": tuple(PlannedInput(f"项{n}") for n in range(201))},
    ],
)
def test_a_faulty_plan_is_refused_whole(city, changes) -> None:
    with pytest.raises(FormRefused):
        register_plan(
            city.viewer("lin"),
            plan(PlannedInput("宠物名字"), **changes)
            if "items" not in changes
            else replace(plan(), **changes),
        )
    assert not CollectionPlan.objects.exists()


def test_a_plan_is_taken_back_by_its_department_only_and_stays_on_record(city) -> None:
    number = register_plan(city.viewer("lin"), plan(wanted("租赁合同编号")))
    with pytest.raises(NotFound):
        withdraw_plan(city.viewer("chen"), number)
    withdraw_plan(city.viewer("lin"), number)
    withdraw_plan(city.viewer("lin"), number)
    assert CollectionPlan.objects.get(number=number).withdrawn_at is not None
    assert len(audit_entries("collection_withdrawn")) == 1
    with pytest.raises(PermissionDenied):
        register_plan(city.viewer("zhou"), plan(PlannedInput("宠物名字")))
