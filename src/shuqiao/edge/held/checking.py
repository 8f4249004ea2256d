"""Whether a call that the hub passed on is one the node may answer: nothing the hub says is taken on trust.

The application's signature over the request, its certificate by the authority pinned at admission, the
platform's signature over the grant, the decision itself and the department's own word about the grant are all
looked at here, on what the node has on its own disk.
Source: shenyang-2016 art. 16; our choice, decision "data that stay with the department".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519

from shuqiao.edge.held.store import Permission
from shuqiao.edge.mapping import TableMapping
from shuqiao.rules.errors import CallError
from shuqiao.rules.exchange import CallFacts, Mode, Refused, decide_call
from shuqiao.rules.ids import ApplicationId, DepartmentCode, GrantId, ResourceId
from shuqiao.rules.small_domain import Trait, read_out, small_fields
from shuqiao.security import keys
from shuqiao.security.certificates import Signer, certified_signer
from shuqiao.security.http_signatures import (
    Covered,
    base_of,
    decode_word,
    is_digest_of,
    is_within_window,
    read_covered,
)
from shuqiao.security.sessions import request_digest
from shuqiao.wire.claims import claimed_value, subject_number
from shuqiao.wire.grant import Grant, GrantUnreadable, facts_of, verify_grant
from shuqiao.wire.held import HeldAsk, Refusal
from shuqiao.wire.messages import QueryRequest, VerifyRequest, call_entry_id
from shuqiao.wire.schemas import ItemSpec, ResourceSpec, traits_of
from shuqiao.wire.terms import Terms, TermsUnenforceable, terms_of

_AUTO = "auto"
_PATH = "/v1/resources/{resource}/{mode}"
_DECODERS: Mapping[str, msgspec.json.Decoder[VerifyRequest] | msgspec.json.Decoder[QueryRequest]] = {
    "verify": msgspec.json.Decoder(VerifyRequest),
    "query": msgspec.json.Decoder(QueryRequest),
}


class AskRefused(Exception):
    """The node doesn't answer; the reason is one word."""

    def __init__(self, refusal: Refusal) -> None:
        """Keep the reason."""
        super().__init__(refusal)
        self.refusal: Refusal = refusal


@dataclass(frozen=True)
class Trusted:
    """What admission pinned: whose node this is, and the keys it believes."""

    department: str
    authorities: tuple[x509.Certificate, ...]
    grant_keys: Mapping[str, keys.PublicKey]


@dataclass(frozen=True)
class HeldTable:
    """A resource whose records stay here: its description, and where the records are."""

    id: str
    mapping: TableMapping
    spec: ResourceSpec
    items: Mapping[str, ItemSpec]
    traits: Mapping[str, Trait]
    small: frozenset[str]

    @property
    def record_key(self) -> ItemSpec:
        """The item by which records are found."""
        return self.items[self.spec.record_key]


def held_table(mapping: TableMapping, spec: ResourceSpec) -> HeldTable:
    """Make a table of what admission and mapping say of it."""
    items = {item.field: item for item in spec.items}
    traits = traits_of(spec.items)
    return HeldTable(mapping.resource, mapping, spec, items, traits, small_fields(traits))


@dataclass(frozen=True)
class SignedCall:
    """A request whose signature, body, time and sender were checked; `digest` stands for it in the log."""

    id: bytes
    covered: Covered
    signer: Signer
    key_id: str
    mode: Mode
    request: VerifyRequest | QueryRequest
    digest: str
    signature: bytes


@dataclass(frozen=True)
class Question:
    """A call that may be answered: the record asked for, and what of it is given or compared.

    `claims` are in their written form; empty for a query.
    """

    call: SignedCall
    grant: Grant
    terms: Terms
    fields: tuple[str, ...]
    number: str
    claims: Mapping[str, str]


def check_signed(ask: HeldAsk, trusted: Trusted, now: datetime) -> SignedCall:
    """Check that an application of the platform signed this very request; raises `AskRefused`."""
    try:
        covered = read_covered(ask.covered)
        base = base_of(ask.covered)
    except ValueError:
        raise AskRefused("malformed") from None
    mode = covered.path.rpartition("/")[2]
    path = _PATH.format(resource=ask.resource, mode=mode)
    if mode not in _DECODERS or (covered.method, covered.path) != ("POST", path):
        raise AskRefused("malformed")
    public = _public_key(ask.certificate)
    signer = certified_signer(ask.certificate, public, trusted.authorities, now)
    if signer is None or keys.key_id(public) != covered.key_id:
        raise AskRefused("certificate")
    if not _is_signed(public, ask.signature, base):
        raise AskRefused("signature")
    if not is_digest_of(covered.content_digest, ask.body):
        raise AskRefused("digest")
    if not is_within_window(covered.created, now.timestamp()):
        raise AskRefused("stale")
    try:
        request = _DECODERS[mode].decode(ask.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise AskRefused("malformed") from None
    call = call_entry_id(covered.key_id, covered.created, covered.nonce).bytes
    digest = request_digest(base, ask.signature).hex()
    return SignedCall(call, covered, signer, covered.key_id, Mode(mode), request, digest, ask.signature)


def check_granted(
    ask: HeldAsk,
    call: SignedCall,
    table: HeldTable,
    trusted: Trusted,
    state_of: Callable[[Permission], str],
    now: datetime,
) -> Question:
    """Check that a grant the department confirmed covers the call; raises `AskRefused`.

    `state_of` gives the department's word about a grant and the key it is used with.
    """
    grant_key = trusted.grant_keys.get(ask.grant_key)
    if grant_key is None:
        raise AskRefused("grant")
    try:
        grant = verify_grant(ask.grant, ask.grant_signature, "ed25519", grant_key)
    except GrantUnreadable:
        raise AskRefused("grant") from None
    try:
        terms, fields = _decided(call, grant, table, trusted, now)
    except (CallError, TermsUnenforceable):
        raise AskRefused("not_granted") from None
    digest = permission_digest(ask.grant, call.key_id, table.spec)
    signer = f"{call.signer.name} / {call.signer.body}"
    asked = Permission(grant.id, call.key_id, digest, ask.grant, signer, "waiting")
    if state_of(asked) != "confirmed":
        raise AskRefused("unconfirmed")
    try:
        number = subject_number(table.record_key, call.request.subject)
        claims = _claims(call.request, table)
    except CallError:
        raise AskRefused("malformed") from None
    return Question(call, grant, terms, fields, number, claims)


def permission_digest(grant: str, key_id: str, spec: ResourceSpec) -> bytes:
    """What the department's word is about: a grant, a key it is used with, and what the items are said to be.

    A description that changes, such as an item no longer masked, so needs a new word.
    """
    described = msgspec.json.encode(spec, order="sorted")
    parts = (grant.encode(), key_id.encode(), described)
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


def _decided(
    call: SignedCall, grant: Grant, table: HeldTable, trusted: Trusted, now: datetime
) -> tuple[Terms, tuple[str, ...]]:
    request, words = call.request, call.covered
    asked = tuple(request.claims) if isinstance(request, VerifyRequest) else request.items or ()
    known = [field for field in asked if field in table.items]
    grant_id, purpose = decode_word(words.grant), decode_word(words.purpose)
    facts = CallFacts(
        ApplicationId(call.signer.name),
        DepartmentCode(call.signer.body),
        ResourceId(table.id),
        call.mode,
        asked,
        None if grant_id == _AUTO else GrantId(grant_id),
        None if purpose == _AUTO else purpose,
        read_out(table.traits, table.small, table.record_key.field, known)
        if call.mode is Mode.VERIFY
        else (),
    )
    decision = decide_call(facts, [facts_of(grant)], now)
    if isinstance(decision, Refused) or grant.provider != trusted.department or grant.operations:
        raise AskRefused("not_granted")
    if grant.pseudonyms or len(known) < len(asked) or (grant.case_required and not request.case.strip()):
        raise AskRefused("not_granted")
    return terms_of(grant, table.items), tuple(field for field in decision.fields if field in table.items)


def _claims(request: VerifyRequest | QueryRequest, table: HeldTable) -> dict[str, str]:
    if isinstance(request, QueryRequest):
        return {}
    return {field: claimed_value(table.items[field], claim) for field, claim in request.claims.items()}


def _public_key(certificate: bytes) -> bytes:
    try:
        public = x509.load_der_x509_certificate(certificate).public_key()
        return public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except ValueError:
        raise AskRefused("certificate") from None


def _is_signed(public: bytes, signature: bytes, base: bytes) -> bool:
    try:
        key = keys.load_public_der(public)
    except keys.KeyRefusedError:
        return False
    if isinstance(key, x25519.X25519PublicKey):
        return False
    return keys.verify(keys.algorithm_of(key), key, signature, base)


def moment(now: datetime) -> str:
    """Write a time as lines of the log have it."""
    return now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
