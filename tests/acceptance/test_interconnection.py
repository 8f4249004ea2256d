"""A system that brings data through its node and calls others: tested by both, certified by a sealed PDF."""

import base64
import io
import re
import time
from datetime import UTC, datetime

import httpx
import psycopg
import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from pypdf import PdfReader

from shuqiao.client.call import read_credentials
from shuqiao.client.plane import PlaneClient
from shuqiao.demo.home import Home
from shuqiao.demo.people import STORY_CHILD_CERTIFICATE, STORY_MOTHER_ID
from shuqiao.rules.ids import resource_id
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, key_signer
from tests.acceptance.issuing import enrol_system, issue_grant
from tests.acceptance.test_copies_on_pages import signed_in, token_of
from tests.loader.line import wait_for
from tests.plugins.city import City

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

HEALTH, POLICE = "440100-health", "440100-police"
BIRTH, HOUSEHOLD = (resource_id("440100", key) for key in ("birth", "household_registration"))
APPLICATION, NUMBER = "app-health-registry", "G-2026-0914"
PATIENCE_S = 120.0


def submit(browser: httpx.Client, place: str, **said: str) -> httpx.Response:
    """Send a form of a page."""
    token = token_of(browser.get(place).text)
    return browser.post(place, data=said | {"csrfmiddlewaretoken": token})


def registered(technician: httpx.Client) -> str:
    """Register and connect a system with both ways; returns its page."""
    made = submit(
        technician,
        "/business-systems/",
        name="示例出生登记系统",
        purpose="提供出生登记，核验父母户籍",
        application=APPLICATION,
        brings=BIRTH,
    )
    place = made.url.path
    assert re.fullmatch(r"/business-systems/B-\d{4}-\d{4}/", place), made.text[:2000]
    connected = submit(technician, place, step="report", state="connected", note="密钥与前置机均已启用")
    assert connected.status_code == 200, connected.text[:2000]
    return place


def bring_a_batch(city: City) -> str:
    """Change a record at the source; returns the entry of the batch that its node brought."""
    since = datetime.now(UTC)
    with psycopg.connect(Home(city.home).departments_server.url("health"), autocommit=True) as source:
        source.execute(
            "UPDATE csyxzm SET qfjg = '示例医院' || clock_timestamp() WHERE zsbh = %s",
            [STORY_CHILD_CERTIFICATE],
        )

    def merged() -> str:
        with psycopg.connect(Home(city.home).hub_url("shuqiao_auditor")) as hub:
            found = hub.execute(
                "SELECT id FROM audit.entry WHERE event = 'batch_merged' AND resource_id = %s"
                " AND occurred_at > %s ORDER BY occurred_at DESC LIMIT 1",
                [BIRTH, since],
            ).fetchone()
        return str(found[0]) if found else ""

    return str(wait_for(merged, PATIENCE_S, "the batch merged"))


def call(city: City, key: keys.SigningKey) -> str:
    """The system asks for what another department shares; returns the entry of the call."""
    known = read_credentials(city.home, "app-housing-rental")
    context = CallContext(purpose="auto", end_user="-", grant=NUMBER)
    with PlaneClient(known.plane_url, key_signer(key), promise_keys=known.promise_keys) as plane:
        until = time.monotonic() + PATIENCE_S
        answer = plane.query(HOUSEHOLD, STORY_MOTHER_ID, ["sex"], case="SL-1", context=context)
        while not answer.is_answered:
            # The plane hears of a new key and a new grant within moments.
            assert time.monotonic() < until, answer.body
            time.sleep(0.5)
            answer = plane.query(HOUSEHOLD, STORY_MOTHER_ID, ["sex"], case="SL-1", context=context)
    return str(answer.body["entry"])


@pytest.mark.requirement("SUP-11", source="GZ16:43")
def test_a_batch_and_a_call_over_real_processes_lead_to_the_sealed_certificate(city: City) -> None:
    key = keys.generate_signing_key()
    public = base64.b64encode(keys.public_der(key.public_key())).decode()
    enrol_system(city, id=APPLICATION, department=HEALTH, public_key=public)
    issue_grant(
        city, number=NUMBER, request_number="R-2026-0914", resource=HOUSEHOLD, consumer=HEALTH,
        provider=POLICE, mode="query", fields=["sex"], applications=[APPLICATION], purpose="样例查询",
    )  # fmt: skip
    with signed_in(city, "wu") as technician, signed_in(city, "ma") as operator:
        place = registered(technician)
        untested = submit(technician, place, step="test")
        assert untested.status_code == 422 and "还没有" in untested.text
        batch = bring_a_batch(city)
        assert submit(technician, place, step="test").status_code == 200
        half = submit(operator, place, step="certify")
        assert half.status_code == 422, "the call has not been tested"
        asked = call(city, key)
        assert submit(technician, place, step="test").status_code == 200
        assert submit(operator, place, step="certify").status_code == 200
        page = operator.get(place).text
        (link,) = set(re.findall(r'href="([^"]+\.pdf|[^"]+/pdf)"', page)) or {""}
        pdf = operator.get(link).content
        said = re.sub(r"\s", "", "".join(one.extract_text() for one in PdfReader(io.BytesIO(pdf)).pages))
        assert batch in said and asked in said and "示例出生登记系统" in said
        assert is_sealed(city, pdf)
        assert not is_sealed(city, pdf.replace(b"/Title", b"/Titel", 1))
        address = re.findall(r'href="(/open/certificates/[0-9a-f]{40}/)"', page)[0]
        assert "有效" in httpx.get(city.url + address, trust_env=False, timeout=60).text


def is_sealed(city: City, pdf: bytes) -> bool:
    """Whether the document bears the platform's seal, by the hub's authority, and is as it was sealed."""
    authority = x509.load_pem_x509_certificate((city.home / "secrets" / "ca.pem").read_bytes())
    root = asn1_x509.Certificate.load(authority.public_bytes(Encoding.DER))
    context = ValidationContext(trust_roots=[root], allow_fetching=False)
    (signature,) = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    return bool(validate_pdf_signature(signature, signer_validation_context=context).bottom_line)
