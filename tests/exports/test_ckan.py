"""The read actions of CKAN's API as CKAN's own client calls them, over HTTP."""

import json
import time
from urllib.parse import urlsplit

import ckanapi
import pytest
import requests
from ckanapi.errors import CKANAPIError, NotAuthorized, NotFound, SearchQueryError, ValidationError
from django.test import Client

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.exports import limits
from shuqiao.control.exports.ckan import ACTIONS
from shuqiao.control.exports.ckan_query import CkanRefused, read_filter
from shuqiao.control.exports.selecting import Condition
from shuqiao.control.organisations.actions import ApplicationInput, enrol_application
from shuqiao.control.organisations.models import Application
from shuqiao.control.texts import Text
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, key_signer, sign_request
from tests.exports.conftest import BIRTH, HOUSEHOLD


class ByDjango(requests.adapters.BaseAdapter):
    """Carries a client's requests to the application in this process and transaction."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client

    def send(self, request, **_):
        path = request.path_url
        headers = {name: value for name, value in request.headers.items() if name != "Content-Length"}
        body = request.body or b""
        headers["Host"] = "testserver"
        kind = headers.pop("Content-Type", "application/octet-stream")
        answer = self.client.generic(request.method, path, body, content_type=kind, headers=headers)
        response = requests.Response()
        response.status_code = answer.status_code
        response._content = answer.content
        response.headers.update(answer.headers)
        response.request, response.url, response.encoding = request, request.url, "utf-8"
        return response

    def close(self):
        pass


def ckan(username: str = "", *, get_only: bool = False, auth=None) -> ckanapi.RemoteCKAN:
    """CKAN's client, signed in as an account where a name is given."""
    browser = Client()
    if username:
        browser.force_login(Account.objects.get(username=username))
    session = requests.Session()
    session.mount("http://testserver", ByDjango(browser))
    session.auth = auth
    return ckanapi.RemoteCKAN("http://testserver", session=session, get_only=get_only)


class Signed(requests.auth.AuthBase):
    """Signs each request as an application of a department."""

    def __init__(self, key) -> None:
        self.signer = key_signer(key)

    def __call__(self, request):
        parts = urlsplit(request.url)
        target = (request.method, parts.netloc, parts.path)
        context = CallContext(end_user="-")
        request.headers.update(
            sign_request(self.signer, target, request.body or b"", context, int(time.time()))
        )
        return request


def enrolled(name: str = "app-housing-reader"):
    """The key of a new application of housing."""
    key = keys.generate_signing_key()
    der = keys.public_der(key.public_key())
    words = Text("读目录", "Reads the catalogue")
    enrol_application(ApplicationInput(name, "440100-housing", words, "ed25519", der), "system:test")
    return key


@pytest.mark.requirement("PUB-01")
@pytest.mark.parametrize("get_only", [False, True])
def test_anybody_finds_what_is_open_and_nothing_else(city, get_only):
    reader = ckan(get_only=get_only)
    found = reader.action.package_search()
    assert (found["count"], [one["id"] for one in found["results"]]) == (1, [BIRTH])
    assert reader.action.package_list() == [BIRTH]
    assert [one["id"] for one in reader.action.current_package_list_with_resources()] == [BIRTH]
    assert reader.action.organization_list() == ["440100-health"]
    assert reader.action.group_list() == ["theme-101"]
    assert reader.action.package_show(id=BIRTH)["title"] == "出生登记信息"
    assert reader.action.site_read() is True
    assert reader.action.status_show()["site_url"] == "http://testserver"


@pytest.mark.requirement("CAT-27")
def test_a_department_reads_the_same_entries_of_all_providers_in_one_place(city):
    found = ckan("lin").action.package_search(rows=1000)
    assert found["count"] == Resource.objects.count() == len(found["results"])
    assert len({one["owner_org"] for one in found["results"]}) > 3
    # Whoever asks of the same side gets the same entry, the provider itself included.
    mine, others = (ckan(who).action.package_show(id=HOUSEHOLD) for who in ("lin", "zhao"))
    assert mine == others


@pytest.mark.requirement("CAT-24")
def test_an_entry_leads_to_the_services_that_offer_its_data(city):
    entry = Resource.objects.get(id=HOUSEHOLD)
    entry.services.create(
        kind="interface", place="https://example.invalid/api", offered_at=entry.published_at
    )
    resources = ckan("lin").action.package_show(id=HOUSEHOLD)["resources"]
    modes = [vocabulary().modes[mode].zh for mode in entry.modes]
    assert modes
    assert [one["name"] for one in resources] == [*modes, "接口"]
    assert resources[-1]["url"] == "https://example.invalid/api"
    assert all(one["format"] == "API" for one in resources)


def test_data_that_stay_with_their_department_are_given_out_in_its_modes(city):
    entry = Resource.objects.get(id=HOUSEHOLD)
    entry.services.update(kind="node")
    Resource.objects.filter(id=HOUSEHOLD).update(modes=["verify", "query", "bulk"])
    resources = ckan("lin").action.package_show(id=HOUSEHOLD)["resources"]
    modes = [vocabulary().modes[mode].zh for mode in ("verify", "query")]
    assert [one["name"] for one in resources] == modes, "nobody copies what stays"


def test_an_application_of_a_department_reads_the_sharing_catalogue(city):
    reader = ckan(auth=Signed(enrolled()))
    assert reader.action.package_search(rows=0)["count"] == Resource.objects.count()
    assert reader.action.package_show(id=HOUSEHOLD)["id"] == HOUSEHOLD


def test_a_wrong_signature_is_refused_and_never_read_as_the_public(city):
    with pytest.raises(NotAuthorized):
        ckan(auth=Signed(keys.generate_signing_key())).action.package_list()
    key = enrolled()
    Application.objects.filter(id="app-housing-reader").update(active=False)
    with pytest.raises(NotAuthorized):
        ckan(auth=Signed(key)).action.package_list()


@pytest.mark.parametrize("action", ["package_show", "organization_show", "group_show"])
def test_hidden_and_absent_are_one_answer(city, action):
    hidden = {"package_show": HOUSEHOLD, "organization_show": "440100-police", "group_show": "theme-102"}[
        action
    ]
    answers = []
    for wanted in (hidden, "r440100aaaaaaaaaa", "nothing", "../x", "a" * 200):
        response = Client().get(f"/api/3/action/{action}", {"id": wanted})
        answers.append((response.status_code, response.content.replace(wanted.encode(), b"")))
        with pytest.raises(NotFound):
            ckan().call_action(action, {"id": wanted})
    assert len(set(answers)) == 1
    assert ckan("lin").call_action(action, {"id": hidden})["id"] == hidden


def test_what_is_hidden_is_not_counted_anywhere(city):
    reader = ckan()
    facets = ["organization", "groups", "tags", "library", "update_cycle", "share_type"]
    found = reader.action.package_search(**{"facet.field": json.dumps(facets)})
    assert set(found["facets"]["organization"].items()) == {("440100-health", 1)}
    assert all(sum(values.values()) <= 1 for values in found["facets"].values())
    assert reader.action.organization_list(all_fields=True)[0]["package_count"] == 1
    for filters in (
        "organization:440100-police",
        f"id:{HOUSEHOLD}",
        "-open_to_public:true",
        "library:legal_entity",
    ):
        assert reader.action.package_search(fq=filters)["count"] == 0
    assert set(reader.action.tag_list()) == {
        "基础信息资源类",
        "人口信息",
        "人口基础信息库",
        *categories(BIRTH),
    }


def categories(resource: str) -> set[str]:
    """The category of an entry, where it has one."""
    return set(filter(None, [Resource.objects.get(id=resource).category_zh]))


def test_facets_count_what_a_filter_then_finds(city):
    reader = ckan("lin")
    fields = ["organization", "groups", "library", "update_cycle", "tags"]
    found = reader.action.package_search(rows=0, **{"facet.field": fields, "facet.limit": 1000})
    assert found["search_facets"]["groups"]["items"][0]["display_name"] in ("人口信息", "法人单位信息")
    for field in fields:
        assert found["facets"][field]
        for value, count in found["facets"][field].items():
            assert reader.action.package_search(rows=0, fq=f'{field}:"{value}"')["count"] == count


@pytest.mark.parametrize(
    ("filters", "conditions"),
    [
        ("", []),
        ("*:*", []),
        ("organization:440100-health", [Condition("department", ("440100-health",))]),
        ('+tags:"人口信息"', [Condition("tag", ("人口信息",))]),
        ("-id:x AND NOT name:y", [Condition("id", ("x",), True), Condition("id", ("y",), True)]),
        ('library:(population OR "legal_entity")', [Condition("library", ("population", "legal_entity"))]),
        ("groups:theme-101 state:active", [Condition("subject", ("101",))]),
        ("groups:theme-999", [Condition("subject", ())]),
        ("state:deleted", [Condition("id", ())]),
        ("dataset_type:dataset +private:false", []),
        ("open_to_public:true", [Condition("open", ("true",))]),
    ],
)
def test_filters_are_read_as_they_are_meant(filters, conditions):
    assert read_filter(filters) == conditions


@pytest.mark.parametrize(
    "filters",
    [
        "nosuchfield:x",
        "password:x",
        "department__credit_code:x",
        "id:a*",
        "id:[a TO z]",
        "id:{!join}",
        'id:"a',
        "id:(a OR",
        "id:(a AND b)",
        "id:a OR id:b",
        "NOT",
        "plain words",
        "id:a:b",
        "id:'; DROP TABLE x; --",
        "_query_:x",
        " AND ".join(["id:x"] * 21),
        "id:" + "x" * 1000,
        "id:(" + " OR ".join(["x"] * 60) + ")",
    ],
)
def test_filters_that_cannot_be_read_are_refused_and_not_passed_over(city, filters):
    with pytest.raises(CkanRefused):
        read_filter(filters)
    with pytest.raises((SearchQueryError, ValidationError)):
        ckan("lin").action.package_search(fq=filters)


@pytest.mark.parametrize(
    "given",
    [
        {"rows": -1},
        {"rows": "many"},
        {"rows": 1.5},
        {"rows": True},
        {"start": "-1"},
        {"start": "９"},
        {"q": ["a"]},
        {"q": "x" * 501},
        {"facet.field": "[1"},
        {"facet.field": [1]},
        {"facet": "perhaps"},
        {"bogus": 1},
        {"fl": "password"},
    ],
)
def test_parameters_that_cannot_be_read_are_named(city, given):
    with pytest.raises(ValidationError) as refused:
        ckan("lin").call_action("package_search", given)
    assert next(iter(given)) in refused.value.error_dict


def test_rows_are_bounded_and_sorted(city):
    reader = ckan("lin")
    assert len(reader.action.package_search(rows=10**9)["results"]) == Resource.objects.count()
    names = [one["name"] for one in reader.action.package_search(rows=1000, sort="name desc")["results"]]
    assert names == sorted(names, reverse=True)
    pages = [
        reader.action.package_search(rows=5, start=at, sort="name asc")["results"] for at in range(0, 25, 5)
    ]
    assert [one["name"] for page in pages for one in page] == names[::-1]
    assert reader.action.package_list(limit=3, offset=2) == names[::-1][2:5]
    for sort in ("password asc", "name sideways", "id; drop", "score desc, nothing"):
        with pytest.raises(SearchQueryError):
            reader.action.package_search(sort=sort)


def test_words_find_entries_and_their_names_come_first(city):
    assert ckan("lin").action.package_search(q="出生登记")["results"][0]["id"] == BIRTH
    assert ckan().action.package_search(q="出生登记")["count"] == 1
    assert ckan().action.package_search(q="户籍登记")["count"] == 0
    assert ckan("lin").action.package_search(q="户籍登记")["results"][0]["id"] == HOUSEHOLD
    assert ckan("lin").action.package_search(q="*:*")["count"] == Resource.objects.count()


@pytest.mark.parametrize(
    "action", ["package_create", "package_delete", "user_list", "user_show", "x", "ACTIONS"]
)
def test_there_are_only_actions_that_read(city, action):
    with pytest.raises(CKANAPIError):
        ckan("lin").call_action(action, {"id": BIRTH})
    assert all(name.endswith(("_search", "_show", "_list", "_read", "_resources")) for name in ACTIONS)


@pytest.mark.parametrize("body", [b"[", b"[]", b"1", b'"x"', b"\xff", b'{"a":' * 5000, b"{}" + b" " * 70_000])
def test_bodies_that_are_no_object_are_refused(city, body):
    response = Client().post("/api/3/action/package_list", body, content_type="application/json")
    assert response.status_code == 400
    assert response.json()["success"] is False


def test_every_action_explains_itself(city):
    for name in ACTIONS:
        assert ckan().action.help_show(name=name) == ACTIONS[name].__doc__


def test_nothing_says_who_works_where(city):
    told = json.dumps(ckan("lin").action.package_search(rows=1000), ensure_ascii=False)
    told += json.dumps(ckan("lin").action.organization_show(id="440100-health", include_datasets=True))
    for account in Account.objects.all():
        assert f'"{account.username}"' not in told
    assert '"users": []' in told


def test_who_asks_too_often_waits(city, monkeypatch):
    monkeypatch.setattr(limits, "EACH", limits.Allowance(3, 1, 10))
    asked = [Client().get("/api/3/action/site_read").status_code for _ in range(5)]
    assert asked == [200, 200, 200, 429, 429]
    refused = Client().get("/dcat/catalog")
    assert (refused.status_code, refused["Content-Type"]) == (429, "application/problem+json")
    assert int(refused["Retry-After"]) > 0
    # Somebody else and who is signed in are still answered.
    assert Client(REMOTE_ADDR="203.0.113.7").get("/dcat/catalog").status_code == 200
    assert ckan("lin").action.site_read() is True


def test_an_allowance_fills_up_again_and_forgets_the_oldest():
    now = [0.0]
    allowance = limits.Allowance(2, 60, 3, lambda: now[0])
    assert [allowance.wait_s("a") for _ in range(3)] == [0, 0, 2]
    now[0] = 1.0
    assert [allowance.wait_s("a") for _ in range(2)] == [0, 2]
    for key in "bcd":
        allowance.wait_s(key)
    assert len(allowance._buckets) == 3
