"""Who may have what was granted, that nothing is given on, and whose it is once delivered, city by city."""

import itertools
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest
from django.test import Client
from django.urls import get_resolver

from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Item, Resource, Sharing
from shuqiao.control.compiling.checking import check
from shuqiao.control.grants.models import Grant
from shuqiao.control.organisations.models import Duty
from shuqiao.control.regulations import files
from shuqiao.control.regulations.current import regulation
from shuqiao.control.requests.actions import submit_request, take_step
from shuqiao.control.requests.answering import AnswerInput, answer_request
from shuqiao.control.requests.inputs import RequestInput, StepInput
from shuqiao.control.requests.models import Request
from shuqiao.rules.capabilities import Capability
from shuqiao.rules.entries import Entry
from shuqiao.rules.exchange import Allowed, CallFacts, Channel, GrantFacts, Match, Mode, decide_call
from shuqiao.rules.ids import ApplicationId, DepartmentCode, GrantId, ResourceId, resource_id
from shuqiao.rules.rows import Row
from shuqiao.wire.grant import decode_grant

from .conftest import NOW, rows
from .test_cities import asked, installed, page, viewer

__all__ = ["installed"]

CITY_SOURCES = {
    "SEC-03": {"guangzhou-2016": "GZ16:38¶2", "xiamen-2015": "XM:13(1-3)", "shenyang-2016": "SY:24(1)"},
    "SEC-14": {"guangzhou-2016": "GZ16:4¶2", "xiamen-2015": "XM:5(5)", "shenyang-2016": "SY:23¶1"},
    "SEC-17": {"guangzhou-2016": "GZ16:5¶1", "xiamen-2015": "XM:17", "shenyang-2016": "SY:23¶2"},
    "MOD-05": {"xiamen-2015": "XM:13(1-3)", "shenyang-2016": "SY:20(4)¶3"},
}


def cities(requirement: str) -> pytest.MarkDecorator:
    """One case a city, each proving its own article."""
    return pytest.mark.parametrize(
        "installed",
        [
            pytest.param(name, marks=pytest.mark.requirement(requirement, source=source))
            for name, source in CITY_SOURCES[requirement].items()
        ],
        indirect=True,
    )


def granted(region: str) -> Grant:
    """Ask for two items, answer as the city wants it, and return the grant."""
    number = asked(region)
    if regulation().procedure("request").action("receive_form"):
        take_step(viewer("chen"), number, "receive_form", StepInput(received_on=NOW.date()))
    given = AnswerInput(
        decisions={"mother_name": True, "mother_citizen_id_number": True},
        match="each",
        valid_until=date(2027, 11, 11),
    )
    if answer_request(viewer("chen"), number, given) is None:
        take_step(viewer("gong"), number, "confirm", StepInput())
    return Grant.objects.get(request_number=number)


def facts_of(grant: Grant) -> GrantFacts:
    """What the plane knows of a grant, out of its signed document."""
    document = decode_grant(grant.document)
    return GrantFacts(
        id=GrantId(document.id),
        department=DepartmentCode(document.department),
        resource_id=ResourceId(document.resource),
        mode=Mode(document.mode),
        items=frozenset(document.items),
        match=Match(document.match),
        applications=frozenset(ApplicationId(one) for one in document.applications),
        purpose=document.purpose,
        valid_from=document.valid_from,
        valid_until=document.valid_until,
        channels=frozenset(Channel(one) for one in document.channels),
    )


def call_of(facts: GrantFacts) -> CallFacts:
    """A call that the grant covers."""
    return CallFacts(
        application=next(iter(facts.applications)),
        department=facts.department,
        resource_id=facts.resource_id,
        mode=facts.mode,
        fields=tuple(facts.items),
        grant=facts.id,
        purpose=facts.purpose,
        channel=next(iter(facts.channels)),
    )


def others(facts: GrantFacts) -> dict[str, object]:
    """For each thing access depends on, something that was not granted."""
    return {
        "application": "app-other",
        "department": "440100-police",
        "resource_id": "r440100aaaaaaaaaa",
        "mode": next(mode for mode in Mode if mode is not facts.mode),
        "fields": (*facts.items, "father_name"),
        "grant": "G-2026-9999",
        "purpose": "另一用途",
        "channel": next(channel for channel in Channel if channel not in facts.channels),
    }


@cities("SEC-03")
def test_access_needs_body_application_entry_item_mode_purpose_and_channel_at_once(installed) -> None:
    _, expected = installed
    facts = facts_of(granted(expected.region))
    right = call_of(facts)
    assert isinstance(decide_call(right, [facts], NOW), Allowed)
    wrong = others(facts)
    for count in (1, 2):
        for names in itertools.combinations(wrong, count):
            call = replace(right, **{name: wrong[name] for name in names})
            assert not isinstance(decide_call(call, [facts], NOW), Allowed), names
    # Deny by default: without a grant, before its first day and after its last there is nothing.
    assert not isinstance(decide_call(right, [], NOW), Allowed)
    for days in (-1, 366):
        assert not isinstance(decide_call(right, [facts], NOW + timedelta(days=days)), Allowed)


@cities("MOD-05")
def test_in_every_mode_only_the_named_application_has_access(installed) -> None:
    _, expected = installed
    facts = facts_of(granted(expected.region))
    for mode in Mode:
        given = replace(facts, mode=mode)
        call = replace(call_of(given), mode=mode)
        assert isinstance(decide_call(call, [given], NOW), Allowed), mode
        for application in ("app-other", f"{call.application}-2", ""):
            strange = replace(call, application=ApplicationId(application))
            assert not isinstance(decide_call(strange, [given], NOW), Allowed), (mode, application)


@cities("SEC-14")
def test_no_page_gives_on_what_was_received(installed) -> None:
    """Whoever holds a grant, whatever role they have, no address turns it into somebody else's."""
    _, expected = installed
    grant = granted(expected.region)
    before = (grant.document, sorted(grant.applications.values_list("id", flat=True)))
    numbers = {"number": grant.number, "grant": grant.number, "resource": grant.resource_id}
    fields = {
        "decision": "grant", "granted": ["mother_name"], "mode": "verify", "match": "each",
        "department": f"{expected.region}-police", "consumer": f"{expected.region}-police",
        "departments": [f"{expected.region}-police"], "applications": ["app-other"],
        "valid_from": "2026-11-11", "valid_until": "2027-11-11", "purpose": "转给公安",
    }  # fmt: skip
    roles = [role.key for role in regulation().roles]
    reached = 0
    for role in roles:
        account = Account.objects.get(username="lin")
        account.role = role
        account.save()
        client = Client()
        client.force_login(account)
        for route in routes(numbers):
            if "revoke" not in route and "sign-out" not in route and "language" not in route:
                reached += client.post(route, fields).status_code in (200, 302)
    assert reached, "no address took anything, so nothing was tried"
    now = Grant.objects.get(pk=grant.pk)
    assert (now.document, sorted(now.applications.values_list("id", flat=True))) == before
    housing = f"{expected.region}-housing"
    assert not Grant.objects.filter(provider_id=housing).exists()
    assert not rows("SELECT id FROM exchange.\"grant\" WHERE document::json->>'provider' = %s", housing)


def routes(numbers: dict[str, str]) -> list[str]:
    """Every address of the pages whose parts are known, filled with the grant's own."""
    found = []
    for pattern in get_resolver().url_patterns[-1].url_patterns:
        parts = pattern.pattern.converters
        if set(parts) <= set(numbers):
            address = str(pattern.pattern)
            for name in parts:
                address = address.replace(f"<str:{name}>", numbers[name])
            found.append(f"/{address}")
    return [one for one in found if "<" not in one]


@pytest.mark.requirement("SEC-14", source="SY:4(4)")
def test_no_role_has_a_word_for_giving_on() -> None:
    """Grants come from answers, and from what is open to all: no capability gives what was received."""
    giving = {"request_answer", "answer_confirm"}
    assert {one.value for one in Capability if "grant" in one.value} == {"grant_use", "grant_revoke"}
    for name in ("guangzhou-2016", "xiamen-2015", "shenyang-2016"):
        for role in files.load_regulation(name).roles:
            if role.key == "clerk":
                assert giving.isdisjoint(role.capabilities), (name, role.key)


@cities("SEC-17")
def test_the_page_of_a_grant_says_who_answers_from_delivery_on(installed) -> None:
    _, expected = installed
    grant = granted(expected.region)
    shown = page("lin", f"/grants/{grant.number}/", "zh-hans")
    assert "每次交付的时间和内容由留痕固定" in shown
    cited = regulation().citations["after_delivery"]
    boundary = shown.split('id="boundary"')[1].split("</section>")[0]
    assert cited.split("(")[0].split("¶")[0] in boundary
    assert "没有转授功能" in boundary
    assert "The log fixes the moment and content" in page("lin", f"/grants/{grant.number}/", "en")


# ------------------------------------------------------------------------------ channels of an entry


@dataclass(frozen=True)
class Confined:
    """An entry of Shenyang that is connected with parallel approval."""

    resource: str
    region: str


@pytest.fixture
def confined(installed) -> Confined:
    """The birth list, marked as connected with parallel approval, its data offered by the platform."""
    _, expected = installed
    key = resource_id(expected.region, "birth")
    resource = Resource.objects.get(pk=key)
    Sharing.objects.filter(resource=resource, item=None, ended_at=None).delete()
    resource.content = {**resource.content, "relations": ["parallel_approval"]}
    resource.save()
    return Confined(key, expected.region)


@pytest.mark.requirement("MOD-08", source="SY:21")
@pytest.mark.parametrize("installed", ["shenyang-2016"], indirect=True)
def test_what_serves_parallel_approval_is_asked_for_by_interface_only(confined) -> None:
    given = wanted(confined.region, channels=("download",), items={"newborn_name": "核对"}, unmask={})
    with pytest.raises(FormRefused) as error:
        submit_request(viewer("lin"), given)
    [fault] = [one for one in error.value.faults if one.field == "channels"]
    assert fault.code == "interface_only" and "第二十一条" in fault.message.zh
    assert submit_request(viewer("lin"), replace(given, channels=("interface",)))
    shown = page("lin", f"/catalogue/{confined.resource}/", "zh-hans")
    supply = shown.split('id="supply"')[1].split("</section>")[0]
    assert "接口交换" in supply and "文件下载" not in supply and "第二十一条" in supply


@pytest.mark.requirement("MOD-08", source="SY:21")
@pytest.mark.parametrize("installed", ["shenyang-2016"], indirect=True)
def test_an_entry_of_such_work_cannot_be_compiled_with_another_way(installed) -> None:
    entry = Entry(manner=("platform_file",), relations=("parallel_approval",))
    [fault] = [one for one in check(viewer("chen"), entry) if one.path == "manner"]
    assert (fault.code, fault.article) == ("interface_only", "shenyang-2016 art. 21")
    for changed in (
        replace(entry, manner=("platform_service",)),
        replace(entry, relations=("integrated_management",)),
    ):
        assert not [one for one in check(viewer("chen"), changed) if one.path == "manner"]
    realtime = replace(entry, relations=(), update_cycle="realtime")
    assert [one.code for one in check(viewer("chen"), realtime) if one.path == "manner"] == ["interface_only"]


# ------------------------------------------------------------------- what a leader confirms, what is at once


def wanted(region: str, **changes) -> RequestInput:
    """A query of housing for the health status of a newborn, as it is."""
    given = {
        "resource": resource_id(region, "birth"),
        "mode": "query",
        "channels": ("interface",),
        "duty": Duty.objects.get(department_id=f"{region}-housing", number=1).pk,
        "purpose": "新生儿补助核发",
        "items": {"newborn_name": "核对", "health_status_code": "补助标准"},
        "unmask": {"health_status_code": "按健康状况确定补助标准"},
        "applications": ("app-housing",),
        "accepted_conditions": tuple(one.key for one in regulation().conditions),
        "wanted_until": date(2027, 11, 11),
    }
    return RequestInput(**(given | changes))


@pytest.mark.requirement("SEC-18", source="SY:28")
@pytest.mark.parametrize("installed", ["shenyang-2016"], indirect=True)
def test_the_leader_confirms_the_terms_that_were_proposed_and_no_others(installed) -> None:
    _, expected = installed
    number = submit_request(viewer("lin"), wanted(expected.region))
    take_step(viewer("chen"), number, "receive_form", StepInput(received_on=NOW.date()))
    given = AnswerInput(
        decisions={"newborn_name": True, "health_status_code": True},
        mode="query",
        valid_until=date(2027, 11, 11),
        rows=(Row("birth_date", "range", ("2026-01-01", "")),),
        unmasked=frozenset({"health_status_code"}),
        pseudonyms=True,
        signed_calls=True,
    )
    assert answer_request(viewer("chen"), number, given) is None
    shown = page("gong", f"/requests/{number}/", "zh-hans")
    for words in ("以假名标识代替", "每次调用单独签名", "自 2026-01-01 起", "给原值的敏感项"):
        assert words in shown, words
    granted_as = take_step(viewer("gong"), number, "confirm", StepInput())
    document = decode_grant(Grant.objects.get(number=granted_as).document)
    assert (document.mode, document.unmasked) == ("query", ("health_status_code",))
    assert document.pseudonyms and document.signed_calls
    assert [(row.field, row.values) for row in document.rows] == [("birth_date", ("2026-01-01", ""))]


@pytest.fixture
def opened(installed) -> str:
    """The birth list of a city, open to all departments; its region."""
    _, expected = installed
    rules = regulation()
    free = next(one for one in rules.share_types.types if one.openness == 2)
    resource = Resource.objects.get(pk=resource_id(expected.region, "birth"))
    Sharing.objects.filter(resource=resource).delete()
    Sharing.objects.create(
        resource=resource, regulation=rules.id, share_type=free.key, openness=2, origin="initial",
        version=1, set_at=NOW,
    )  # fmt: skip
    return expected.region


@pytest.mark.requirement("SEC-18", source="XM:4¶3")
@pytest.mark.parametrize("installed", ["xiamen-2015", "shenyang-2016"], indirect=True)
def test_what_is_granted_at_once_is_masked_and_never_wider_than_published(opened) -> None:
    open_items = {"newborn_name": "核对", "birth_date": "核对"}
    narrow = (Row("birth_date", "range", ("2026-01-01", "")),)
    number = submit_request(viewer("lin"), wanted(opened, items=open_items, unmask={}, rows=narrow))
    document = decode_grant(Grant.objects.get(request_number=number).document)
    assert (document.issued_by, document.mode, document.channels) == ("platform", "query", ("interface",))
    assert document.unmasked == () and [row.field for row in document.rows] == ["birth_date"]
    Grant.objects.all().delete()
    # A business secret in the clear, or a condition that tells what is not given, needs a reviewer.
    Item.objects.filter(resource_id=resource_id(opened, "birth"), field="newborn_name").update(
        business_secret=True
    )
    for changes in (
        {"unmask": {"newborn_name": "需要全名"}, "rows": ()},
        {"unmask": {}, "rows": (Row("certificate_issuing_unit", "null"),)},
        {"unmask": {}, "items": open_items, "rows": (Row("health_status_code", "null"),)},
    ):
        asked_for = wanted(opened, **({"items": open_items} | changes))
        waiting = submit_request(viewer("lin"), asked_for)
        assert Request.objects.get(number=waiting).phase == "waiting", changes
    assert not Grant.objects.exists()
