"""What the command `shuqiao interface` takes; apart from its work, so that no other command loads that."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    call = commands.add_parser("interface", help="call an operation of a department's own interface")
    call.add_argument("operation", help="operation of the interface, as its page names it")
    call.add_argument("--app", required=True, help="application id, such as app-housing-rental")
    call.add_argument("--resource", required=True, help="resource id")
    call.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter")
    call.add_argument("--body", type=Path, default=None, metavar="FILE", help="JSON body of the operation")
    call.add_argument("--case", default="", help="number of the case the call is for")
    call.add_argument("--purpose", default="auto", help="purpose (default: the grant's)")
    call.add_argument("--end-user", default="", help="who asks, in the department's own system")
    call.add_argument("--grant", default="auto", help="grant number (default: the one that fits)")
    call.add_argument("--sample", action="store_true", help="answer with samples; the department isn't asked")
    call.add_argument("--out", type=Path, default=None, metavar="FILE", help="write the answer to this file")
    call.add_argument("--url", default=None, help="address of the plane")
    call.add_argument(
        "--ca", type=Path, default=None, metavar="FILE", help="authority that vouches for an https plane"
    )
