"""Saved searches and followed entries: bounded, one's own, and told of each change once."""

import pytest

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Notification
from shuqiao.control.catalogue import search as rows_of
from shuqiao.control.catalogue.models import Resource, ResourceVersion, SharingVersion
from shuqiao.control.catalogue.search import Sort
from shuqiao.control.catalogue.search_page import Asked, SearchFilters, search
from shuqiao.control.catalogue.words import search_text
from shuqiao.control.clock import now
from shuqiao.control.finding import actions, subscriptions
from shuqiao.control.finding.actions import asked_of, follow_entry, forget_search, leave_entry, save_search
from shuqiao.control.finding.models import FollowedEntry, SavedSearch, Told, ToldMark
from shuqiao.control.finding.subscriptions import tell
from tests.control.conftest import BIRTH, HOUSEHOLD, audit_entries


def changed(resource: str, change: str = "changed") -> None:
    """Let an entry have a new version that changes the sharing catalogue."""
    entry = Resource.objects.get(pk=resource)
    Resource.objects.filter(pk=resource).update(version=entry.version + 1)
    version = ResourceVersion.objects.create(
        resource=entry, version=entry.version + 1, content={}, note_zh="改", note_en="x", published_at=now()
    )
    SharingVersion.objects.create(resource=entry, of=version, change=change, published_at=now())


def notices(username: str) -> list[tuple]:
    """(code, reference, count) of what an account has been told of what it follows."""
    rows = Notification.objects.filter(
        account__username=username, code__in=["entry_followed", "search_followed"]
    )
    return [(n.code, n.reference, n.params.get("count")) for n in rows.order_by("id")]


@pytest.fixture
def told(city):
    """A city in which all that seeding brought has been told."""
    assert tell() == SharingVersion.objects.count()
    assert tell() == 0
    return city


def test_a_saved_search_is_found_again_as_it_was(city):
    lin = city.viewer("lin")
    asked = Asked("出生 登记", SearchFilters(library=("population",)), Sort.NEWEST, own=True, plain=True)
    key = save_search(lin, "  出生  登记 ", asked)
    saved = SavedSearch.objects.get(pk=key)
    assert (saved.name, asked_of(saved)) == ("出生 登记", asked)
    assert [row[-1] for row in audit_entries("search_saved")] == ["saved"]
    again = save_search(lin, "出生 登记", Asked("户籍"))
    assert again == key
    assert asked_of(SavedSearch.objects.get(pk=key)) == Asked("户籍")


def test_a_search_needs_a_name_and_there_is_an_end_to_them(city, monkeypatch):
    lin = city.viewer("lin")
    for name in ("", "  ", "长" * 41):
        with pytest.raises(FormRefused):
            save_search(lin, name, Asked("x"))
    monkeypatch.setattr(actions, "MAX_SEARCHES", 2)
    save_search(lin, "一", Asked("x"))
    save_search(lin, "二", Asked("x"))
    with pytest.raises(FormRefused) as refused:
        save_search(lin, "三", Asked("x"))
    assert refused.value.faults[0].code == "too_many"
    save_search(lin, "二", Asked("y"))
    save_search(city.viewer("chen"), "三", Asked("x"))


def test_only_its_own_account_drops_a_search(city):
    key = save_search(city.viewer("lin"), "一", Asked("x"))
    with pytest.raises(NotFound):
        forget_search(city.viewer("hou"), key)
    assert SavedSearch.objects.count() == 1
    forget_search(city.viewer("lin"), key)
    assert not SavedSearch.objects.exists()
    assert sorted(row[-1] for row in audit_entries("search_saved")) == ["forgotten", "saved"]


def test_an_entry_is_followed_once_within_a_bound(city, monkeypatch):
    lin = city.viewer("lin")
    follow_entry(lin, BIRTH)
    follow_entry(lin, BIRTH)
    assert FollowedEntry.objects.count() == 1
    monkeypatch.setattr(actions, "MAX_FOLLOWED", 1)
    with pytest.raises(FormRefused):
        follow_entry(lin, HOUSEHOLD)
    with pytest.raises(NotFound):
        follow_entry(lin, "r440100aaaaaaaaaa")
    leave_entry(lin, BIRTH)
    leave_entry(lin, BIRTH)
    assert sorted(row[-1] for row in audit_entries("entry_followed")) == ["followed", "left"]


def test_followers_are_told_of_each_change_once(told):
    follow_entry(told.viewer("lin"), BIRTH)
    changed(BIRTH)
    changed(HOUSEHOLD)
    assert tell() == 2
    assert notices("lin") == [("entry_followed", BIRTH, None)]
    assert tell() == 0
    assert len(notices("lin")) == 1
    changed(BIRTH, "removed")
    tell()
    assert len(notices("lin")) == 2
    assert (
        Notification.objects.filter(account__username="lin").order_by("-id")[0].params["change_zh"] == "移出"
    )
    assert notices("hou") == []


def test_a_watched_search_is_told_once_for_all_its_changes(told):
    asked = Asked("登记", SearchFilters(library=("population",)))
    save_search(told.viewer("lin"), "人口登记", asked, watched=True)
    save_search(told.viewer("hou"), "不提醒", asked)
    save_search(told.viewer("chen"), "别的", Asked("公积金"), watched=True)
    found = {hit.id for hit in search(told.viewer("lin"), asked).hits}
    assert {BIRTH, HOUSEHOLD} <= found
    changed(BIRTH)
    changed(HOUSEHOLD)
    enterprise = Resource.objects.exclude(library="population").first()
    changed(enterprise.id)
    tell()
    reference = f"search {SavedSearch.objects.get(name='人口登记').pk}"
    assert notices("lin") == [("search_followed", reference, 2)]
    assert notices("hou") == notices("chen") == []
    changed(BIRTH)
    tell()
    assert len(notices("lin")) == 2


def test_a_search_is_told_of_what_was_taken_out(told):
    save_search(told.viewer("lin"), "出生", Asked("出生登记"), watched=True)
    Resource.objects.filter(pk=BIRTH).update(state="withdrawn", shared=False)
    changed(BIRTH, "removed")
    tell()
    params = Notification.objects.get(code="search_followed").params
    assert (params["removed"], params["added"]) == (1, 0)


def test_one_that_gave_up_its_role_is_not_shown_what_it_followed(told):
    from shuqiao.control.accounts.notices import notices_for

    follow_entry(told.viewer("lin"), BIRTH)
    changed(BIRTH)
    tell()
    lin = told.viewer("lin")
    assert notices_for(lin).filter(code="entry_followed").exists()
    without = type(lin)(**{**lin.__dict__, "capabilities": frozenset()})
    assert not notices_for(without).filter(code="entry_followed").exists()


def test_what_was_told_long_ago_is_kept_as_a_mark_only(told, monkeypatch):
    last = SharingVersion.objects.order_by("-id")[0].pk
    monkeypatch.setattr(subscriptions, "SETTLED_AFTER", -subscriptions.SETTLED_AFTER)
    changed(BIRTH)
    assert tell() == 1
    assert ToldMark.objects.get().up_to > last
    assert not Told.objects.exists()
    assert tell() == 0


def test_many_changes_take_a_fixed_number_of_statements(told, django_assert_max_num_queries):
    for number in range(20):
        save_search(told.viewer("lin"), f"检索{number}", Asked("登记"), watched=True)
    entry = Resource.objects.get(pk=BIRTH)
    versions = ResourceVersion.objects.bulk_create(
        ResourceVersion(
            resource=entry, version=number, content={}, note_zh="", note_en="", published_at=now()
        )
        for number in range(2, 1_502)
    )
    SharingVersion.objects.bulk_create(
        SharingVersion(resource=entry, of=one, change="changed", published_at=now()) for one in versions
    )
    with django_assert_max_num_queries(30):
        assert tell() == 1_500
    assert len(notices("lin")) == 20


def test_a_change_of_words_reaches_searches_that_now_find_it(told):
    save_search(told.viewer("lin"), "新词", Asked("量子通信"), watched=True)
    entry = Resource.objects.get(pk=BIRTH)
    rows_of.store_search_text(BIRTH, search_text("量子通信登记", "", [("姓名", "")], [entry.summary_zh]))
    changed(BIRTH)
    tell()
    assert notices("lin")[0][0] == "search_followed"
