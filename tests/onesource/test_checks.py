"""Is this already available? A form's fields are looked up, answered with holder and mode, and recorded."""

from dataclasses import replace

import pytest

from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.onesource.availability import availability
from shuqiao.control.onesource.check_page import check_list
from shuqiao.control.onesource.checks import FormInput, check_form
from shuqiao.control.onesource.models import FormCheck
from shuqiao.control.onesource.uploads import labels_of_text
from shuqiao.rules.errors import PermissionDenied
from tests.control.conftest import BIRTH, audit_entries
from tests.control.conftest import HOUSEHOLD as HOUSEHOLD_ENTRY

FORM = "申请人姓名\n身份证号\n户籍地派出所\n新生儿姓名\n出生证编号\n宠物名字"


def form(**changes: object) -> FormInput:
    given = FormInput("公租房申请表", "public", "", labels_of_text(FORM))
    return replace(given, **changes)


def found(city, by: str, *labels: str, branch: str = ""):
    return {one.label: one for one in availability(city.viewer(by), labels, branch)}


@pytest.mark.requirement("COL-04", source="GZ16:49¶1")
@pytest.mark.requirement("COL-04", source="GZ165:4(3)")
def test_each_field_says_whether_from_whom_and_how_it_can_be_had(city) -> None:
    at = found(city, "lin", *FORM.split("\n"))
    assert {label: one.verdict for label, one in at.items()} == {
        "申请人姓名": "available",
        "身份证号": "available",
        "户籍地派出所": "available",
        "新生儿姓名": "available",
        "出生证编号": "available",
        "宠物名字": "none",
    }
    name = at["申请人姓名"].options[0]
    assert (name.resource, name.field, name.how) == (HOUSEHOLD_ENTRY, "name", "asked_of")
    assert name.modes and name.way == "review" and 60 < name.confidence < 100
    assert at["出生证编号"].options[0].resource == BIRTH


def test_a_department_is_told_what_it_has_itself(city) -> None:
    assert found(city, "zhao", "户籍地派出所")["户籍地派出所"].verdict == "own"
    # Births are registered by health and police together.
    assert found(city, "zhao", "出生医学证号")["出生医学证号"].verdict == "own"


def test_a_common_name_alone_is_a_choice_and_a_longer_one_a_hint(city) -> None:
    assert found(city, "lin", "性别")["性别"].verdict == "choice"
    inside = found(city, "lin", "配偶户籍地派出所名")["配偶户籍地派出所名"]
    assert inside.verdict == "choice" and inside.options[0].how == "contained"


def test_what_is_not_shared_is_not_promised(city, settings) -> None:
    Resource.objects.filter(id=HOUSEHOLD_ENTRY).update(shared=False)
    assert found(city, "lin", "户籍地派出所")["户籍地派出所"].verdict == "none"
    Resource.objects.filter(id=HOUSEHOLD_ENTRY).update(shared=True, state="withdrawn")
    assert found(city, "lin", "户籍地派出所")["户籍地派出所"].verdict == "none"


@pytest.mark.requirement("COL-04", source="GZ16:49¶1")
@pytest.mark.requirement("COL-04", source="GZINT:§3¶1")
def test_a_check_is_recorded_with_its_article(city) -> None:
    number = check_form(city.viewer("lin"), form())
    check = FormCheck.objects.get(number=number)
    assert (check.fields, check.available, check.article) == (6, 5, "guangzhou-2016 art. 49")
    assert check.department_id == "440100-housing" and check.audience == "public"
    assert list(check.rows.values_list("position", "label"))[5] == (6, "宠物名字")
    assert audit_entries("form_checked") == [
        ("440100-housing", None, "account:lin", None, None, number, "checked")
    ]


@pytest.mark.requirement("COL-04", source="XM:14¶1")
@pytest.mark.requirement("COL-04", source="SY:20(5)¶3")
@pytest.mark.requirement("COL-04", source="GZ165:4(3)")
@pytest.mark.parametrize(
    ("rules", "article"),
    [
        ("xiamen-2015", "xiamen-2015 art. 14¶1"),
        ("shenyang-2016", "shenyang-2016 art. 20(5)"),
        ("guangzhou-2019", "guangzhou-2019 art. 4(3)"),
    ],
)
def test_each_city_cites_its_own_article(city, settings, rules, article) -> None:
    settings.CONFIG = replace(settings.CONFIG, regulation=rules, regulation_fallback="guangzhou-2016")
    number = check_form(replace(city.viewer("lin"), capabilities=frozenset({"catalogue_search"})), form())
    assert FormCheck.objects.get(number=number).article == article


@pytest.mark.requirement("COL-04", source="GZ16:49¶3")
def test_forms_for_e_licences_count_as_asking_people(city) -> None:
    check_form(city.viewer("lin"), form(audience="licence", title="营业执照换发"))
    check_form(city.viewer("lin"), form(audience="internal"))
    asking = check_list(city.viewer("zhou"), asking=True, page=1)
    assert [(row.title, row.public) for row in asking.rows] == [("营业执照换发", True)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "<b>x"}, "title"),
        ({"audience": "x"}, "audience"),
        ({"branch": "999"}, "branch"),
    ],
)
def test_a_faulty_form_is_refused_and_nothing_is_kept(city, changes, field) -> None:
    with pytest.raises(FormRefused, match=field):
        check_form(city.viewer("lin"), form(**changes))
    assert not FormCheck.objects.exists()


def test_who_may_not_search_may_not_check(city) -> None:
    with pytest.raises(PermissionDenied):
        check_form(replace(city.viewer("lin"), capabilities=frozenset()), form())


def test_two_thousand_fields_take_few_queries(city, django_assert_max_num_queries) -> None:
    labels = [f"第{n}栏户籍地派出所" for n in range(1000)] + [f"姓名{n}" for n in range(1000)]
    with django_assert_max_num_queries(10):
        assert len(availability(city.viewer("lin"), labels)) == 2000
