"""The commands `shuqiao audit verify`, `prove`, `consistency`, `prune`, `evidence`, `keys`, `check-promise`.

Exit codes: 0 everything holds; 1 the question could not be answered; 2 the log or a promise is broken.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shuqiao.auditlog import proofs
from shuqiao.auditlog.consistency import prove_consistency
from shuqiao.auditlog.entries import StoredEntry, entry_fault
from shuqiao.auditlog.evidence import EvidenceError, VaultPlace, make_evidence, public_keys_text
from shuqiao.auditlog.promises import Verdict, judge_promise, read_promise
from shuqiao.auditlog.pruning import prune
from shuqiao.auditlog.settings import DEFAULT_ORIGIN
from shuqiao.auditlog.verify import Report, verify_log
from shuqiao.rules.checkpoint import time_text
from shuqiao.security import keys

HOLDS: Final = 0
UNANSWERED: Final = 1
BROKEN: Final = 2

PEM_END: Final = b"-----END PUBLIC KEY-----"
KEYS_HINT: Final = (
    "public keys were taken from the platform's own database; to be independent of it, name files you got "
    "elsewhere in LOG_PUBLIC_KEYS and PROMISE_PUBLIC_KEYS"
)


class CommandError(Exception):
    """The question can't be answered; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the log is, what it is called, and the auditor's own files of public keys, if any."""

    database_url: str
    origin: str
    log_keys: Path | None
    promise_keys: Path | None
    vault: VaultPlace | None = None


@dataclass(frozen=True, slots=True)
class _Audit:
    """One run of a command: an open connection, the log's name, and the keys that are believed."""

    connection: proofs.Connection
    origin: str
    log_keys: Mapping[str, keys.PublicKey]
    promise_keys: Mapping[str, keys.PublicKey]
    vault: VaultPlace | None = None


def run(arguments: argparse.Namespace) -> int:
    """Run `arguments.step` (verify, prove, check-promise); return the exit code."""
    try:
        place = find_place(os.environ)
        with psycopg.connect(
            place.database_url, autocommit=True, connect_timeout=10, application_name="shuqiao-audit"
        ) as connection:
            log_keys = _trusted(connection, "log", place.log_keys)
            promise_keys = _trusted(connection, "promise", place.promise_keys)
            code = _run(_Audit(connection, place.origin, log_keys, promise_keys, place.vault), arguments)
            if place.log_keys is None or place.promise_keys is None:
                # Whoever owns the database could have put keys of their own there, so the auditor is told.
                print(f"NOTE    {KEYS_HINT}")
            return code
    except (CommandError, EvidenceError) as error:
        print(error, file=sys.stderr)
    except psycopg.OperationalError:
        print("The database can't be reached: is the city running?", file=sys.stderr)
    except proofs.TreeIncompleteError as error:
        print(f"BROKEN  {error}: run `shuqiao audit verify`")
        return BROKEN
    return UNANSWERED


def _run(audit: _Audit, arguments: argparse.Namespace) -> int:
    match arguments.step:
        case "verify":
            return _verify(audit, getattr(arguments, "since", None))
        case "prove":
            return _prove(audit, arguments.entry, arguments.out)
        case "consistency":
            return prove_consistency(audit.connection, audit.origin, audit.log_keys, arguments)
        case "prune":
            return prune(audit.connection)
        case "evidence":
            return _write_evidence(audit, arguments.entry, Path(arguments.out))
        case "keys":
            Path(arguments.out).write_text(public_keys_text(audit.connection), encoding="ascii")
            print(f"The platform's public keys are in {arguments.out}.")
            return HOLDS
        case _:
            return _check_promise(audit, Path(arguments.file))


def find_place(environment: Mapping[str, str]) -> Place:
    """Find the log: from the environment, or from the state of the city that runs in SHUQIAO_HOME."""
    home = Path(environment.get("SHUQIAO_HOME", ".shuqiao"))
    try:
        state = json.loads((home / "run" / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        state = {}
    url = environment.get("SHUQIAO_DATABASE_URL") or state.get("audit_url")
    if not url:
        raise CommandError("No database: set SHUQIAO_DATABASE_URL, or start the city with `./dev demo`.")
    origin = environment.get("LOG_ORIGIN") or state.get("log_origin") or DEFAULT_ORIGIN
    files = (
        environment.get("LOG_PUBLIC_KEYS") or state.get("log_public_keys"),
        environment.get("PROMISE_PUBLIC_KEYS") or state.get("promise_public_keys"),
    )
    log_keys, promise_keys = (Path(file) if file else None for file in files)
    return Place(str(url), str(origin), log_keys, promise_keys, _vault_place(environment, state))


def _vault_place(environment: Mapping[str, str], state: Mapping[str, object]) -> VaultPlace | None:
    socket = environment.get("VAULT_SOCKET") or state.get("vault_socket")
    key_file = environment.get("AUDIT_VAULT_KEY_FILE") or state.get("audit_vault_key")
    return VaultPlace(Path(str(socket)), Path(str(key_file))) if socket and key_file else None


def _trusted(connection: proofs.Connection, purpose: str, file: Path | None) -> Mapping[str, keys.PublicKey]:
    if file is None:
        return proofs.read_keys(connection, purpose)
    try:
        blocks = [block + PEM_END for block in file.read_bytes().split(PEM_END)[:-1]]
        found = [serialization.load_pem_public_key(block.lstrip()) for block in blocks]
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} can't be read as public keys in PEM form.") from error
    return {keys.key_id(key): key for key in found if isinstance(key, Ed25519PublicKey)}


def _verify(audit: _Audit, since: str | None) -> int:
    report = verify_log(audit.connection, audit.log_keys, audit.origin)
    print(_report_text(report))
    kept = since is None or _still_begins_with(audit, Path(since))
    return HOLDS if report.fault is None and kept else BROKEN


def _still_begins_with(audit: _Audit, file: Path) -> bool:
    """Say whether the log still begins with the entries an older proof file was made over."""
    try:
        older = proofs.parse_document(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} holds no proof of this program") from error
    newest = proofs.read_newest(audit.connection, audit.origin)
    size = older.signed.checkpoint.size
    signed = (
        older.signed.checkpoint.origin == audit.origin
        and older.holds()
        and proofs.is_signed(older.signed, audit.log_keys)
    )
    _say(signed, f"{file} holds a proof over {size} entries, signed by the log's key")
    kept = (
        newest is not None
        and newest.checkpoint.size >= size
        and proofs.prove_consistency(audit.connection, older.signed, newest).holds()
    )
    _say(kept, f"the log still begins with those {size} entries")
    return signed and kept


def _report_text(report: Report) -> str:
    if report.fault is not None:
        return f"BROKEN  {report.fault}"
    pruned = f", {report.pruned} of them pruned to their digests" if report.pruned else ""
    waiting = f"; {report.waiting} entries wait to be numbered" if report.waiting else ""
    return (
        f"HOLDS  {report.size} entries{pruned}, {report.checkpoints} checkpoints: every digest, column, "
        f"leaf, node, root and signature is right, and no entry is missing{waiting}"
    )


def _prove(audit: _Audit, wanted: str, out: str | None) -> int:
    connection = audit.connection
    entry = _find(connection, wanted)
    _print_entry(entry)
    fault = entry_fault(entry)
    _say(fault is None, "the entry is what was recorded" if fault is None else fault)
    position = proofs.read_position(connection, entry.id)
    if position is None:
        print("WAITS   the entry is durable but not yet numbered; ask again in a second")
        return BROKEN if fault else UNANSWERED
    newest = proofs.read_newest(connection, audit.origin)
    if newest is None or newest.checkpoint.size <= position:
        print("BROKEN  the entry has a position but no checkpoint covers it")
        return BROKEN
    proof = proofs.prove_inclusion(connection, entry, position, newest)
    signed = proofs.is_signed(newest, audit.log_keys)
    _print_proof(proof, signed)
    if out is not None:
        Path(out).write_text(json.dumps(proof.document(), indent=2) + "\n", encoding="utf-8")
        print(f"The proof is in {out}.")
    return HOLDS if fault is None and proof.holds() and signed else BROKEN


def _write_evidence(audit: _Audit, wanted: str, out: Path) -> int:
    connection = audit.connection
    entry = _find(connection, wanted)
    position = proofs.read_position(connection, entry.id)
    newest = proofs.read_newest(connection, audit.origin)
    if position is None or newest is None or newest.checkpoint.size <= position:
        print("WAITS   the entry is durable but not yet numbered; ask again in a second")
        return UNANSWERED
    proof = proofs.prove_inclusion(connection, entry, position, newest)
    made = make_evidence(connection, entry, proof, audit.vault)
    out.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"The evidence of entry {entry.id} is in {out}: {made['confirmed']}.")
    return HOLDS


def _find(connection: proofs.Connection, wanted: str) -> StoredEntry:
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
        found = proofs.read_entry_id(connection, int(wanted))
    else:
        try:
            found = UUID(wanted)
        except ValueError:
            raise CommandError(
                "An entry is named by its id (a UUID) or by its position (a number)."
            ) from None
    entry = None if found is None else proofs.read_entry(connection, found)
    if entry is None:
        raise CommandError("The log has no such entry.")
    return entry


def _print_entry(entry: StoredEntry) -> None:
    print(f"entry       {entry.id}\nat          {time_text(entry.occurred_at)}\nevent       {entry.event}")
    shown = (
        ("department", entry.department),
        ("provider", entry.provider),
        ("actor", entry.actor),
        ("resource", entry.resource_id),
        ("grant", entry.grant_id),
        ("case", entry.case_no),
        ("outcome", entry.outcome),
    )
    for name, value in shown:
        if value is not None:
            print(f"{name:<12}{value}")
    print(f"digest      {entry.digest.hex()}")


def _print_proof(proof: proofs.InclusionProof, signed: bool) -> None:
    checkpoint = proof.signed.checkpoint
    print(f"position    {proof.position} of {checkpoint.size}")
    for step, node in enumerate(proof.path):
        print(f"{'path' if step == 0 else '':<12}{node.hex()}")
    print(f"root        {checkpoint.root.hex()}")
    print(
        f"signed      {time_text(checkpoint.signed_at)} by key {proof.signed.key_id} of {checkpoint.origin}"
    )
    _say(proof.holds(), "the path leads from the entry to the root of the newest checkpoint")
    _say(signed, "the checkpoint is signed by the log's key")


def _say(holds: bool, words: str) -> None:
    print(f"{'HOLDS ' if holds else 'BROKEN'}  {words}")


def _check_promise(audit: _Audit, file: Path) -> int:
    try:
        promise = read_promise(file)
    except (OSError, ValueError) as error:
        raise CommandError(f"The file holds no promise: {error}") from error
    verdict, words = judge_promise(audit.connection, promise, audit.promise_keys, dt.datetime.now(dt.UTC))
    print(f"{verdict.value:<8}{words}")
    return {Verdict.KEPT: HOLDS, Verdict.BROKEN: BROKEN}.get(verdict, UNANSWERED)
