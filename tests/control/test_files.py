"""Files of an entry: registered, replaced and withdrawn by their provider, given whole, shown to no other."""

import io
import json
import uuid
import zipfile
from dataclasses import replace
from datetime import date, timedelta

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Item, Resource, Service, ServiceKind
from shuqiao.control.catalogue.services import keep_at_node, offer_table
from shuqiao.control.catalogue.supply_page import supply_of
from shuqiao.control.deliveries.copies import copies_page
from shuqiao.control.deliveries.files import fetch_file, grant_files_page
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.files.actions import register_file, replace_file, withdraw_file
from shuqiao.control.files.content import kind_of
from shuqiao.control.files.pages import files_page
from shuqiao.control.grants.actions import revoke_grant, suspend_grant
from shuqiao.control.grants.models import Grant
from shuqiao.control.requests.actions import submit_request, take_step
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.drafts import start_renewal
from shuqiao.control.requests.inputs import StepInput
from shuqiao.rules.errors import PermissionDenied
from shuqiao.rules.files import MAX_FILE_BYTES
from shuqiao.rules.sharing import Way, WayKind
from shuqiao.security import keys
from shuqiao.wire.grant import decode_grant

from .conftest import BIRTH, NOW, audit_entries, rows

PDF = b"%PDF-1.7\n" + b"sample " * 50_000 + b"\n%%EOF\n"
REPORT = FileInput("年报 2025.pdf", PDF)


def archive(*names: str) -> bytes:
    """A zip archive with parts of these names."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        for name in names:
            made.writestr(name, "x")
    return held.getvalue()


@pytest.fixture
def offered(city):
    """The births offered in bulk, served by no table of the platform."""
    keys.random_secret_file(settings.CONFIG.files_secret_file)
    keys.load_or_create_signing_key(settings.CONFIG.portal_keys / "app-housing-portal.key")
    Resource.objects.filter(pk=BIRTH).update(modes=["bulk"])
    resource = Resource.objects.get(pk=BIRTH)
    resource.content = {**resource.content, "manner": ["platform_database", "disc"]}
    resource.save()
    Item.objects.filter(resource=BIRTH).update(modes=["bulk"], sensitivity=1, business_secret=False)
    Service.objects.filter(resource=BIRTH).update(ended_at=NOW)
    return city


def fields() -> list[str]:
    """Every item of the births."""
    return [field for (field,) in rows("SELECT field FROM catalogue_item WHERE resource_id = %s", BIRTH)]


def asked(city, **changes):
    """A request of housing for the files."""
    given = {
        "mode": "bulk",
        "items": dict.fromkeys(fields(), "编制住房规划"),
        "channels": ("interface", "download"),
    }
    return city.wanted(**(given | changes))


def granted(city, **changes):
    """The grant that an answer gives."""
    number = submit_request(city.viewer("lin"), asked(city))
    given = {"decisions": dict.fromkeys(fields(), True), "mode": "bulk", "match": "all", "files": ("*",)}
    found = answer_request(city.viewer("chen"), number, city.answer(**(given | changes)))
    return Grant.objects.get(number=found)


def faults_of(call) -> set[tuple[str, str]]:
    """(field, code) of what is wrong."""
    with pytest.raises(FormRefused) as error:
        call()
    return {(fault.field, fault.code) for fault in error.value.faults}


@pytest.mark.requirement("MOD-06")
def test_a_file_is_registered_replaced_and_withdrawn_and_its_history_stays(offered):
    chen = offered.viewer("chen")
    file = register_file(chen, BIRTH, " 年度  报告 ", REPORT)
    assert Service.objects.get(resource=BIRTH, ended_at=None).kind == ServiceKind.FILE
    [(active,)] = rows("SELECT active FROM exchange.resource WHERE id = %s", BIRTH)
    assert active
    assert replace_file(chen, BIRTH, file, FileInput("年报.pdf", PDF + b"\n")) == 2
    [row] = files_page(chen, BIRTH).rows
    assert row.title == "年度 报告" and row.withdrawn_at is None
    assert [(one.number, one.name) for one in row.versions] == [(2, "年报.pdf"), (1, "年报 2025.pdf")]
    assert row.newest.who is not None and row.newest.size_bytes == len(PDF) + 1
    withdraw_file(chen, BIRTH, file, "内容有误")
    [row] = files_page(chen, BIRTH).rows
    assert row.withdrawn_reason == "内容有误" and len(row.versions) == 2
    assert not Service.objects.filter(resource=BIRTH, ended_at=None).exists()
    outcomes = [(entry[6], entry[3]) for entry in audit_entries("file_registered")]
    assert sorted(outcomes) == [("registered", BIRTH), ("replaced", BIRTH)]
    assert [entry[6] for entry in audit_entries("file_withdrawn")] == ["withdrawn"]
    for change in (
        lambda: replace_file(chen, BIRTH, file, REPORT),
        lambda: withdraw_file(chen, BIRTH, file, "again"),
        lambda: withdraw_file(chen, BIRTH, uuid.uuid4(), "none"),
    ):
        with pytest.raises(NotFound):
            change()


@pytest.mark.parametrize("stranger", ["hou", "bai", "ma", "zhao"])
def test_only_the_provider_registers_and_only_the_provider_sees_the_page(offered, stranger):
    viewer = offered.viewer(stranger)
    with pytest.raises((NotFound, PermissionDenied)):
        register_file(viewer, BIRTH, "年度报告", REPORT)
    if stranger != "bai":
        with pytest.raises(NotFound):
            files_page(viewer, BIRTH)
    assert not rows("SELECT FROM exchange.file")


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.pdf", b"", "file_size"),
        ("a.pdf", b"<script>", "file_kind"),
        ("a.html", b"<script>", "file_kind"),
        ("a.exe", b"MZ", "file_kind"),
        ("a.svg", b"<svg/>", "file_kind"),
        ("a", PDF, "file_kind"),
        ("a.png", PDF, "file_kind"),
        ("a.zip", b"PK\x03\x04broken", "file_kind"),
        ("a.zip", archive("../up.txt"), "file_kind"),
        ("a.ofd", archive("other.xml"), "file_kind"),
        ("a.docx", archive("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"), "file_kind"),
        ("a.json", b"{", "file_kind"),
        ("a.csv", b"a,\x00", "file_kind"),
        ("a.pdf", b"%PDF-" + bytes(MAX_FILE_BYTES), "file_size"),
    ],
)
def test_what_cannot_be_taken_in_is_refused_with_its_reason(offered, name, content, code):
    given = FileInput(name, content)
    assert faults_of(lambda: register_file(offered.viewer("chen"), BIRTH, "年度报告", given)) == {
        ("file", code)
    }
    assert not rows("SELECT FROM exchange.file") and not rows("SELECT FROM exchange.file_version")


def test_kinds_are_read_from_the_content():
    assert kind_of("图.geojson", b'{"type": "FeatureCollection"}') == "application/geo+json"
    assert kind_of("地形图.TIF", b"II*\x00" + bytes(10)) == "image/tiff"
    assert kind_of("公文.ofd", archive("OFD.xml", "Doc_0/Document.xml")) == "application/ofd"
    assert kind_of("数据.zip", archive("a/b.shp")) == "application/zip"
    assert kind_of("表.csv", "列,值\n".encode("gb18030")) == "text/csv"
    assert kind_of("说明.xml", b"\xef\xbb\xbf<?xml version='1.0'?><a/>") == "application/xml"


def test_titles_reasons_and_repeated_contents_are_judged(offered):
    chen = offered.viewer("chen")
    assert faults_of(lambda: register_file(chen, BIRTH, "", None)) == {
        ("title", "field_required"),
        ("file", "field_required"),
    }
    file = register_file(chen, BIRTH, "年度报告", REPORT)
    again = lambda: register_file(chen, BIRTH, "年度报告", FileInput("b.txt", b"b"))  # noqa: E731
    assert faults_of(again) == {("title", "title_taken")}
    assert faults_of(lambda: replace_file(chen, BIRTH, file, REPORT)) == {("file", "file_unchanged")}
    assert faults_of(lambda: withdraw_file(chen, BIRTH, file, " ")) == {("reason", "reason_required")}


def test_a_file_has_no_more_versions_than_the_platform_keeps(offered, settings):
    chen = offered.viewer("chen")
    file = register_file(chen, BIRTH, "年度报告", REPORT)
    settings.CONFIG = replace(settings.CONFIG, files_most_versions=2)
    assert replace_file(chen, BIRTH, file, FileInput("b.txt", b"b")) == 2
    again = lambda: replace_file(chen, BIRTH, file, FileInput("c.txt", b"c"))  # noqa: E731
    assert faults_of(again) == {("file", "too_many_versions")}
    [row] = files_page(chen, BIRTH).rows
    assert [one.number for one in row.versions] == [2, 1]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"modes": ["query"]}, "mode_missing"),
        ({"content": {"manner": ["disc"]}}, "channel_unknown"),
        ({"record_key": "nothing"}, "record_key_unknown"),
    ],
)
def test_an_entry_that_cannot_be_given_as_files_is_refused(offered, change, code):
    Resource.objects.filter(pk=BIRTH).update(**change)
    found = faults_of(lambda: register_file(offered.viewer("chen"), BIRTH, "年度报告", REPORT))
    assert ("file", code) in found


def test_table_and_files_do_not_serve_one_entry(offered):
    chen = offered.viewer("chen")
    Service.objects.create(resource_id=BIRTH, kind=ServiceKind.TABLE, offered_at=NOW)
    assert ("file", "table_serves") in faults_of(lambda: register_file(chen, BIRTH, "年度报告", REPORT))
    Service.objects.filter(kind=ServiceKind.TABLE).update(ended_at=NOW)
    register_file(chen, BIRTH, "年度报告", REPORT)
    with pytest.raises(FormRefused) as error:
        offer_table(chen, BIRTH)
    assert "files_serve" in {fault.code for fault in error.value.faults}


def test_an_entry_whose_data_stay_with_the_department_gets_no_files(offered):
    chen = offered.viewer("chen")
    Resource.objects.filter(pk=BIRTH).update(modes=["query", "bulk"])
    assert supply_of(chen, BIRTH).may_register_files
    Service.objects.create(resource_id=BIRTH, kind=ServiceKind.NODE, offered_at=NOW)
    assert ("file", "kept_at_node") in faults_of(lambda: register_file(chen, BIRTH, "年度报告", REPORT))
    assert not rows("SELECT FROM exchange.file")
    assert not supply_of(chen, BIRTH).may_register_files
    Service.objects.filter(kind=ServiceKind.NODE).update(ended_at=NOW)
    register_file(chen, BIRTH, "年度报告", REPORT)
    with pytest.raises(FormRefused) as error:
        keep_at_node(chen, BIRTH)
    assert "files_serve" in {fault.code for fault in error.value.faults}


@pytest.mark.requirement("MOD-05", "MOD-06")
def test_a_grant_gives_all_files_or_the_chosen_ones(offered):
    chen = offered.viewer("chen")
    first = register_file(chen, BIRTH, "年度报告", REPORT)
    second = register_file(chen, BIRTH, "说明", FileInput("说明.txt", "样例".encode()))
    whole = granted(offered)
    assert decode_grant(whole.document).files == ("*",)
    page = grant_files_page(offered.viewer("lin"), whole.number)
    assert [row.id for row in page.rows] == [first, second] and page.may_fetch
    Grant.objects.filter(pk=whole.pk).delete()
    chosen = granted(offered, files=(str(second),))
    assert decode_grant(chosen.document).files == (str(second),)
    assert [row.id for row in grant_files_page(offered.viewer("lin"), chosen.number).rows] == [second]
    said = rows("SELECT body FROM audit.entry WHERE event = 'grant_issued'")
    assert sorted(json.loads(body.splitlines()[0])["files"] for (body,) in said) == [["*"], [str(second)]]
    # The provider sees the same list and fetches nothing; others see no grant.
    assert not grant_files_page(chen, chosen.number).may_fetch
    for stranger in ("zhao", "chen"):
        with pytest.raises(NotFound):
            fetch_file(offered.viewer(stranger), chosen.number, second, "", None)
    with pytest.raises(NotFound):
        fetch_file(offered.viewer("lin"), chosen.number, first, "", None)
    with pytest.raises(NotFound):
        copies_page(offered.viewer("lin"), chosen.number)


@pytest.mark.requirement("MOD-05")
@pytest.mark.parametrize("change", ["suspend", "revoke", "over", "not yet"])
def test_a_consumer_sees_no_files_of_a_grant_that_cannot_be_used(offered, change):
    chen, lin, zhou = (offered.viewer(name) for name in ("chen", "lin", "zhou"))
    register_file(chen, BIRTH, "年度报告", REPORT)
    grant = granted(offered)
    assert [row.title for row in grant_files_page(lin, grant.number).rows] == ["年度报告"]
    match change:
        case "suspend":
            suspend_grant(chen, grant.number, "核查")
        case "revoke":
            revoke_grant(chen, grant.number, "用途已改变")
        case "over":
            Grant.objects.filter(pk=grant.pk).update(
                valid_from=NOW.date() - timedelta(9), valid_until=NOW.date() - timedelta(1)
            )
        case _:
            Grant.objects.filter(pk=grant.pk).update(valid_from=NOW.date() + timedelta(1))
    register_file(chen, BIRTH, "其后登记", FileInput("b.txt", b"b"))
    assert grant_files_page(lin, grant.number).rows == ()
    client = Client()
    client.force_login(Account.objects.get(username="lin"))
    page = client.get(f"/grants/{grant.number}/files/").content.decode()
    assert "其后登记" not in page and "年度报告" not in page and "SHA-256" not in page
    # Its provider and supervision see what there is.
    for viewer in (chen, zhou):
        assert len(grant_files_page(viewer, grant.number).rows) == 2


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"items": {"sex_code": "样例"}}, ("items", "files_are_whole")),
        ({"channels": ("browse",)}, ("channels", "channel_mode")),
    ],
)
def test_files_are_asked_for_whole(offered, change, fault):
    register_file(offered.viewer("chen"), BIRTH, "年度报告", REPORT)
    assert fault in faults_of(lambda: submit_request(offered.viewer("lin"), asked(offered, **change)))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"pseudonyms": True}, ("rows", "files_are_whole")),
        ({"files": (str(uuid.UUID(int=7)),)}, ("files", "file_unknown")),
        ({"files": ()}, ("files", "field_required")),
        ({"files": None}, ("files", "field_required")),
    ],
)
def test_an_answer_promises_nothing_that_files_cannot_keep(offered, change, fault):
    register_file(offered.viewer("chen"), BIRTH, "年度报告", REPORT)
    assert fault in faults_of(lambda: granted(offered, **change))
    assert not Grant.objects.exists()


def test_an_item_that_is_sensitive_is_given_only_where_it_is_named(offered):
    Item.objects.filter(resource=BIRTH, field="mother_name").update(sensitivity=4)
    register_file(offered.viewer("chen"), BIRTH, "年度报告", REPORT)
    submit = lambda **more: submit_request(offered.viewer("lin"), asked(offered, **more))  # noqa: E731
    assert ("items", "files_are_whole") in faults_of(submit)
    assert submit(unmask={"mother_name": "报告中含该项"})


def test_the_provider_registers_on_the_page_with_the_forms_token(offered):
    client = Client(enforce_csrf_checks=True)
    client.force_login(Account.objects.get(username="chen"))
    address = f"/catalogue/{BIRTH}/files/"
    page = client.get(address)
    assert "登记文件" in page.content.decode()
    token = page.context["csrf_token"]
    words = {"step": "register", "title": "年度报告", "file": SimpleUploadedFile("a.pdf", PDF)}
    assert client.post(address, words).status_code == 403
    assert not rows("SELECT FROM exchange.file")
    words |= {"file": SimpleUploadedFile("a.pdf", PDF), "csrfmiddlewaretoken": str(token)}
    made = client.post(address, words, follow=True)
    assert made.status_code == 200 and "文件已登记" in made.content.decode()
    again = words | {"file": SimpleUploadedFile("a.html", b"<script>")}
    refused = client.post(address, again)
    assert refused.status_code == 422 and "已有同名文件" in refused.content.decode()
    [(file,)] = rows("SELECT id FROM exchange.file")
    change = {"step": "replace", "file_id": str(file), "csrfmiddlewaretoken": str(token)}
    larger = SimpleUploadedFile("a.pdf", PDF + b" " * (12 * 1024 * 1024) + b"%%EOF")
    assert "第 2 版" in client.post(address, change | {"file": larger}, follow=True).content.decode()
    away = {"step": "withdraw", "file_id": "x", "reason": "x", "csrfmiddlewaretoken": str(token)}
    assert client.post(address, away).status_code == 404
    entry = client.get(f"/catalogue/{BIRTH}/").content.decode()
    assert address in entry
    other = Client()
    other.force_login(Account.objects.get(username="hou"))
    assert other.get(address).status_code == 404
    assert other.post(address, words).status_code == 404
    assert address not in other.get(f"/catalogue/{BIRTH}/").content.decode()


def test_the_files_of_a_grant_on_its_page(offered):
    register_file(offered.viewer("chen"), BIRTH, "年度报告", REPORT)
    grant = granted(offered, case_required=True)
    client = Client()
    client.force_login(Account.objects.get(username="lin"))
    assert f"/grants/{grant.number}/files/" in client.get(f"/grants/{grant.number}/").content.decode()
    page = client.get(f"/grants/{grant.number}/files/").content.decode()
    assert "年度报告" in page and "第 1 版" in page
    [(file,)] = rows("SELECT id FROM exchange.file")
    fetch = f"/grants/{grant.number}/files/{file}"
    assert client.post(fetch).status_code == 422
    assert client.get(fetch).status_code == 405
    # No plane listens here: the reader is told, and nothing is given.
    told = client.post(fetch, {"case": "样例〔2026〕1号"}, follow=True)
    assert told.redirect_chain and "暂不可用" in told.content.decode()
    provider = Client()
    provider.force_login(Account.objects.get(username="chen"))
    assert "formaction" not in provider.get(f"/grants/{grant.number}/files/").content.decode()
    assert provider.post(fetch, {"case": "x"}).status_code == 404


def form(**changes) -> dict[str, object]:
    """The answer form as a browser sends it."""
    given = {
        "decision": "grant",
        "granted": fields(),
        "mode": "bulk",
        "match": "all",
        "purpose": "编制住房规划",
        "valid_from": "2026-11-11",
        "valid_until": "2027-11-11",
        "applications": ["app-housing-portal"],
        "channels": ["download"],
        "channels.shown": "1",
        "files.shown": "1",
    }
    return given | changes


def test_a_reviewer_chooses_files_on_the_page(offered):
    chen = offered.viewer("chen")
    register_file(chen, BIRTH, "年度报告", REPORT)
    chosen = register_file(chen, BIRTH, "说明", FileInput("说明.txt", "样例".encode()))
    number = submit_request(offered.viewer("lin"), asked(offered))
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    page = client.get(f"/requests/{number}/").content.decode()
    assert "提供的文件" in page and f'value="{chosen}"' in page and "另加记录条件" not in page
    assert 'id="file-every" value="*">' in page
    words = form(files=[str(chosen)])
    for none in ({"files": []}, {"files.shown": "", "files": []}):
        sent = {name: value for name, value in (words | none).items() if value}
        refused = client.post(f"/requests/{number}/answer", sent)
        assert refused.status_code == 422 and "请选择提供的文件" in refused.content.decode()
    assert not Grant.objects.exists()
    done = client.post(f"/requests/{number}/answer", words, follow=True)
    assert done.status_code == 200, done.content.decode()[:3000]
    [grant] = Grant.objects.all()
    assert decode_grant(grant.document).files == (str(chosen),)
    shown = client.get(f"/grants/{grant.number}/").content.decode()
    assert "提供的文件" in shown and "说明" in shown and "年度报告" not in shown


@pytest.mark.parametrize("ticked", ["*", "file", "none"])
def test_a_file_that_is_withdrawn_behind_the_form_makes_no_plain_grant(offered, ticked):
    chen = offered.viewer("chen")
    file = register_file(chen, BIRTH, "年度报告", REPORT)
    number = submit_request(offered.viewer("lin"), asked(offered))
    withdraw_file(chen, BIRTH, file, "内容有误")
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    sent = {"*": ["*"], "file": [str(file)], "none": []}[ticked]
    refused = client.post(f"/requests/{number}/answer", form(files=sent))
    assert refused.status_code == 422 and "文件已全部撤下" in refused.content.decode()
    assert not Grant.objects.exists()


@pytest.mark.requirement("REQ-13")
def test_a_renewal_whose_file_is_gone_ticks_nothing_and_is_refused_until_somebody_ticks(offered):
    chen, lin = offered.viewer("chen"), offered.viewer("lin")
    gone = register_file(chen, BIRTH, "年度报告", REPORT)
    other = register_file(chen, BIRTH, "说明", FileInput("说明.txt", "样例".encode()))
    first = granted(offered, files=(str(gone),))
    withdraw_file(chen, BIRTH, gone, "内容有误")
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    with clock.fixed(NOW + timedelta(days=340)):
        start_renewal(lin, first.number)
        until = date(2028, 9, 1)
        number = submit_request(lin, asked(offered, renews=first.number, wanted_until=until))
        page = client.get(f"/requests/{number}/").content.decode()
        ticks = page.partition('id="files"')[2].partition("</fieldset>")[0]
        assert str(other) in ticks and str(gone) not in ticks and " checked" not in ticks
        given = {"decisions": dict.fromkeys(fields(), True), "mode": "bulk", "valid_until": date(2027, 12, 1)}
        answer = lambda **more: answer_request(chen, number, offered.answer(**(given | more)))  # noqa: E731
        assert ("files", "field_required") in faults_of(lambda: answer(files=()))
        found = answer(files=(str(other),))
    assert decode_grant(Grant.objects.get(number=found).document).files == (str(other),)


@pytest.mark.requirement("REQ-13")
def test_a_renewal_given_at_once_keeps_its_files_and_never_widens(offered, monkeypatch, settings):
    chen, lin = offered.viewer("chen"), offered.viewer("lin")
    kept = register_file(chen, BIRTH, "年度报告", REPORT)
    gone = register_file(chen, BIRTH, "说明", FileInput("说明.txt", "样例".encode()))
    first = granted(offered, files=(str(kept), str(gone)))
    settings.CONFIG = replace(settings.CONFIG, regulation="xiamen-2015", regulation_fallback="guangzhou-2016")
    at_once = Way(WayKind.IMMEDIATE, "4(1)", "", ())
    monkeypatch.setattr("shuqiao.control.requests.actions.way_of_request", lambda *_: at_once)
    withdraw_file(chen, BIRTH, gone, "内容有误")
    with clock.fixed(NOW + timedelta(days=340)):
        renewed = lambda: submit_request(  # noqa: E731
            lin, asked(offered, renews=first.number, wanted_until=date(2027, 12, 1))
        )
        with transaction.atomic():
            number = renewed()
            [document] = Grant.objects.filter(request_number=number).values_list("document", flat=True)
            assert decode_grant(document).files == (str(kept),)
            transaction.set_rollback(True)
        register_file(chen, BIRTH, "新文件", FileInput("新.txt", "样例".encode()))
        withdraw_file(chen, BIRTH, kept, "内容有误")
        assert ("files", "file_unknown") in faults_of(renewed)
    assert Grant.objects.count() == 1


@pytest.mark.requirement("REQ-10")
@pytest.mark.parametrize("all_of_them", [True, False])
def test_the_leader_sees_which_files_an_answer_gives(offered, settings, all_of_them):
    chen, gong = offered.viewer("chen"), offered.viewer("gong")
    register_file(chen, BIRTH, "年度报告", REPORT)
    chosen = register_file(chen, BIRTH, "填报说明", FileInput("说明.txt", "样例".encode()))
    settings.CONFIG = replace(
        settings.CONFIG, regulation="shenyang-2016", regulation_fallback="guangzhou-2016"
    )
    number = submit_request(offered.viewer("lin"), asked(offered))
    take_step(chen, number, "receive_form", StepInput(received_on=clock.today()))
    files = ("*",) if all_of_them else (str(chosen),)
    given = {"decisions": dict.fromkeys(fields(), True), "mode": "bulk", "match": "all", "files": files}
    assert answer_request(chen, number, offered.answer(**given)) is None
    leader = Client()
    leader.force_login(Account.objects.get(username="gong"))
    shown = leader.get(f"/requests/{number}/").content.decode()
    assert "提供的文件" in shown and "年度报告" not in shown
    assert ("全部文件，含以后登记的" in shown, "填报说明" in shown) == (all_of_them, not all_of_them)
    said = [json.loads(body.splitlines()[0]) for (body,) in rows("SELECT body FROM audit.entry")]
    assert [one["files"] for one in said if "files" in one] == [list(files)]
    take_step(gong, number, "confirm", StepInput())
    [document] = Grant.objects.values_list("document", flat=True)
    assert decode_grant(document).files == files
