"""The command `shuqiao files`: list and fetch files, as an application of the sample city."""

from __future__ import annotations

import argparse
from contextlib import closing

from shuqiao.client.call import Plane, say
from shuqiao.client.fetch_command import fetch_with
from shuqiao.client.files import FilesClient
from shuqiao.security.http_signatures import CallContext


def files_command(arguments: argparse.Namespace) -> int:
    """Carry the command out; lists and paths go to standard output, words to standard error."""
    work = _list if arguments.step == "list" else _get

    def carry_out(plane: Plane, context: CallContext) -> None:
        with closing(FilesClient(plane.client, plane.url)) as files:
            work(files, arguments, context)

    return fetch_with(arguments, carry_out)


def _list(files: FilesClient, arguments: argparse.Namespace, context: CallContext) -> None:
    answer = files.list(arguments.resource, context, case=arguments.case)
    for line in answer.files:
        print(f"{line.file}  v{line.version}  {line.size_bytes:>12,}  sha-256 {line.digest}  {line.title}")
    say(f"{len(answer.files)} files under {answer.grant}, entry {answer.entry}")


def _get(files: FilesClient, arguments: argparse.Namespace, context: CallContext) -> None:
    """Fetch one file, or all of them."""
    wanted = [arguments.file]
    if arguments.file is None:
        listed = files.list(arguments.resource, context, case=arguments.case)
        wanted = [line.file for line in listed.files]
    for file in wanted:
        fetched = files.fetch(arguments.resource, file, arguments.out, context, case=arguments.case)
        line = fetched.line
        say(f"{line.title}: version {line.version}, {line.size_bytes:,} bytes, checked")
        print(fetched.path)
