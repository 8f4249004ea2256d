"""Share types on the pages and in the database: who chooses, what is refused, what a ruling does."""

import re
from dataclasses import replace
from datetime import date

import pytest
from django.conf import settings as configured
from django.db import IntegrityError, connection, transaction
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.catalogue.classifying import (
    ChoiceInput,
    RulingInput,
    choose_share_type,
    follow_entry,
    rule_open,
)
from shuqiao.control.catalogue.entry import entry_page
from shuqiao.control.catalogue.history import Asked, resource_catalogue_on
from shuqiao.control.catalogue.libraries import UNNAMED, library_page
from shuqiao.control.catalogue.models import Resource, Sharing
from shuqiao.control.catalogue.search_page import search
from shuqiao.control.catalogue.sharing import current, initial_sharing, way_of_request
from shuqiao.control.catalogue.standard_use import uses_of
from shuqiao.control.compiling.versions_page import versions_page
from shuqiao.control.onesource.register import take_in
from shuqiao.control.onesource.source_page import source_list
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.files import load_head
from shuqiao.rules.errors import EntryChanged, PermissionDenied
from shuqiao.rules.ids import resource_id
from shuqiao.rules.sharing import Choice, WayKind

from .conftest import NOW, audit_entries

ENTERPRISE = resource_id("440100", "enterprise")
"""The enterprise list, of the market department."""

OPEN = {
    "guangzhou-2019": "unconditional",
    "xiamen-2015": "open",
    "shenyang-2016": "non_restricted",
    "guangdong-2008": "unconditional",
    "haizhu-draft": "unconditional",
}
MIDDLE = {
    "guangzhou-2019": "conditional",
    "xiamen-2015": "authorised",
    "shenyang-2016": "restricted",
    "guangdong-2008": "conditional",
    "haizhu-draft": "conditional",
}
POLICE = "440100-police"
GROUNDED = {"ground": "《某条例》第九条", "ground_rank": "law", "conditions": "仅限办理许可"}


@pytest.fixture
def under(city, settings):
    """Run the city under another regulation, with accounts of that regulation's roles."""
    provider = Resource.objects.get(id=ENTERPRISE).department_id

    def switch(name):
        fallback = None if name == "guangzhou-2016" else "guangzhou-2016"
        settings.CONFIG = replace(configured.CONFIG, regulation=name, regulation_fallback=fallback)
        editor = next(r.key for r in regulation().roles if "catalogue_edit" in r.capabilities)
        Department.objects.filter(code="440100-data").update(roles=["competent", "leading_group"])
        for username, department, role in (
            ("editor", provider, editor),
            ("colleague", provider, editor),
            ("stranger", "440100-housing", editor),
            ("ruler", "440100-data", "leader"),
            ("leader", provider, "leader"),
        ):
            Account.objects.create(
                username=username,
                display_name=username,
                department_id=department,
                role=role,
                password="!",
                created_at=NOW,
            )
        return city

    return switch


def given(version=1, item="", **choice):
    return ChoiceInput(ENTERPRISE, item, version, Choice(**choice))


def type_now(item=""):
    resource = Resource.objects.prefetch_related("items").get(id=ENTERPRISE)
    at = current([resource])[ENTERPRISE]
    return at.type_of(next((i for i in resource.items.all() if i.field == item), None), regulation())


@pytest.mark.requirement("TYP-01")
@pytest.mark.parametrize("name", sorted(OPEN))
def test_a_choice_is_stored_with_version_history_and_audit_entry(under, name):
    city = under(name)
    editor = city.viewer("editor")
    assert choose_share_type(editor, given(share_type=MIDDLE[name], **GROUNDED)) == 2
    assert choose_share_type(editor, given(version=2, share_type=OPEN[name])) == 3
    assert type_now() == OPEN[name]
    rows = list(Sharing.objects.filter(resource_id=ENTERPRISE).order_by("version"))
    assert [(row.share_type, row.version, row.ended_at is None) for row in rows] == [
        (MIDDLE[name], 2, False),
        (OPEN[name], 3, True),
    ]
    assert Resource.objects.get(id=ENTERPRISE).version == 3
    assert {entry[-1] for entry in audit_entries("share_type_set")} == {MIDDLE[name], OPEN[name]}
    page = entry_page(city.viewer("lin"), ENTERPRISE)
    assert page.share_type is not None and page.share_type.key == OPEN[name]
    assert page.share_type.article.regulation == name
    hit = next(hit for hit in search(city.viewer("lin"), "企业").hits if hit.id == ENTERPRISE)
    assert hit.share_type is not None and hit.share_type.key == OPEN[name]


@pytest.mark.parametrize("name", sorted(OPEN))
@pytest.mark.parametrize(
    ("username", "allowed"),
    [("editor", True), ("stranger", False), ("leader", False), ("lin", False), ("zhou", False)],
)
def test_only_the_providing_departments_editor_chooses(under, name, username, allowed):
    city = under(name)
    if allowed:
        choose_share_type(city.viewer(username), given(share_type=OPEN[name]))
        assert type_now() == OPEN[name]
        return
    with pytest.raises(PermissionDenied):
        choose_share_type(city.viewer(username), given(share_type=OPEN[name]))
    assert not Sharing.objects.exists()
    assert audit_entries("share_type_set") == []


@pytest.mark.parametrize("username", ["editor", "leader", "lin", "ruler"])
def test_guangzhou_2016_shows_and_takes_nothing(under, username):
    city = under("guangzhou-2016")
    with pytest.raises(NotFound):
        choose_share_type(city.viewer(username), given(share_type="unconditional"))
    page = entry_page(city.viewer("lin"), ENTERPRISE)
    assert (page.share_type, page.sharing, page.may_classify) == (None, None, False)
    client = Client()
    client.force_login(Account.objects.get(username=username))
    assert client.get(f"/catalogue/{ENTERPRISE}/sharing/").status_code == 404
    assert "无条件共享" not in client.get(f"/catalogue/{ENTERPRISE}/").content.decode()


@pytest.mark.requirement("TYP-03")
@pytest.mark.parametrize("name", ["guangzhou-2019", "xiamen-2015", "shenyang-2016", "guangdong-2008"])
@pytest.mark.parametrize("missing", ["ground", "ground_rank", "conditions"])
def test_a_conditional_entry_without_its_ground_is_refused_and_nothing_written(under, name, missing):
    city = under(name)
    choice = {**GROUNDED, missing: " "}
    with pytest.raises(FormRefused) as refused:
        choose_share_type(city.viewer("editor"), given(share_type=MIDDLE[name], **choice))
    assert [fault.field for fault in refused.value.faults] == [missing]
    assert load_head(name).short.zh in refused.value.faults[0].message.zh
    assert not Sharing.objects.exists()
    assert Resource.objects.get(id=ENTERPRISE).version == 1


@pytest.mark.requirement("TYP-08", source="SY:10¶1")
def test_one_item_differs_and_one_department_alone_gets_it(under):
    city = under("shenyang-2016")
    editor = city.viewer("editor")
    choose_share_type(editor, given(share_type="non_restricted"))
    housing = frozenset({"440100-housing"})
    choose_share_type(
        editor,
        given(2, "legal_representative_name", share_type="restricted", departments=housing, **GROUNDED),
    )
    assert type_now() == "non_restricted"
    assert type_now("legal_representative_name") == "restricted"
    resource = Resource.objects.prefetch_related("items").get(id=ENTERPRISE)

    def way(fields, requester):
        return way_of_request(resource, fields, requester, "verify", regulation())

    assert way(["legal_representative_name"], "440100-police").because == "departments"
    assert way(["legal_representative_name"], "440100-housing").kind == WayKind.REVIEW
    assert way(["industry"], "440100-police").kind == WayKind.IMMEDIATE
    assert way(["industry", "legal_representative_name"], "440100-housing").kind == WayKind.REVIEW
    assert follow_entry(editor, ENTERPRISE, "legal_representative_name", 3) == 4
    assert type_now("legal_representative_name") == "non_restricted"
    assert way(["legal_representative_name"], "440100-police").because in ("sensitive", "")
    with pytest.raises(NotFound):
        follow_entry(editor, ENTERPRISE, "legal_representative_name", 4)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("guangzhou-2019", marks=pytest.mark.requirement("TYP-08", source="GZ165:9¶3")),
        pytest.param("haizhu-draft", marks=pytest.mark.requirement("TYP-08", source="HZ:4¶3")),
    ],
)
def test_an_entry_is_shared_with_named_departments_only(under, name):
    city = under(name)
    only = frozenset({POLICE})
    choose_share_type(city.viewer("editor"), given(share_type=MIDDLE[name], departments=only, **GROUNDED))
    resource = Resource.objects.prefetch_related("items").get(id=ENTERPRISE)
    field = "legal_representative_name"
    if name == "haizhu-draft":
        field = "industry"
    item = resource.items.get(field=field)
    at = current([resource])[ENTERPRISE]
    confined = at.departments_of(item, regulation())
    assert confined == (only if at.type_of(item, regulation()) == MIDDLE[name] else frozenset())
    page = entry_page(city.viewer("lin"), ENTERPRISE)
    assert page.sharing is not None and [one.code for one in page.sharing.departments] == [POLICE]
    if name == "haizhu-draft":
        assert page.request_refusal is not None, "nothing of it is for housing"
        refused = way_of_request(resource, [field], "440100-housing", "verify", regulation())
        assert (refused.kind, refused.because) == (WayKind.NOT_AVAILABLE, "departments")
        assert entry_page(city.viewer("zhao"), ENTERPRISE).request_refusal is None


@pytest.mark.requirement("TYP-05")
@pytest.mark.parametrize("name", ["guangzhou-2019", "xiamen-2015", "shenyang-2016"])
def test_a_base_item_stays_open_whatever_the_entry_bears(under, name):
    city = under(name)
    editor = city.viewer("editor")
    choose_share_type(editor, given(share_type=MIDDLE[name], **GROUNDED))
    assert type_now("industry") == OPEN[name]
    assert type_now("legal_representative_citizen_id_number") == MIDDLE[name]
    with pytest.raises(FormRefused) as refused:
        choose_share_type(editor, given(2, "industry", share_type=MIDDLE[name], **GROUNDED))
    assert refused.value.faults[0].code == "share_type_forced"


@pytest.mark.requirement("TYP-06", source="SY:10¶5")
def test_a_relation_named_later_is_checked_against_the_items_that_differ(under):
    city = under("shenyang-2016")
    editor = city.viewer("editor")
    choose_share_type(editor, given(share_type="restricted", **GROUNDED))
    choose_share_type(
        editor, given(2, "legal_representative_citizen_id_number", share_type="not_shared", **GROUNDED)
    )
    related = frozenset({"parallel_approval"})
    with pytest.raises(FormRefused) as refused:
        choose_share_type(editor, given(3, share_type="restricted", relations=related, **GROUNDED))
    assert [fault.field for fault in refused.value.faults] == ["relations"]
    assert "法定代表人" in refused.value.faults[0].message.zh
    follow_entry(editor, ENTERPRISE, "legal_representative_citizen_id_number", 3)
    choose_share_type(editor, given(4, share_type="restricted", relations=related, **GROUNDED))
    with pytest.raises(FormRefused) as refused:
        choose_share_type(
            editor, given(5, "legal_representative_citizen_id_number", share_type="not_shared", **GROUNDED)
        )
    assert refused.value.faults[0].code == "share_type_forced"


@pytest.mark.requirement("TYP-07", source="SY:10¶2")
def test_a_ruling_is_recorded_and_overrides_the_providers_choice(under):
    city = under("shenyang-2016")
    editor = city.viewer("editor")
    choose_share_type(editor, given(share_type="not_shared", **GROUNDED))
    assert not entry_page(city.viewer("ruler"), ENTERPRISE).share_type.openness
    ruling = RulingInput(ENTERPRISE, 2, "沈智领〔2026〕3号", date(2026, 11, 2))
    rule_open(city.viewer("ruler"), ruling)
    assert type_now() == type_now("legal_representative_citizen_id_number") == "non_restricted"
    row = Sharing.objects.get(origin="ruling")
    assert (row.document, row.decided_on) == ("沈智领〔2026〕3号", date(2026, 11, 2))
    written = {entry[:3] for entry in audit_entries("share_type_set")}
    assert ("440100-data", row.resource.department_id, "account:ruler") in written
    assert Notification.objects.filter(code="share_type_ruled").count() == 1
    with pytest.raises(FormRefused) as refused:
        choose_share_type(editor, given(3, share_type="restricted", **GROUNDED))
    assert refused.value.faults[0].code == "share_type_forced"
    assert "第十条" in refused.value.faults[0].message.zh
    with pytest.raises(FormRefused):
        rule_open(city.viewer("ruler"), replace(ruling, version=3))


@pytest.mark.requirement("CAT-03")
@pytest.mark.parametrize("name", ["guangzhou-2019", "shenyang-2016"])
def test_an_entry_that_is_not_shared_is_known_to_its_department_and_who_manages_sharing(under, name):
    city = under(name)
    assert entry_page(city.viewer("lin"), ENTERPRISE).id == ENTERPRISE
    choose_share_type(city.viewer("editor"), given(share_type="not_shared", **GROUNDED))
    with pytest.raises(NotFound):
        entry_page(city.viewer("lin"), ENTERPRISE)
    for username in ("editor", "zheng"):
        assert entry_page(city.viewer(username), ENTERPRISE).share_type.openness == 0


@pytest.mark.requirement("CAT-03")
@pytest.mark.parametrize("name", ["guangzhou-2019", "shenyang-2016"])
def test_no_other_page_tells_of_an_entry_that_is_not_shared(under, name):
    city = under(name)
    take_in([ENTERPRISE])
    for username in ("lin", "editor", "zheng"):
        assert tellers(city.viewer(username)) == ALL_TELLERS
    choose_share_type(city.viewer("editor"), given(share_type="not_shared", **GROUNDED))
    assert tellers(city.viewer("lin")) == set()
    for username in ("editor", "zheng"):
        assert tellers(city.viewer(username)) == ALL_TELLERS


ALL_TELLERS = {"library", "past catalogue", "versions", "uses of a standard", "register of sources"}


def tellers(viewer) -> set[str]:
    """Which of the pages that could tell of the entry do."""
    entry = Resource.objects.get(id=ENTERPRISE)
    standard = entry.items.exclude(standard="").first().standard
    rows = {
        "library": [
            row.id for row in library_page(viewer, entry.library_kind, entry.library or UNNAMED, 1).rows
        ],
        "past catalogue": [row.resource for row in resource_catalogue_on(viewer, NOW.date(), Asked())],
        "uses of a standard": [use.resource for use in uses_of(viewer, "element", standard).rows],
        "register of sources": [row.resource for row in source_list(viewer, "", "", 1).rows],
    }
    told = {page for page, entries in rows.items() if ENTERPRISE in entries}
    try:
        versions_page(viewer, ENTERPRISE)
        told.add("versions")
    except NotFound:
        pass
    return told


@pytest.mark.requirement("TYP-07")
@pytest.mark.parametrize("name", [*sorted(OPEN), "guangzhou-2016"])
@pytest.mark.parametrize("username", ["ruler", "editor", "leader", "zhou", "lin"])
def test_only_the_body_that_may_rules_and_only_where_the_text_knows_it(under, name, username):
    city = under(name)
    ruling = RulingInput(ENTERPRISE, 1, "文件", date(2026, 11, 2))
    if (name, username) == ("shenyang-2016", "ruler"):
        assert rule_open(city.viewer(username), ruling) == 2
        return
    with pytest.raises((PermissionDenied, NotFound)):
        rule_open(city.viewer(username), ruling)
    assert not Sharing.objects.exists()


@pytest.mark.parametrize(
    ("document", "decided_on", "field"),
    [
        ("", date(2026, 11, 2), "document"),
        ("文件", None, "decided_on"),
        ("文件", date(2026, 11, 12), "decided_on"),
    ],
)
def test_a_ruling_names_its_document_and_day(under, document, decided_on, field):
    city = under("shenyang-2016")
    with pytest.raises(FormRefused) as refused:
        rule_open(city.viewer("ruler"), RulingInput(ENTERPRISE, 1, document, decided_on))
    assert [fault.field for fault in refused.value.faults] == [field]
    assert not Sharing.objects.exists()


def test_two_editors_at_once_the_second_sees_it_first(under):
    city = under("guangzhou-2019")
    choose_share_type(city.viewer("editor"), given(share_type="unconditional"))
    with pytest.raises(EntryChanged):
        choose_share_type(city.viewer("colleague"), given(share_type="conditional", **GROUNDED))
    assert type_now() == "unconditional"
    assert Sharing.objects.count() == 1


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        ({"share_type": "nothing"}, "share_type"),
        (
            {"share_type": "restricted", **GROUNDED, "departments": frozenset({"440100-nobody"})},
            "departments",
        ),
        ({"share_type": "non_restricted", "departments": frozenset({"440100-housing"})}, "departments"),
        ({"share_type": "restricted", **GROUNDED, "ground_rank": "decree"}, "ground_rank"),
    ],
)
def test_bad_input_is_refused_at_its_field(under, choice, field):
    city = under("shenyang-2016")
    with pytest.raises(FormRefused) as refused:
        choose_share_type(city.viewer("editor"), given(**choice))
    assert [fault.field for fault in refused.value.faults] == [field]
    assert not Sharing.objects.exists()


def test_an_unknown_item_is_not_found(under):
    city = under("shenyang-2016")
    with pytest.raises(NotFound):
        choose_share_type(city.viewer("editor"), given(item="no_such", share_type="non_restricted"))


@pytest.mark.parametrize(
    "broken",
    [
        {"openness": 3},
        {"origin": "somebody"},
        {"origin": "provider"},
        {"origin": "ruling", "document": "", "decided_on": date(2026, 11, 2), "openness": 2},
        {"origin": "ruling", "document": "文件", "decided_on": None, "openness": 2},
        {"origin": "ruling", "document": "文件", "decided_on": date(2026, 11, 2), "openness": 1},
    ],
)
def test_the_database_holds_no_half_written_choice(city, broken):
    row = {
        "resource_id": ENTERPRISE,
        "regulation": "shenyang-2016",
        "share_type": "restricted",
        "openness": 1,
        "origin": "initial",
        "version": 1,
        "set_at": NOW,
        **broken,
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        Sharing.objects.create(**row)


def test_an_entry_and_an_item_have_one_choice_at_a_time(city):
    resource = Resource.objects.get(id=ENTERPRISE)
    item = resource.items.first()
    row = {
        "resource": resource,
        "regulation": "shenyang-2016",
        "share_type": "restricted",
        "openness": 1,
        "origin": "initial",
        "version": 1,
        "set_at": NOW,
    }
    for one in (None, item):
        Sharing.objects.create(**row, item=one)
        with pytest.raises(IntegrityError), transaction.atomic():
            Sharing.objects.create(**row, item=one)


@pytest.mark.requirement("TYP-05")
@pytest.mark.parametrize("name", sorted(MIDDLE))
def test_a_new_entry_is_shared_on_conditions_until_its_department_chooses(under, name):
    under(name)
    row = initial_sharing(Resource.objects.get(id=ENTERPRISE), regulation())
    assert row is not None and row.share_type == MIDDLE[name]
    row.save(force_insert=True)
    assert type_now() == MIDDLE[name]


def test_the_story_on_the_pages(under):
    city = under("guangzhou-2019")
    client = Client()
    client.force_login(Account.objects.get(username="editor"))
    entry = client.get(f"/catalogue/{ENTERPRISE}/").content.decode()
    assert f"/catalogue/{ENTERPRISE}/sharing/" in entry and "无偿提供" in entry
    address = f"/catalogue/{ENTERPRISE}/sharing/"
    page = client.get(address).content.decode()
    assert re.search(r'value="unconditional" checked', page), "the form begins with the default of the text"
    refused = client.post(
        address, {"version": 1, "share_type": "not_shared", "ground": "某办法", "ground_rank": "rule"}
    )
    assert refused.status_code == 422
    assert "法律、行政法规、党中央、国务院政策" in refused.content.decode()
    done = client.post(address, {"version": 1, "share_type": "conditional", **GROUNDED}, follow=True)
    assert "有条件共享" in done.content.decode() and "《某条例》第九条" in done.content.decode()
    stale = client.post(address, {"version": 1, "share_type": "unconditional"})
    assert stale.status_code == 409 and "已被他人更改" in stale.content.decode()
    item = client.post(
        f"{address}legal_representative_citizen_id_number/",
        {"version": 2, "share_type": "unconditional"},
        follow=True,
    )
    assert "单独规定" in item.content.decode()
    with clock.fixed(NOW):
        reader = Client()
        reader.force_login(Account.objects.get(username="lin"))
        shown = reader.get(f"/catalogue/{ENTERPRISE}/").content.decode()
    assert "仅限办理许可" in shown and f'{address}"' not in shown
    reader.cookies.load({"django_language": "en"})
    assert "Conditional sharing" in reader.get(address).content.decode()
    assert reader.post(address, {"version": 3, "share_type": "unconditional"}).status_code == 403
    assert city


# No price, fee or charge anywhere (COL-10): neither stored nor asked for nor answered.
PRICED = re.compile(r"(^|[._])(price|fee|charge|cost|amount|invoice|payment)s?($|[._])", re.IGNORECASE)


@pytest.mark.requirement("COL-10")
def test_nothing_stored_has_a_price(city):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema || '.' || table_name || '.' || column_name FROM information_schema.columns"
            " WHERE table_schema IN ('control', 'exchange')"
        )
        columns = [name for (name,) in cursor.fetchall()]
    assert len(columns) > 100
    assert [name for name in columns if PRICED.search(name)] == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param(
            "guangzhou-2019", "第四条", marks=pytest.mark.requirement("COL-10", source="GZ165:4(2)")
        ),
        pytest.param("xiamen-2015", "第五条", marks=pytest.mark.requirement("COL-10", source="XM:5(1)")),
        pytest.param("shenyang-2016", "第四条", marks=pytest.mark.requirement("COL-10", source="SY:4(3)")),
        pytest.param("haizhu-draft", "第五条", marks=pytest.mark.requirement("COL-10", source="HZ:5")),
        pytest.param("guangdong-2008", "第五条", marks=pytest.mark.requirement("COL-10", source="GD08:5")),
        ("guangzhou-2016", "平台设定"),
    ],
)
def test_an_entry_says_with_its_article_that_it_is_free_of_charge(under, name, words):
    under(name)
    client = Client()
    client.force_login(Account.objects.get(username="lin"))
    shown = client.get(f"/catalogue/{ENTERPRISE}/").content.decode()
    free = shown[shown.index("无偿提供") :][:400]
    assert words in free
