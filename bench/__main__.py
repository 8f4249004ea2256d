"""Run one benchmark: `python -m bench NAME [options]`."""

from __future__ import annotations

import sys

from bench import (
    audit,
    bulk,
    catalogue,
    exchange,
    first_load,
    growth,
    merge,
    pages,
    propagation,
    publishing,
    query,
    soak,
    verify,
    workbook,
)

BENCHMARKS = {
    "audit": audit.main,
    "bulk": bulk.main,
    "query": query.main,
    "verify": verify.main,
    "growth": growth.main,
    "soak": soak.main,
    "load": first_load.main,
    "pages": pages.main,
    "catalogue": catalogue.main,
    "workbook": workbook.main,
    "publishing": publishing.main,
    "propagation": propagation.main,
    "merge": merge.main,
    "exchange": exchange.main,
}


def main(arguments: list[str]) -> int:
    """Run the benchmark named first; returns the exit code."""
    if not arguments or arguments[0] not in BENCHMARKS:
        print(f"usage: ./dev bench NAME [--help]; NAME is one of: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    return BENCHMARKS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
