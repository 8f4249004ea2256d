"""What the command `shuqiao bulk` takes; apart from its work, so that no other command loads that."""

from __future__ import annotations

import argparse
from pathlib import Path

from shuqiao.rules.bulk import FEED_FORMATS, FORMATS


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    bulk = commands.add_parser("bulk", help="fetch a copy of a whole list, or follow its changes")
    steps = bulk.add_subparsers(dest="step", required=True)
    copy = steps.add_parser("copy", help="ask for a copy, wait for it, fetch and check it")
    copy.add_argument("--format", choices=FORMATS, default="arrow")
    copy.add_argument("--digest", choices=("auto", "sha-256", "sm3"), default="auto")
    copy.add_argument("--case", default="", help="number of the case the copy is for")
    copy.add_argument("--job", default="", help="go on with this job instead of asking for a new one")
    feed = steps.add_parser("feed", help="subscribe, and fetch each part of the changes as it comes")
    feed.add_argument("--format", choices=FEED_FORMATS, default="arrow")
    feed.add_argument("--once", action="store_true", help="fetch what waits, then end")
    recalls = steps.add_parser("recalls", help="list what is to be deleted as its grant has ended")
    deleted = steps.add_parser("deleted", help="delete what is called back, and sign for it")
    deleted.add_argument("recall", help="number of the recall")
    deleted.add_argument(
        "--folder",
        action="append",
        type=Path,
        metavar="FOLDER",
        help="where copies were fetched to: those called back are deleted there (may be repeated)",
    )
    deleted.add_argument("--note", default="", help="how and where the rest was deleted")
    deleted.add_argument("--yes", action="store_true", help="say that nothing is left anywhere")
    for step in (copy, feed):
        step.add_argument(
            "--recipient-key",
            type=Path,
            default=None,
            metavar="FILE",
            help="seal it to the key in this file, made where there is none: nobody else can open it",
        )
        step.add_argument("--resource", required=True, help="resource id")
        step.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where files are kept")
    for step in (copy, feed, recalls, deleted):
        step.add_argument("--app", required=True, help="application id, such as app-housing-rental")
        step.add_argument("--purpose", default="auto", help="purpose (default: the grant's)")
        step.add_argument("--grant", default="auto", help="grant number (default: the one that fits)")
        step.add_argument("--url", default=None, help="address of the plane")
        step.add_argument(
            "--ca", type=Path, default=None, metavar="FILE", help="authority that vouches for an https plane"
        )
