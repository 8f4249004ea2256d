"""The terms of requests and grants: from the form to the signed document, and never wider than the offer."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.catalogue.services import offer_table, write_exchange
from shuqiao.control.grants.actions import GrantInput, issue_grant, revoke_grant, suspend_grant
from shuqiao.control.grants.handing_over import HandoverInput, record_digest, record_handover
from shuqiao.control.grants.models import Grant, Handover
from shuqiao.control.requests.actions import save_draft, start_renewal, submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.models import Request
from shuqiao.control.requests.pages import request_form
from shuqiao.control.requests.row_editor import RowLine, lines_of, read_lines
from shuqiao.control.requests.terms import rows_from
from shuqiao.rules.rows import Row
from shuqiao.wire.grant import Grant as Document
from shuqiao.wire.grant import decode_grant

from .conftest import BIRTH, NOW, audit_entries, rows

HEALTH = "health_status_code"
ITEMS = {"newborn_name": "核对姓名", HEALTH: "发放补助", "sex_code": "统计"}
GIRLS = Row("sex_code", "eq", ("2",))
SINCE = Row("birth_date", "range", ("2026-01-01", ""))
GRANTED = dict.fromkeys(ITEMS, True)


@pytest.fixture
def offered(city):
    """The city, with the birth list offered in bulk too, and by every channel."""
    resource = Resource.objects.get(pk=BIRTH)
    resource.modes = ["verify", "query", "bulk"]
    resource.content = {**resource.content, "manner": ["platform_database", "disc"]}
    resource.save()
    for item in Item.objects.filter(resource=resource).exclude(modes=["verify"]):
        item.modes = ["verify", "query", "bulk"]
        item.save()
    return city


def wanted(city, **changes):
    """A request of housing for a copy of the births."""
    given = {
        "mode": "bulk",
        "items": ITEMS,
        "channels": ("download", "offline"),
        "rows": (GIRLS,),
        "unmask": {HEALTH: "按健康状况确定补助标准"},
    }
    return city.wanted(**(given | changes))


def answer(city, **changes):
    """An answer that grants all of it."""
    given = {"decisions": GRANTED, "mode": "bulk", "match": "all"}
    return city.answer(**(given | changes))


def issued(city, asked=None, **changes) -> Document:
    """The document of the grant that an answer gives."""
    number = submit_request(city.viewer("lin"), asked or wanted(city))
    granted = answer_request(city.viewer("chen"), number, answer(city, **changes))
    return decode_grant(Grant.objects.get(number=granted).document)


def refused(city, asked=None, **changes) -> set[tuple[str, str]]:
    """(field, code) of what is wrong with an answer; nothing is granted."""
    number = submit_request(city.viewer("lin"), asked or wanted(city))
    with pytest.raises(FormRefused) as error:
        answer_request(city.viewer("chen"), number, answer(city, **changes))
    assert not Grant.objects.exists()
    return {(fault.field, fault.code) for fault in error.value.faults}


def page(username: str, address: str, language: str = "zh-hans") -> str:
    """A page as an account sees it."""
    client = Client(headers={"accept-language": language})
    client.force_login(Account.objects.get(username=username))
    client.cookies["django_language"] = language
    found = client.get(address)
    assert found.status_code == 200, address
    return found.content.decode()


@pytest.mark.requirement("MOD-06", source="SY:21")
def test_every_term_of_an_answer_stands_in_the_signed_document(offered):
    document = issued(
        offered,
        rows=(SINCE,),
        unmasked=frozenset({HEALTH}),
        channels=("download",),
        pseudonyms=True,
        signed_calls=True,
    )
    assert (document.mode, document.channels) == ("bulk", ("download",))
    assert [(row.field, row.op, row.values) for row in document.rows] == [
        ("sex_code", "eq", ("2",)),
        ("birth_date", "range", ("2026-01-01", "")),
    ]
    assert document.unmasked == (HEALTH,)
    # A copy is asked for under the application's own key in any case; single calls are signed, not copies.
    assert document.pseudonyms and not document.signed_calls
    [facts] = [json.loads(body.splitlines()[0]) for (body,) in rows(
        "SELECT body FROM audit.entry WHERE event = 'grant_issued'")]  # fmt: skip
    assert facts["channels"] == ["download"] and facts["unmasked"] == [HEALTH]
    assert facts["rows"] == ["sex_code", "birth_date"]


@pytest.mark.requirement("SEC-18")
def test_what_is_sensitive_stays_masked_unless_the_reviewer_ticks_it(offered):
    document = issued(offered)
    assert document.unmasked == ()
    # The channels and the conditions are those asked for.
    assert document.channels == ("download", "offline")
    assert [row.field for row in document.rows] == ["sex_code"]
    assert not document.pseudonyms and not document.signed_calls


@pytest.mark.requirement("SEC-18")
def test_the_spec_of_the_plane_names_what_is_masked(offered):
    Item.objects.filter(resource_id=BIRTH, field="birth_date").update(business_secret=True)
    resource = Resource.objects.get(pk=BIRTH)
    write_exchange(resource, list(resource.items.all()))
    [(spec,)] = rows("SELECT spec FROM exchange.resource WHERE id = %s", BIRTH)
    items = (json.loads(spec) if isinstance(spec, str) else spec)["items"]
    masked = {one["field"] for one in items if one["masked"]}
    assert {HEALTH, "mother_citizen_id_number", "birth_date"} <= masked
    assert masked.isdisjoint({"newborn_name", "sex_code"})


@pytest.mark.parametrize(
    ("asked", "changes", "fault"),
    [
        ({}, {"mode": "query"}, ("mode", "mode_wider")),
        ({"mode": "query", "channels": ("interface",)}, {"mode": "bulk"}, ("mode", "mode_wider")),
        ({}, {"channels": ("browse",)}, ("channels", "channel_wider")),
        ({}, {"channels": ()}, ("channels", "field_required")),
        ({"unmask": {}}, {"unmasked": frozenset({HEALTH})}, ("unmasked", "unmasked_wider")),
        ({}, {"unmasked": frozenset({"sex_code"})}, ("unmasked", "unmasked_unknown")),
        (
            {},
            {"unmasked": frozenset({HEALTH}), "decisions": GRANTED | {HEALTH: False}, "refusal_reason": "否"},
            ("unmasked", "unmasked_unknown"),
        ),
        ({}, {"rows": (Row("mother_name", "eq", ("甲",)),)}, ("rows.0", "row_field_unknown")),
        ({}, {"rows": (Row("sex_code", "eq", ("99",)),)}, ("rows.0", "row_value_unknown")),
    ],
)
def test_an_answer_is_never_wider_than_the_request_or_the_offer(offered, asked, changes, fault):
    assert fault in refused(offered, wanted(offered, **asked), **changes)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"channels": ("interface", "download"), "mode": "query", "unmask": {}},
            ("channels", "channel_mode"),
        ),
        ({"rows": (Row("newborn_name", "eq", ("甲",)),)}, ("rows.0", "row_field_unknown")),
        ({"rows": (Row("birth_date", "eq", ("昨天",)),)}, ("rows.0", "row_value_unknown")),
    ],
)
def test_a_request_asks_only_for_what_is_offered(offered, changes, fault):
    with pytest.raises(FormRefused) as error:
        submit_request(offered.viewer("lin"), wanted(offered, **changes))
    assert fault in {(one.field, one.code) for one in error.value.faults}
    assert not Request.objects.exclude(number=None).exists()


def test_a_copy_is_not_asked_for_where_none_is_offered(city):
    with pytest.raises(FormRefused) as error:
        submit_request(city.viewer("lin"), wanted(city))
    assert ("mode", "mode_unknown") in {(one.field, one.code) for one in error.value.faults}


def test_what_the_requester_proposes_holds_whatever_the_reviewer_adds(offered):
    document = issued(offered, rows=(GIRLS, SINCE))
    assert [row.field for row in document.rows] == ["sex_code", "birth_date"]


def test_narrowed_to_a_verification_a_grant_goes_by_interface_and_gives_nothing_in_the_clear(offered):
    asked = wanted(offered, channels=("download",))
    document = issued(offered, asked, mode="verify", unmasked=frozenset({HEALTH}), pseudonyms=True)
    assert (document.mode, document.channels) == ("verify", ("interface",))
    assert document.unmasked == () and not document.pseudonyms


def test_a_renewal_asks_for_and_suggests_the_terms_that_were_given(offered):
    document = issued(
        offered, rows=(SINCE,), unmasked=frozenset({HEALTH}), channels=("download",), case_required=True
    )
    with clock.fixed(NOW + timedelta(days=340)):
        start_renewal(offered.viewer("lin"), document.id)
        draft = Request.objects.get(number=None)
        assert draft.channels == ["download"]
        assert rows_from(draft.rows) == (GIRLS, SINCE)
        assert draft.items.get(item__field=HEALTH).unmask_reason == "按健康状况确定补助标准"
        until = date(2028, 9, 1)
        asked = wanted(offered, channels=("download",), rows=(GIRLS,), renews=document.id, wanted_until=until)
        number = submit_request(offered.viewer("lin"), asked)
        form = page("chen", f"/requests/{number}/")
    # What the provider had added and the requester left out is suggested again, and so is the rest.
    assert 'value="2026-01-01~"' in form
    for name in ("case_required", f"unmasked-{HEALTH}"):
        assert " checked" in form.split(f'id="{name}"')[1].split(">")[0], name
    assert " checked" not in form.split('id="pseudonyms"')[1].split(">")[0]


def test_a_grant_that_gives_all_of_it_saves_the_second_request(offered):
    document = issued(offered, unmasked=frozenset({HEALTH}))
    with pytest.raises(FormRefused) as error:
        submit_request(offered.viewer("lin"), wanted(offered, rows=(GIRLS, SINCE), unmask={}))
    assert [one.code for one in error.value.faults] == ["already_granted"]
    assert document.id in error.value.faults[0].message.zh
    # Wider rows are another matter.
    assert submit_request(offered.viewer("lin"), wanted(offered, rows=()))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh-hans", ["文件下载", "“性别代码”为 2", "健康状况代码", "以假名标识代替"]),
        (
            "en",
            [
                "File download",
                "Given in the clear",
                "replaced by pseudonyms",
            ],
        ),
    ],
)
def test_the_pages_say_the_terms_in_words(offered, language, words):
    document = issued(offered, unmasked=frozenset({HEALTH}), pseudonyms=True)
    shown = page("chen", f"/grants/{document.id}/", language)
    for one in words:
        assert one in shown, one
    case = page("lin", f"/requests/{document.request_no}/", language)
    assert words[0] in case
    assert words[0] in page("chen", f"/requests/{document.request_no}/form/", language)


def test_the_form_keeps_channels_conditions_and_reasons_step_by_step(offered):
    client = Client()
    client.force_login(Account.objects.get(username="lin"))
    address = f"/requests/new/?resource={BIRTH}&step="
    first = {"mode": "bulk", "items": list(ITEMS), "channels": ["download"], "go": "2"}
    assert client.post(f"{address}1", first).status_code == 302
    second = client.get(f"{address}2").content.decode()
    assert f'name="unmask:{HEALTH}"' in second and 'name="unmask:sex_code"' not in second
    reasons = {f"reason:{name}": why for name, why in ITEMS.items()}
    client.post(f"{address}2", {**reasons, f"unmask:{HEALTH}": "发放补助", "go": "3"})
    typed = {"row:0:field": "sex_code", "row:0:op": "in", "row:0:text": "女、1",
             "row:1:field": "birth_date", "row:1:op": "range", "row:1:text": "~2026-06-30"}  # fmt: skip
    client.post(f"{address}3", {**typed, "purpose": "发放补助", "go": "4"})
    form = request_form(offered.viewer("lin"), BIRTH)
    assert [one.key for one in form.channels if one.chosen] == ["download"]
    assert form.kept_rows == (
        Row("sex_code", "in", ("2", "1")),
        Row("birth_date", "range", ("", "2026-06-30")),
    )
    assert {one.item.field: one.unmask_reason for one in form.items if one.unmask_reason} == {
        HEALTH: "发放补助"
    }
    check = client.get(f"{address}5").content.decode()
    assert "文件下载" in check and "给原值的敏感项" in check


def test_the_editor_reads_back_what_it_shows():
    items = {
        "kind": Item(field="kind", zh="种类", codes={"1": "甲", "2": "乙"}),
        "on": Item(field="on", zh="日"),
    }
    given = (Row("kind", "in", ("1", "2")), Row("on", "range", ("2020-01-01", "")), Row("on", "null"))
    assert read_lines(lines_of(given, items), items) == given
    assert read_lines([RowLine("kind", "eq", "乙"), RowLine("", "eq", "x")], items) == (
        Row("kind", "eq", ("2",)),
    )


# ------------------------------------------------------------------ the last guard, and nothing given on


def straight(document: Document, **changes) -> GrantInput:
    """What was granted, as the input of one more grant."""
    given = GrantInput(
        request_number="R-2026-9999",
        round=1,
        resource=document.resource,
        consumer="440100-police",
        provider=document.provider,
        mode=document.mode,
        match=document.match,
        fields=document.items,
        applications=("app-police-portal",),
        purpose=document.purpose,
        case_required=False,
        valid_from=NOW.date(),
        valid_until=document.valid_until,
        regulation=document.regulation,
        conditions=(),
        channels=("download",),
    )
    return replace(given, **changes)


@pytest.mark.requirement("SEC-14", source="GZ16:4¶2")
def test_nobody_but_the_provider_of_an_entry_gives_it(offered):
    document = issued(offered)
    with pytest.raises(RuntimeError):
        issue_grant(straight(document, provider="440100-housing"), offered.viewer("hou"))
    assert Grant.objects.count() == 1


@pytest.mark.requirement("MOD-05", source="XM:12(1-2)")
@pytest.mark.parametrize(
    "changes",
    [
        {"channels": ("browse", "interface"), "mode": "query"},
        {"mode": "query", "fields": ("mother_citizen_id_number",), "channels": ("interface",)},
        {"unmasked": ("sex_code",)},
        {"rows": (Row("mother_name", "eq", ("甲",)),)},
    ],
)
def test_no_grant_is_signed_for_what_is_not_offered(offered, changes):
    document = issued(offered)
    with pytest.raises(FormRefused):
        issue_grant(straight(document, **changes), offered.viewer("chen"))
    assert Grant.objects.count() == 1
    assert not rows('SELECT id FROM exchange."grant" WHERE id <> %s', document.id)


# ------------------------------------------------------------------------------------ offline exchange


def handed(**changes) -> HandoverInput:
    """A complete handover."""
    given = {
        "handed_over_at": NOW - timedelta(seconds=30),
        "handed_over_by": "示例交付人",
        "receiver": "示例接收人",
        "medium": "disc",
        "medium_mark": "示例光盘 0001",
        "content": "2026 年出生登记，女",
        "records": 1200,
        "digest": hashlib.sha256(b"sample").hexdigest(),
    }
    return HandoverInput(**(given | changes))


@pytest.mark.requirement("MOD-09", source="SY:21")
@pytest.mark.requirement("SEC-17", source="SY:23¶2")
def test_an_offline_delivery_is_recorded_with_handover_medium_receiver_and_time(offered):
    document = issued(offered)
    record_handover(offered.viewer("chen"), document.id, handed())
    row = Handover.objects.get()
    assert (row.receiver, row.handed_over_by, row.medium) == ("示例接收人", "示例交付人", "disc")
    assert row.handed_over_at == NOW - timedelta(seconds=30)
    assert audit_entries("offline_handed_over") == [
        ("440100-housing", "440100-health", "account:chen", BIRTH, document.id, document.request_no, "active")
    ]
    [(body,)] = rows("SELECT body FROM audit.entry WHERE id = %s", row.entry_id)
    facts = json.loads(body.splitlines()[0])
    # The log fixes moment and content; the names of persons it holds by their digest.
    assert datetime.fromisoformat(facts["handed_over_at"]) == row.handed_over_at
    assert (facts["records"], facts["sha256"], facts["medium"]) == (1200, row.digest, "disc")
    kept = HandoverInput(
        row.handed_over_at.astimezone(UTC), row.handed_over_by, row.receiver, row.medium, row.medium_mark,
        row.content, row.records, row.digest,
    )  # fmt: skip
    assert facts["record_sha256"] == record_digest(kept)
    assert "示例接收人" not in body
    assert Notification.objects.filter(
        department_id="440100-housing", code="offline_handed_over", reference=document.id
    ).exists()
    for reader in ("lin", "chen"):
        shown = page(reader, f"/grants/{document.id}/")
        assert "示例光盘 0001" in shown and "示例接收人" in shown


def test_the_same_handover_is_recorded_once(offered):
    document = issued(offered)
    record_handover(offered.viewer("chen"), document.id, handed())
    with pytest.raises(FormRefused) as error:
        record_handover(offered.viewer("chen"), document.id, handed(receiver="另一人"))
    assert [one.code for one in error.value.faults] == ["handover_recorded"]
    assert Handover.objects.count() == 1
    assert len(audit_entries("offline_handed_over")) == 1


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"receiver": " "}, ("receiver", "field_required")),
        ({"handed_over_by": "x" * 61}, ("handed_over_by", "too_long")),
        ({"medium": "pigeon"}, ("medium", "field_required")),
        ({"medium_mark": ""}, ("medium_mark", "field_required")),
        ({"handed_over_at": None}, ("handed_over_at", "date_unreadable")),
        ({"handed_over_at": NOW + timedelta(hours=1)}, ("handed_over_at", "date_impossible")),
        ({"handed_over_at": NOW - timedelta(days=2)}, ("handed_over_at", "date_impossible")),
        ({"records": -1}, ("records", "number_out_of_range")),
        ({"digest": "ABC"}, ("digest", "digest_malformed")),
    ],
)
def test_a_handover_is_complete_and_possible(offered, changes, fault):
    document = issued(offered)
    with pytest.raises(FormRefused) as error:
        record_handover(offered.viewer("chen"), document.id, handed(**changes))
    assert fault in {(one.field, one.code) for one in error.value.faults}
    assert not Handover.objects.exists() and not audit_entries("offline_handed_over")


@pytest.mark.requirement("MOD-09", source="SY:20(2)")
@pytest.mark.parametrize("who", ["lin", "hou", "zhao", "bai", "ma"])
def test_only_the_providers_officer_records_a_handover(offered, who):
    document = issued(offered)
    with pytest.raises(NotFound):
        record_handover(offered.viewer(who), document.id, handed())
    assert not Handover.objects.exists()


@pytest.mark.requirement("MOD-09", source="SY:20(2)")
@pytest.mark.parametrize("state", ["online", "suspended", "revoked"])
def test_nothing_is_handed_over_without_a_grant_in_force_that_says_so(offered, state):
    document = issued(offered, channels=("download",)) if state == "online" else issued(offered)
    if state == "suspended":
        suspend_grant(offered.viewer("chen"), document.id, "核查")
    if state == "revoked":
        revoke_grant(offered.viewer("chen"), document.id, "停用")
    with pytest.raises(NotFound):
        record_handover(offered.viewer("chen"), document.id, handed())
    assert "登记一次离线交付" not in page("chen", f"/grants/{document.id}/")


def test_a_handover_is_recorded_on_its_page(offered):
    document = issued(offered)
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    fields = {
        "handed_over_at": "2026-11-11T09:42", "handed_over_by": "示例交付人", "receiver": "示例接收人",
        "medium": "usb", "medium_mark": "U-1", "content": "示例", "records": "一百",
    }  # fmt: skip
    wrong = client.post(f"/grants/{document.id}/handovers", fields)
    assert wrong.status_code == 422 and "记录数超出范围" in wrong.content.decode()
    assert 'value="U-1"' in wrong.content.decode()
    assert client.post(f"/grants/{document.id}/handovers", fields | {"records": "100"}).status_code == 302
    assert Handover.objects.get().records == 100


def test_a_draft_keeps_what_cannot_be_asked_for_until_it_is_put_right(offered):
    save_draft(offered.viewer("lin"), wanted(offered, rows=(Row("birth_date", "eq", ("昨天",)),)))
    form = request_form(offered.viewer("lin"), BIRTH)
    assert form.editor.lines[0] == RowLine("birth_date", "eq", "昨天")
    assert msgspec.to_builtins(form.kept_rows[0])["values"] == ("昨天",)


@pytest.mark.requirement("MOD-07", source="SY:21")
def test_an_interface_is_marked_and_described_with_how_it_is_called(city) -> None:
    client = Client()
    client.force_login(Account.objects.get(username="lin"))
    resource = Resource.objects.get(pk=BIRTH)
    resource.services.all().delete()
    before = client.get(f"/catalogue/{BIRTH}/").content.decode()
    assert "接口服务" in before and "数据尚未接入" in before and f"/v1/resources/{BIRTH}/verify" not in before
    offer_table(city.viewer("chen"), BIRTH)
    after = client.get(f"/catalogue/{BIRTH}/").content.decode()
    for words in ("接口服务", f"POST /v1/resources/{BIRTH}/verify", f"POST /v1/resources/{BIRTH}/query"):
        assert words in after.replace("POST</", "POST </"), words
    assert "Signature-Input" in after and "/openapi.json" in after
    Resource.objects.filter(pk=BIRTH).update(content={**resource.content, "manner": ["disc"]})
    offline = client.get(f"/catalogue/{BIRTH}/").content.decode()
    assert "接口服务" not in offline and "离线交换" in offline
