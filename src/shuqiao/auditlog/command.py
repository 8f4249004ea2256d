"""The commands `shuqiao audit verify`, `prove` and `check-promise`.

Exit codes: 0 everything holds; 1 the question could not be answered; 2 the log or a promise is broken.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg

from shuqiao.auditlog import proofs
from shuqiao.auditlog.entries import StoredEntry, entry_fault
from shuqiao.auditlog.promises import Verdict, judge_promise, read_promise
from shuqiao.auditlog.settings import DEFAULT_ORIGIN
from shuqiao.auditlog.verify import Report, verify_log
from shuqiao.rules.checkpoint import time_text

HOLDS: Final = 0
UNANSWERED: Final = 1
BROKEN: Final = 2


class CommandError(Exception):
    """The question can't be answered; the message says why and what to do."""


def run(arguments: argparse.Namespace) -> int:
    """Run `arguments.step` (verify, prove, check-promise); return the exit code."""
    try:
        url, origin = _place(os.environ)
        with psycopg.connect(
            url, autocommit=True, connect_timeout=10, application_name="shuqiao-audit"
        ) as connection:
            match arguments.step:
                case "verify":
                    return _verify(connection, origin)
                case "prove":
                    return _prove(connection, origin, arguments.entry, arguments.out)
                case _:
                    return _check_promise(connection, Path(arguments.file))
    except CommandError as error:
        print(error, file=sys.stderr)
    except psycopg.OperationalError:
        print("The database can't be reached: is the city running?", file=sys.stderr)
    except proofs.TreeIncompleteError as error:
        print(f"BROKEN  {error}: run `shuqiao audit verify`")
        return BROKEN
    return UNANSWERED


def _place(environment: Mapping[str, str]) -> tuple[str, str]:
    """The database's URL and the log's name: from the environment, or from the running city's state."""
    home = Path(environment.get("SHUQIAO_HOME", ".shuqiao"))
    try:
        state = json.loads((home / "run" / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        state = {}
    url = environment.get("SHUQIAO_DATABASE_URL") or state.get("audit_url")
    if not url:
        raise CommandError("No database: set SHUQIAO_DATABASE_URL, or start the city with `./dev demo`.")
    return str(url), str(environment.get("LOG_ORIGIN") or state.get("log_origin") or DEFAULT_ORIGIN)


def _verify(connection: proofs.Connection, origin: str) -> int:
    report = verify_log(connection, proofs.read_log_keys(connection), origin)
    print(_report_text(report))
    return HOLDS if report.fault is None else BROKEN


def _report_text(report: Report) -> str:
    if report.fault is not None:
        return f"BROKEN  {report.fault}"
    pruned = f", {report.pruned} of them pruned to their digests" if report.pruned else ""
    waiting = f"; {report.waiting} entries wait to be numbered" if report.waiting else ""
    return (
        f"HOLDS  {report.size} entries{pruned}, {report.checkpoints} checkpoints: every digest, column, "
        f"leaf, node, root and signature is right, and no entry is missing{waiting}"
    )


def _prove(connection: proofs.Connection, origin: str, wanted: str, out: str | None) -> int:
    entry = _find(connection, wanted)
    _print_entry(entry)
    fault = entry_fault(entry)
    _say(fault is None, "the entry is what was recorded" if fault is None else fault)
    position = proofs.read_position(connection, entry.id)
    if position is None:
        print("WAITS   the entry is durable but not yet numbered; ask again in a second")
        return BROKEN if fault else UNANSWERED
    newest = proofs.read_newest(connection, origin)
    if newest is None or newest.checkpoint.size <= position:
        print("BROKEN  the entry has a position but no checkpoint covers it")
        return BROKEN
    proof = proofs.prove_inclusion(connection, entry, position, newest)
    signed = proofs.is_signed(newest, proofs.read_log_keys(connection))
    _print_proof(proof, signed)
    if out is not None:
        Path(out).write_text(json.dumps(proof.document(), indent=2) + "\n", encoding="utf-8")
        print(f"The proof is in {out}.")
    return HOLDS if fault is None and proof.holds() and signed else BROKEN


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


def _check_promise(connection: proofs.Connection, file: Path) -> int:
    try:
        promise = read_promise(file)
    except (OSError, ValueError) as error:
        raise CommandError(f"The file holds no promise: {error}") from error
    verdict, words = judge_promise(connection, promise, dt.datetime.now(dt.UTC))
    print(f"{verdict.value:<8}{words}")
    return {Verdict.KEPT: HOLDS, Verdict.BROKEN: BROKEN}.get(verdict, UNANSWERED)
