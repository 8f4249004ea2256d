"""Admission seen from the node: `python -m shuqiao.edge.enrol request | accept`.

`request` makes the node's keys and prints their public halves, which go to the platform agency; `accept`
reads the hub's answer from standard input. People who know each other carry both, where the node can't reach
the platform's pages; where it can, `shuqiao node enrol TOKEN` does it over the network.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from shuqiao.wire.enrolment import Admission
from shuqiao.wire.node_home import accept, create_request
from shuqiao.wire.subjects import check_department

MAX_ADMISSION_BYTES = 4 * 1024 * 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the two steps; 2 where the department or the answer is not usable."""
    parser = argparse.ArgumentParser(
        prog="python -m shuqiao.edge.enrol", description="Admit this node to a hub."
    )
    parser.add_argument("step", choices=("request", "accept"))
    parser.add_argument("--home", type=Path, required=True, help="the node's folder (NODE_HOME)")
    parser.add_argument("--department", required=True, help="department code, such as 440100-health")
    given = parser.parse_args(arguments)
    try:
        check_department(given.department)
        if given.step == "request":
            request = create_request(given.home, given.department)
            sys.stdout.write(msgspec.json.encode(request).decode() + "\n")
        else:
            accept(given.home, _admission(given.department))
    except (ValueError, msgspec.DecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _admission(department: str) -> Admission:
    text = sys.stdin.read(MAX_ADMISSION_BYTES)
    admission = msgspec.json.decode(text, type=Admission)
    if admission.department != department:
        raise ValueError(f"the admission is for {admission.department}, not for {department}")
    return admission


if __name__ == "__main__":
    sys.exit(main())
