"""What the command `shuqiao files` takes; apart from its work, so that no other command loads that."""

from __future__ import annotations

import argparse
from pathlib import Path
from uuid import UUID


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    files = commands.add_parser("files", help="list and fetch the files that a grant opens")
    steps = files.add_subparsers(dest="step", required=True)
    listing = steps.add_parser("list", help="list the files with their digests and versions")
    get = steps.add_parser("get", help="fetch files, going on where it broke off, and check them")
    get.add_argument("--file", type=UUID, default=None, help="one file of the list (default: all)")
    get.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where files are kept")
    for step in (listing, get):
        step.add_argument("--app", required=True, help="application id, such as app-housing-rental")
        step.add_argument("--resource", required=True, help="resource id")
        step.add_argument("--case", default="", help="number of the case the files are for")
        step.add_argument("--purpose", default="auto", help="purpose (default: the grant's)")
        step.add_argument("--grant", default="auto", help="grant number (default: the one that fits)")
        step.add_argument("--url", default=None, help="address of the plane")
        step.add_argument(
            "--ca", type=Path, default=None, metavar="FILE", help="authority that vouches for an https plane"
        )
