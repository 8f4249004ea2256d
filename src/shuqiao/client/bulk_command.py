"""The command `shuqiao bulk`: fetch a copy, follow a feed, sign for what was deleted, as an application."""

from __future__ import annotations

import argparse
import time
from contextlib import closing

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.client.bulk import BulkClient
from shuqiao.client.call import Plane, say
from shuqiao.client.deleting import delete_recalled, list_recalls
from shuqiao.client.fetch_command import fetch_with
from shuqiao.security.http_signatures import CallContext
from shuqiao.security.keys import key_id, load_or_create_sealing_key
from shuqiao.wire.bulk import BulkState

POLL_S = 2.0


def bulk_command(arguments: argparse.Namespace) -> int:
    """Carry the command out; the files go to the folder, words about them to standard error."""
    work = {"copy": _copy, "feed": _follow, "recalls": list_recalls, "deleted": delete_recalled}[
        arguments.step
    ]

    def carry_out(plane: Plane, context: CallContext) -> None:
        recipient = _recipient(arguments)
        with closing(BulkClient(plane.client, plane.url, plane.promise_keys, recipient)) as bulk:
            work(bulk, arguments, context)

    return fetch_with(arguments, carry_out)


def _recipient(arguments: argparse.Namespace) -> X25519PrivateKey | None:
    """The key that opens what is sealed to it; a new one is made where there is none in its file."""
    file = vars(arguments).get("recipient_key")
    if file is None:
        return None
    key = load_or_create_sealing_key(file)
    say(f"sealed to the key {key_id(key.public_key())} in {file}; keep the file: nothing else opens the copy")
    return key


def _copy(bulk: BulkClient, arguments: argparse.Namespace, context: CallContext) -> None:
    job = arguments.job
    if not job:
        job = bulk.ask(
            arguments.resource,
            arguments.format,
            case=arguments.case,
            context=context,
            digest=arguments.digest,
        )
        say(f"job {job}; go on with --job {job} if this is broken off")
    bulk.wait(job, context, tell=_tell)
    copy = bulk.fetch(job, arguments.out, context)
    say(f"{copy.manifest.rows:,} rows in {len(copy.files)} parts, entry {copy.manifest.entry}")
    for file in copy.files:
        print(file)


def _follow(bulk: BulkClient, arguments: argparse.Namespace, context: CallContext) -> None:
    """Fetch part after part; a part is said to be taken once its files are checked and on the disk."""
    feed = bulk.subscribe(arguments.resource, arguments.format, context=context)
    say(f"feed {feed}")
    while True:
        ready = [part for part in bulk.feed(feed, context).parts if part.state == "ready"]
        for part in ready:
            copy = bulk.fetch(str(part.job), arguments.out / f"{part.number:08d}", context)
            bulk.take(feed, part.number, context)
            say(f"part {part.number}: {copy.manifest.rows:,} rows up to batch {copy.manifest.up_to}")
        if arguments.once:
            return
        if not ready:
            time.sleep(POLL_S)


def _tell(state: BulkState) -> None:
    if state.rows_total:
        say(f"{state.state}: {state.rows_done:,} of {state.rows_total:,} rows")
