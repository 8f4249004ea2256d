"""Receipts of deletion: what a named person states on a page, and whether what was signed still holds.

Source: our choice, decision 42
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.organisations.models import Application
from shuqiao.control.recalls import ledger
from shuqiao.control.recalls.access import may_state
from shuqiao.control.recalls.ledger import RecallRow, Receipt
from shuqiao.control.texts import Text
from shuqiao.rules.entry_faults import plain_fault
from shuqiao.wire.recalls import MAX_NOTE_CHARS, Deleted, Deletion, is_signed, write_deletion

EVENT = "copies_deleted"
Verdict = Literal["holds", "key_replaced", "withheld", "broken"]


@dataclass(frozen=True)
class Stated:
    """What the form of a statement gives; `confirmed` is the tick that makes it one."""

    confirmed: bool
    note: str


@transaction.atomic
def state_deletion(viewer: Viewer, number: str, given: Stated) -> UUID:
    """Keep a person's statement that everything a recall names is deleted; raises `NotFound`, `FormRefused`.

    Where a system should have signed, the statement says why it did not.
    """
    row = _open(viewer, number)
    faults = tuple(_faults(row, given))
    if faults:
        raise FormRefused(faults)
    now = clock.now()
    gone = tuple(
        Deleted(one.way, one.id, one.rows, up_to=one.up_to, manifest_digest=one.manifest_digest)
        for one in row.held
    )
    statement = write_deletion(Deletion(number, now, gone, given.note.strip()))
    entry = append_entry(
        EVENT,
        actor=f"account:{viewer.username}",
        at=now,
        outcome="deletion_stated",
        department=row.holder,
        provider=row.provider,
        resource_id=row.resource,
        grant_id=row.grant,
        case_no=number,
        facts={
            "recall": number,
            "held": [{"way": one.way, "id": one.id, "earlier": list(one.earlier)} for one in row.held],
            "deleted_by": "person",
            "statement": statement,
        },
    )
    ledger.insert_receipt(
        number, Receipt(entry, now, "person", f"account:{viewer.username}", statement, "", None)
    )
    notify(row.provider, "copies_deleted", number, capability=Capability.DATA_CLEAR)
    return entry


def _open(viewer: Viewer, number: str) -> RecallRow:
    """A recall of the viewer's department that waits for its receipt, locked."""
    rows = ledger.recalls("r.number = %(number)s", {"number": number})
    if not rows or not may_state(viewer, rows[0].holder) or not ledger.lock(number):
        raise NotFound
    row = ledger.recalls("r.number = %(number)s", {"number": number})[0]
    if row.receipt is not None:
        raise NotFound
    return row


def is_for_person(row: RecallRow) -> bool:
    """Tell whether a person holds it: media, and what was fetched on the pages."""
    if not row.application:
        return True
    return Application.objects.filter(pk=row.application, portal=True).exists()


def _faults(row: RecallRow, given: Stated) -> Iterator[Fault]:
    note = given.note.strip()
    if not given.confirmed:
        words = Text("请确认已全部删除", "Confirm that everything is deleted")
        yield Fault("confirmed", "field_required", words)
    wrong = plain_fault("note", note, MAX_NOTE_CHARS)
    if wrong:
        yield Fault("note", wrong.code, Text(wrong.zh, wrong.en))
    elif not note and not is_for_person(row):
        words = Text("请说明系统为何未自行签署回执", "Say why the system did not sign itself")
        yield Fault("note", "field_required", words)


def verdicts(rows: Sequence[RecallRow]) -> dict[str, Verdict]:
    """Whether each receipt is what the log holds, and a node's still signed with the node's key."""
    signed = [(row, row.receipt) for row in rows if row.receipt is not None]
    logged = ledger.statements_logged([receipt.entry for _, receipt in signed])
    in_use = ledger.node_keys([row.holder for row, receipt in signed if receipt.by == "node"])
    return {row.number: _verdict(receipt, logged, in_use.get(row.holder)) for row, receipt in signed}


def _verdict(receipt: Receipt, logged: dict[UUID, str], in_use: bytes | None) -> Verdict:
    if receipt.entry not in logged:
        return "withheld"
    if logged[receipt.entry] != receipt.statement:
        return "broken"
    if receipt.by != "node" or receipt.node_key is None:
        return "holds"
    if not is_signed(receipt.statement, receipt.signature, receipt.node_key):
        return "broken"
    return "holds" if in_use == receipt.node_key else "key_replaced"
