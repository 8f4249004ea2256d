"""The search page and what readers keep, asked as a browser asks."""

import pytest
from django.test import Client

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.finding.models import FollowedEntry, SavedSearch
from tests.control.conftest import BIRTH, HOUSEHOLD


@pytest.fixture
def browser(city) -> Client:
    """A browser in which Lin has signed in."""
    client = Client()
    client.force_login(Account.objects.get(username="lin"))
    return client


def test_the_page_shows_hits_facets_marks_and_the_way_to_a_request(browser):
    page = browser.get("/catalogue/", {"q": "出生登记"}).content.decode()
    assert "<mark>出生登记</mark>信息" in page
    assert f"/requests/new/?resource={BIRTH}" in page
    assert 'name="department" value="440100-health"' in page
    assert "看信息项" in page


def test_filters_sort_and_catalogue_stay_in_the_address(browser):
    page = browser.get("/catalogue/?q=登记&library=population&sort=name&own=1").content.decode()
    assert "library=population&amp;sort=name" in page
    assert '<input type="hidden" name="own" value="1">' in page
    assert '<input type="hidden" name="sort" value="name">' in page
    assert browser.get("/catalogue/?sort=nonsense&q=x").status_code == 200


def test_synonyms_are_named_and_can_be_left_out(browser):
    wide = browser.get("/catalogue/", {"q": "身份证"}).content.decode()
    assert "公民身份号码" in wide
    assert "只查“身份证”" in wide
    narrow = browser.get("/catalogue/", {"q": "身份证", "plain": "1"}).content.decode()
    assert "也查同义词" in narrow


def test_a_search_is_kept_opened_watched_and_dropped(browser):
    given = {"search": "q=出生&library=population&own=1", "name": "出生登记", "watched": "1"}
    assert browser.post("/catalogue/following/searches", given).status_code == 302
    saved = SavedSearch.objects.get()
    assert (saved.text, saved.filters, saved.own, saved.watched) == (
        "出生",
        {"library": ["population"]},
        True,
        True,
    )
    page = browser.get("/catalogue/following/").content.decode()
    assert "/catalogue/?q=%E5%87%BA%E7%94%9F&amp;library=population&amp;own=1" in page
    browser.post(f"/catalogue/following/searches/{saved.pk}/watch", {"watched": "0"})
    assert not SavedSearch.objects.get().watched
    browser.post(f"/catalogue/following/searches/{saved.pk}/drop")
    assert not SavedSearch.objects.exists()


def test_a_search_without_a_name_is_refused_with_words(browser):
    refused = browser.post("/catalogue/following/searches", {"search": "q=x", "name": " "})
    assert refused.status_code == 422
    assert "请填写名称" in refused.content.decode()
    assert not SavedSearch.objects.exists()


def test_an_entry_is_followed_and_left_on_its_page(browser):
    assert "订阅变更" in browser.get(f"/catalogue/{BIRTH}/").content.decode()
    browser.post(f"/catalogue/{BIRTH}/follow")
    assert FollowedEntry.objects.get().resource_id == BIRTH
    assert "取消订阅" in browser.get(f"/catalogue/{BIRTH}/").content.decode()
    browser.post(f"/catalogue/{BIRTH}/leave")
    assert not FollowedEntry.objects.exists()
    assert browser.post("/catalogue/r440100aaaaaaaaaa/follow").status_code == 404


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "/catalogue/following/"),
        ("post", "/catalogue/following/searches"),
        ("post", f"/catalogue/{BIRTH}/follow"),
    ],
)
def test_strangers_are_sent_to_sign_in(city, method, address):
    answer = getattr(Client(), method)(address)
    assert answer.status_code == 302
    assert "/sign-in" in answer.headers["Location"]


def test_the_entry_page_names_related_entries(browser):
    Resource.objects.filter(pk=BIRTH).update(content={"related": [HOUSEHOLD]})
    page = browser.get(f"/catalogue/{BIRTH}/").content.decode()
    assert "关联条目" in page
    assert "责任部门指定" in page
    assert "户籍登记信息" in page
    assert "个相同信息项" in page


def test_everything_is_there_in_english(browser):
    page = browser.get("/catalogue/", {"q": "出生"}, headers={"Accept-Language": "en"}).content.decode()
    for words in ("Relevance", "Sharing catalogue", "See its items", "Keep this search"):
        assert words in page
    assert (
        "Nothing found"
        in browser.get("/catalogue/", {"q": "没有这种"}, headers={"Accept-Language": "en"}).content.decode()
    )
