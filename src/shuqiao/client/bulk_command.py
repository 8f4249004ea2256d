"""The command `shuqiao bulk`: fetch a copy, or follow a feed, as an application of the sample city."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import httpx

from shuqiao.client.bulk import BulkClient, CopyBroken, CopyRefused
from shuqiao.client.call import CallFaulty, read_credentials
from shuqiao.client.plane import PlaneClient, PlaneUnreachable, PromiseBroken
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, key_signer
from shuqiao.security.tls import TlsRefused
from shuqiao.wire.bulk import BulkState

POLL_S = 2.0


def bulk_command(arguments: argparse.Namespace) -> int:
    """Carry the command out; the files go to the folder, words about them to standard error."""
    home = Path(os.environ.get("SHUQIAO_HOME", ".shuqiao"))
    context = CallContext(arguments.purpose, "", arguments.grant)
    try:
        credentials = read_credentials(home, arguments.app)
        signer = key_signer(keys.load_signing_key(credentials.key_file))
        url = arguments.url or credentials.plane_url
        with PlaneClient(
            url,
            signer,
            promise_keys=credentials.promise_keys,
            language="en",
            ca_file=arguments.ca or credentials.ca_file,
        ) as plane:
            bulk = BulkClient(plane, url, credentials.promise_keys)
            work = _copy if arguments.step == "copy" else _follow
            work(bulk, arguments, context)
    except (CallFaulty, CopyRefused, TlsRefused, keys.KeyRefusedError) as error:
        _say(str(error))
        return 1
    except (PlaneUnreachable, httpx.HTTPError) as error:
        _say(f"the plane can't be reached: {error}. What was fetched stays; the command goes on from there")
        return 1
    except (PromiseBroken, CopyBroken) as error:
        _say(f"{error}. Do not use the files; tell the platform agency.")
        return 1
    return 0


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
        _say(f"job {job}; go on with --job {job} if this is broken off")
    bulk.wait(job, context, tell=_tell)
    copy = bulk.fetch(job, arguments.out, context)
    _say(f"{copy.manifest.rows:,} rows in {len(copy.files)} parts, entry {copy.manifest.entry}")
    for file in copy.files:
        print(file)


def _follow(bulk: BulkClient, arguments: argparse.Namespace, context: CallContext) -> None:
    """Fetch part after part; a part is said to be taken once its files are checked and on the disk."""
    feed = bulk.subscribe(arguments.resource, arguments.format, context=context)
    _say(f"feed {feed}")
    while True:
        ready = [part for part in bulk.feed(feed, context).parts if part.state == "ready"]
        for part in ready:
            copy = bulk.fetch(str(part.job), arguments.out / f"{part.number:08d}", context)
            bulk.take(feed, part.number, context)
            _say(f"part {part.number}: {copy.manifest.rows:,} rows up to batch {copy.manifest.up_to}")
        if arguments.once:
            return
        if not ready:
            time.sleep(POLL_S)


def _tell(state: BulkState) -> None:
    if state.rows_total:
        _say(f"{state.state}: {state.rows_done:,} of {state.rows_total:,} rows")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
