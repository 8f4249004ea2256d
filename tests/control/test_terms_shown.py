"""Whoever decides on a grant sees every term of it; of an interface the operations are chosen one by one."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from django.conf import settings as configured
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Item, Resource, Service, ServiceKind
from shuqiao.control.grants.models import Grant
from shuqiao.control.interfaces.actions import offer_interface
from shuqiao.control.requests.actions import submit_request, take_step
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.drafts import start_renewal
from shuqiao.control.requests.inputs import StepInput
from shuqiao.control.requests.models import Request
from shuqiao.control.requests.pages import request_case
from shuqiao.rules.rows import Row
from shuqiao.rules.sharing import Way, WayKind
from shuqiao.wire.grant import decode_grant

from .conftest import BIRTH, NOW, audit_entries
from .test_interfaces import DOCUMENT

TWO_LOOKS = (
    DOCUMENT
    + """
  /births/{number}/exists:
    get:
      operationId: hasMother
      summary: 是否登记母亲
      parameters: [{name: number, in: path, required: true, schema: {type: string}}]
      responses:
        "200":
          description: 登记
          content:
            application/json:
              schema: {type: object, properties: {mother_name: {type: string}}}
""".encode()
)
MOTHER = {"mother_name": "核对母亲姓名"}


def page(username: str, address: str, language: str = "zh-hans", data=None) -> str:
    """A page as an account sees it; with `data` it is posted."""
    client = Client(headers={"accept-language": language})
    client.force_login(Account.objects.get(username=username))
    client.cookies["django_language"] = language
    found = client.get(address) if data is None else client.post(address, data, follow=True)
    return found.content.decode()


@pytest.fixture
def by_interface(city):
    """The births, served by the interface of health alone, with two operations for the mother's name."""
    Service.objects.filter(resource=BIRTH, kind=ServiceKind.TABLE).update(ended_at=NOW)
    Item.objects.filter(resource_id=BIRTH).update(modes=["verify", "query"])
    offer_interface(city.viewer("chen"), BIRTH, TWO_LOOKS, 10)
    return city


def asked(city, **changes) -> str:
    """A request of housing to query the mother's name."""
    given = {"mode": "query", "items": MOTHER, "channels": ("interface",)}
    return submit_request(city.viewer("lin"), city.wanted(**(given | changes)))


def answered(city, number: str, **changes) -> str:
    """The grant that health gives."""
    given = {"decisions": {"mother_name": True}, "mode": "query", "operations": ("getBirth", "hasMother")}
    return answer_request(city.viewer("chen"), number, city.answer(**(given | changes)))


def operations(grant: str) -> tuple[str, ...]:
    """The operations in the signed grant."""
    return decode_grant(Grant.objects.get(number=grant).document).operations


@pytest.mark.requirement("REQ-10")
def test_the_leader_sees_every_term_before_confirming(city, settings):
    settings.CONFIG = replace(
        configured.CONFIG, regulation="shenyang-2016", regulation_fallback="guangzhou-2016"
    )
    number = submit_request(city.viewer("lin"), city.wanted())
    take_step(city.viewer("chen"), number, "receive_form", StepInput(received_on=clock.today()))
    answer_request(
        city.viewer("chen"), number, city.answer(match="each", case_required=True, signed_calls=True)
    )
    shown = page("gong", f"/requests/{number}/")
    for words in ("逐项答复", "每次使用必须填写", "每次调用单独签名", "提供途径", "谁可以用", "app-housing"):
        assert words in shown, words
    english = page("gong", f"/requests/{number}/", "en")
    for words in ("item by item", "every use must name one", "each call is signed by itself"):
        assert words in english, words
    take_step(city.viewer("gong"), number, "confirm", StepInput())
    [grant] = Grant.objects.values_list("number", flat=True)
    given = page("chen", f"/grants/{grant}/")
    for words in ("逐项答复", "每次使用必须填写", "每次调用单独签名"):
        assert words in given, words


def test_what_is_not_demanded_is_said_too(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    grant = answer_request(city.viewer("chen"), number, city.answer(match="all"))
    shown = page("lin", f"/grants/{grant}/")
    assert "合并答复，全部一致才答一致" in shown and "不强制填写" in shown


@pytest.mark.requirement("MOD-07")
def test_the_reviewer_ticks_the_operations_that_are_granted(by_interface):
    city = by_interface
    number = asked(city)
    form = page("chen", f"/requests/{number}/")
    for one in ("getBirth", "hasMother"):
        assert f'id="operation-{one}" value="{one}" checked' in form
    # A file can't be filtered: it isn't proposed where not every item is given.
    assert 'id="operation-getPaper" value="getPaper">' in form
    assert "是否登记母亲" in form and "应答含：母亲姓名" in form
    data = {
        "decision": "grant", "granted": ["mother_name"], "mode": "query", "channels.shown": "1",
        "channels": ["interface"], "operations.shown": "1", "operations": ["hasMother"], "purpose": "公租房",
        "valid_from": "2026-11-11", "valid_until": "2027-01-01", "applications": ["app-housing-portal"],
    }  # fmt: skip
    page("chen", f"/requests/{number}/answer", data=data)
    [grant] = Grant.objects.values_list("number", flat=True)
    assert operations(grant) == ("hasMother",)
    assert "是否登记母亲（hasMother）" in page("lin", f"/grants/{grant}/")
    assert "是否登记母亲（hasMother）" in page("lin", f"/requests/{number}/").partition('id="history"')[2]
    last = request_case(city.viewer("lin"), number).history
    assert [one.zh for row in last for one in row.operations] == ["是否登记母亲（hasMother）"]
    assert len(audit_entries("grant_issued")) == 1


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"operations": ()}, ("operations", "field_required")),
        ({"operations": ("getPaper",)}, ("operations", "operation_not_granted")),
        ({"operations": ("getBirth", "deleteBirth")}, ("operations", "operation_not_granted")),
        ({"rows": (Row("sex_code", "eq", ("2",)),)}, ("rows", "interface_rows")),
        ({"pseudonyms": True}, ("pseudonyms", "interface_pseudonyms")),
    ],
)
def test_what_an_interface_cannot_be_held_to_is_refused(by_interface, changes, fault):
    number = asked(by_interface)
    with pytest.raises(FormRefused) as error:
        answered(by_interface, number, **changes)
    assert fault in {(one.field, one.code) for one in error.value.faults}
    assert not Grant.objects.exists()


def test_a_form_that_was_sent_without_its_markers_opens_nothing(by_interface):
    number = asked(by_interface)
    data = {
        "decision": "grant", "granted": ["mother_name"], "mode": "query", "operations": ["hasMother"],
        "purpose": "公租房", "valid_from": "2026-11-11", "valid_until": "2027-01-01",
        "applications": ["app-housing-portal"],
    }  # fmt: skip
    assert "请至少选一个接口操作" in page("chen", f"/requests/{number}/answer", data=data)
    assert not Grant.objects.exists()


RENAMED = TWO_LOOKS.replace(b"hasMother", b"motherKnown")


def test_a_renewal_whose_operation_is_gone_ticks_nothing_and_is_refused_until_somebody_ticks(by_interface):
    city = by_interface
    grant = answered(city, asked(city), operations=("hasMother",))
    offer_interface(city.viewer("chen"), BIRTH, RENAMED, 10)
    with clock.fixed(NOW + timedelta(days=340)):
        start_renewal(city.viewer("lin"), grant)
        number = asked(city, renews=grant, wanted_until=date(2028, 9, 1))
        form = (
            page("chen", f"/requests/{number}/").partition('id="operations"')[2].partition("</fieldset>")[0]
        )
        assert "motherKnown" in form and " checked" not in form
        for none in ((), None):
            with pytest.raises(FormRefused) as error:
                answered(city, number, operations=none, valid_until=date(2027, 12, 1))
            assert {(one.field, one.code) for one in error.value.faults} == {("operations", "field_required")}
        found = answered(city, number, operations=("motherKnown",), valid_until=date(2027, 12, 1))
    assert operations(found) == ("motherKnown",)


@pytest.mark.parametrize(("renamed", "given"), [(False, ("hasMother",)), (True, None)])
def test_a_renewal_given_at_once_signs_no_grant_without_operations(
    by_interface, monkeypatch, settings, renamed, given
):
    city = by_interface
    grant = answered(city, asked(city), operations=("hasMother",))
    settings.CONFIG = replace(
        configured.CONFIG, regulation="xiamen-2015", regulation_fallback="guangzhou-2016"
    )
    at_once = Way(WayKind.IMMEDIATE, "12(1)", "", ())
    monkeypatch.setattr("shuqiao.control.requests.actions.way_of_request", lambda *_: at_once)
    if renamed:
        offer_interface(city.viewer("chen"), BIRTH, RENAMED, 10)
    with clock.fixed(NOW + timedelta(days=340)):
        renewed = lambda: asked(city, renews=grant, wanted_until=date(2027, 12, 1))  # noqa: E731
        if given is None:
            with pytest.raises(FormRefused) as error:
                renewed()
            assert {one.code for one in error.value.faults} == {"field_required"}
            assert Grant.objects.count() == 1
        else:
            assert operations(Grant.objects.get(request_number=renewed()).number) == given


def test_what_is_given_at_once_opens_all_that_the_items_open(by_interface, monkeypatch, settings):
    settings.CONFIG = replace(
        configured.CONFIG, regulation="xiamen-2015", regulation_fallback="guangzhou-2016"
    )
    at_once = Way(WayKind.IMMEDIATE, "12(1)", "", ())
    monkeypatch.setattr("shuqiao.control.requests.actions.way_of_request", lambda *_: at_once)
    found = Grant.objects.get(request_number=asked(by_interface)).number
    assert operations(found) == ("getBirth", "hasMother")


def test_a_renewal_proposes_the_operations_that_were_given(by_interface):
    city = by_interface
    grant = answered(city, asked(city), operations=("hasMother",))
    with clock.fixed(NOW + timedelta(days=340)):
        start_renewal(city.viewer("lin"), grant)
        number = asked(city, renews=grant, wanted_until=date(2028, 9, 1))
        form = page("chen", f"/requests/{number}/")
    assert 'id="operation-hasMother" value="hasMother" checked' in form
    assert 'id="operation-getBirth" value="getBirth">' in form


def test_signatures_call_by_call_are_offered_where_there_are_calls(city):
    number = submit_request(city.viewer("lin"), city.wanted(mode="query", items=MOTHER))
    form = page("chen", f"/requests/{number}/")
    assert 'data-sq-modes="verify query"' in form and 'id="signed_calls"' in form
    Request.objects.filter(number=number).update(mode="bulk")
    Resource.objects.filter(pk=BIRTH).update(modes=["query", "bulk"])
    assert 'id="signed_calls"' not in page("chen", f"/requests/{number}/")
