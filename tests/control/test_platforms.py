"""Base information on the platforms of city and districts: who provides where, what the other level gets."""

import json
from dataclasses import replace
from datetime import date
from html import unescape
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, transaction
from django.test import Client

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.actions import load_base_lists
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.platforms import open_district_lists
from shuqiao.control.grants.models import Grant
from shuqiao.control.onesource.models import Source
from shuqiao.control.onesource.register import take_in_missing
from shuqiao.control.organisations.actions import ApplicationInput, enrol_application
from shuqiao.control.organisations.models import Department, Duty
from shuqiao.control.regulations.current import data_lists, regulation
from shuqiao.control.requests.answering import AnswerInput, answer_request
from shuqiao.control.requests.drafts import save_draft
from shuqiao.control.requests.inputs import RequestInput
from shuqiao.control.requests.models import Request
from shuqiao.control.requests.pages import request_form
from shuqiao.control.requests.platforms import submit_on_platforms
from shuqiao.control.texts import Text
from shuqiao.rules.rows import Row
from shuqiao.security import keys
from shuqiao.wire.grant import decode_grant

from .conftest import NOW, audit_entries, beyond_control, rows
from .test_audit import execute

CITY, DISTRICT, OTHER = "440100", "440105", "440106"
LIST = "marriage_adoption"
DIVISION, ISSUER = "issuing_authority_division", "issuing_authority_name"
WANTED = {"marital_status": "核对家庭成员", ISSUER: "核对登记机关"}
OWN_PEOPLE = Row(DIVISION, "eq", (DISTRICT,))


def body(word: str, *legal_names: str, region: str = DISTRICT, active: bool = True) -> Department:
    """A body of a district, invented."""
    return Department.objects.create(
        code=f"{region}-{word}", word=word, region=region, name_zh=f"{region}样例{word}", short_zh=word,
        name_en=f"Sample {word} of {region}", kind="organ", level="district", roles=["provider", "requester"],
        active=active, legal_names=list(legal_names),
    )  # fmt: skip


def person(username: str, department: str, role: str) -> None:
    """An account of a department."""
    Account.objects.create(
        username=username, display_name=username, department_id=department, role=role, password="!",
        created_at=NOW,
    )  # fmt: skip


def portal(app: str, department: str) -> None:
    """The pages' own application of a department."""
    der = keys.public_der(keys.generate_signing_key().public_key())
    enrol_application(
        ApplicationInput(app, department, Text(app, app), "ed25519", der, portal=True), "system:test"
    )


@pytest.fixture
def two_levels(city):
    """The city, and a district whose civil affairs collect marriages and whose housing office asks."""
    body("civil-affairs", "民政部门")
    body("housing")
    Duty.objects.create(
        department_id="440105-housing", number=1, text_zh="区公租房", text_en="Housing", ground="样例"
    )
    for username, department, role in (
        ("min", "440100-civil-affairs", "sharing_officer"),
        ("qumin", "440105-civil-affairs", "sharing_officer"),
        ("qufang", "440105-housing", "sharing_officer"),
    ):
        person(username, department, role)
    portal("app-haizhu-housing-portal", "440105-housing")
    open_district_lists()
    return city


def entry(region: str) -> Resource:
    """The list of marriages on one platform."""
    return Resource.objects.get(list_key=LIST, region=region)


def merge(region: str, records: dict[UUID, tuple[str, str]], by: str = "", sequence: int = 1) -> None:
    """Bring records (issuer, its division) to the list on one platform as the loader does."""
    rid = entry(region).id
    for record, (issuer, division) in records.items():
        execute(
            f"INSERT INTO staging.{rid} (record_id, subject_id, identity_version, marital_status, {ISSUER},"
            f" {DIVISION}) VALUES (%s, %s, 1, '20', %s, %s)",
            record, record, issuer, division,
        )  # fmt: skip
    execute(
        f"SELECT * FROM exchange.merge_{rid}(%s, %s, '{{}}', decode(repeat('00', 32), 'hex'), '[]', 'hydj')",
        by or f"{region}-civil-affairs", sequence,
    )  # fmt: skip


def wanted(region: str, department: str, *apps: str, **changes) -> RequestInput:
    """A complete request for marriages on one platform."""
    given = {
        "resource": entry(region).id,
        "mode": "query",
        "duty": Duty.objects.filter(department_id=department).order_by("number")[0].pk,
        "purpose": "公租房家庭成员核对",
        "items": WANTED,
        "applications": apps,
        "accepted_conditions": tuple(condition.key for condition in regulation().conditions),
        "wanted_until": date(2027, 11, 11),
    }
    return RequestInput(**(given | changes))


def granted(city, provider: str, number: str):
    """The document of the grant that the provider gives."""
    answer = AnswerInput(
        decisions=dict.fromkeys(WANTED, True), mode="query", match="all", valid_until=date(2027, 11, 11)
    )
    return decode_grant(
        Grant.objects.get(number=answer_request(city.viewer(provider), number, answer)).document
    )


def read(grant, record: UUID) -> tuple[bool, dict | None, dict]:
    """What the plane's function gives of a record under a grant, and what stands of it in the log."""
    call, conditions = uuid4(), [{"field": r.field, "op": r.op, "values": list(r.values)} for r in grant.rows]
    with beyond_control():
        [(epoch,)] = rows("SELECT value FROM exchange.epoch")
        [(found, data)] = rows(
            f"SELECT found, data FROM exchange.read_{grant.resource}(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
            " NULL, %s, %s)",
            epoch, [call], [NOW], ["query"], [grant.department], [grant.applications[0]], [grant.id], [None],
            ["answered"], [record], [json.dumps({"event": "query", "id": str(call)})],
            [json.dumps(conditions)],
        )  # fmt: skip
        [(provider, resource)] = rows("SELECT provider, resource_id FROM audit.entry WHERE id = %s", call)
    return found, data, {"provider": provider, "resource": resource}


@pytest.mark.requirement("BAS-22", source="GZ16:28¶2")
def test_a_body_of_a_district_has_its_lists_on_its_own_platform_and_the_citys_stay(city):
    before = dict(Resource.objects.values_list("id", "code"))
    body("civil-affairs", "民政部门")
    body("health", "卫生和计划生育行政部门", region=OTHER)
    body("police", "公安机关", active=False)
    body("housing")
    assert (open_district_lists(), open_district_lists()) == (5 + 3, 0)
    assert dict(Resource.objects.filter(region=CITY).values_list("id", "code")) == before
    own = {one.list_key: one for one in Resource.objects.filter(region=DISTRICT)}
    assert set(own) == {
        LIST, "minimum_living_allowance", "private_non_enterprise", "social_organisation",
        "social_welfare_institution",
    }  # fmt: skip
    others = Resource.objects.filter(region=OTHER)
    assert set(others.values_list("list_key", flat=True)) == {"birth", "death", "family_planning"}
    for key, one in own.items():
        cities = Resource.objects.get(list_key=key, region=CITY)
        assert (one.department_id, one.id[1:7]) == ("440105-civil-affairs", DISTRICT)
        assert one.city_entry_id == cities.id and one.code != cities.code
        assert one.code.partition("/")[0] == cities.code.partition("/")[0]
        items = list(one.items.values_list("field", "number", "type", "identity", "modes"))
        assert items == list(cities.items.values_list("field", "number", "type", "identity", "modes"))
        assert "海珠区" in one.platform_zh and one.content["platform"] == one.platform_zh
        with beyond_control():
            assert rows("SELECT to_regclass(%s) IS NOT NULL", f"base.{one.id}") == [(True,)]
    logged = {row[3]: (row[0], row[2]) for row in audit_entries("entry_published")}
    assert logged[own[LIST].id] == ("440105-civil-affairs", "system:platforms")


def test_several_bodies_of_a_district_keep_a_list_together_the_responsible_one_first(city):
    body("towns", "镇人民政府")
    body("aa-marriages", "民政部门")
    open_district_lists()
    held = entry(DISTRICT)
    assert held.department_id == "440105-aa-marriages"
    joint = held.joint_departments.order_by("code").values_list("code", flat=True)
    assert list(joint) == ["440105-aa-marriages", "440105-towns"]


@pytest.mark.parametrize("name", ["guangzhou-2019", "guangzhou-2016"])
def test_where_a_regulation_has_no_such_article_nothing_is_opened(city, settings, name):
    body("civil-affairs", "民政部门")
    settings.CONFIG = replace(settings.CONFIG, regulation=name, regulation_fallback="guangzhou-2016")
    assert open_district_lists() == (0 if regulation().platforms is None else 5)
    assert (regulation().platforms is None) == (name == "guangzhou-2019")


def test_the_citys_lists_are_loaded_no_second_time_beside_those_of_a_district(two_levels):
    assert load_base_lists(regulation(), "system:test") == 0
    keys_there = Resource.objects.filter(region=CITY).values_list("list_key", flat=True)
    assert sorted(keys_there) == sorted(one.key for one in data_lists(regulation().id))


@pytest.mark.requirement("BAS-22", source="GZ16:28¶2")
@pytest.mark.parametrize(("region", "by"), [(CITY, DISTRICT), (DISTRICT, CITY)])
def test_a_body_provides_to_the_platform_of_its_own_level_only(two_levels, region, by):
    with pytest.raises(DatabaseError, match="is not provided by"), transaction.atomic():
        merge(region, {uuid4(): ("样例登记处", DISTRICT)}, by=f"{by}-civil-affairs")
    merge(region, {uuid4(): ("样例登记处", DISTRICT)})
    for at, count in ((region, 1), (by, 0)):
        with beyond_control():
            [(found,)] = rows(f"SELECT count(*) FROM base.{entry(at).id}")
        assert found == count


@pytest.mark.requirement("BAS-22", source="GZ16:33¶1")
def test_what_a_district_provides_is_had_at_the_citys_level_with_its_origin(two_levels):
    here, there = uuid4(), uuid4()
    merge(CITY, {here: ("市婚姻登记处", CITY)})
    merge(DISTRICT, {there: ("海珠区婚姻登记处", DISTRICT)})
    asked = wanted(CITY, "440100-housing", "app-housing-portal")
    numbers = submit_on_platforms(two_levels.viewer("hou"), asked, [entry(DISTRICT).id])
    assert [Request.objects.get(number=one).provider_id for one in numbers] == [
        "440100-civil-affairs", "440105-civil-affairs",
    ]  # fmt: skip
    at_city = granted(two_levels, "min", numbers[0])
    at_district = granted(two_levels, "qumin", numbers[1])
    assert read(at_city, there)[0] is False, "rows lie once, where they were collected"
    found, data, logged = read(at_district, there)
    assert found and data is not None and data[ISSUER] == "海珠区婚姻登记处"
    assert logged == {"provider": "440105-civil-affairs", "resource": entry(DISTRICT).id}
    assert read(at_city, here)[1][ISSUER] == "市婚姻登记处"
    with beyond_control():
        sql = "SELECT source_department, source_system, batch_sequence FROM base.{} WHERE record_id = %s"
        assert rows(sql.format(entry(DISTRICT).id), there) == [("440105-civil-affairs", "hydj", 1)]


@pytest.mark.requirement("BAS-22", source="GZ16:33¶2")
def test_a_district_gets_of_the_citys_list_what_concerns_its_own_people(two_levels):
    own, others = uuid4(), uuid4()
    merge(CITY, {own: ("市婚姻登记处", DISTRICT), others: ("市婚姻登记处", OTHER)})
    viewer = two_levels.viewer("qufang")
    form = request_form(viewer, entry(CITY).id)
    assert form.kept_rows == (OWN_PEOPLE,), "proposed unless the body asks for others"
    given = wanted(CITY, "440105-housing", "app-haizhu-housing-portal", rows=form.kept_rows)
    [number] = submit_on_platforms(viewer, given, [])
    grant = granted(two_levels, "min", number)
    found, data, logged = read(grant, own)
    assert found and data is not None and data[ISSUER] == "市婚姻登记处"
    assert logged["provider"] == "440100-civil-affairs"
    assert read(grant, others)[:2] == (False, None)


@pytest.mark.requirement("BAS-22", source="GZ16:33¶2")
def test_from_its_own_platform_a_district_asks_for_both_with_its_own_people_at_the_citys(two_levels):
    viewer = two_levels.viewer("qufang")
    given = wanted(DISTRICT, "440105-housing", "app-haizhu-housing-portal")
    numbers = submit_on_platforms(viewer, given, [entry(CITY).id])
    asked = {one.resource.region: one.rows for one in Request.objects.filter(number__in=numbers)}
    assert asked == {
        DISTRICT: [],
        CITY: [{"field": DIVISION, "op": "eq", "values": [DISTRICT]}],
    }
    with beyond_control():
        found = rows("SELECT split_part(body, E'\\n', 1) FROM audit.entry WHERE event = 'request_submitted'")
    routes = {(json.loads(said)["filed_at"], json.loads(said)["region"]) for (said,) in found}
    assert routes == {(DISTRICT, DISTRICT), (DISTRICT, CITY)}


def test_all_requests_are_sent_or_none(two_levels):
    viewer, asked = two_levels.viewer("hou"), wanted(CITY, "440100-housing", "app-housing-portal")
    with pytest.raises(NotFound):
        submit_on_platforms(viewer, asked, [Resource.objects.get(list_key="birth", region=CITY).id])
    other = granted(
        two_levels,
        "qumin",
        submit_on_platforms(viewer, replace(asked, resource=entry(DISTRICT).id), [])[0],
    )
    assert other.department == "440100-housing"
    with pytest.raises(FormRefused) as refused:
        submit_on_platforms(viewer, asked, [entry(DISTRICT).id])
    assert [fault.code for fault in refused.value.faults] == ["already_granted"]
    assert "海珠区" in refused.value.faults[0].message.zh
    assert Request.objects.exclude(number=None).exclude(number="").count() == 1


def test_two_levels_that_collect_a_list_are_joint_sources_and_none_contests_the_other(two_levels):
    take_in_missing()
    roles = Source.objects.filter(resource=entry(DISTRICT)).values_list("role", flat=True)
    assert set(roles) == {"joint"}
    assert not Source.objects.filter(role="contested").exists()


def page(username: str, address: str) -> str:
    """A page as an account sees it."""
    client = Client()
    client.force_login(Account.objects.get(username=username))
    found = client.get(address)
    assert found.status_code == 200, address
    return unescape(found.content.decode())


@pytest.mark.requirement("BAS-22", source="GZ16:28¶2")
def test_pages_say_on_which_platform_an_entry_lies_and_where_the_same_list_is(two_levels):
    district, cities = entry(DISTRICT), entry(CITY)
    own = page("qumin", f"/catalogue/{district.id}/")
    assert "区级政府信息共享平台（海珠区）" in own and "市级政府信息共享平台" in own
    assert f'href="/catalogue/{cities.id}/"' in own
    shown = page("hou", f"/catalogue/{cities.id}/")
    assert "其他平台的同一清单" in shown and f'href="/catalogue/{district.id}/"' in shown
    hits = page("hou", "/catalogue/?q=婚姻登记")
    assert cities.code in hits and district.code in hits
    assert hits.count("区级政府信息共享平台（海珠区）") == 1
    form = page("qufang", f"/requests/new/?resource={cities.id}&step=5")
    assert "本级平台也有这份清单" in form and f'name="also" id="also-{district.id}"' in form
    assert "本级平台也有这份清单" not in page("hou", f"/requests/new/?resource={cities.id}&step=5")


def test_the_article_is_cited_for_lists_of_the_law_only(two_levels):
    from_law = entry(CITY)
    assert "第二十八条" in page("hou", f"/catalogue/{from_law.id}/")
    Resource.objects.filter(pk=from_law.pk).update(list_key=from_law.pk)
    assert "第二十八条" not in page("hou", f"/catalogue/{from_law.id}/")
    assert "其他平台的同一清单" not in page("hou", f"/catalogue/{from_law.id}/")


def test_the_form_sends_what_was_ticked(two_levels):
    viewer = two_levels.viewer("hou")
    save_draft(viewer, wanted(CITY, "440100-housing", "app-housing-portal"))
    client = Client()
    client.force_login(Account.objects.get(username="hou"))
    address = f"/requests/new/?resource={entry(CITY).id}&step=5"
    answer = client.post(address, {"go": "submit", "also": [entry(DISTRICT).id]})
    assert answer.status_code == 302
    sent = Request.objects.filter(state="submitted").values_list("resource_id", flat=True)
    assert set(sent) == {entry(CITY).id, entry(DISTRICT).id}
