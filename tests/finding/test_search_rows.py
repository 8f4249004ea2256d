"""The rows searches look at: in step with the entries, capped without losing what filters and names say."""

import pytest
from django.db import connection

from shuqiao.control.catalogue import search_page
from shuqiao.control.catalogue.models import EntryUse, Resource, SearchRow
from shuqiao.control.catalogue.search import Sort, Wanted, find, find_ids, matching, store_search_texts
from shuqiao.control.catalogue.search_page import Asked, SearchFilters, search
from shuqiao.control.catalogue.use import count_use, use_of
from shuqiao.control.catalogue.words import query_terms, search_text
from shuqiao.control.clock import now
from shuqiao.control.finding.related import related
from tests.control.conftest import BIRTH, HOUSEHOLD, rows


def ids(asked: Asked, viewer) -> set[str]:
    """Ids of the hits of a search."""
    return {hit.id for hit in search(viewer, asked).hits}


def facet(found, key: str) -> dict[str, int]:
    """The counts of a facet of what was found."""
    return dict(found.facets[key])


def test_an_entry_out_of_force_or_closed_is_not_found_whoever_changed_it(city):
    lin = city.viewer("lin")
    assert BIRTH in ids(Asked("出生登记"), lin)
    Resource.objects.filter(id=BIRTH).update(state="withdrawn")
    assert BIRTH not in ids(Asked("出生登记"), lin)
    Resource.objects.filter(id=BIRTH).update(state="published", shared=False)
    assert BIRTH not in ids(Asked("出生登记"), lin)
    Resource.objects.filter(id=BIRTH).update(shared=True)
    assert BIRTH in ids(Asked("出生登记"), lin)


def test_a_changed_entry_is_found_under_what_it_says_now(city):
    content = {**Resource.objects.get(pk=BIRTH).content, "open_to_public": True}
    changed = {"share_type": "conditional", "format": "image", "update_cycle": "yearly", "content": content}
    changed |= {"open_to_public": True, "subject": "20301001", "modes": ["bulk"]}
    Resource.objects.filter(id=BIRTH).update(**changed)
    lin = city.viewer("lin")
    for key, value in (
        ("share_type", "conditional"),
        ("format", "image"),
        ("theme", "203"),
        ("mode", "bulk"),
        ("open", "true"),
    ):
        chosen = SearchFilters(**{key: (value,)})
        assert BIRTH in ids(Asked("出生登记", chosen), lin), key
        counts = facet(find(Wanted(query_terms("出生登记"), {key: (value,)})), key)
        assert counts[value] >= 1, key
    assert BIRTH not in ids(Asked("出生登记", SearchFilters(mode=("verify",))), lin)


def test_departments_see_their_own_whole_catalogue_and_nobody_elses(city):
    Resource.objects.filter(id=BIRTH).update(shared=False)
    chen, lin = city.viewer("chen"), city.viewer("lin")
    own = search(chen, Asked(own=True))
    assert {hit.id for hit in own.hits} == set(
        Resource.objects.filter(department_id="440100-health").values_list("id", flat=True)
    )
    assert {hit.shared for hit in own.hits if hit.id == BIRTH} == {False}
    assert BIRTH not in ids(Asked("出生登记"), chen)
    assert search(lin, Asked(own=True)).total == 0
    assert BIRTH not in ids(Asked("出生登记", own=True), lin)


@pytest.fixture
def many(city):
    """Three hundred entries more: all say 登记 among their items, one in ten in its name."""
    template = Resource.objects.get(pk=BIRTH)
    made, texts = [], {}
    for number in range(300):
        digits = "abcdefghij"
        key = "r440100" + "".join(digits[int(d)] for d in f"{number:010d}")
        name = f"渔业{number}登记" if number % 10 == 0 else f"渔业{number}名录"
        fields = {f.attname: getattr(template, f.attname) for f in Resource._meta.concrete_fields}
        fields |= {"id": key, "list_key": key, "code": f"303/{number}", "name_zh": name}
        fields |= {"library": "licence" if number % 3 == 0 else "population"}
        made.append(Resource(**fields))
        texts[key] = search_text(name, "", [("登记日期", "")], [])
    Resource.objects.bulk_create(made)
    store_search_texts(texts)
    return texts


def test_up_to_the_cap_everything_is_exact(many):
    found = find(Wanted(query_terms("渔业"), cap=300))
    assert (found.total, found.capped, found.at_least) == (300, False, frozenset())
    assert facet(found, "library") == {"population": 200, "licence": 100}
    chosen = find(Wanted(query_terms("渔业"), {"library": ("licence",)}, cap=300))
    assert (chosen.total, chosen.capped) == (100, False)
    assert facet(chosen, "library") == {"population": 200, "licence": 100}


def test_beyond_the_cap_names_still_stand_first(many):
    found = find(Wanted(query_terms("登记 渔业"), cap=50, window=(0, 40)))
    assert (found.total, found.capped) == (50, True)
    assert found.at_least == frozenset(search_page.FACETS)
    names = Resource.objects.in_bulk(found.ids)
    assert all("登记" in names[key].name_zh for key in found.ids[:30])


def test_beyond_the_cap_filters_look_at_everything(many):
    found = find(Wanted(query_terms("渔业"), {"library": ("licence",)}, cap=150))
    assert (found.total, found.capped) == (100, False)
    assert facet(found, "library")["licence"] == 100
    assert found.at_least == {"library"}
    assert facet(found, "department") == {"440100-health": 100}
    assert len(find_ids(Wanted(query_terms("渔业"), {"library": ("licence",)}, window=(0, 500)))) == 100


def test_pages_of_a_capped_result_repeat_nothing(many):
    pages = [find(Wanted(query_terms("渔业"), cap=50, window=(at, 10))).ids for at in range(0, 50, 10)]
    seen = [key for page in pages for key in page]
    assert len(seen) == len(set(seen)) == 50


@pytest.mark.parametrize("sort", list(Sort))
def test_orders(city, sort):
    Resource.objects.filter(pk=HOUSEHOLD).update(published_at=now().replace(year=2030))
    EntryUse.objects.create(resource_id=BIRTH, calls=7, departments=1, counted_at=now())
    found = find(Wanted(query_terms("登记"), sort=sort, window=(0, 30))).ids
    keys = dict(rows("SELECT resource_id, pinyin_key FROM catalogue_search"))
    if sort == Sort.NEWEST:
        assert found[0] == HOUSEHOLD
    elif sort == Sort.MOST_USED:
        assert found[0] == BIRTH
    elif sort == Sort.NAME:
        assert [keys[key] for key in found] == sorted(keys[key] for key in found)
    assert len(found) == len(set(found)) == len(find(Wanted(query_terms("登记"), window=(0, 30))).ids)


def test_synonyms_find_what_the_word_alone_does_not(city):
    lin = city.viewer("lin")
    wide, narrow = search(lin, Asked("身份证")), search(lin, Asked("身份证", plain=True))
    assert wide.total > narrow.total
    assert "公民身份号码" in wide.synonyms
    marked = {f.text for hit in wide.hits for item in hit.matched_items for f in item if f.hit}
    assert "公民身份号码" in marked


def test_matching_looks_at_given_entries_only(city):
    assert matching(Wanted(query_terms("登记")), [BIRTH]) == (BIRTH,)
    assert matching(Wanted(query_terms("公积金")), [BIRTH, HOUSEHOLD]) == ()


def test_use_is_counted_once_an_hour_and_shown(city):
    with connection.cursor() as cursor:
        for department in ("440100-housing", "440100-police", "440100-police"):
            cursor.execute(
                "SELECT audit.append(gen_random_uuid(), %s, 'verify', %s, '440100-health', 'app', %s, NULL,"
                " NULL, NULL, 'answered', '{}')",
                [now(), department, BIRTH],
            )
    assert count_use() == 1
    assert count_use() == 0, "younger than an hour"
    use = use_of([Resource.objects.get(pk=BIRTH)])[BIRTH]
    assert (use.calls, use.departments) == (3, 2)
    [hit] = [hit for hit in search(city.viewer("lin"), Asked("出生登记")).hits if hit.id == BIRTH]
    assert hit.use.calls == 3


def test_related_are_the_named_ones_then_those_that_share_items(city):
    Resource.objects.filter(pk=BIRTH).update(content={"related": [HOUSEHOLD]})
    found = related(city.viewer("lin"), BIRTH)
    assert (found[0].id, found[0].declared) == (HOUSEHOLD, True)
    assert len(found) <= 6
    assert BIRTH not in {one.id for one in found}
    counts = [one.shared_items for one in found[1:] if not one.same_subject]
    assert counts == sorted(counts, reverse=True)
    Resource.objects.filter(pk=HOUSEHOLD).update(shared=False)
    assert HOUSEHOLD not in {one.id for one in related(city.viewer("lin"), BIRTH)}


def test_every_entry_of_the_city_has_its_search_row(city):
    assert SearchRow.objects.filter(shared=True).count() == Resource.objects.filter(shared=True).count()
    assert dict(find(Wanted(query_terms(""))).facets["open"]).keys() <= {"true", "false"}


def test_a_table_of_the_catalogue_is_wanted_in_its_parts(city):
    parts = rows("SELECT count(*) FROM pg_inherits WHERE inhparent = 'catalogue_search'::regclass")
    assert parts == [(8,)]
