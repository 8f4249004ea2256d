"""Business systems: registered, connected, tested, certified by a sealed PDF, accepted; and what ends it."""

import io
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings as configured
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from pypdf import PdfReader

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.interconnection.actions import (
    change_system,
    record_acceptance,
    record_test,
    register_system,
    report_state,
)
from shuqiao.control.interconnection.certificates import (
    issue_certificate,
    revoke_certificate,
    watch_connections,
)
from shuqiao.control.interconnection.inputs import AcceptanceInput, ReportInput, SystemInput
from shuqiao.control.interconnection.models import BusinessSystem, ConnectionCertificate
from shuqiao.control.interconnection.pages import look_up, register, system_page
from shuqiao.control.interconnection.watching import watch_rectification
from shuqiao.control.organisations.actions import retire_application
from shuqiao.control.organisations.models import Application, Department
from shuqiao.security.certificates import create_authority_certificate, issue_seal_certificate
from shuqiao.security.keys import write_secret_file
from shuqiao.security.seal_files import SealFiles
from shuqiao.wire.messages import new_entry_id

from .conftest import BIRTH, NOW, audit_entries, beyond_control, rows

RENTAL = "app-housing-rental"
CITIES = ("guangzhou-2016", "guangzhou-2019", "xiamen-2015", "shenyang-2016")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """An authority, and the files of the seal it certified."""
    folder = tmp_path_factory.mktemp("seal")
    made = create_authority_certificate("Sample authority", datetime.now(UTC))
    seal = issue_seal_certificate(made, "Sample platform agency", datetime.now(UTC))
    write_secret_file(folder / "seal.key", seal.key)
    (folder / "seal.pem").write_bytes(seal.certificate)
    (folder / "ca.pem").write_bytes(made.certificate)
    return folder


@pytest.fixture
def sealed(city, authority, settings):
    """The city, whose platform has a seal."""
    files = SealFiles(authority / "seal.key", authority / "seal.pem")
    settings.CONFIG = replace(configured.CONFIG, seal=files, public_url="https://share.example")
    return city


def system(**changes) -> SystemInput:
    """A system of housing that calls others."""
    given = {
        "department": "440100-housing",
        "name": "示例公租房审核系统",
        "purpose": "核验申请人家庭成员",
        "application": RENTAL,
        "brings": "",
    }
    return SystemInput(**(given | changes))


def report(state: str, **changes) -> ReportInput:
    """A report with its note."""
    return ReportInput(**({"state": state, "planned_until": None, "note": "按计划进行"} | changes))


def faults(error: pytest.ExceptionInfo[FormRefused]) -> set[tuple[str, str]]:
    """(field, code) of every fault."""
    return {(one.field, one.code) for one in error.value.faults}


def answered(actor: str = RENTAL, *, provider: str = "440100-health", after_s: int = 60) -> str:
    """Write the entry of an answered call as the plane's function does; returns its id."""
    at = NOW + timedelta(seconds=after_s)
    entry = new_entry_id(at)
    with beyond_control():
        rows(
            "SELECT audit.append(%s, %s, 'verify', '440100-housing', %s, %s, %s, NULL, NULL, NULL, %s, '{}')",
            entry, at, provider, actor, BIRTH, "answered",
        )  # fmt: skip
    return str(entry)


def connected(city) -> str:
    """Register and connect a system; returns its number."""
    number = register_system(city.viewer("tan"), system())
    report_state(city.viewer("tan"), number, report("connected"))
    return number


def certified(city) -> tuple[str, str]:
    """Bring a system to its certificate; returns both numbers."""
    number = connected(city)
    answered()
    record_test(city.viewer("tan"), number)
    return number, issue_certificate(city.viewer("ma"), number)


@pytest.mark.requirement("ONB-02", source="GZ165:16¶2")
@pytest.mark.parametrize("regulation", CITIES)
def test_the_list_of_systems_says_which_are_connected_planned_or_not(sealed, settings, regulation):
    settings.CONFIG = replace(settings.CONFIG, regulation=regulation, regulation_fallback="guangzhou-2016")
    tan = sealed.viewer("tan")
    first = register_system(tan, system())
    second = register_system(tan, system(name="示例维修资金系统", application=""))
    third = register_system(tan, system(name="示例档案系统", application=""))
    report_state(tan, first, report("connected"))
    report_state(tan, second, report("planned", planned_until=date(2027, 3, 31)))
    page = register(sealed.viewer("ma"))
    assert {row.number: row.state for row in page.rows} == {
        first: "connected", second: "planned", third: "unconnected"
    }  # fmt: skip
    assert [(one.department.code, one.counts) for one in page.report] == [("440100-housing", (1, 1, 1, 0))]
    assert {str(row.platform.zh) for row in page.rows} == {"市级平台"}
    # A district has a platform only where the text knows one.
    with beyond_control():
        Department.objects.filter(code="440100-housing").update(level="district")
    own = "区级平台" if regulation.startswith("guangzhou") else "市级平台"
    assert {str(row.platform.zh) for row in register(sealed.viewer("ma")).rows} == {own}
    assert page.connect.regulation == regulation and page.connect.cite.zh != "平台设定"
    with clock.fixed(NOW + timedelta(days=365)):
        late = [row.number for row in register(sealed.viewer("ma")).rows if row.is_late]
    assert late == [second]
    # A day of a plan stands by the plan and by no later step.
    change_system(tan, second, system(name="示例维修资金系统", application="", purpose="归集"))
    report_state(tan, second, report("retired"))
    steps = system_page(tan, second).steps
    assert {one.kind for one in steps if one.due_on} == {"planned"}
    said = {one[-1] for one in audit_entries("system_step")}
    assert said == {"registered", "connected", "planned", "changed", "retired"}


def test_a_page_of_the_register_is_short_and_the_report_counts_all(city, monkeypatch):
    monkeypatch.setattr("shuqiao.control.interconnection.pages.PAGE_SIZE", 2)
    for one in range(3):
        register_system(city.viewer("tan"), system(name=f"示例系统{one}", application=""))
    page = register(city.viewer("ma"), 2)
    assert (len(page.rows), page.page, page.pages, page.total) == (1, 2, 2, 3)
    assert page.states[0][-1] == 3 and [one.counts for one in page.report] == [(3, 0, 0, 0)]
    assert register(city.viewer("wu")).total == 0


def test_a_look_up_reads_no_document(sealed):
    number, _ = certified(sealed)
    with CaptureQueriesContext(connection) as asked:
        assert look_up(ConnectionCertificate.objects.values_list("code", flat=True).get()).state == ""
        assert system_page(sealed.viewer("tan"), number).is_certified
    assert not [one["sql"] for one in asked if '"pdf"' in one["sql"]]


@pytest.mark.requirement("ONB-02", source="SY:8")
def test_connected_is_checked_and_not_believed(city):
    tan = city.viewer("tan")
    number = register_system(tan, system(application=""))
    with pytest.raises(FormRefused) as error:
        report_state(tan, number, report("connected"))
    assert ("state", "no_way") in faults(error)
    change_system(tan, number, system())
    with beyond_control():
        Application.objects.filter(id=RENTAL).update(active=False)
    with pytest.raises(FormRefused) as error:
        report_state(tan, number, report("connected"))
    assert ("state", "key_inactive") in faults(error)
    assert BusinessSystem.objects.get().state == "unconnected"


@pytest.mark.requirement("SUP-11", source="GZ16:43")
def test_registered_connected_and_tested_is_certified_by_a_sealed_document(sealed, authority):
    number = register_system(sealed.viewer("tan"), system())
    with pytest.raises(FormRefused) as error:
        issue_certificate(sealed.viewer("ma"), number)
    assert faults(error) == {("certificate", "not_connected")}
    report_state(sealed.viewer("tan"), number, report("connected"))
    # Neither a call before it was connected nor one for its own department's information proves anything.
    answered(after_s=-3600)
    answered(provider="440100-housing")
    answered("app-housing-portal/lin")
    with pytest.raises(FormRefused) as error:
        record_test(sealed.viewer("tan"), number)
    assert faults(error) == {("test", "test_not_found")}
    with pytest.raises(FormRefused) as error:
        issue_certificate(sealed.viewer("ma"), number)
    assert faults(error) == {("certificate", "untested_calls")}
    proof = answered(f"{RENTAL}/lin")
    assert record_test(sealed.viewer("tan"), number) == ("calls",)
    certificate = issue_certificate(sealed.viewer("ma"), number)
    assert certificate == "T-2026-0001"
    page = system_page(sealed.viewer("tan"), number)
    assert [gate.done for gate in page.gates] == [True, True, True] and page.is_certified
    stored = ConnectionCertificate.objects.get()
    spoken = text_of(bytes(stored.pdf))
    assert certificate in spoken and number in spoken and proof in spoken and "示例公租房审核系统" in spoken
    assert "第四十三条" in spoken and f"https://share.example/open/certificates/{stored.code}/" in spoken
    check_seal(bytes(stored.pdf), authority)
    [(_, provider, actor, *_, case, outcome)] = audit_entries("interconnection_certified")
    assert (provider, actor, case, outcome) == ("440100-housing", "account:ma", certificate, "issued")
    assert Notification.objects.filter(code="interconnection_certified", department="440100-housing").exists()


def text_of(pdf: bytes) -> str:
    """What a document says, without blanks."""
    return re.sub(r"\s", "", "".join(part.extract_text() for part in PdfReader(io.BytesIO(pdf)).pages))


def check_seal(pdf: bytes, authority) -> None:
    """Check the signature twice: with the library's own validation, and with openssl on the raw parts."""
    root = asn1_x509.Certificate.load(
        x509.load_pem_x509_certificate((authority / "ca.pem").read_bytes()).public_bytes(Encoding.DER)
    )
    embedded = PdfFileReader(io.BytesIO(pdf)).embedded_signatures[0]
    context = ValidationContext(trust_roots=[root], allow_fetching=False)
    status = validate_pdf_signature(embedded, signer_validation_context=context)
    assert status.bottom_line, status.pretty_print_details()
    assert embedded.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"
    start, length, second, rest = embedded.byte_range
    covered = pdf[start : start + length] + pdf[second : second + rest]
    assert second + rest == len(pdf)
    assert openssl(authority, embedded.pkcs7_content, covered)
    # One byte of what is said, and openssl no longer believes it.
    assert not openssl(authority, embedded.pkcs7_content, covered.replace(b"%PDF", b"%PDG", 1))
    signed = cms.ContentInfo.load(embedded.pkcs7_content)["content"]["signer_infos"][0]["signed_attrs"]
    assert "signing_certificate_v2" in {one["type"].native for one in signed}


def openssl(authority, signature: bytes, covered: bytes) -> bool:
    """Whether openssl finds the detached signature good for these bytes."""
    parts = authority / "sig.der", authority / "covered.bin"
    for path, content in zip(parts, (signature, covered), strict=True):
        path.write_bytes(content)
    command = [
        "openssl",
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-in",
        parts[0],
        "-content",
        parts[1],
    ]
    command += ["-CAfile", authority / "ca.pem", "-purpose", "any", "-out", "/dev/null"]
    return subprocess.run(command, capture_output=True, timeout=30).returncode == 0


@pytest.mark.skipif(shutil.which("pdfsig") is None, reason="pdfsig is not installed: poppler-utils")
def test_another_reader_of_pdf_finds_the_seal_and_sees_a_change(sealed, tmp_path):
    certified(sealed)
    pdf = bytes(ConnectionCertificate.objects.get().pdf)
    (tmp_path / "good.pdf").write_bytes(pdf)
    changed = pdf.replace(b"/Title", b"/Titel", 1)
    assert changed != pdf
    (tmp_path / "changed.pdf").write_bytes(changed)

    def said(name):
        command = ["pdfsig", "-nocert", str(tmp_path / name)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout

    assert "Signature is Valid" in said("good.pdf") and "Total document signed" in said("good.pdf")
    assert "Signature is Valid" not in said("changed.pdf")


@pytest.mark.requirement("SUP-11", source="GZ16:43")
@pytest.mark.parametrize("regulation", CITIES)
def test_no_system_passes_acceptance_without_a_certificate_in_force(sealed, settings, regulation):
    settings.CONFIG = replace(settings.CONFIG, regulation=regulation, regulation_fallback="guangzhou-2016")
    number = connected(sealed)
    zheng = sealed.viewer("zheng")
    with pytest.raises(FormRefused) as error:
        record_acceptance(zheng, number, AcceptanceInput(True, "验收", None))
    assert faults(error) == {("passes", "not_interconnected")}
    refused = AcceptanceInput(False, "不能互联共享", None)
    if regulation == "xiamen-2015":
        # A project that does not meet what sharing demands is put right within a term.
        with pytest.raises(FormRefused) as error:
            record_acceptance(zheng, number, refused)
        assert faults(error) == {("due_on", "field_required")}
        refused = replace(refused, due_on=date(2027, 1, 31))
    record_acceptance(zheng, number, refused)
    assert watch_rectification() == 0
    with clock.fixed(datetime(2027, 2, 1, 1, tzinfo=UTC)):
        late = int(regulation == "xiamen-2015")
        assert (watch_rectification(), watch_rectification()) == (late, late)
        over = Notification.objects.filter(code="rectification_over", reference=number)
        told = set(over.values_list("department_id", "capability"))
        assert ("440100-housing", "application_enrol") in told if late else not told
        assert {capability for _, capability in told} == (
            {"application_enrol", "catalogue_review"} if late else set()
        )
    # Where the text says nothing of acceptance, no article is named for it.
    acceptance = system_page(zheng, number).acceptance.article
    assert bool(acceptance) == (regulation in ("guangzhou-2016", "xiamen-2015"))
    [body] = [
        body
        for (body,) in rows("SELECT body FROM audit.entry WHERE case_no = %s", number)
        if "due_on" in body
    ] or [""]
    assert ("2027-01-31" in body) == (regulation == "xiamen-2015") and "planned_until" not in body
    answered()
    record_test(sealed.viewer("tan"), number)
    issue_certificate(sealed.viewer("ma"), number)
    spoken = text_of(bytes(ConnectionCertificate.objects.get().pdf))
    assert "三、依据" in spoken and "第" in spoken.partition("三、依据")[2] and "平台设定" not in spoken
    record_acceptance(zheng, number, AcceptanceInput(True, "已具备互联共享条件", None))
    kinds = [step.kind for step in system_page(zheng, number).steps]
    assert {"refused", "accepted"} <= set(kinds)
    assert {one[-1] for one in audit_entries("system_step")} >= {"refused", "accepted"}


@pytest.mark.requirement("SUP-11", source="GZ165:16¶3")
def test_a_certificate_lapses_with_the_connection_and_says_so_at_once(sealed):
    number, certificate = certified(sealed)
    code = ConnectionCertificate.objects.get().code
    assert look_up(code).state == ""
    retire_application(Application.objects.get(id=RENTAL), "account:tan", "停用")
    # Nobody has looked yet, and whoever asks is told already.
    assert look_up(code).state == "lapsed"
    assert watch_connections() == 1 and watch_connections() == 0
    ended = ConnectionCertificate.objects.get()
    assert (ended.ended_how, ended.reason) == ("lapsed", "key_inactive")
    page = system_page(sealed.viewer("tan"), number)
    assert page.row.state == "unconnected" and not page.is_certified
    assert [one[-1] for one in audit_entries("interconnection_ended")] == ["lapsed"]
    assert Notification.objects.filter(code="interconnection_ended", reference=certificate).exists()
    with pytest.raises(FormRefused):
        record_acceptance(sealed.viewer("zheng"), number, AcceptanceInput(True, "验收", None))


@pytest.mark.parametrize("changed", [{"name": "示例换名系统"}, {"purpose": "另一用途"}])
def test_a_certificate_names_one_system_and_lapses_with_its_name(sealed, changed):
    number, _ = certified(sealed)
    code = ConnectionCertificate.objects.get().code
    change_system(sealed.viewer("tan"), number, system())
    assert look_up(code).state == ""
    change_system(sealed.viewer("tan"), number, system(**changed))
    ended = ConnectionCertificate.objects.get()
    assert (ended.ended_how, ended.reason, look_up(code).state) == ("lapsed", "words_changed", "lapsed")
    [(entry,)] = rows("SELECT id FROM audit.entry WHERE event = 'interconnection_ended'")
    reader = Client()
    reader.force_login(Account.objects.get(username="zheng"))
    assert "系统的名称或用途有变更" in reader.get(f"/audit/{entry}/").content.decode()
    # It is connected and tested still, so the next one can be issued at once.
    assert issue_certificate(sealed.viewer("ma"), number) == "T-2026-0002"


@pytest.mark.requirement("SUP-11", source="GZ165:16¶3")
def test_a_system_connected_anew_is_tested_anew(sealed):
    number, _ = certified(sealed)
    change_system(sealed.viewer("tan"), number, system(application=""))
    assert ConnectionCertificate.objects.get().reason == "ways_changed"
    change_system(sealed.viewer("tan"), number, system())
    with clock.fixed(NOW + timedelta(days=1)):
        report_state(sealed.viewer("tan"), number, report("connected"))
        with pytest.raises(FormRefused) as error:
            issue_certificate(sealed.viewer("ma"), number)
        assert faults(error) == {("certificate", "untested_calls")}
        answered(after_s=90_000)
        record_test(sealed.viewer("tan"), number)
        assert issue_certificate(sealed.viewer("ma"), number) == "T-2026-0002"


def test_a_certificate_is_revoked_with_a_reason_by_who_issues_them(sealed):
    _, certificate = certified(sealed)
    for who in ("tan", "zheng", "wu"):
        with pytest.raises(NotFound):
            revoke_certificate(sealed.viewer(who), certificate, "测试作废")
    with pytest.raises(FormRefused) as error:
        revoke_certificate(sealed.viewer("ma"), certificate, " ")
    assert faults(error) == {("reason", "reason_required")}
    revoke_certificate(sealed.viewer("ma"), certificate, "测试结果有误")
    assert look_up(ConnectionCertificate.objects.get().code).state == "revoked"
    with pytest.raises(FormRefused) as error:
        revoke_certificate(sealed.viewer("ma"), certificate, "再次撤销")
    assert faults(error) == {("reason", "certificate_ended")}


@pytest.mark.parametrize("who", ["tan", "wu", "zheng", "zhou", "lin"])
def test_only_the_body_that_the_rules_name_certifies_and_never_its_own_system(sealed, who):
    number = connected(sealed)
    answered()
    record_test(sealed.viewer("tan"), number)
    with pytest.raises(NotFound):
        issue_certificate(sealed.viewer(who), number)
    own = register_system(
        sealed.viewer("ma"), system(department="440100-platform", name="示例平台自有系统", application="")
    )
    with pytest.raises(NotFound):
        issue_certificate(sealed.viewer("ma"), own)
    with pytest.raises(NotFound):
        record_acceptance(sealed.viewer("ma"), number, AcceptanceInput(False, "x", None))
    with pytest.raises(NotFound):
        report_state(sealed.viewer("wu"), number, report("planned", planned_until=date(2027, 1, 1)))


def test_the_calls_of_a_key_prove_one_system_only(city):
    tan = city.viewer("tan")
    first = register_system(tan, system())
    with pytest.raises(FormRefused) as error:
        register_system(tan, system(name="示例另一系统"))
    assert faults(error) == {("application", "application_taken")}
    second = register_system(tan, system(name="示例另一系统", application=""))
    with pytest.raises(FormRefused) as error:
        change_system(tan, second, system(name="示例另一系统"))
    assert faults(error) == {("application", "application_taken")}
    change_system(tan, first, system(purpose="核验"))
    report_state(tan, first, report("retired"))
    change_system(tan, second, system(name="示例另一系统"))
    assert BusinessSystem.objects.get(pk=second).application == RENTAL


@pytest.mark.parametrize("hidden", ["示例\x00系统", "示例\u202e系统", "<b>示例</b>"])
def test_what_stands_in_a_sealed_document_is_plain_and_in_one_line(sealed, hidden):
    tan = sealed.viewer("tan")
    for given in (system(name=hidden), system(purpose=hidden)):
        with pytest.raises(FormRefused) as error:
            register_system(tan, given)
        assert {code for _, code in faults(error)} == {"text_not_plain"}
    number = register_system(tan, system(name="示例系统\n三、依据"))
    assert BusinessSystem.objects.get().name == "示例系统 三、依据"
    with pytest.raises(FormRefused):
        change_system(tan, number, system(name=hidden))
    with pytest.raises(FormRefused):
        report_state(tan, number, report("connected", note="已\x00接入"))
    with pytest.raises(FormRefused):
        record_acceptance(sealed.viewer("zheng"), number, AcceptanceInput(False, "不\x00通过", None))


def test_without_a_seal_or_an_address_to_look_it_up_none_is_issued(city):
    number = connected(city)
    answered()
    record_test(city.viewer("tan"), number)
    with pytest.raises(FormRefused) as error:
        issue_certificate(city.viewer("ma"), number)
    assert faults(error) == {("certificate", "seal_missing"), ("certificate", "address_missing")}
    assert not ConnectionCertificate.objects.exists()


@pytest.mark.parametrize("wrong", ["another_key", "no_file", "has_ended"])
def test_a_seal_that_cannot_be_used_is_said_and_nothing_is_issued(sealed, settings, tmp_path, wrong):
    number = connected(sealed)
    answered()
    record_test(sealed.viewer("tan"), number)
    then = datetime.now(UTC) - timedelta(days=9000 if wrong == "has_ended" else 0)
    made = create_authority_certificate("Sample authority", then)
    first, second = (issue_seal_certificate(made, "Sample platform agency", then) for _ in range(2))
    write_secret_file(tmp_path / "seal.key", first.key)
    (tmp_path / "seal.pem").write_bytes((second if wrong == "another_key" else first).certificate)
    missing = tmp_path / ("none.pem" if wrong == "no_file" else "seal.pem")
    settings.CONFIG = replace(settings.CONFIG, seal=SealFiles(tmp_path / "seal.key", missing))
    with pytest.raises(FormRefused) as error:
        issue_certificate(sealed.viewer("ma"), number)
    assert faults(error) == {("certificate", "seal_unusable")}
    assert not ConnectionCertificate.objects.exists() and not audit_entries("interconnection_certified")


@pytest.mark.requirement("SUP-11", source="GZ16:43")
def test_the_steps_on_their_pages(sealed):
    technician, operator, stranger = Client(), Client(), Client()
    technician.force_login(Account.objects.get(username="tan"))
    operator.force_login(Account.objects.get(username="ma"))
    assert "还没有登记" in technician.get("/business-systems/").content.decode()
    fields = {"name": "示例审核系统", "purpose": "核验", "application": RENTAL, "brings": ""}
    for wrong in ({"name": ""}, {"name": "示例\x07"}, {"brings": "r440100aaaaaaaaaa"}):
        assert technician.post("/business-systems/", fields | wrong).status_code == 422
    made = technician.post("/business-systems/", fields, follow=True)
    assert "B-2026-0001" in made.content.decode()
    place = "/business-systems/B-2026-0001/"
    assert 'name="planned_until"' in technician.get(place).content.decode()
    done = technician.post(place, {"step": "report", "state": "connected", "note": "已接入"}, follow=True)
    assert "还没有成功调用其他部门信息的记录" in done.content.decode()
    assert operator.post(place, {"step": "certify"}).status_code == 422
    answered()
    assert "测试通过" in technician.post(place, {"step": "test"}, follow=True).content.decode()
    assert "T-2026-0001" in operator.post(place, {"step": "certify"}, follow=True).content.decode()
    # What is connected is not asked when it will be.
    assert 'name="planned_until"' not in technician.get(place).content.decode()
    pdf = technician.get("/business-systems/certificates/T-2026-0001.pdf")
    assert pdf["Content-Type"] == "application/pdf" and pdf.content.startswith(b"%PDF")
    address = f"/open/certificates/{ConnectionCertificate.objects.get().code}/"
    answer = stranger.get(address)
    # What a reader kept may be out of date at any moment, so nobody keeps it.
    assert answer["Cache-Control"] == "no-store" and "ETag" not in answer
    shown = answer.content.decode()
    assert "有效" in shown and "示例审核系统" in shown
    assert stranger.get(f"/open/certificates/{'0' * 40}/").status_code == 404
    assert stranger.get("/business-systems/certificates/T-2026-0001.pdf").status_code == 302
    operator.post("/business-systems/certificates/T-2026-0001/revoke", {"reason": "作废"})
    assert "已撤销" in stranger.get(address).content.decode()
    other = Client()
    other.force_login(Account.objects.get(username="wu"))
    assert other.get(place).status_code == 404
    assert other.get("/business-systems/certificates/T-2026-0001.pdf").status_code == 404
    assert technician.post(place, {"step": "nonsense"}).status_code == 404
