"""The pages of a copy sealed to its recipient: said plainly, and nothing offered that can't be had."""

import hashlib
import uuid
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client

from shuqiao.control.accounts.models import Account
from shuqiao.control.grants.models import Grant
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.wire.bulk import Manifest, ManifestPart, encode_manifest

from .conftest import BIRTH, beyond_control

HOUSING, HEALTH = "440100-housing", "440100-health"
PORTAL, RENTAL = "app-housing-portal", "app-housing-rental"
RECIPIENT = bytes(range(44))
KEY_ID = hashlib.sha256(RECIPIENT).hexdigest()[:16]


def prepared(grant: str, recipient: bytes | None) -> str:
    """A copy that is ready, as the pages could fetch it."""
    job = uuid.uuid4()
    manifest = Manifest(
        job=job,
        entry=uuid.uuid4(),
        grant=grant,
        resource=BIRTH,
        department=HOUSING,
        provider=HEALTH,
        purpose="样例",
        format="csv",
        digest_algorithm="sha-256",
        rows=7,
        up_to=3,
        epoch=1,
        at=datetime.now(UTC),
        items=(),
        parts=(ManifestPart(1, "part-00001.csv", 7, 70, "00" * 32),),
    )
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.bulk_job (id, grant_id, resource_id, department, provider, application,"
            " actor, channel, format, asked_at, state, rows, to_sequence, manifest, wrapped_key, signature,"
            " ready_at, expires_at, recipient) VALUES (%s, %s, %s, %s, %s, %s, %s, 'interface', 'csv', now(),"
            " 'ready', 7, 3, %s, '\\x00', '\\x00', now(), now() + interval '1 day', %s)",
            [
                str(job),
                grant,
                BIRTH,
                HOUSING,
                HEALTH,
                PORTAL,
                PORTAL,
                encode_manifest(manifest).decode(),
                recipient,
            ],
        )
    return str(job)


@pytest.fixture
def grant(city) -> str:
    """A grant of mode bulk."""
    number = submit_request(city.viewer("lin"), city.wanted())
    given = answer_request(city.viewer("chen"), number, city.answer())
    with beyond_control():
        Grant.objects.filter(number=given).update(mode="bulk")
    return given


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_a_sealed_feed_says_who_can_open_it(city, grant: str, language: str) -> None:
    client = Client(headers={"accept-language": language})
    client.force_login(Account.objects.get(username="lin"))
    sealed, plain = str(uuid.uuid4()), str(uuid.uuid4())
    with beyond_control(), connection.cursor() as cursor:
        for key, application, recipient in ((sealed, RENTAL, RECIPIENT), (plain, PORTAL, None)):
            cursor.execute(
                "INSERT INTO exchange.subscription (id, grant_id, resource_id, department, provider,"
                " application, format, started_at, recipient)"
                " VALUES (%s, %s, %s, %s, %s, %s, 'arrow', now(), %s)",
                [key, grant, BIRTH, HOUSING, HEALTH, application, recipient],
            )
    words = {
        "zh-hans": ("端到端加密", "平台见过这些行"),
        "en": ("Sealed to its recipient", "has seen the rows"),
    }
    page = client.get(f"/exchange/feeds/{sealed}/").content.decode()
    assert all(said in page for said in (*words[language], KEY_ID))
    assert words[language][0] not in client.get(f"/exchange/feeds/{plain}/").content.decode()
    assert client.get("/exchange/feeds/").content.decode().count(words[language][0]) == 1


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_a_sealed_copy_says_who_can_open_it_and_offers_nothing(city, grant: str, language: str) -> None:
    client = Client(headers={"accept-language": language})
    client.force_login(Account.objects.get(username="lin"))
    sealed, plain = prepared(grant, RECIPIENT), prepared(grant, None)
    words = {
        "zh-hans": ("端到端加密", "平台见过这些行"),
        "en": ("Sealed to its recipient", "has seen the rows"),
    }
    page = client.get(f"/grants/{grant}/copies/{sealed}/").content.decode()
    assert all(said in page for said in (*words[language], KEY_ID))
    assert f"/copies/{sealed}/1" not in page
    assert KEY_ID not in client.get(f"/grants/{grant}/copies/{plain}/").content.decode()
    listed = client.get(f"/grants/{grant}/copies/").content.decode()
    assert listed.count(words[language][0]) == 1
    assert client.get(f"/grants/{grant}/copies/{sealed}/1").status_code == 404
