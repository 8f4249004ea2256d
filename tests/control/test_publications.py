"""Passing on or publishing what was obtained: asked of the provider in writing, or not at all (SEC-15)."""

import re
from dataclasses import replace

import pytest
from django.conf import settings as configured
from django.db import IntegrityError, transaction
from django.test import Client

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.grants.actions import revoke_grant
from shuqiao.control.outside.actions import save_publication, submit_publication, take_step
from shuqiao.control.outside.inputs import PublicationInput
from shuqiao.control.outside.models import CaseEvent, Publication
from shuqiao.control.outside.pages import publication_case, publication_list
from shuqiao.control.regulations.current import regulation
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.rules.errors import (
    AlreadyDecided,
    PassingOnRefused,
    PermissionDenied,
    ShuqiaoError,
    TransitionRefused,
)
from shuqiao.rules.procedures import Accepted, Facts, decide
from shuqiao.rules.regulation import SYSTEM

from .conftest import NOW, audit_entries

HEALTH, HOUSING = "440100-health", "440100-housing"
SILENT = {
    "guangzhou-2016": "guangzhou-2016 art. 4(2)",
    "guangzhou-2019": "",
    "xiamen-2015": "xiamen-2015 art. 5(5)",
    "guangdong-2008": "",
    "haizhu-draft": "",
}
"""Cities whose text knows no consent, with the article that refuses where the file names one."""


@pytest.fixture
def granted(city):
    """Housing holds a grant of health for two items of the birth list."""
    number = submit_request(city.viewer("lin"), city.wanted())
    return answer_request(city.viewer("chen"), number, city.answer())


@pytest.fixture
def under(city, settings):
    """Run the city under another regulation."""

    def switch(name):
        fallback = None if name == "guangzhou-2016" else "guangzhou-2016"
        settings.CONFIG = replace(configured.CONFIG, regulation=name, regulation_fallback=fallback)
        return city

    return switch


@pytest.fixture
def here(granted, under):
    return under("shenyang-2016")


def given(grant, **changes):
    wanted = {
        "grant": grant,
        "fields": ("mother_name",),
        "content": "按区汇总的数量，不含个人",
        "audience": "社会公众",
        "channel": "门户网站",
        "purpose": "年度统计公报",
    }
    return PublicationInput(**(wanted | changes))


def case(number):
    return Publication.objects.get(number=number)


@pytest.mark.requirement("SEC-15", source="SY:23¶1")
def test_the_provider_is_asked_consents_and_what_was_published_is_linked(here, granted):
    number = submit_publication(here.viewer("lin"), given(granted))
    assert re.fullmatch(r"P-2026-\d{4}", number)
    row = case(number)
    assert (row.grant_id, row.fields, row.provider_id) == (granted, ["mother_name"], HEALTH)
    assert Notification.objects.get(code="publication_moved").department_id == HEALTH
    take_step(here.viewer("chen"), "publication", number, "consent", {})
    assert case(number).published == ""
    take_step(
        here.viewer("lin"),
        "publication",
        number,
        "publish",
        {"result": "统计公报2026年第3号，https://stats.example/3"},
    )
    row = case(number)
    assert row.published.startswith("统计公报2026年第3号") and row.published_at == NOW
    page = publication_case(here.viewer("chen"), number)
    assert [one.label.zh for one in page.history] == [
        "提出书面申请",
        "同意对外提供或发布",
        "登记已发布的内容",
    ]
    assert page.article.regulation == "shenyang-2016" and page.article.article == "23(1)"
    assert {entry[4] for entry in audit_entries("publication_step")} == {granted}
    assert len(audit_entries("publication_step")) == 3


@pytest.mark.requirement("SEC-15")
@pytest.mark.parametrize("name", sorted(SILENT))
def test_elsewhere_it_is_refused_with_the_article(granted, under, name):
    city = under(name)
    for act in (save_publication, submit_publication):
        with pytest.raises(PassingOnRefused) as refused:
            act(city.viewer("lin"), given(granted))
        assert SILENT[name] in (refused.value.rule or "") and refused.value.rule
    with pytest.raises(PassingOnRefused):
        publication_list(city.viewer("lin"), received=False, page=1)
    assert not Publication.objects.exists()
    client = Client()
    client.force_login(Account.objects.get(username="lin"))
    page = client.get(f"/publications/new/?grant={granted}")
    assert page.status_code == 403 and "不允许将共享获得的信息对外提供或发布" in page.content.decode()
    assert "/publications/" not in client.get("/outside/").content.decode()


@pytest.mark.parametrize("name", ["shenyang-2016"])
def test_every_step_of_the_file_and_no_other(granted, under, name):
    under(name)
    rules = regulation()
    procedure = rules.procedure("publication")
    words = ["content", "audience", "purpose", "reason", "result"]
    every = frozenset(one for role in rules.roles for one in role.capabilities)
    for state in procedure.states:
        for action in {step.action for step in procedure.transitions}:
            for side in ("requester", "provider", SYSTEM, "competent"):
                for capabilities in (every, frozenset()):
                    held = frozenset() if side == SYSTEM else capabilities
                    decision = decide(
                        procedure,
                        state.key,
                        action,
                        Facts("P-2026-0001", frozenset({side}), dict.fromkeys(words, "x")),
                        capabilities=held,
                        regulation=rules,
                        today=NOW.date(),
                    )
                    allowed = any(
                        step.action == action
                        and state.key in step.from_states
                        and side in step.by
                        and (side == SYSTEM or step.capability in held)
                        for step in procedure.transitions
                    )
                    assert isinstance(decision, Accepted) is allowed, (state.key, action, side)


# (account, action, words, error), first as asked, then as consented to.
MATRIX = [
    (False, "chen", "consent", {}, None),
    (False, "chen", "decline", {"reason": "涉及个人"}, None),
    (False, "lin", "withdraw", {}, None),
    (False, "lin", "consent", {}, PermissionDenied),
    (False, "chen", "withdraw", {}, PermissionDenied),
    (False, "bai", "consent", {}, PermissionDenied),
    (False, "zhao", "consent", {}, NotFound),
    (False, "chen", "decline", {"reason": " "}, FormRefused),
    (False, "lin", "publish", {"result": "先发了"}, TransitionRefused),
    (True, "lin", "publish", {"result": "公报第3号"}, None),
    (True, "lin", "withdraw", {}, None),
    (True, "lin", "publish", {"result": ""}, FormRefused),
    (True, "lin", "publish", {"result": "y" * 1001}, FormRefused),
    (True, "chen", "publish", {"result": "公报"}, PermissionDenied),
    (True, "chen", "decline", {"reason": "反悔"}, AlreadyDecided),
    (True, "chen", "consent", {}, AlreadyDecided),
    (True, "chen", "no_such", {}, ShuqiaoError),
]


@pytest.mark.parametrize(("consented", "username", "action", "words", "error"), MATRIX)
def test_the_permission_matrix(here, granted, consented, username, action, words, error):
    number = submit_publication(here.viewer("lin"), given(granted))
    if consented:
        take_step(here.viewer("chen"), "publication", number, "consent", {})
    before, count = case(number).state, CaseEvent.objects.count()
    if error is None:
        take_step(here.viewer(username), "publication", number, action, words)
        assert case(number).state != before
        return
    with pytest.raises(error):
        take_step(here.viewer(username), "publication", number, action, words)
    assert (case(number).state, CaseEvent.objects.count()) == (before, count)
    assert case(number).published == ""


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"fields": ()}, ["fields"]),
        ({"fields": ("mother_name", "newborn_name")}, ["fields"]),
        ({"content": ""}, ["content"]),
        ({"audience": " "}, ["audience"]),
        ({"purpose": ""}, ["purpose"]),
        ({"content": "x" * 1001}, ["content"]),
        (
            {"fields": (), "content": "", "audience": "", "purpose": ""},
            ["audience", "content", "fields", "purpose"],
        ),
    ],
)
def test_what_is_missing_is_told_at_once_and_nothing_is_sent(here, granted, changes, fields):
    with pytest.raises(FormRefused) as refused:
        submit_publication(here.viewer("lin"), given(granted, **changes))
    assert sorted({fault.field for fault in refused.value.faults}) == fields
    assert not Publication.objects.exists()
    assert audit_entries("publication_step") == []


def test_only_for_a_grant_in_force_of_ones_own(here, granted):
    for username, grant in (("zhao", granted), ("lin", "G-2026-9999")):
        with pytest.raises((NotFound, PermissionDenied)):
            submit_publication(here.viewer(username), given(grant))
    revoke_grant(here.viewer("chen"), granted, "不再需要")
    with pytest.raises(NotFound):
        submit_publication(here.viewer("lin"), given(granted))


@pytest.mark.parametrize(
    "broken",
    [
        {"phase": "nowhere"},
        {"content": ""},
        {"audience": ""},
        {"fields": []},
        {"number": None},
        {"published": "公报"},
        {"published_at": NOW},
        {"published": "公报", "published_at": NOW},
    ],
)
def test_the_database_holds_no_half_written_case(here, granted, broken):
    number = submit_publication(here.viewer("lin"), given(granted))
    with pytest.raises(IntegrityError), transaction.atomic():
        Publication.objects.filter(number=number).update(**broken)


def test_the_story_on_the_pages(here, granted):
    clerk, officer = Client(), Client()
    clerk.force_login(Account.objects.get(username="lin"))
    officer.force_login(Account.objects.get(username="chen"))
    assert f"/publications/new/?grant={granted}" in clerk.get(f"/grants/{granted}/").content.decode()
    address = f"/publications/new/?grant={granted}"
    form = {"content": "汇总数", "audience": "公众", "purpose": "公报", "go": "submit"}
    refused = clerk.post(address, form)
    assert refused.status_code == 422 and 'href="#fields"' in refused.content.decode()
    kept = clerk.post(address, {**form, "fields": "mother_name", "go": "save"})
    done = clerk.post(kept.headers["Location"], {**form, "fields": "mother_name"}, follow=True)
    number = re.search(r"P-2026-\d{4}", done.content.decode()).group()
    assert number in officer.get("/publications/?side=received").content.decode()
    assert "同意对外提供或发布" in officer.get(f"/publications/{number}/").content.decode()
    officer.post(f"/cases/publication/{number}/consent")
    clerk.post(f"/cases/publication/{number}/publish", {"result": "<公报3号>"})
    shown = officer.get(f"/publications/{number}/").content.decode()
    assert "&lt;公报3号&gt;" in shown and "已对外提供或发布" in shown
    clerk.cookies.load({"django_language": "en"})
    assert "Passed on or published" in clerk.get(f"/publications/{number}/").content.decode()
