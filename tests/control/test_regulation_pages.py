"""The pages on regulations: validity and warnings, reading, comparing, what another would mean today."""

from datetime import UTC, date, datetime
from html import unescape

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.basedata.citations import store_citations
from shuqiao.control.clocks.whatif import what_if
from shuqiao.control.operations.expiry import warn_of_expiry
from shuqiao.control.regulations.current import readable
from shuqiao.control.regulations.files import regulation_ids
from shuqiao.control.regulations.reading import compare, sections
from shuqiao.control.regulations.words import CAPABILITIES
from shuqiao.control.regulations.words import MATTERS as MATTER_WORDS
from shuqiao.control.requests.actions import submit_request
from shuqiao.rules.capabilities import Capability
from shuqiao.rules.regulation import MATTERS
from tests.control.conftest import beyond_control, rows

CITIES = ("guangzhou-2016", "guangzhou-2019", "xiamen-2015", "shenyang-2016")


def page(client: Client, username: str, address: str, language: str = "zh-hans") -> str:
    """A page as an account sees it; `404` where it sees none."""
    client.force_login(Account.objects.get(username=username))
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    answer = client.get(address)
    assert answer.status_code in (200, 404), answer.status_code
    return unescape(answer.content.decode()) if answer.status_code == 200 else "404"


@pytest.mark.requirement("VAL-01")
def test_the_list_shows_the_dates_of_every_regulation_and_warns_of_the_one_in_use(city, client) -> None:
    words = page(client, "lin", "/regulations/")
    for shown in ("2016-07-01", "2021-06-30", "2019-04-10", "2019-07-01", "2015-09-22", "2016-06-08"):
        assert shown in words
    assert "现用规则已到期" in words and "请评估、修订" in words
    with clock.fixed(datetime(2021, 3, 1, 1, 0, tzinfo=UTC)):
        words = page(client, "lin", "/regulations/", "en")
    assert "The regulation in use ends soon" in words and "121 days from now" in words
    with clock.fixed(datetime(2018, 3, 1, 1, 0, tzinfo=UTC)):
        assert "ends soon" not in page(client, "lin", "/regulations/", "en")


@pytest.mark.requirement("VAL-01")
def test_the_competent_department_is_told_once_before_and_once_after_the_end(city) -> None:
    told = lambda: [  # noqa: E731 - read again and again
        (n.department_id, n.code, n.params["until"]) for n in Notification.objects.order_by("pk")
    ]
    with clock.fixed(datetime(2020, 6, 1, 1, 0, tzinfo=UTC)):
        assert warn_of_expiry() == 0 and told() == []
    for day in (1, 2):
        with clock.fixed(datetime(2021, 2, day, 1, 0, tzinfo=UTC)):
            warn_of_expiry()
    before = ("440100-data", "regulation_ending", "2021-06-30")
    assert told() == [before]
    with clock.fixed(datetime(2021, 7, 1, 1, 0, tzinfo=UTC)):
        warn_of_expiry()
    assert told() == [before, ("440100-data", "regulation_ended", "2021-06-30")]


@pytest.mark.parametrize("regulation_id", regulation_ids())
@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_every_regulation_can_be_read_with_its_articles(city, client, regulation_id, language) -> None:
    words = page(client, "lin", f"/regulations/{regulation_id}/", language)
    rules = readable(regulation_id)
    assert f"/regulations/{regulation_id}/articles/" in words or rules.unknown
    shown = {row.taken_from for section in sections(rules) for row in section.rows}
    assert shown - {""} <= {rules.fallback}
    # What comes from a fallback says so on every row, with a link to the other text.
    if rules.fallback:
        assert f"/regulations/{rules.fallback}/articles/35(1)" in words
        assert rules.fallback in words
    else:
        assert shown == {""}
    # Who certifies and who accepts a business system is read there too.
    assert {"zh-hans": "互联共享测试证明", "en": "Certificate of interconnection"}[language] in words
    assert page(client, "lin", f"/regulations/{regulation_id}/text/", language) != "404"


@pytest.mark.requirement("XDL-06")
def test_a_district_reads_its_own_bodies_and_the_rest_of_the_city_by_name(city, client) -> None:
    rules = readable("haizhu-draft")
    terms = next(section for section in sections(rules) if section.key == "deadlines")
    assert terms.taken_from == "guangzhou-2016"
    assert {row.ref.regulation for row in terms.rows} == {"guangzhou-2016"}
    bodies = next(section for section in sections(rules) if section.key == "bodies")
    competent = next(row for row in bodies.rows if row.key == "competent")
    assert (competent.value.zh, competent.taken_from, competent.ref.article) == (
        "区电子政务主管部门",
        "",
        "6¶1",
    )
    assert "取自 guangzhou-2016" in page(client, "lin", "/regulations/haizhu-draft/")


def test_two_regulations_stand_side_by_side_with_their_differences(city, client) -> None:
    words = page(client, "zheng", "/regulations/compare/?left=guangzhou-2016&right=shenyang-2016")
    assert "10 个工作日" in words and "7 个工作日" in words and "不同" in words
    parts = {part.key: part for part in compare(readable("guangzhou-2016"), readable("shenyang-2016"))}
    reply = next(p for p in parts["deadlines"].pairs if p.left and p.left.key == "reply")
    assert reply.differs and reply.right and reply.right.ref.article == "20(4)"
    assert parts["procedure_publication"].pairs[0].left is None
    assert all(not pair.differs for part in _with_itself() for pair in part.pairs)
    only = page(
        client, "zheng", "/regulations/compare/?only=differences&left=guangzhou-2016&right=xiamen-2015"
    )
    assert len(only) < len(page(client, "zheng", "/regulations/compare/?right=xiamen-2015"))


def _with_itself():
    return compare(readable("xiamen-2015"), readable("xiamen-2015"))


def test_what_would_be_overdue_today_under_another_regulation(city, client) -> None:
    number = submit_request(city.viewer("lin"), city.wanted())
    # Eight working days later: 10 are not over, 5 and 7 are.
    with clock.fixed(datetime(2026, 11, 23, 1, 0, tzinfo=UTC)):
        xiamen, shenyang = what_if("xiamen-2015"), what_if("shenyang-2016")
        words = page(client, "zheng", "/regulations/what-if/?under=xiamen-2015")
    assert (xiamen.overdue, xiamen.would_be) == (0, 1)
    [row] = xiamen.rows
    assert (row.number, row.other_due_on, row.assumed) == (number, date(2026, 11, 18), False)
    assert (row.other_ref.regulation, row.other_ref.article) == ("xiamen-2015", "12(2)")
    assert number in words and "2026-11-18" in words
    # Shenyang counts from the receipt of the paper; the day of submission is taken, and said so.
    assert shenyang.rows[0].assumed and shenyang.rows[0].other_due_on == date(2026, 11, 20)
    with clock.fixed(datetime(2026, 11, 18, 1, 0, tzinfo=UTC)):
        assert what_if("xiamen-2015").would_be == 0, "the last day still belongs to the term"


@pytest.mark.parametrize("username", ["lin", "chen", "wu", "ma"])
@pytest.mark.parametrize("address", ["/regulations/compare/", "/regulations/what-if/"])
def test_only_who_compares_rules_sees_the_comparisons(city, client, username, address) -> None:
    assert page(client, username, address) == "404"
    assert address not in page(client, username, "/regulations/")
    assert page(client, "zheng", address) != "404"
    assert address in page(client, "zheng", "/regulations/")


@pytest.mark.parametrize("name", ["nowhere-2016", "base-data-items", "..", "guangzhou-2016.yaml"])
def test_an_unknown_regulation_is_not_found(city, client, name) -> None:
    for address in (
        f"/regulations/{name}/",
        f"/regulations/{name}/text/",
        f"/regulations/{name}/articles/1",
        f"/regulations/compare/?left={name}",
        f"/regulations/what-if/?under={name}",
    ):
        client.force_login(Account.objects.get(username="zheng"))
        assert client.get(address).status_code == 404, address


def test_the_data_plane_is_told_what_the_regulation_in_force_cites(city) -> None:
    store_citations()
    stored = dict(rows("SELECT matter, citation FROM exchange.citation"))
    assert stored["within_grant"] == "guangzhou-2016 art. 42(3)"
    assert "free" not in stored, "a setting cites no article"
    epoch = _epoch()
    assert store_citations() == 0 and _epoch() == epoch
    with connection.cursor() as cursor:
        cursor.execute("UPDATE exchange.citation SET citation = 'x' WHERE matter = 'security'")
        cursor.execute("INSERT INTO exchange.citation VALUES ('old', 'y')")
    assert store_citations() == 2 and dict(rows("SELECT matter, citation FROM exchange.citation")) == stored
    assert _epoch() > epoch


def _epoch():
    with beyond_control():
        return rows("SELECT value FROM exchange.epoch")


def test_every_capability_and_matter_has_words() -> None:
    assert set(CAPABILITIES) == set(Capability)
    assert set(MATTER_WORDS) == MATTERS
