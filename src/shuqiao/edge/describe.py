"""The command `shuqiao node describe TABLE`: the structure of a table as JSON for the catalogue."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

import msgspec

from shuqiao.client.catalogue import CatalogueClient, CatalogueUnreachable
from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.opening import UnknownSource, open_tables
from shuqiao.edge.words import Words
from shuqiao.security import keys
from shuqiao.security.http_signatures import key_signer
from shuqiao.security.tls import TlsRefused
from shuqiao.wire.tables import TableDescription, table_key


def describe_command(arguments: argparse.Namespace) -> int:
    """Describe a table of the node's source; JSON goes to standard output, a file or the catalogue."""
    try:
        tables = open_tables(os.environ.get("NODE_SOURCE_URL", ""))
    except (UnknownSource, SourceError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        found = asyncio.run(tables.describe(arguments.table, profile=not arguments.no_figures))
    except SourceError as error:
        print(str(error), file=sys.stderr)
        return 1
    if arguments.submit:
        return _submit(found, arguments)
    _write(found, arguments.out)
    return 0


def _submit(found: TableDescription, arguments: argparse.Namespace) -> int:
    """Send the description, signed by an application of the department; its person completes the draft."""
    if not (arguments.key_file and arguments.person):
        needed = Words("--submit须同时给出--key-file和--person", "--submit needs --key-file and --person")
        print(needed, file=sys.stderr)
        return 2
    try:
        signer = key_signer(keys.load_signing_key(Path(arguments.key_file)))
        with CatalogueClient(
            arguments.submit, signer, arguments.person, language=str(Words("zh", "en")), ca_file=arguments.ca
        ) as client:
            answer = client.put_table(arguments.entry_key or table_key(found), msgspec.json.encode(found))
    except (keys.KeyRefusedError, TlsRefused, CatalogueUnreachable) as error:
        print(str(error), file=sys.stderr)
        return 1
    if answer.code:
        print(f"{answer.code}: {answer.content.get('detail', '')}", file=sys.stderr)
        for fault in answer.content.get("faults", ()):
            print(f"  {fault['path']}: {Words(fault['zh'], fault['en'])}", file=sys.stderr)
        return 1
    said = answer.content
    result, number, entry, left = said["result"], said["number"], said["resource"], len(said["faults"])
    print(
        Words(
            f"{result}：条目{entry}的草稿{number}，尚有{left}处待补充",
            f"{result}: draft {number} of entry {entry}; {left} places to complete",
        )
    )
    return 0


def _write(found: TableDescription, out: str | None) -> None:
    text = msgspec.json.format(msgspec.json.encode(found), indent=2)
    if out is None:
        sys.stdout.write(text.decode("utf-8") + "\n")
        return
    Path(out).write_bytes(text + b"\n")
    columns = len(found.columns)
    place = ".".join(filter(None, (found.schema, found.table)))
    print(
        Words(
            f"{place}：{columns}列已写入{out}，其中没有表中的任何值",
            f"{place}: {columns} columns written to {out}; no value of the table is in it",
        )
    )
