"""Finding entries: by words, parts of words, pinyin, initials, code and English; with true counts."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from shuqiao.control.accounts.access import NotFound
from shuqiao.control.catalogue.entry import entry_page
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.search_page import Asked, SearchFilters, search, suggest
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request

from .conftest import BIRTH, HOUSEHOLD


def names(page) -> list[str]:
    """Chinese names of the hits, in order."""
    return [hit.name.zh for hit in page.hits]


@pytest.mark.requirement("CAT-21", source="GZART:¶12")
@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("出生登记", "出生登记信息"),
        ("母亲公民身份号码", "出生登记信息"),
        ("亲公民身", "出生登记信息"),
        ("chusheng", "出生登记信息"),
        ("csdj", "出生登记信息"),
        ("Birth registration", "出生登记信息"),
        ("10101201", "出生登记信息"),
        ("户籍登记", "户籍登记信息"),
        ("公积金", "住房公积金登记信息"),
        ("低保", "最低生活保障信息"),
    ],
)
def test_an_entry_is_found_in_many_ways_and_can_be_asked_for(city, text, first):
    lin = city.viewer("lin")
    page = search(lin, text)
    assert names(page)[0] == first
    assert suggest(lin, text)[0].name.zh == first
    assert entry_page(lin, page.hits[0].id).can_request


def test_what_matched_is_marked(city):
    [hit] = search(city.viewer("lin"), "母亲").hits
    marked = [["".join(f.text for f in item), [f.text for f in item if f.hit]] for item in hit.matched_items]
    assert marked == [["母亲姓名", ["母亲"]], ["母亲公民身份号码", ["母亲"]]]
    assert [(f.text, f.hit) for f in search(city.viewer("lin"), "出生登记").hits[0].title] == [
        ("出生登记", True),
        ("信息", False),
    ]


@pytest.mark.parametrize("text", ["没有这种东西", "qqqq", "qq' OR 1=1 --", "qqqq:*&!|", "qq\x00qq%"])
def test_what_nothing_is_called_is_not_found_whatever_is_typed(city, text):
    assert search(city.viewer("lin"), text).total == 0


@pytest.mark.parametrize("text", ["", " ", "%", "（）", "\x00", ":*&|!'"])
def test_marks_alone_are_an_empty_query_and_list_everything(city, text):
    assert search(city.viewer("lin"), text).total == 21


def test_facets_count_what_each_choice_would_leave(city):
    lin = city.viewer("lin")
    everything = search(lin, "")
    facets = {facet.key: {v.value: v.count for v in facet.values} for facet in everything.facets}
    assert everything.total == 21
    assert facets["library"] == {"population": 12, "legal_entity": 9}
    for key, values in facets.items():
        for value, count in values.items():
            assert search(lin, Asked(filters=SearchFilters(**{key: (value,)}))).total == count
    both = search(
        lin, Asked(filters=SearchFilters(library=("population",), department=("440100-civil-affairs",)))
    )
    assert (
        both.total == Resource.objects.filter(library="population", department="440100-civil-affairs").count()
    )
    shown = {v.value: v.selected for f in both.facets if f.key == "library" for v in f.values}
    assert shown == {"population": True, "legal_entity": False}


def test_pages_are_cut_without_loss(city):
    lin = city.viewer("lin")
    seen = [hit.id for number in (1, 2, 3) for hit in search(lin, "", page=number).hits]
    assert len(seen) == len(set(seen)) == 21


def test_own_grants_and_open_requests_are_shown_on_the_hit(city):
    lin = city.viewer("lin")
    number = submit_request(lin, city.wanted())
    hit = search(lin, "出生登记").hits[0]
    assert (hit.open_request, hit.granted_until) == (number, None)
    answer_request(city.viewer("chen"), number, city.answer())
    hit = search(lin, "出生登记").hits[0]
    assert (hit.open_request, str(hit.granted_until)) == (None, "2027-11-11")
    assert search(city.viewer("zhao"), "出生登记").hits[0].granted_until is None


def test_the_number_of_queries_does_not_grow_with_the_hits(city):
    lin = city.viewer("lin")
    counted = []
    for text in ("母亲", ""):
        with CaptureQueriesContext(
            connection,
        ) as captured:
            search(lin, text)
        counted.append(len(captured))
    assert counted[0] == counted[1]


def test_the_entry_page_shows_items_articles_and_who_may_ask(city):
    page = entry_page(city.viewer("lin"), BIRTH)
    assert len(page.items) == 13
    assert [item.field for item in page.items if item.record_key] == ["birth_certificate_number"]
    assert page.article.paragraphs
    terms = [(term.label.zh, term.working_days, term.article.article) for term in page.terms]
    assert terms == [("答复", 10, "35(1)"), ("提供", 5, "35(1)")]
    assert page.share_type is None, "the 2016 rules name none"
    own = entry_page(city.viewer("zhao"), HOUSEHOLD)
    assert not own.can_request
    assert own.request_refusal is not None


def test_an_entry_that_is_not_published_is_not_there(city):
    Resource.objects.filter(id=BIRTH).update(state="withdrawn")
    with pytest.raises(NotFound):
        entry_page(city.viewer("lin"), BIRTH)
    assert "出生登记信息" not in names(search(city.viewer("lin"), "出生"))
