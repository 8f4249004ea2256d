"""Departments' own interfaces: registered with their description, shown, tried with samples, granted."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from openapi_spec_validator import OpenAPIV31SpecValidator

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Service, ServiceKind
from shuqiao.control.interfaces.actions import offer_interface
from shuqiao.control.interfaces.granting import operations_granted
from shuqiao.control.interfaces.models import Interface
from shuqiao.control.interfaces.pages import interface_page, try_call
from shuqiao.rules.errors import PermissionDenied

from .conftest import BIRTH, NOW, audit_entries, beyond_control, rows

DOCUMENT = """
openapi: 3.0.3
info: {title: 出生登记查询接口（样例）, version: "1.0"}
paths:
  /births/{number}:
    get:
      operationId: getBirth
      summary: 按出生医学证明编号查询
      parameters:
        - {name: number, in: path, required: true, schema: {type: string, maxLength: 20}, example: A123456789}
      responses:
        "200":
          description: 出生登记
          content:
            application/json:
              schema:
                type: object
                properties:
                  birthNumber: {type: string, x-shuqiao-item: birth_certificate_number}
                  mother_name: {type: string, example: 样例母亲}
                  ward: {type: string, description: 内部病区}
                  pages: {type: integer, x-shuqiao-item: none}
  /births/{number}/paper:
    get:
      operationId: getPaper
      parameters: [{name: number, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: 证明, content: {application/pdf: {}}}}
""".encode()


@pytest.fixture
def offered(city):
    """The births with an interface of the health department and no table of the platform."""
    Service.objects.filter(resource=BIRTH).update(ended_at=NOW)
    offer_interface(city.viewer("chen"), BIRTH, DOCUMENT, 10)
    return city


@pytest.mark.requirement("MOD-07")
def test_an_interface_is_registered_for_pages_and_plane_with_its_entry(offered):
    assert Service.objects.get(resource=BIRTH, ended_at=None).kind == ServiceKind.INTERFACE
    [(spec,)] = rows("SELECT spec FROM exchange.interface WHERE resource_id = %s", BIRTH)
    told = json.loads(spec) if isinstance(spec, str) else spec
    assert [one["id"] for one in told["description"]["operations"]] == ["getBirth", "getPaper"]
    assert told["limits"]["timeout_s"] == 10
    [(department, provider, actor, resource, *_)] = audit_entries("interface_offered")
    assert (department, provider, actor, resource) == (
        "440100-health",
        "440100-health",
        "account:chen",
        BIRTH,
    )


def test_a_new_description_ends_the_old_one_and_keeps_it(offered):
    offer_interface(offered.viewer("chen"), BIRTH, DOCUMENT.replace(b'"1.0"', b'"1.1"'), 20)
    assert [(one.version, one.ended_at is None) for one in Interface.objects.order_by("id")] == [
        ("1.0", False),
        ("1.1", True),
    ]
    assert Service.objects.filter(resource=BIRTH, kind=ServiceKind.INTERFACE).count() == 1


@pytest.mark.parametrize("stranger", ["hou", "bai", "ma"])
def test_only_the_provider_registers(city, stranger):
    with pytest.raises((NotFound, PermissionDenied)):
        offer_interface(city.viewer(stranger), BIRTH, DOCUMENT, 10)
    assert not Interface.objects.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((b"openapi: 3.0.3", b"swagger: '2.0'"), "version 3"),
        ((b"    get:\n      operationId: getBirth", b"    put:\n      operationId: getBirth"), "PUT"),
        ((b"{type: string, maxLength: 20}", b'{$ref: "https://example.org/x.json"}'), "within the document"),
        ((b"operationId: getPaper", b"operationId: getBirth"), "stands twice"),
        ((b"pages: {type: integer", b"pages: {type: string"), "technical value"),
        ((DOCUMENT, b"a: &a [x]\nb: *a\n"), "aliases"),
        ((DOCUMENT, b"{" * 100_000), "neither JSON nor YAML"),
        ((DOCUMENT, b"x" * 600_000), "larger"),
        ((DOCUMENT, b"\xff\xfe"), "neither JSON nor YAML"),
    ],
)
def test_a_description_that_cannot_be_carried_is_refused_with_its_place(city, change, said):
    with pytest.raises(FormRefused) as error:
        offer_interface(city.viewer("chen"), BIRTH, DOCUMENT.replace(*change), 10)
    [fault] = error.value.faults
    assert fault.field == "document" and said in fault.message.en
    assert not Interface.objects.exists() and not rows("SELECT FROM exchange.interface")


def test_a_grant_opens_the_operations_whose_answer_holds_a_granted_item(offered):
    every = set(offered_fields())
    assert operations_granted(BIRTH, "query", ("mother_name",), ()) == ("getBirth",)
    assert operations_granted(BIRTH, "query", ("sex_code",), ()) == ()
    assert operations_granted(BIRTH, "query", every, every) == ("getBirth", "getPaper")
    # A file can't be masked: where one item is, it is not given.
    assert operations_granted(BIRTH, "query", every, every - {"mother_citizen_id_number"}) == ("getBirth",)
    assert operations_granted(BIRTH, "verify", every, every) == ()
    Service.objects.filter(resource=BIRTH, kind=ServiceKind.TABLE).update(ended_at=None)
    assert operations_granted(BIRTH, "query", every, every) == ()


def offered_fields() -> list[str]:
    """Every item of the births."""
    return [field for (field,) in rows("SELECT field FROM catalogue_item WHERE resource_id = %s", BIRTH)]


@pytest.mark.requirement("MOD-11")
def test_the_console_answers_with_samples_and_judges_parameters_as_the_plane_does(offered):
    viewer = offered.viewer("lin")
    trial = try_call(viewer, BIRTH, "getBirth", {"number": "A1"})
    assert json.loads(trial.answer) == {
        "birthNumber": "样例birth_certificate_number",
        "mother_name": "样例母亲",
        "pages": 1,
    }
    assert try_call(viewer, BIRTH, "getBirth", {"number": "A" * 21}).fault == "number"
    assert try_call(viewer, BIRTH, "getBirth", {"number": "A1", "other": "x"}).fault == "other"
    with pytest.raises(NotFound):
        try_call(viewer, BIRTH, "deleteBirth", {})


@pytest.mark.requirement("MOD-11")
def test_failing_calls_are_told_by_system_to_the_provider_and_to_whose_they_are(offered):
    with beyond_control():
        rows(
            "INSERT INTO exchange.interface_outcome VALUES"
            " ('2026-11-10', %s, '440100-health', '440100-housing', 'app-housing-rental', 'getBirth',"
            " 'interface_failed', 3, now()), ('2026-11-10', %s, '440100-health', '440100-housing',"
            " 'app-housing-rental', 'getBirth', 'answered', 4, now()) RETURNING 1",
            BIRTH,
            BIRTH,
        )
    for reader in ("chen", "hou", "zhou"):
        [row] = interface_page(offered.viewer(reader), BIRTH).outcomes
        assert (row.application, row.calls, row.failed) == ("app-housing-rental", 7, 3)
    assert interface_page(offered.viewer("zhao"), BIRTH).outcomes == ()


@pytest.mark.requirement("MOD-07")
def test_the_interface_on_its_page(offered):
    client = Client()
    client.force_login(Account.objects.get(username="hou"))
    entry = client.get(f"/catalogue/{BIRTH}/").content.decode()
    assert f"/catalogue/{BIRTH}/interface/" in entry and "接口服务" in entry
    page = client.get(f"/catalogue/{BIRTH}/interface/").content.decode()
    assert f"POST /v1/resources/{BIRTH}/interface/getBirth" in page and "不提供" in page
    assert "登记接口" not in page and "更换接口描述" not in page
    tried = client.post(f"/catalogue/{BIRTH}/interface/", {"operation": "getBirth", "p-number": "A1"})
    assert tried.status_code == 200 and "样例母亲" in tried.content.decode()
    wrong = client.post(f"/catalogue/{BIRTH}/interface/", {"operation": "getBirth", "p-number": ""})
    assert wrong.status_code == 422 and "不符合接口说明" in wrong.content.decode()


def test_the_provider_registers_on_the_page(city):
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    address = f"/catalogue/{BIRTH}/interface/"
    assert "登记接口" in client.get(address).content.decode()
    refused = client.post(address, {"timeout_s": "99", "document": SimpleUploadedFile("a.yaml", b"a: 1")})
    assert refused.status_code == 422 and "接口描述不能使用" in refused.content.decode()
    made = client.post(
        address, {"timeout_s": "10", "document": SimpleUploadedFile("a.yaml", DOCUMENT)}, follow=True
    )
    assert made.status_code == 200 and "出生登记查询接口" in made.content.decode()
    other = Client()
    other.force_login(Account.objects.get(username="hou"))
    Interface.objects.all().delete()
    assert other.get(address).status_code == 404


@pytest.mark.requirement("MOD-07")
def test_the_page_says_how_to_call_it_and_gives_its_openapi_document(offered):
    client = Client()
    client.force_login(Account.objects.get(username="hou"))
    page = client.get(f"/catalogue/{BIRTH}/interface/").content.decode()
    command = f"shuqiao interface getBirth --app app-housing-rental --resource {BIRTH}"
    assert f"{command} --param number=A123456789" in page
    assert "部门接口暂停转发" in page and "10 秒" in page
    answer = client.get(f"/catalogue/{BIRTH}/interface/openapi.json")
    assert answer["Content-Disposition"] == f'attachment; filename="{BIRTH}.openapi.json"'
    document = answer.json()
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    call = document["paths"][f"/v1/resources/{BIRTH}/interface/getBirth"]["post"]
    given = call["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    assert set(given) == {"birthNumber", "mother_name", "pages"}, "what is never given stands in no document"
    asked = call["requestBody"]["content"]["application/json"]["schema"]["properties"]["parameters"]
    assert asked["required"] == ["number"] and asked["properties"]["number"]["maxLength"] == 20
    assert "interface_resting" in call["responses"]["503"]["description"]
    paper = document["paths"][f"/v1/resources/{BIRTH}/interface/getPaper"]["post"]
    assert set(paper["responses"]["200"]["content"]) == {"application/pdf"}


def test_without_an_interface_there_is_no_document(city):
    client = Client()
    client.force_login(Account.objects.get(username="hou"))
    assert client.get(f"/catalogue/{BIRTH}/interface/openapi.json").status_code == 404


def test_the_page_is_english_for_english_readers(offered):
    client = Client(headers={"accept-language": "en"})
    client.force_login(Account.objects.get(username="hou"))
    client.cookies["django_language"] = "en"
    page = client.get(f"/catalogue/{BIRTH}/interface/").content.decode()
    for words in ("How to call it", "Limits and refusals", "left alone", "Mother", "Text", "Technical"):
        assert words in page, words
