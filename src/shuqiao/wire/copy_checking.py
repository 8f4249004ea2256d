"""Holding the manifest of a copy against the entries about it, the grant, and the parts somebody has.

Each entry's own proof is checked before (`wire.evidence_checking`); this is about what they say together.
Source: our choice, decision 22
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shuqiao.rules.exchange import legal_day
from shuqiao.security import keys
from shuqiao.security.at_rest import DIGESTS
from shuqiao.security.recipients import SALT_BYTES, SALT_FILE, recipient_id
from shuqiao.wire.bulk import Manifest, ManifestUnreadable, verify_manifest
from shuqiao.wire.grant import Grant
from shuqiao.wire.recalls import StatementUnreadable, is_signed, read_deletion

Found = tuple[bool | None, str]
Parts = Mapping[str, Callable[[], Iterable[bytes]]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry of the file: its words, none where they are withheld, and the grant if it is signed."""

    id: UUID
    said: Mapping[str, Any]
    grant: Grant | None


def copy_findings(
    text: str,
    signature: bytes,
    key: keys.PublicKey | None,
    entries: tuple[Recorded, ...],
    parts: Parts | None,
    salt: bytes = b"",
) -> Iterator[Found]:
    """Check a copy: its signed manifest, what the entries say of it, and the parts where there are any."""
    try:
        if key is None:
            raise ManifestUnreadable("not a key for promises")
        manifest = verify_manifest(text, signature, key)
    except ManifestUnreadable:
        yield False, "the manifest is signed by a key you trust for promises"
        return
    yield True, f"the manifest of {manifest.rows} rows in {len(manifest.parts)} parts is signed"
    yield from _recorded(manifest, text, entries)
    if parts is None:
        yield None, "the parts were not given; with them it is checked that they are those of the manifest"
        return
    if manifest.sealed_to and len(salt) != SALT_BYTES:
        yield (
            None,
            f"the parts of a sealed copy are compared with its {SALT_FILE} beside them, from its holder",
        )
        return
    yield from _held_against(manifest, parts, salt if manifest.sealed_to else b"")


def _recorded(manifest: Manifest, text: str, entries: tuple[Recorded, ...]) -> Iterator[Found]:
    """Find what the log says of the copy; whatever is about something else has no place in the file."""
    asked = [one for one in entries if one.id == (manifest.feed or manifest.job)]
    prepared = [one for one in entries if one.id == manifest.entry]
    yield len(asked) == 1, "the file has the entry of the request"
    yield len(prepared) == 1, "the file has the entry that the manifest names"
    delivered = 0
    for one in entries:
        event = one.said.get("event")
        if not one.said:
            yield None, f"what entry {one.id} says of the copy is withheld"
        elif one in asked:
            wanted = "bulk_asked" if manifest.feed is None else "feed_subscribed"
            yield event == wanted and _is_under(one, manifest), "the request is for what the copy is of"
            yield from _sealing(one, manifest)
            yield _is_granted(one, manifest), "items, day and reader of the copy are as granted"
        elif one in prepared:
            yield _is_preparation(one, manifest), "the log says of the copy what its manifest says"
        elif event == "bulk_delivered":
            delivered += 1
            number = one.said.get("part")
            yield _is_delivery(one, manifest, text), f"part {number} of this copy was handed out: {one.id}"
        elif event == "copies_deleted":
            yield from _deletion(one, manifest)
        else:
            right = event == "feed_taken" and _is_taking(one, manifest)
            yield right, f"the consumer said that it keeps part {manifest.number}: {one.id}"
    if not delivered:
        yield None, "the file holds no entry of a delivery: the copy was prepared, and not yet handed out"


def _sealing(asked: Recorded, manifest: Manifest) -> Iterator[Found]:
    """Hold the recipient's key that the request names against that of the manifest."""
    wanted = asked.said.get("recipient", "")
    if wanted or manifest.sealed_to:
        sealed_to = recipient_id(manifest.sealed_to) if manifest.sealed_to else ""
        yield wanted == sealed_to, f"the copy was sealed to the key {sealed_to or '-'}, as it was asked for"


def _is_under(one: Recorded, manifest: Manifest) -> bool:
    said = one.said
    return (said.get("grant"), said.get("resource"), said.get("department"), said.get("provider")) == (
        manifest.grant,
        manifest.resource,
        manifest.department,
        manifest.provider,
    )


def _is_granted(one: Recorded, manifest: Manifest) -> bool | None:
    grant = one.grant
    if grant is None:
        return None
    return (
        (grant.id, grant.mode, grant.resource) == (manifest.grant, "bulk", manifest.resource)
        and (grant.department, grant.provider) == (manifest.department, manifest.provider)
        and grant.purpose == manifest.purpose
        and grant.valid_from <= legal_day(manifest.at) <= grant.valid_until
        and {item.field for item in manifest.items} <= set(grant.items)
    )


def _is_preparation(one: Recorded, manifest: Manifest) -> bool:
    said = one.said
    return (
        _is_under(one, manifest)
        and (said.get("event"), said.get("outcome")) == ("bulk_prepared", "prepared")
        and (said.get("job"), said.get("format")) == (str(manifest.job), manifest.format)
        and (said.get("rows"), said.get("epoch")) == (manifest.rows, manifest.epoch)
        and (said.get("to_sequence"), said.get("from_sequence")) == (manifest.up_to, manifest.after)
        and said.get("number") == manifest.number
        and {item.field for item in manifest.items} <= set(said.get("items") or [])
        and sum(part.rows for part in manifest.parts) == manifest.rows
    )


def _is_delivery(one: Recorded, manifest: Manifest, text: str) -> bool:
    said = one.said
    return (
        _is_under(one, manifest)
        and said.get("job") == str(manifest.job)
        and said.get("manifest_digest") == hashlib.sha256(text.encode()).hexdigest()
        and said.get("part") in [part.number for part in manifest.parts]
    )


def _is_taking(one: Recorded, manifest: Manifest) -> bool:
    number = one.said.get("number")
    return (
        _is_under(one, manifest)
        and one.said.get("subscription") == str(manifest.feed)
        and isinstance(number, int)
        and manifest.number is not None
        and number >= manifest.number
    )


def _deletion(one: Recorded, manifest: Manifest) -> Iterator[Found]:
    """Check a holder's receipt: that it is about this copy, and what a node signed of it.

    The grant may be one that renewed the copy's own, so it is not compared.
    """
    said, held = one.said, str(manifest.feed or manifest.job)
    parties = (said.get("resource"), said.get("department"), said.get("provider"))
    about = parties == (manifest.resource, manifest.department, manifest.provider)
    named = any(held in (row.get("id"), *row.get("earlier", ())) for row in said.get("held") or ())
    statement = str(said.get("statement", ""))
    try:
        deletion = read_deletion(statement)
    except StatementUnreadable:
        yield False, f"the receipt of a deletion can be read: {one.id}"
        return
    right = about and named and deletion.recall == said.get("recall") == said.get("case")
    yield right, f"its holder signed for its deletion on {deletion.deleted_at.date()}: {one.id}"
    if said.get("deleted_by") != "node":
        by = "a named person of the holder" if said.get("deleted_by") == "person" else "the holder's system"
        yield None, f"the deletion is the word of {by}"
        return
    try:
        key = base64.b64decode(str(said.get("node_key")), validate=True)
    except ValueError:
        key = b""
    signed = is_signed(statement, str(said.get("signature")), key)
    yield signed, f"the receipt is signed by the node with the key {keys.key_id(key)} that the log names"


def _held_against(manifest: Manifest, parts: Parts, salt: bytes) -> Iterator[Found]:
    """Hold files against the manifest by their digests: who passes them on gives them names of their own."""
    given: set[int] = set()
    for name, opened in sorted(parts.items()):
        digest, size = hashlib.new(DIGESTS[manifest.digest_algorithm], salt), 0
        for piece in opened():
            digest.update(piece)
            size += len(piece)
        same = [
            part for part in manifest.parts if (part.digest, part.size_bytes) == (digest.hexdigest(), size)
        ]
        given.update(part.number for part in same)
        if same:
            yield True, f"your {name} is part {same[0].number} as it was delivered, {same[0].rows} rows"
        else:
            yield False, f"your {name} is a part of this copy as it was delivered"
    for part in manifest.parts:
        if part.number not in given:
            yield None, f"you did not give part {part.number}, {part.name}"
