"""Checking the evidence of one call or copy: offline, with the public keys its reader trusts and no more.

Source: our choice, decision 21
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography import x509

from shuqiao.rules import merkle
from shuqiao.rules.checkpoint import Checkpoint
from shuqiao.rules.errors import RequestMalformed
from shuqiao.rules.exchange import legal_day
from shuqiao.security import keys
from shuqiao.security.certificates import Signer, certified_signer
from shuqiao.security.http_signatures import (
    SESSION_PREFIX,
    Covered,
    base_of,
    decode_word,
    is_digest_of,
    read_covered,
)
from shuqiao.security.sessions import call_number, decode_key, delivery_digest, request_digest, session_id
from shuqiao.wire.batch_messages import subject_entry_id
from shuqiao.wire.call_proof import MAC
from shuqiao.wire.copy_checking import Parts, Recorded, copy_findings
from shuqiao.wire.evidence import (
    PLATFORM,
    ApplicationPart,
    Evidence,
    KeyPart,
    RequestPart,
    confirmation,
)
from shuqiao.wire.grant import Grant, GrantUnreadable, verify_grant
from shuqiao.wire.messages import SessionHead, call_entry_id, refusal_entry_id, session_entry_id
from shuqiao.wire.receipt import promise_is_signed

_head_decoder = msgspec.json.Decoder(SessionHead, strict=True)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked; `holds` is None for what could not be checked with what was given."""

    holds: bool | None
    words: str


@dataclass(frozen=True, slots=True)
class Given:
    """What the reader brings: public keys trusted for a purpose, and where at hand bodies and regulation.

    The purposes are `log`, `promise`, `grants` and `application`; a key counts for its own purpose only. Keys
    that one of `authorities` certified for their purpose, or for their application, count too. `parts` are
    files that should be parts of a copy: their names, and what opens each. `salt` stood before each of them
    where a copy that is sealed to its recipient was digested.
    """

    keys: Mapping[tuple[str, str], keys.PublicKey]
    authorities: tuple[x509.Certificate, ...] = ()
    request: bytes | None = None
    answer: bytes | None = None
    regulation: bytes | None = None
    parts: Parts | None = None
    salt: bytes = b""


def verify_evidence(evidence: Evidence, given: Given) -> list[Finding]:
    """Check everything the file says; it holds when no finding is False."""
    check = _Check(evidence, given)
    found = list(check.findings())
    if evidence.copy is None:
        if given.parts is not None:
            found.append(Finding(False, "the file is evidence of a copy, to hold your parts against"))
        return found
    checks = [check]
    for other in evidence.copy.entries:
        # What else the reader brought is about the file's own entry.
        checks.append(_Check(other, Given(given.keys, given.authorities, regulation=given.regulation)))
        found += [
            Finding(one.holds, f"{checks[-1].name}: {one.words}") for one in list(checks[-1].findings())
        ]
    key = check.trusted.get(("promise", evidence.copy.key_id))
    entries = tuple(Recorded(one.evidence.entry, one.said, one.grant) for one in checks)
    signature = _bytes(evidence.copy.signature)
    found += [
        Finding(holds, words)
        for holds, words in copy_findings(
            evidence.copy.manifest, signature, key, entries, given.parts, given.salt
        )
    ]
    return found


@dataclass
class _Check:
    """One verification. Each step yields what it found; a later step relies on no earlier one."""

    evidence: Evidence
    given: Given
    said: dict[str, Any] = field(default_factory=dict)
    covered: Covered | None = None
    base: bytes = b""
    signature: bytes = b""
    trusted: dict[tuple[str, str], keys.PublicKey] = field(default_factory=dict)
    grant: Grant | None = None

    @property
    def name(self) -> str:
        """What the entry is called among others of a file."""
        return f"{self.said.get('event', 'entry')} {self.evidence.entry}"

    def findings(self) -> Iterator[Finding]:
        yield from self._certificates()
        yield from self._log()
        yield from self._keys()
        same = self.evidence.confirmed == confirmation(self.evidence)
        if self._is_own():
            yield Finding(None, "the platform recorded this by itself: no application signed it")
            yield Finding(same, "the file doesn't say that one did")
            return
        yield from self._request()
        yield from self._promise()
        yield from self._head()
        yield from self._grant()
        yield from self._regulation()
        yield Finding(same, f"the call is {self.evidence.confirmed}")

    def _is_own(self) -> bool:
        """Tell whether the entry names no signed request, and the file shows none."""
        shown = self.evidence
        parts = (shown.request, shown.promise, shown.head, shown.grant, shown.application, shown.regulation)
        return bool(self.said) and not self.said.get("request") and not any(parts)

    def _certificates(self) -> Iterator[Finding]:
        """Take in the keys that an authority of the reader's certified."""
        self.trusted = dict(self.given.keys)
        parts = [(key, key.purpose, Signer(key.purpose, PLATFORM)) for key in self.evidence.keys]
        named = self.evidence.application
        certified: list[tuple[KeyPart | ApplicationPart, str, Signer]] = list(parts)
        if named is not None:
            certified.append((named, "application", Signer(named.application, named.department)))
        at = dt.datetime.fromisoformat(self.evidence.checkpoint.signed_at)
        for part, purpose, signer in certified:
            if not part.certificate:
                continue
            if not self.given.authorities:
                yield Finding(None, f"key {part.id} has a certificate; give its authority to check it")
                continue
            der = _bytes(part.public_key)
            found = certified_signer(_bytes(part.certificate), der, self.given.authorities, at)
            yield Finding(found == signer, f"key {part.id} is certified for {signer.name} of {signer.body}")
            if found == signer:
                self.trusted[purpose, keys.key_id(der)] = keys.load_public_der(der)

    def _log(self) -> Iterator[Finding]:
        evidence, part = self.evidence, self.evidence.checkpoint
        digest = bytes.fromhex(evidence.digest)
        if evidence.body:
            made = hashlib.sha256(bytes.fromhex(evidence.salt) + evidence.body.encode()).digest()
            right = hmac.compare_digest(made, digest) and len(evidence.salt) == 32
            self.said = _lines(evidence.body)
            yield Finding(right, "the entry's words have the digest that stands in the log")
            yield Finding(self.said.get("id") == str(evidence.entry), "the words are those of this entry")
        else:
            yield Finding(
                None if not evidence.salt else False, "the entry's words are withheld from its maker"
            )
        root = _bytes(part.root)
        path = [bytes.fromhex(node) for node in evidence.path]
        leaf = merkle.leaf_hash(digest)
        inside = evidence.position < part.size
        proved = inside and merkle.verify_inclusion(leaf, evidence.position, part.size, path, root)
        yield Finding(
            proved, f"the entry is number {evidence.position} of {part.size} in the log {part.origin}"
        )
        text = Checkpoint(part.origin, part.size, root, dt.datetime.fromisoformat(part.signed_at)).text()
        signed = self._signed_by(part.key_id, "log", "ed25519", _bytes(part.signature), text)
        yield Finding(signed, f"the checkpoint is signed by key {part.key_id} of the log")

    def _keys(self) -> Iterator[Finding]:
        """Hold the keys the file names against those the reader trusts; the file's own prove nothing."""
        for part in self.evidence.keys:
            key = self.trusted.get((part.purpose, part.id))
            named = key is not None and keys.public_der(key) == _bytes(part.public_key)
            known = named and part.algorithm == "ed25519" and part.purpose != "application"
            yield Finding(known, f"key {part.id} for {part.purpose} is one of the keys you trust")

    def _request(self) -> Iterator[Finding]:
        part, application = self.evidence.request, self.evidence.application
        if part is None:
            yield Finding(None, "the file holds no signed request")
            return
        self.signature = _bytes(part.signature)
        try:
            self.covered, self.base = read_covered(part.covered), base_of(part.covered)
        except ValueError:
            yield Finding(False, "the signed request has the form of this interface")
            return
        yield Finding(self._entry_follows(self.covered), "the entry's number follows from the signature")
        if self.said:
            digest = request_digest(self.base, self.signature).hex()
            yield Finding(digest == self.said.get("request"), "the log holds the digest of this request")
            yield Finding(part.algorithm == self.said.get("algorithm"), "the algorithm is the one recorded")
            yield Finding(self._agrees(self.covered), "purpose, user, grant and entry are those recorded")
        if application is None:
            yield Finding(False, "the file names the application's key")
            return
        yield from self._signature(part, application)
        if self.given.request is not None:
            right = is_digest_of(self.covered.content_digest, self.given.request)
            yield Finding(right, "your copy of the request's body is the one that was signed")

    def _signature(self, part: RequestPart, application: ApplicationPart) -> Iterator[Finding]:
        der = _bytes(application.public_key)
        named = keys.key_id(der) == application.id
        if self.said:
            said = (self.said.get("key"), self.said.get("application"), self.said.get("department"))
            named = named and said == (application.id, application.application, application.department)
        yield Finding(named, f"the key {application.id} is the one recorded for {application.application}")
        trusted = self.trusted.get(("application", application.id))
        if trusted is None:
            yield Finding(None, f"that it is {application.department}'s key is the platform's word")
        if part.algorithm == MAC:
            yield Finding(None, "a session's MAC proves nothing to you; see the signed list of its calls")
            return
        right = part.algorithm == application.algorithm and self._verified(der, part.algorithm)
        yield Finding(right, f"the request is signed with that key ({part.algorithm})")

    def _verified(self, der: bytes, algorithm: str) -> bool:
        try:
            return keys.verify(algorithm, keys.load_public_der(der), self.signature, self.base)
        except keys.KeyRefusedError:
            return False

    def _entry_follows(self, covered: Covered) -> bool:
        if covered.key_id.startswith(SESSION_PREFIX):
            number = call_number(covered.nonce)
            if number is None:
                return False
            call = session_entry_id(session_id(covered.key_id), number)
        else:
            call = call_entry_id(covered.key_id, covered.created, covered.nonce)
        refused = refusal_entry_id(call, str(self.said.get("outcome", "")))
        place = self.said.get("place", 0)
        subject = subject_entry_id(call, place) if isinstance(place, int) and 0 <= place < 2**31 else call
        # A file leaves by a link that was given for a signed request; its entry names that one.
        given = self.said.get("event") == "file_delivered" and self.said.get("call") == str(call)
        return given or self.evidence.entry in (call, refused, subject)

    def _agrees(self, covered: Covered) -> bool:
        said = self.said
        try:
            purpose, user, grant = map(decode_word, (covered.purpose, covered.end_user, covered.grant))
        except RequestMalformed:
            return False
        path = f"/v1/resources/{said.get('resource', '')}/{said.get('mode', '')}"
        return (
            purpose in ("auto", said.get("purpose", ""))
            and ("" if user == "-" else user) == said.get("end_user", "")
            and grant in ("auto", said.get("grant", ""))
            # Copies and departments' own interfaces have other addresses; the log's digest binds those.
            and (said.get("event") not in ("verify", "query") or covered.path in (path, path + "-batch"))
            and covered.method == "POST"
        )

    def _promise(self) -> Iterator[Finding]:
        promise = self.evidence.promise
        if promise is None:
            yield Finding(None, "the file holds no promise; the application was given one with its answer")
            return
        about = (promise.entry, promise.digest) == (self.evidence.entry, self.evidence.digest)
        yield Finding(about, "the promise is about this entry")
        key = self.trusted.get(("promise", promise.key_id))
        signed = key is not None and promise_is_signed(promise, key)
        yield Finding(signed, f"the promise is signed by key {promise.key_id}: the answer has this digest")
        if self.given.answer is not None:
            right = hashlib.sha256(self.given.answer).hexdigest() == promise.answer
            yield Finding(right, "your copy of the answer is the one that was promised")

    def _head(self) -> Iterator[Finding]:
        part, application = self.evidence.head, self.evidence.application
        if part is None:
            return
        try:
            covered, base = read_covered(part.covered), base_of(part.covered)
            head = _head_decoder.decode(part.body)
        except (ValueError, msgspec.MsgspecError):
            yield Finding(False, "the signed list has the form of this interface")
            return
        der = b"" if application is None else _bytes(application.public_key)
        own = application is not None and (part.key_id, part.algorithm) == (
            application.id,
            application.algorithm,
        )
        try:
            signed = (
                own
                and covered.key_id == part.key_id
                and keys.verify(part.algorithm, keys.load_public_der(der), _bytes(part.signature), base)
            )
        except keys.KeyRefusedError:
            signed = False
        bound = (
            is_digest_of(covered.content_digest, part.body.encode()) and covered.path == "/v1/sessions/heads"
        )
        yield Finding(signed and bound, "the application signed the list of the session's calls")
        yield self._listed(head)

    def _listed(self, head: SessionHead) -> Finding:
        """Find the call in the list: the same request, and where it names an answer the promised one."""
        words = "the list names this request, and no other answer than was promised"
        if self.covered is None or not self.covered.key_id.startswith(SESSION_PREFIX):
            return Finding(False, words)
        number = call_number(self.covered.nonce)
        found = [call for call in head.calls if call.number == number]
        if len(found) != 1 or head.session != session_id(self.covered.key_id):
            return Finding(False, words)
        right = decode_key(found[0].request) == request_digest(self.base, self.signature)
        if found[0].answer and self.evidence.promise is not None:
            answer = delivery_digest(self.signature, bytes.fromhex(self.evidence.promise.answer))
            right = right and decode_key(found[0].answer) == answer
        return Finding(right, words)

    def _grant(self) -> Iterator[Finding]:
        part = self.evidence.grant
        if part is None:
            yield Finding(None, "no grant covered the call")
            return
        key = self.trusted.get(("grants", part.key_id))
        try:
            if key is None:
                raise GrantUnreadable("not a key for grants")
            grant = verify_grant(part.document, _bytes(part.signature), "ed25519", key)
        except GrantUnreadable:
            yield Finding(False, "the grant is signed by a key you trust for grants")
            return
        self.grant = grant
        yield Finding(True, f"grant {grant.id} is signed by key {part.key_id}")
        if self.said:
            yield Finding(self._covers(grant), "the grant covers the call")
        else:
            yield Finding(None, "which grant covered the call stands in the withheld words")

    def _covers(self, grant: Grant) -> bool:
        said = self.said
        same = all(
            said.get(name, "") == value
            for name, value in (
                ("grant", grant.id),
                ("resource", grant.resource),
                ("department", grant.department),
            )
        )
        # What is refused rests on no purpose; nor does what its holder does when the grant is over.
        if said.get("event") in ("call_refused", "copies_deleted", "feed_ended"):
            return same
        return (
            same
            and said.get("provider") == grant.provider
            and (said.get("purpose"), said.get("request_no"), said.get("regulation"))
            == (grant.purpose, grant.request_no, grant.regulation)
            and said.get("application") in grant.applications
            and set(said.get("items", [])) <= set(grant.items)
            and grant.valid_from <= legal_day(dt.datetime.fromisoformat(said["at"])) <= grant.valid_until
        )

    def _regulation(self) -> Iterator[Finding]:
        part = self.evidence.regulation
        if part is None:
            return
        words = str(self.said.get("regulation", part.id))
        named = words == part.id or words.startswith(part.id + " ")
        yield Finding(named, f"the call rests on {words}")
        if self.given.regulation is None:
            yield Finding(
                None, f"the file of {part.id} was not given; its SHA-256 is {part.sha256 or 'not known'}"
            )
        else:
            right = hashlib.sha256(self.given.regulation).hexdigest() == part.sha256
            yield Finding(right, f"your file of {part.id} is the version named")

    def _signed_by(self, key_id: str, purpose: str, algorithm: str, signature: bytes, text: bytes) -> bool:
        key = self.trusted.get((purpose, key_id))
        return key is not None and keys.verify(algorithm, key, signature, text)


def _lines(body: str) -> dict[str, Any]:
    """Read what both writers said; a name both use must have one value, else the words count for nothing."""
    said: dict[str, Any] = {}
    for line in body.split("\n"):
        try:
            found = json.loads(line)
        except ValueError:
            return {}
        if not isinstance(found, dict):
            return {}
        said = {**found, **said}
    return said


def _bytes(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return b""
    # One spelling only: other unused bits would be another text for the same bytes.
    return raw if base64.b64encode(raw).decode("ascii") == text else b""
