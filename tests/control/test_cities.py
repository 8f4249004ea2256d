"""One installation under the rules of each city: bodies, names, terms and steps come from its files alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from html import unescape

import pytest
from django.conf import settings as configured
from django.test import Client

from shuqiao.control.accounts.access import Viewer, viewer_of
from shuqiao.control.accounts.models import Account
from shuqiao.control.basedata.citations import store_citations
from shuqiao.control.catalogue.actions import load_base_lists
from shuqiao.control.clocks.queries import clocks_of
from shuqiao.control.grants.models import Grant
from shuqiao.control.operations.seed import seed_departments
from shuqiao.control.organisations.actions import ApplicationInput, enrol_application
from shuqiao.control.organisations.models import Department, Duty
from shuqiao.control.regulations.current import forget_calendar, regulation
from shuqiao.control.requests.actions import submit_request, take_step
from shuqiao.control.requests.answering import AnswerInput, answer_request
from shuqiao.control.requests.inputs import RequestInput, StepInput
from shuqiao.control.requests.models import Request
from shuqiao.control.requests.pages import request_case
from shuqiao.control.texts import Text
from shuqiao.rules.ids import resource_id
from shuqiao.security import keys
from tests.control.conftest import NOW, rows

PEOPLE = (
    ("lin", "housing", "clerk"),
    ("chen", "health", "sharing_officer"),
    ("gong", "health", "leader"),
    ("zheng", "data", "coordinator"),
)


@dataclass(frozen=True)
class Expected:
    """What differs: region, the competent department, share types, the day of reply, who else must agree."""

    region: str
    competent: str
    agency: str
    types: tuple[str, ...]
    reply_due_on: date
    provision: bool
    fallback: str | None = None
    cites: str = ""
    on_paper: bool = False
    by_leader: bool = False


CITIES = {
    "guangzhou-2016": Expected(
        "440100",
        "市信息化主管部门",
        "平台管理机构",
        (),
        date(2026, 11, 25),
        provision=True,
        cites="guangzhou-2016 art. 35(1)",
    ),
    "guangzhou-2019": Expected(
        "440100",
        "市政务信息共享主管部门",
        "政务信息共享平台管理机构",
        ("不予共享", "有条件共享", "无条件共享"),
        date(2026, 11, 25),
        provision=True,
        fallback="guangzhou-2016",
        cites="guangzhou-2016 art. 35(1)",
    ),
    "xiamen-2015": Expected(
        "350200",
        "市信息化主管部门",
        "市信息技术服务中心（电子政务中心）",
        ("授权共享类", "开放共享类"),
        date(2026, 11, 18),
        provision=False,
        cites="xiamen-2015 art. 12(2)",
    ),
    "shenyang-2016": Expected(
        "210100",
        "市大数据管理局",
        "市电子政务管理办公室",
        ("非共享类", "受限共享类", "非受限共享类"),
        date(2026, 11, 20),
        provision=False,
        cites="shenyang-2016 art. 20(4)",
        on_paper=True,
        by_leader=True,
    ),
    # A district: its own bodies and share types, the rest is the city's, by the file's own fallback.
    "haizhu-draft": Expected(
        "440105",
        "区电子政务主管部门",
        "平台管理机构",
        ("不予共享", "有条件共享", "无条件共享"),
        date(2026, 11, 25),
        provision=True,
        cites="guangzhou-2016 art. 35(1)",
    ),
}
PROVES = {
    "guangzhou-2016": pytest.mark.requirement("ORG-11", source="GZ16:6¶1"),
    "guangzhou-2019": pytest.mark.requirement("ORG-11", source="GZ165:5¶2"),
    "xiamen-2015": pytest.mark.requirement("ORG-11", source="XM:6¶1"),
    "shenyang-2016": pytest.mark.requirement("ORG-11", source="SY:5(2)"),
    "haizhu-draft": pytest.mark.requirement("XDL-06", source="GZ16:48"),
}


@pytest.fixture(params=[pytest.param(name, marks=mark) for name, mark in PROVES.items()])
def installed(request, settings, db) -> Iterator[tuple[str, Expected]]:
    """An installation seeded under a city's rules; only two settings tell it which."""
    name: str = request.param
    expected = CITIES[name]
    settings.CONFIG = replace(configured.CONFIG, regulation=name, regulation_fallback=expected.fallback)
    forget_calendar()
    keys.load_or_create_signing_key(settings.CONFIG.grant_key_file)
    rules = regulation()
    store_citations()
    seed_departments(rules)
    load_base_lists(rules, "system:test")
    for username, word, role in PEOPLE:
        Account.objects.create(
            username=username,
            display_name=username,
            department_id=f"{rules.region}-{word}",
            role=role,
            password="!",
            created_at=NOW,
        )
    der = keys.public_der(keys.generate_signing_key().public_key())
    enrol_application(
        ApplicationInput(
            "app-housing", f"{rules.region}-housing", Text("房", "House"), "ed25519", der, portal=True
        ),
        "system:test",
    )
    yield name, expected
    forget_calendar()


def viewer(username: str) -> Viewer:
    """An account as the actions see it."""
    return viewer_of(Account.objects.select_related("department").get(username=username))


def asked(region: str) -> str:
    """Send a request for two items of the birth list and return its number."""
    given = RequestInput(
        resource=resource_id(region, "birth"),
        duty=Duty.objects.get(department_id=f"{region}-housing", number=1).pk,
        purpose="公租房亲子关系核验",
        items={"mother_name": "核对", "mother_citizen_id_number": "核对"},
        applications=("app-housing",),
        accepted_conditions=tuple(one.key for one in regulation().conditions),
        wanted_until=date(2027, 11, 11),
    )
    return submit_request(viewer("lin"), given)


def page(username: str, address: str, language: str) -> str:
    """A page as an account sees it."""
    client = Client()
    client.force_login(Account.objects.get(username=username))
    client.cookies[configured.LANGUAGE_COOKIE_NAME] = language
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return unescape(answer.content.decode())


def test_bodies_and_names_are_those_of_the_city(installed) -> None:
    _, expected = installed
    rules = regulation()
    bodies = {body.key: body.zh for body in rules.body_roles}
    assert (bodies["competent"], bodies["platform_agency"]) == (expected.competent, expected.agency)
    assert tuple(one.zh for one in rules.share_types.types) == expected.types
    competent = Department.objects.filter(roles__contains=["competent"])
    assert [one.region for one in competent] == [expected.region]
    stored = dict(rows("SELECT matter, citation FROM exchange.citation"))
    assert any(rules.id in citation for citation in stored.values()) and len(stored) > 8


def test_a_request_goes_from_draft_to_grant_by_the_citys_own_steps_and_terms(installed) -> None:
    name, expected = installed
    number = asked(expected.region)
    chen, offers = viewer("chen"), [one.action for one in request_case(viewer("chen"), number).offers]
    assert ("receive_form" in offers) is expected.on_paper
    if expected.on_paper:
        take_step(chen, number, "receive_form", StepInput(received_on=NOW.date()))
    [reply] = clocks_of("request", [number])[number]
    assert (reply.due_on, reply.due.article) == (expected.reply_due_on, expected.cites)
    answer = AnswerInput(
        decisions={"mother_name": True, "mother_citizen_id_number": True},
        mode="verify",
        match="each",
        valid_until=date(2027, 11, 11),
    )
    granted = answer_request(chen, number, answer)
    assert (granted is None) is expected.by_leader
    if expected.by_leader:
        granted = take_step(viewer("gong"), number, "confirm", StepInput())
    request = Request.objects.get(number=number)
    assert (request.phase, request.regulation) == ("granted", name)
    assert Grant.objects.get(number=granted).regulation == name
    ended = {one.deadline: one.state for one in clocks_of("request", [number])[number]}
    assert ended == ({"reply": "met", "provide": "met"} if expected.provision else {"reply": "met"})
    # Every entry that a step of the request left in the log cites rules the installation works by.
    bodies = [body for (body,) in rows("SELECT body FROM audit.entry WHERE case_no = %s", number)]
    allowed = {name, *filter(None, (expected.fallback, regulation().fallback))}
    cited = [body for body in bodies if " art. " in body]
    assert cited and all(any(f"{one} art. " in body for one in allowed) for body in cited)


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_the_pages_speak_of_the_city_alone(installed, language) -> None:
    name, expected = installed
    number = asked(expected.region)
    title = regulation().title
    for username, address in (
        ("lin", "/"),
        ("lin", "/catalogue/"),
        ("lin", f"/catalogue/{resource_id(expected.region, 'birth')}/"),
        ("lin", f"/requests/new/?resource={resource_id(expected.region, 'birth')}"),
        ("lin", f"/requests/{number}/"),
        ("chen", f"/requests/{number}/"),
        ("chen", "/requests/inbox/"),
        ("zheng", "/"),
        ("zheng", "/disputes/"),
        ("zheng", f"/regulations/{name}/"),
    ):
        words = page(username, address, language)
        assert (title.en if language == "en" else title.zh) in words, address
