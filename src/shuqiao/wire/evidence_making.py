"""Puts evidence of one call or one copy together, out of what hub and vault keep of it.

Whoever makes a file reads the parts in their own way; this module knows no database.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from shuqiao.wire.call_proof import GivenPromises, decode_promises, decode_request
from shuqiao.wire.evidence import EVIDENCE, Evidence, RegulationPart, RequestPart, confirmation
from shuqiao.wire.receipt import Promise, batch_paths, promise_leaf


def assemble(
    proof: Mapping[str, Any],
    words: tuple[str, str],
    kept: Mapping[str, Any],
    opened: tuple[bytes | None, bytes | None],
    regulation: RegulationPart | None,
) -> dict[str, object]:
    """Put a file together: the proof, the entry's body and salt, `exchange.evidence`, and what was opened.

    `opened` are the sealed request and the sealed promises, None where there is none. The result is JSON
    values; `read_evidence` reads their text.
    """
    built: dict[str, object] = {
        **proof,
        "body": words[0],
        "salt": words[1],
        "evidence": EVIDENCE,
        "confirmed": "",
        "keys": _keys_used(proof, kept),
        "application": kept.get("key"),
        "request": _request(kept, opened[0]),
        "head": kept.get("head"),
        "promise": _promise(proof, kept, opened[1]),
        "grant": kept.get("grant"),
        "regulation": msgspec.to_builtins(regulation),
    }
    return built | {"confirmed": confirmation(msgspec.convert(built, Evidence))}


def with_copy(
    made: Mapping[str, object], kept: Mapping[str, Any], others: Sequence[Mapping[str, object]]
) -> dict[str, object]:
    """Add what shows a copy: `exchange.evidence_of_copy`, and the other entries about it, each assembled."""
    there = made["keys"] if isinstance(made["keys"], list) else []
    signer = [key for key in kept["keys"] if (key["purpose"], key["id"]) == ("promise", kept["key_id"])]
    part = {name: kept[name] for name in ("manifest", "signature", "key_id")} | {"entries": list(others)}
    return {**made, "keys": there + [key for key in signer if key not in there], "copy": part}


def _request(kept: Mapping[str, Any], opened: bytes | None) -> object:
    if opened is None:
        return None
    signed = decode_request(opened)
    signature = base64.b64encode(signed.signature).decode("ascii")
    return msgspec.to_builtins(RequestPart(str(kept["algorithm"]), signed.covered, signature))


def _promise(proof: Mapping[str, Any], kept: Mapping[str, Any], opened: bytes | None) -> object:
    if opened is None:
        return None
    promise = promise_of(UUID(str(proof["entry"])), kept["promise"], decode_promises(opened))
    return None if promise is None or promise.digest != proof["digest"] else msgspec.to_builtins(promise)


def _keys_used(proof: Mapping[str, Any], kept: Mapping[str, Any]) -> list[dict[str, str]]:
    """Name the platform's keys that the file's signatures need, and no others."""
    used = {("log", proof["checkpoint"]["key_id"])}
    for part, purpose in (("grant", "grants"), ("promise", "promise")):
        if kept.get(part):
            used.add((purpose, kept[part]["key_id"]))
    return [key for key in kept.get("keys") or [] if (key["purpose"], key["id"]) in used]


def promise_of(entry: UUID, kept: Mapping[str, Any], given: GivenPromises) -> Promise | None:
    """Make one promise of a batch again, with its own path, out of what was kept of all of them."""
    entries = [UUID(text) for text in kept["entries"]]
    digests, answers = _pieces(given.digests), _pieces(given.answers)
    if not len(entries) == len(digests) == len(answers) or entry not in entries:
        return None
    leaves = [promise_leaf(*leaf) for leaf in zip(entries, digests, answers, strict=True)]
    index = entries.index(entry)
    return Promise(
        entry,
        digests[index].hex(),
        answers[index].hex(),
        kept["at"],
        kept["key_id"],
        index,
        len(entries),
        batch_paths(leaves)[1][index],
        kept["signature"],
    )


def _pieces(joined: bytes) -> list[bytes]:
    return [joined[at : at + 32] for at in range(0, len(joined), 32)]
