"""Keys of departments' systems: asked for by one person, admitted by another, known to the plane at once."""

import base64
import subprocess
import textwrap
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from django.db import IntegrityError, transaction
from django.test import Client

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.enrolments.actions import (
    EnrolmentInput,
    ask_enrolment,
    decide_enrolment,
    retire,
    withdraw_enrolment,
)
from shuqiao.control.enrolments.certificates import RequestUnusable, read_request
from shuqiao.control.enrolments.models import KeyEnrolment
from shuqiao.control.enrolments.page import systems_page
from shuqiao.control.organisations.models import Application
from shuqiao.rules.errors import PermissionDenied, TransitionRefused
from shuqiao.security.keys import public_der

from .conftest import audit_entries, beyond_control, rows

BILLING = "app-housing-billing"


def signing_request(name=BILLING, key=None, names=1):
    """A PEM request as `openssl req -new` makes it, and its key."""
    key = key or ed25519.Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] * names)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, algorithm)
    return made.public_bytes(serialization.Encoding.PEM).decode(), key


def given(request=None, **changes):
    values = {"word": "billing", "name_zh": "样例计费系统", "name_en": "Sample billing"}
    return EnrolmentInput(**(values | {"request": request or signing_request()[0]} | changes))


def faults(refused):
    return {fault.field: fault.code for fault in refused.value.faults}


def enrolled():
    return rows(
        "SELECT department, algorithm, public_key, active FROM exchange.application WHERE id = %s", BILLING
    )


def sm2_request(folder, *options, name=BILLING):
    """A request for an SM2 key as the openssl command makes it, and the key as DER."""
    key, request = folder / "app.key", folder / "app.csr"
    commands = (
        ("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", key),
        ("req", "-new", "-key", key, "-sm3", *options, "-subj", f"/CN={name}", "-out", request),
    )
    for command in commands:
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True, timeout=30)
    public = subprocess.run(
        ["openssl", "pkey", "-in", str(key), "-pubout", "-outform", "DER"], check=True, capture_output=True
    )
    return request.read_text(), public.stdout


SM2_ID = ("-sigopt", "distid:1234567812345678")


def test_a_request_for_an_sm2_key_is_read_and_enrolled(city, tmp_path):
    request, public = sm2_request(tmp_path, *SM2_ID)
    read = read_request(request)
    assert (read.name, read.algorithm, read.public_key) == (BILLING, "sm2-sm3", public)
    decide_enrolment(city.viewer("ma"), ask_enrolment(city.viewer("tan"), given(request)), admit=True)
    ((_, algorithm, public_key, active),) = enrolled()
    assert (algorithm, bytes(public_key), active) == ("sm2-sm3", public, True)


def test_a_request_for_an_sm2_key_must_be_signed_with_it_under_the_standards_id(tmp_path):
    request, public = sm2_request(tmp_path, *SM2_ID)
    other, _ = sm2_request(tmp_path, *SM2_ID)
    whole = pem_bytes(request)
    point = whole.index(public)
    strange = whole.replace(public, pem_bytes(other)[point : point + len(public)])
    renamed = whole.replace(BILLING.encode(), b"app-housing-billinh")
    cut = whole.replace(public, public[:-1] + bytes([public[-1] ^ 1]))
    without_id = pem_bytes(sm2_request(tmp_path)[0])
    for altered, code in (
        (strange, "unproved"),
        (renamed, "unproved"),
        (without_id, "unproved"),
        # One bit of a coordinate: not a point of the curve any more.
        (cut, "key_type"),
    ):
        with pytest.raises(RequestUnusable) as refused:
            read_request(pem_text(altered))
        assert refused.value.code == code
    weak = ec.generate_private_key(ec.SECP256R1())
    signed = whole.replace(public, public_der(weak.public_key()))
    with pytest.raises(RequestUnusable, match="key_type"):
        read_request(pem_text(signed))


def pem_bytes(text):
    """What a PEM text holds."""
    return base64.b64decode("".join(text.strip().splitlines()[1:-1]))


def pem_text(content):
    """A request as PEM."""
    lines = textwrap.wrap(base64.b64encode(content).decode(), 64)
    return "\n".join(["-----BEGIN CERTIFICATE REQUEST-----", *lines, "-----END CERTIFICATE REQUEST-----"])


@pytest.mark.parametrize("curve", [None, ec.SECP256R1()])
def test_a_key_is_asked_for_by_one_person_and_admitted_by_another(city, curve):
    key = ec.generate_private_key(curve) if curve else None
    request, key = signing_request(key=key)
    asked = ask_enrolment(city.viewer("tan"), given(request))
    assert enrolled() == []
    told = Notification.objects.get(code="key_enrolment_asked")
    assert told.department_id == "440100-platform"
    decide_enrolment(city.viewer("ma"), asked, admit=True)
    ((department, algorithm, public_key, active),) = enrolled()
    assert (department, active) == ("440100-housing", True)
    assert algorithm == ("ecdsa-p256-sha256" if curve else "ed25519")
    assert bytes(public_key) == public_der(key.public_key())
    assert Application.objects.get(id=BILLING).department_id == "440100-housing"
    row = KeyEnrolment.objects.get(pk=asked)
    assert (row.state, row.asked_by.username, row.decided_by.username) == ("admitted", "tan", "ma")
    assert [entry[2] for entry in audit_entries("key_enrolment_asked")] == ["account:tan"]
    assert [(e[1], e[2], e[6]) for e in audit_entries("key_enrolment_decided")] == [
        ("440100-housing", "account:ma", "admitted")
    ]
    assert Notification.objects.filter(code="key_enrolment_decided", department_id="440100-housing").exists()


def test_a_new_key_replaces_the_one_in_use_and_the_plane_sees_the_change(city):
    first = ask_enrolment(city.viewer("tan"), given())
    decide_enrolment(city.viewer("ma"), first, admit=True)
    with beyond_control():
        before = rows("SELECT value FROM exchange.epoch")
    request, key = signing_request()
    second = ask_enrolment(city.viewer("tan"), given(request))
    decide_enrolment(city.viewer("ma"), second, admit=True)
    ((_, _, public_key, _),) = enrolled()
    assert bytes(public_key) == public_der(key.public_key())
    with beyond_control():
        assert rows("SELECT value FROM exchange.epoch") > before


def test_who_asked_or_whose_department_asked_cannot_admit(city):
    asked = ask_enrolment(city.viewer("tan"), given())
    for username in ("tan", "wu", "lin", "zheng"):
        with pytest.raises(NotFound):
            decide_enrolment(city.viewer(username), asked, admit=True)
    # The platform agency's own systems wait for somebody of another body.
    Account.objects.filter(username="tan").update(department_id="440100-platform")
    own_request = signing_request("app-platform-billing")[0]
    own = ask_enrolment(city.viewer("tan"), given(own_request))
    with pytest.raises(PermissionDenied):
        decide_enrolment(city.viewer("ma"), own, admit=True)
    assert enrolled() == []
    with pytest.raises(IntegrityError), transaction.atomic():
        row = KeyEnrolment.objects.get(pk=asked)
        row.state, row.decided_by, row.decided_at = "admitted", row.asked_by, row.asked_at
        row.save()


def test_a_request_is_decided_once_and_a_refusal_says_why(city):
    asked = ask_enrolment(city.viewer("tan"), given())
    with pytest.raises(FormRefused):
        decide_enrolment(city.viewer("ma"), asked, admit=False, reason=" ")
    decide_enrolment(city.viewer("ma"), asked, admit=False, reason="未签安全保密协议")
    assert enrolled() == []
    for act in (
        lambda: decide_enrolment(city.viewer("ma"), asked, admit=True),
        lambda: withdraw_enrolment(city.viewer("tan"), asked),
    ):
        with pytest.raises(TransitionRefused):
            act()
    with pytest.raises(NotFound):
        decide_enrolment(city.viewer("ma"), uuid4(), admit=True)


def test_a_request_can_be_taken_back_by_its_department_only(city):
    asked = ask_enrolment(city.viewer("tan"), given())
    with pytest.raises(NotFound):
        withdraw_enrolment(city.viewer("wu"), asked)
    withdraw_enrolment(city.viewer("tan"), asked)
    assert KeyEnrolment.objects.get(pk=asked).state == "withdrawn"
    ask_enrolment(city.viewer("tan"), given())


def test_roles_without_the_right_ask_for_nothing(city):
    for username in ("lin", "hou", "ma"):
        with pytest.raises(PermissionDenied):
            ask_enrolment(city.viewer(username), given())
    with pytest.raises(NotFound):
        systems_page(city.viewer("lin"))


def test_bad_input_is_told_at_its_field(city):
    tan = city.viewer("tan")
    cases = [
        (given("not pem"), {"request": "signing_request_malformed"}),
        (given("x" * 9000), {"request": "signing_request_malformed"}),
        (given("证书"), {"request": "signing_request_malformed"}),
        (given(signing_request("app-health-billing")[0]), {"request": "signing_request_other_name"}),
        (given(signing_request(names=2)[0]), {"request": "signing_request_no_name"}),
        (
            given(word="Bill ing"),
            {"word": "application_id_malformed", "request": "signing_request_other_name"},
        ),
        (given(name_zh=" "), {"name_zh": "field_required"}),
        (given(name_en="x" * 161), {"name_en": "text_too_long"}),
    ]
    for wrong, expected in cases:
        with pytest.raises(FormRefused) as refused:
            ask_enrolment(tan, wrong)
        assert faults(refused) == expected
    assert not KeyEnrolment.objects.exists()


def test_keys_of_other_kinds_and_requests_signed_by_another_key_are_refused():
    weak = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for key in (weak, ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(RequestUnusable) as refused:
            read_request(signing_request(key=key)[0])
        assert refused.value.code == "key_type"
    request, key = signing_request()
    der = x509.load_pem_x509_csr(request.encode()).public_bytes(serialization.Encoding.DER)
    other = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    forged = der.replace(key.public_key().public_bytes_raw(), other)
    assert forged != der
    pem = x509.load_der_x509_csr(forged).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(RequestUnusable) as refused:
        read_request(pem)
    assert refused.value.code == "unproved"


def test_a_key_is_used_once_and_a_system_has_one_open_request(city):
    request, _ = signing_request()
    first = ask_enrolment(city.viewer("tan"), given(request))
    with pytest.raises(FormRefused) as refused:
        ask_enrolment(city.viewer("tan"), given())
    assert faults(refused) == {"word": "enrolment_waiting"}
    decide_enrolment(city.viewer("ma"), first, admit=True)
    with pytest.raises(FormRefused) as refused:
        ask_enrolment(city.viewer("tan"), given(request))
    assert faults(refused) == {"request": "key_used_before"}


def test_a_system_is_retired_at_once_by_its_department_or_the_agency(city):
    for username in ("tan", "ma"):
        asked = ask_enrolment(city.viewer("tan"), given())
        decide_enrolment(city.viewer("ma"), asked, admit=True)
        for other in ("wu", "lin"):
            with pytest.raises(NotFound):
                retire(city.viewer(other), BILLING, "样例理由")
        with pytest.raises(FormRefused):
            retire(city.viewer(username), BILLING, "")
        retire(city.viewer(username), BILLING, "密钥遗失")
        assert enrolled()[0][3] is False
        with pytest.raises(TransitionRefused):
            retire(city.viewer(username), BILLING, "密钥遗失")
    with pytest.raises(NotFound):
        retire(city.viewer("ma"), "app-housing-portal", "门户不能停用")
    # The clock of the tests stands still, so the entries have no order.
    assert {entry[2] for entry in audit_entries("application_retired")} == {"account:tan", "account:ma"}


def test_the_story_on_the_pages(city):
    asker, agency = Client(), Client()
    asker.force_login(Account.objects.get(username="tan"))
    agency.force_login(Account.objects.get(username="ma"))
    form = {"word": "billing", "name_zh": "样例计费系统", "name_en": "", "request": "nothing"}
    refused = asker.post("/systems/", form)
    assert refused.status_code == 422
    assert "PKCS#10" in refused.content.decode()
    sent = asker.post("/systems/", form | {"request": signing_request()[0]}, follow=True)
    assert "待平台管理机构审核" in sent.content.decode()
    key = KeyEnrolment.objects.get().pk
    assert "准予接入" not in sent.content.decode()
    assert "准予接入" in agency.get("/systems/").content.decode()
    assert asker.post(f"/systems/enrolments/{key}/decide", {"decision": "admit"}).status_code == 404
    page = agency.post(f"/systems/enrolments/{key}/decide", {"decision": "admit"}, follow=True)
    assert "密钥立即生效" in page.content.decode()
    assert BILLING in asker.get("/systems/").content.decode()
    stranger = Client()
    stranger.force_login(Account.objects.get(username="wu"))
    assert BILLING not in stranger.get("/systems/").content.decode()
    clerk = Client()
    clerk.force_login(Account.objects.get(username="lin"))
    assert clerk.get("/systems/").status_code == 404
    assert "/systems/" not in clerk.get("/").content.decode()
    ended = asker.post(f"/systems/{BILLING}/retire", {"reason": "停止使用"}, follow=True)
    assert "其调用即被拒绝" in ended.content.decode()
    asker.cookies.load({"django_language": "en"})
    assert "Enrol a key" in asker.get("/systems/").content.decode()
