"""What a node makes of messages that come from the hub itself, with all the hub's rights and keys."""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from shuqiao.cli import main as shuqiao
from shuqiao.security import keys
from shuqiao.security.certificates import (
    KeyedCertificate,
    Signer,
    create_authority_certificate,
    issue_signer_certificate,
)
from shuqiao.security.http_signatures import (
    CallContext,
    KeySigner,
    key_signer,
    read_signature,
    sign_request,
)
from shuqiao.security.nats_secrets import load_certificates
from shuqiao.wire import nats_client
from shuqiao.wire.grant import Grant, sign_grant
from shuqiao.wire.held import HeldAnswer, HeldAsk, encode, held_subject, read_answer
from shuqiao.wire.messages import call_entry_id
from tests.held.conftest import PERMITS, PROVIDER, HeldCity, number
from tests.loader.line import Child
from tests.plane import conftest as plane

AUTHORITY = "127.0.0.1:1"
TELLS_MORE = """
from shuqiao.edge.held import filtering
own = filtering.given
filtering.given = lambda record, question, table: own(record, question, table) | {"holder_name": "x"}
from shuqiao.edge.main import main
main()
"""
"""A node that gives an item nobody was granted."""


@dataclass(frozen=True)
class Made:
    """A call somebody composed: what the application signed, and what goes with it."""

    signer: KeySigner
    certificate: bytes
    grant: Grant
    grant_key: keys.SigningKey
    operation: str = "query"
    created: int = 0

    def ask(self, worker: str, **changes: Any) -> HeldAsk:
        """Give the message to the node."""
        body = json.dumps({"subject": number(3)}).encode()
        path = f"/v1/resources/{PERMITS}/{self.operation}"
        context = CallContext(grant=self.grant.id)
        created = self.created or int(time.time())
        headers = sign_request(self.signer, ("POST", AUTHORITY, path), body, context, created)
        signature = read_signature("POST", path, headers | {"host": AUTHORITY})
        signed = sign_grant(self.grant, self.grant_key)
        ask = HeldAsk(
            call_entry_id(signature.key_id, signature.created, signature.nonce).hex,
            worker,
            PROVIDER,
            PERMITS,
            signature.covered,
            signature.signature,
            body,
            self.certificate,
            signed.document,
            signed.signature,
            signed.key_id,
            3.0,
        )
        return msgspec.structs.replace(ask, **changes)


def true_call(city: HeldCity, grant: Grant) -> Made:
    """What a true call brings: the application's own key and its certificate."""
    signer = city.signer()
    assert isinstance(signer, KeySigner)
    row = city.admin.execute(
        "SELECT certificate FROM exchange.application_key WHERE id = %s", [signer.key_id]
    ).fetchone()
    assert row is not None
    return Made(signer, bytes(row[0]), grant, city.grant_key)


def certified(authority: KeyedCertificate, key: keys.SigningKey) -> bytes:
    """A certificate of an authority for the application's name."""
    public = key.public_key()
    assert isinstance(public, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey)
    return issue_signer_certificate(authority, Signer(plane.APP, "440100-housing"), public, datetime.now(UTC))


def tell(city: HeldCity, *messages: Callable[[str], HeldAsk]) -> list[HeldAnswer]:
    """Send messages as the hub does, with its own rights on NATS, and return what the node answers."""

    async def talk() -> list[HeldAnswer]:
        client = await nats_client.connect(
            city.nats_url, city.secrets / "nats-plane.creds", city.secrets / "ca.pem", name="rogue"
        )
        worker = secrets.token_hex(16)
        heard = await client.subscribe(f"answer.*.{worker}")
        key = load_node_key(city)
        answers = []
        for message in messages:
            await client.publish(held_subject(PROVIDER), encode(message(worker)))
            said = await heard.next_msg(timeout=5)
            await said.respond(b"")
            answers.append(read_answer(said.data, key))
        await client.close()
        return answers

    return asyncio.run(talk())


def load_node_key(city: HeldCity) -> keys.PublicKey:
    """The key with which the node signs."""
    row = city.admin.execute(
        "SELECT public_key FROM exchange.node WHERE department = %s", [PROVIDER]
    ).fetchone()
    assert row is not None
    return keys.load_public_der(bytes(row[0]))


@pytest.mark.requirement("ING-09")
def test_the_node_answers_what_the_application_signed(city: HeldCity) -> None:
    made = true_call(city, city.agreed("query"))
    (answer,) = tell(city, made.ask)
    assert answer.outcome == "answered" and json.loads(answer.result)["permit_no"] == "P00000003"


@pytest.mark.requirement("ING-09")
def test_the_hub_alone_composes_no_call(city: HeldCity) -> None:
    made = true_call(city, city.agreed("query"))
    own = key_signer(keys.generate_signing_key())
    with_own_key = Made(own, made.certificate, made.grant, city.grant_key)
    rogue = certified(create_authority_certificate("rogue", datetime.now(UTC)), own.key)
    platform = KeyedCertificate(
        load_certificates(city.secrets).read_bytes(), keys.read_secret_file(city.secrets / "ca.key")
    )
    # Whoever has every key of the platform, its authority's too, still lacks the department's word.
    colluding = certified(platform, own.key)
    as_application = Made(
        KeySigner(own.key, made.signer.key_id), made.certificate, made.grant, city.grant_key
    )
    answers = tell(
        city,
        with_own_key.ask,
        as_application.ask,
        Made(own, rogue, made.grant, city.grant_key).ask,
        Made(own, colluding, made.grant, city.grant_key).ask,
    )
    refused = ["certificate", "signature", "certificate", "unconfirmed"]
    assert [answer.outcome for answer in answers] == refused
    # What was refused is written down too; what no signature vouched for has no line of its own.
    assert [answer.line > 0 for answer in answers] == [False, False, False, True]
    assert city.lines()[-1]["number"] == answers[-1].line and city.lines()[-1]["outcome"] == "unconfirmed"


@pytest.mark.requirement("ING-09")
def test_messages_without_a_signature_are_counted_in_one_line(city: HeldCity) -> None:
    made = true_call(city, city.agreed("query"))
    city.children["node"].end()
    city.start_node()
    before = len(city.lines())
    answers = tell(
        city,
        *[lambda worker: made.ask(worker, signature=bytes(64))] * 20,
        *[lambda worker: made.ask(worker, resource="r440100otherone234")] * 5,
    )
    assert [answer.outcome for answer in answers] == ["signature"] * 20 + ["unknown"] * 5
    assert len(city.lines()) == before
    # What was counted when the node ends is written down.
    city.children["node"].end()
    (line,) = city.lines()[before:]
    assert line["outcome"] == "unsigned" and line["counts"] == {"signature": 20, "unknown": 5}
    assert shuqiao(["node", "log", "--home", str(city.home)]) == 0


@pytest.mark.requirement("ING-09")
def test_no_part_of_a_true_call_serves_for_another(city: HeldCity) -> None:
    grant = city.agreed("query")
    made = true_call(city, grant)
    other = json.dumps({"subject": number(4)}).encode()
    sent: list[HeldAsk] = []

    def remembered(worker: str) -> HeldAsk:
        sent.append(made.ask(worker))
        return sent[0]

    wider = msgspec.structs.replace(grant, unmasked=("phone",))
    stale = Made(made.signer, made.certificate, grant, city.grant_key, created=int(time.time()) - 400)
    sandbox = Made(made.signer, made.certificate, grant, city.grant_key, operation="query-batch")
    answers = tell(
        city,
        remembered,
        lambda worker: msgspec.structs.replace(sent[0], answer_to=worker),
        lambda worker: made.ask(worker, body=other),
        lambda worker: made.ask(worker, signature=bytes(64)),
        lambda worker: made.ask(worker, resource="r440100otherone234"),
        stale.ask,
        sandbox.ask,
        lambda worker: made.ask(worker, grant=made.ask(worker).grant.replace(plane.PURPOSE, "其他用途")),
        Made(made.signer, made.certificate, grant, keys.generate_signing_key()).ask,
        Made(made.signer, made.certificate, wider, city.grant_key).ask,
    )
    assert [answer.outcome for answer in answers] == [
        "answered", "replayed", "digest", "signature", "unknown", "stale", "malformed", "grant", "grant",
        "unconfirmed",
    ]  # fmt: skip
    assert all(answer.result == b"null" and not answer.found for answer in answers[1:])


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "verify"},
        {"applications": (plane.OTHER_APP,)},
        {"department": "440100-education"},
        {"resource": "r440100otherone234"},
        {"provider": "440100-police"},
        {"valid_until": datetime(2026, 1, 2, tzinfo=UTC).date()},
        {"channels": ("browse",)},
        {"pseudonyms": True},
        {"case_required": True},
        {"purpose": "x", "id": "G-2026-9999"},
    ],
)
def test_a_true_grant_that_does_not_cover_the_call(city: HeldCity, changes: dict[str, Any]) -> None:
    made = true_call(city, city.agreed("query"))
    other = msgspec.structs.replace(made.grant, **changes)
    signed = sign_grant(other, city.grant_key)
    fields = {"grant": signed.document, "grant_signature": signed.signature}
    (answer,) = tell(city, lambda worker: made.ask(worker, **fields))
    assert answer.outcome == "not_granted"


@pytest.mark.requirement("ING-09")
def test_an_answer_that_is_not_the_nodes_is_none(city: HeldCity) -> None:
    grant = city.agreed("query")
    key = keys.generate_signing_key()
    row = city.admin.execute("SELECT public_key FROM exchange.node WHERE department = %s", [PROVIDER])
    before = row.fetchone()
    change = "UPDATE exchange.node SET public_key = %s WHERE department = %s"
    city.admin.execute(change, [keys.public_der(key.public_key()), PROVIDER])
    try:
        assert city.ask(grant, number(3)).code == "node_silent"
    finally:
        city.admin.execute(change, [before[0] if before else None, PROVIDER])
    assert city.ask(grant, number(3)).status == 200


@pytest.mark.requirement("MOD-03")
def test_what_was_not_granted_does_not_pass_the_plane_either(city: HeldCity) -> None:
    grant = city.agreed("query")
    city.children["node"].end()
    city.children["telling"] = Child(
        "telling", [sys.executable, "-c", TELLS_MORE], city.node_environment(), city.folder / "telling.log"
    )
    city.start_node("telling")
    try:
        answer = city.ask(grant, number(3))
    finally:
        city.children["telling"].end()
    assert (answer.status, answer.code) == (503, "node_refused")
    assert city.logged("call_refused")[-1]["seen"]["fault"] == "result"
