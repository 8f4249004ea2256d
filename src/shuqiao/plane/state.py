"""What the plane knows of applications, resources and grants, as of one epoch.

A snapshot is immutable. It is replaced when a statement reports another epoch, which makes revocation
certain, and on the notice `exchange_epoch`, which is only a hint.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from shuqiao.rules.exchange import GrantFacts
from shuqiao.rules.small_domain import Trait, small_fields
from shuqiao.security import keys
from shuqiao.security.http_signatures import Verify, request_verifier
from shuqiao.wire.grant import Grant, GrantUnreadable, facts_of, verify_grant
from shuqiao.wire.interface import InterfaceSpec
from shuqiao.wire.messages import PromiseKey
from shuqiao.wire.schemas import ItemSpec, ResourceSpec, traits_of
from shuqiao.wire.terms import NO_TERMS, Terms, TermsUnenforceable, terms_of

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

log = logging.getLogger("shuqiao.plane")

LOAD_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Application:
    """A system of a department that may sign calls with this key; `is_portal` marks the pages' own."""

    id: str
    department: str
    key_id: str
    algorithm: str
    verify: Verify
    is_portal: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource in force: its owner and its items by field; `small` are those of small domain.

    `is_held` tells that its records stay with the department, whose node answers.
    """

    id: str
    department: str
    record_key: ItemSpec
    modes: frozenset[str]
    items: Mapping[str, ItemSpec]
    traits: Mapping[str, Trait]
    small: frozenset[str]
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """A grant whose signature was checked, with what decides over it and what was checked.

    `terms` are what a keyed call enforces beside the decision.
    """

    document: Grant
    facts: GrantFacts
    checked: tuple[str, bytes, str]
    terms: Terms = NO_TERMS


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a decision needs, as of `epoch`; `faults` counts rows that could not be trusted.

    `vault_key` is the X25519 key that signed requests are sealed to, 32 bytes. A grant that names operations
    is for the department's interface alone: it stands in `operation_grants` and not in `grants_of`; one that
    names files stands in `file_grants`.
    """

    epoch: int = -1
    applications: Mapping[str, Application] = field(default_factory=dict)
    by_key: Mapping[str, Application] = field(default_factory=dict)
    resources: Mapping[str, Resource] = field(default_factory=dict)
    grants: Mapping[str, HeldGrant] = field(default_factory=dict)
    grants_of: Mapping[tuple[str, str], tuple[GrantFacts, ...]] = field(default_factory=dict)
    promise_keys: tuple[PromiseKey, ...] = ()
    faults: int = 0
    citations: Mapping[str, str] = field(default_factory=dict)
    vault_key: bytes | None = None
    operation_grants: Mapping[tuple[str, str], tuple[GrantFacts, ...]] = field(default_factory=dict)
    interfaces: Mapping[str, InterfaceSpec] = field(default_factory=dict)
    file_grants: Mapping[tuple[str, str], tuple[GrantFacts, ...]] = field(default_factory=dict)


_spec_decoder = msgspec.json.Decoder(ResourceSpec)
_interface_decoder = msgspec.json.Decoder(InterfaceSpec)


async def load_snapshot(connection: Connection, known: Snapshot) -> Snapshot:
    """Read all tables as of one moment; grants already checked in `known` are not checked again."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        epoch = await connection.fetchval("SELECT value FROM exchange.epoch", timeout=LOAD_TIMEOUT_S)
        applications = await connection.fetch(
            "SELECT id, department, algorithm, public_key, portal FROM exchange.application WHERE active",
            timeout=LOAD_TIMEOUT_S,
        )
        resources = await connection.fetch(
            "SELECT id, department, spec::text FROM exchange.resource WHERE active", timeout=LOAD_TIMEOUT_S
        )
        grants = await connection.fetch(
            "SELECT id, document, signature, key_id, revoked_at, revoked_reason,"
            ' suspended_at, suspended_reason FROM exchange."grant"',
            timeout=LOAD_TIMEOUT_S,
        )
        signing_keys = await connection.fetch(
            "SELECT id, purpose, algorithm, public_key FROM exchange.signing_key WHERE active",
            timeout=LOAD_TIMEOUT_S,
        )
        interfaces = await connection.fetch(
            "SELECT resource_id, spec::text FROM exchange.interface WHERE active", timeout=LOAD_TIMEOUT_S
        )
        citations = await connection.fetch(
            "SELECT matter, citation FROM exchange.citation", timeout=LOAD_TIMEOUT_S
        )
    snapshot = _assemble(
        epoch, applications, resources, _checked_grants(grants, signing_keys, known), signing_keys
    )
    return replace(
        snapshot,
        citations={row["matter"]: row["citation"] for row in citations},
        vault_key=_vault_key(signing_keys),
        interfaces=_interfaces(interfaces),
    )


def _assemble(
    epoch: int,
    applications: Iterable[asyncpg.Record],
    resources: Iterable[asyncpg.Record],
    grants: tuple[dict[str, HeldGrant], int],
    signing_keys: Iterable[asyncpg.Record],
) -> Snapshot:
    known_applications, application_faults = _applications(applications)
    known_resources, resource_faults = _resources(resources)
    held, faults = _enforceable(grants, known_resources)
    grants_of: dict[tuple[str, str], list[GrantFacts]] = {}
    of_operations: dict[tuple[str, str], list[GrantFacts]] = {}
    of_files: dict[tuple[str, str], list[GrantFacts]] = {}
    for grant in held.values():
        places = of_operations if grant.document.operations else grants_of
        places = of_files if grant.document.files else places
        places.setdefault((grant.facts.department, grant.facts.resource_id), []).append(grant.facts)
    return Snapshot(
        epoch,
        known_applications,
        {application.key_id: application for application in known_applications.values()},
        known_resources,
        held,
        {place: tuple(facts) for place, facts in grants_of.items()},
        tuple(_promise_key(row) for row in signing_keys if row["purpose"] == "promise"),
        faults + application_faults + resource_faults,
        operation_grants={place: tuple(facts) for place, facts in of_operations.items()},
        file_grants={place: tuple(facts) for place, facts in of_files.items()},
    )


def _enforceable(
    grants: tuple[dict[str, HeldGrant], int], resources: Mapping[str, Resource]
) -> tuple[dict[str, HeldGrant], int]:
    """Leave out the grants whose terms a call could not honour; of a resource out of force none is used."""
    held: dict[str, HeldGrant] = {}
    faults = grants[1]
    for number, grant in grants[0].items():
        resource = resources.get(grant.document.resource)
        try:
            terms = _terms(grant.document, resource)
        except TermsUnenforceable as reason:
            faults += 1
            log.error("grant_not_enforceable grant=%s term=%s", number, reason)
            continue
        held[number] = replace(grant, terms=terms)
    return held, faults


def _terms(document: Grant, resource: Resource | None) -> Terms:
    if resource is None:
        return NO_TERMS
    if resource.is_held and document.pseudonyms:
        # Tokens are made with a key of the vault, which no node has.
        raise TermsUnenforceable("pseudonyms")
    return terms_of(document, resource.items)


def _applications(rows: Iterable[asyncpg.Record]) -> tuple[dict[str, Application], int]:
    made: dict[str, Application] = {}
    faults = 0
    for row in rows:
        try:
            verify = request_verifier(row["algorithm"], row["public_key"])
        except keys.KeyRefusedError:
            faults += 1
            log.error("application_key_unusable application=%s", row["id"])
            continue
        made[row["id"]] = Application(
            row["id"],
            row["department"],
            keys.key_id(row["public_key"]),
            row["algorithm"],
            verify,
            row["portal"],
        )
    return made, faults


def _resources(rows: Iterable[asyncpg.Record]) -> tuple[dict[str, Resource], int]:
    made: dict[str, Resource] = {}
    faults = 0
    for row in rows:
        try:
            spec = _spec_decoder.decode(row["spec"])
            items = {item.field: item for item in spec.items}
            record_key = items[spec.record_key]
        except (msgspec.MsgspecError, KeyError):
            faults += 1
            log.error("resource_spec_unusable resource=%s", row["id"])
            continue
        traits = traits_of(spec.items)
        made[row["id"]] = Resource(
            row["id"],
            row["department"],
            record_key,
            frozenset(spec.modes),
            items,
            traits,
            small_fields(traits),
            spec.kept == "node",
        )
    return made, faults


def _interfaces(rows: Iterable[asyncpg.Record]) -> dict[str, InterfaceSpec]:
    made: dict[str, InterfaceSpec] = {}
    for row in rows:
        try:
            made[row["resource_id"]] = _interface_decoder.decode(row["spec"])
        except msgspec.MsgspecError:
            log.error("interface_spec_unusable resource=%s", row["resource_id"])
    return made


def _vault_key(rows: Iterable[asyncpg.Record]) -> bytes | None:
    for row in rows:
        key = keys.load_public_der(row["public_key"]) if row["purpose"] == "vault" else None
        if isinstance(key, X25519PublicKey):
            return key.public_bytes_raw()
    return None


def _promise_key(row: asyncpg.Record) -> PromiseKey:
    return PromiseKey(row["id"], row["algorithm"], base64.b64encode(row["public_key"]).decode("ascii"))


def _checked_grants(
    rows: Iterable[asyncpg.Record], signing_keys: Iterable[asyncpg.Record], known: Snapshot
) -> tuple[dict[str, HeldGrant], int]:
    grant_keys = {
        row["id"]: (row["algorithm"], keys.load_public_der(row["public_key"]))
        for row in signing_keys
        if row["purpose"] == "grants"
    }
    held: dict[str, HeldGrant] = {}
    faults = 0
    for row in rows:
        checked = (row["document"], row["signature"], row["key_id"])
        document = _checked_document(checked, grant_keys, known.grants.get(row["id"]))
        # The row's id is not signed; a document under another grant's number is as false as a bad signature.
        if document is None or document.id != row["id"]:
            faults += 1
            log.error("grant_not_trusted grant=%s", row["id"])
            continue
        held[row["id"]] = HeldGrant(document, _facts(document, row), checked)
    return held, faults


def _checked_document(
    checked: tuple[str, bytes, str],
    grant_keys: Mapping[str, tuple[str, keys.PublicKey]],
    known: HeldGrant | None,
) -> Grant | None:
    text, signature, key_id = checked
    if key_id not in grant_keys:
        return None
    if known is not None and known.checked == checked:
        return known.document
    algorithm, key = grant_keys[key_id]
    try:
        return verify_grant(text, signature, algorithm, key)
    except GrantUnreadable:
        return None


def _facts(document: Grant, row: asyncpg.Record) -> GrantFacts:
    return replace(
        facts_of(document),
        revoked_at=row["revoked_at"],
        revoked_reason=row["revoked_reason"],
        suspended_at=row["suspended_at"],
        suspended_reason=row["suspended_reason"],
    )
