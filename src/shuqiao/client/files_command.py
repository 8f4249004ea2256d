"""The command `shuqiao files`: list and fetch files, as an application of the sample city."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import httpx

from shuqiao.client.bulk import CopyBroken, CopyRefused
from shuqiao.client.call import CallFaulty, read_credentials
from shuqiao.client.files import FilesClient
from shuqiao.client.plane import PlaneClient, PlaneUnreachable, PromiseBroken
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, key_signer
from shuqiao.security.tls import TlsRefused


def files_command(arguments: argparse.Namespace) -> int:
    """Carry the command out; lists and paths go to standard output, words to standard error."""
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
            files = FilesClient(plane, url)
            try:
                work = _list if arguments.step == "list" else _get
                work(files, arguments, context)
            finally:
                files.close()
    except (CallFaulty, CopyRefused, TlsRefused, keys.KeyRefusedError) as error:
        _say(str(error))
        return 1
    except (PlaneUnreachable, httpx.HTTPError) as error:
        _say(f"the plane can't be reached: {error}. What was fetched stays; the command goes on from there")
        return 1
    except (PromiseBroken, CopyBroken) as error:
        _say(f"{error}. Do not use the file; tell the platform agency.")
        return 1
    return 0


def _list(files: FilesClient, arguments: argparse.Namespace, context: CallContext) -> None:
    answer = files.list(arguments.resource, context, case=arguments.case)
    for line in answer.files:
        print(f"{line.file}  v{line.version}  {line.size_bytes:>12,}  sha-256 {line.digest}  {line.title}")
    _say(f"{len(answer.files)} files under {answer.grant}, entry {answer.entry}")


def _get(files: FilesClient, arguments: argparse.Namespace, context: CallContext) -> None:
    """Fetch one file, or all of them."""
    wanted = [arguments.file]
    if arguments.file is None:
        listed = files.list(arguments.resource, context, case=arguments.case)
        wanted = [line.file for line in listed.files]
    for file in wanted:
        fetched = files.fetch(arguments.resource, file, arguments.out, context, case=arguments.case)
        line = fetched.line
        _say(f"{line.title}: version {line.version}, {line.size_bytes:,} bytes, checked")
        print(fetched.path)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
