"""The libraries of the platform and the classification of every entry."""

import pytest
from django.db import IntegrityError, transaction

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.libraries import libraries
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.regulations.current import regulation
from shuqiao.rules.entry_faults import Known, faults_of


@pytest.mark.requirement("BAS-21")
def test_the_named_libraries_exist_beside_thematic_and_business_ones_and_hold_every_entry(city) -> None:
    base, thematic, business = libraries(city.viewer("lin"))
    assert {row.key for row in base.libraries} == {
        "population",
        "legal_entity",
        "geospatial",
        "licence",
        "macro_economy",
        "policy_law",
    }
    assert thematic.libraries and business.libraries
    assert base.entries + thematic.entries + business.entries == Resource.objects.count() == 21
    assert {row.key: row.entries for row in base.libraries}["population"] == 12


@pytest.mark.requirement("BAS-21")
def test_a_library_can_be_walked_through(city, client) -> None:
    Resource.objects.filter(list_key="birth").update(library_kind="thematic", library="")
    client.force_login(Account.objects.get(username="lin"))
    listed = client.get("/libraries/").content.decode()
    assert "人口基础信息库" in listed and "宏观经济信息库" in listed and "未指定具体库" in listed
    shown = client.get("/libraries/base/population/").content.decode()
    assert "户籍登记信息" in shown and "出生登记信息" not in shown
    assert "出生登记信息" in client.get("/libraries/thematic/none/").content.decode()
    assert "还没有条目" in client.get("/libraries/base/macro_economy/").content.decode()
    for wrong in (
        "/libraries/base/nothing/",
        "/libraries/nothing/population/",
        "/libraries/thematic/population/",
    ):
        assert client.get(wrong).status_code == 404


@pytest.mark.requirement("BAS-21")
@pytest.mark.requirement("ING-12")
def test_no_entry_is_stored_without_its_classification_and_kind_of_library(city) -> None:
    for column, wrong in (("subject", ""), ("subject", "9"), ("library_kind", "")):
        with pytest.raises(IntegrityError), transaction.atomic():
            Resource.objects.filter(list_key="birth").update(**{column: wrong})


@pytest.mark.requirement("ING-12")
@pytest.mark.parametrize(
    ("subject", "code"),
    [("", "field_required"), ("99900001", "subject_unknown"), ("1", "subject_unknown"), ("10100901", None)],
)
def test_an_entry_is_classified_by_the_city_s_standard_before_it_can_be_submitted(
    city, subject, code
) -> None:
    content = Resource.objects.get(list_key="birth").content | {"subject": subject}
    entry = entry_from(content)
    known = Known(
        departments={entry.department, *entry.joint},
        words=vocabulary().keys(),
        duties={},
        resources=lambda _: (),
    )
    found = {fault.path: fault.code for fault in faults_of(entry, known, regulation())}
    assert found.get("subject") == code
