"""The command `shuqiao call`: sign one call as an application of the sample city and show the answer."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from shuqiao.client.plane import (
    TIMEOUT_S,
    PlaneAnswer,
    PlaneClient,
    PlaneUnreachable,
    PromiseBroken,
    PromiseKeys,
    load_promise_keys,
)
from shuqiao.client.subjects import SubjectsFaulty, read_subjects
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, key_signer
from shuqiao.security.tls import TlsRefused


class CallFaulty(Exception):
    """The command can't be carried out; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What `credentials.json` says of one application."""

    plane_url: str
    key_file: Path
    promise_keys: PromiseKeys
    ca_file: Path | None = None


def read_credentials(home: Path, application: str) -> Credentials:
    """Find an application's key and the platform's promise keys; raises `CallFaulty`."""
    file = home / "demo" / "credentials.json"
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        entry = content["applications"].get(application)
        if entry is None:
            known = ", ".join(sorted(content["applications"])) or "none"
            raise CallFaulty(f"{file} knows no application {application}; it knows: {known}")
        key_file = Path(entry["key_file"])
        return Credentials(
            content["plane_url"],
            key_file if key_file.is_absolute() else home / key_file,
            load_promise_keys(content["promise_keys"]),
            home / content["ca_file"] if content.get("ca_file") else None,
        )
    except FileNotFoundError as error:
        raise CallFaulty(f"{file} does not exist; start the sample city with ./dev demo") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, keys.KeyRefusedError) as error:
        raise CallFaulty(
            f"{file} can't be used ({type(error).__name__}); start over with ./dev demo"
        ) from error


class Plane(NamedTuple):
    """The plane as a command speaks to it."""

    client: PlaneClient
    url: str
    promise_keys: PromiseKeys


@contextlib.contextmanager
def plane_of(arguments: argparse.Namespace, timeout_s: float = TIMEOUT_S) -> Iterator[Plane]:
    """Speak to the plane as the application of a command; raises `CallFaulty`, or what its keys raise."""
    credentials = read_credentials(home_of_city(), arguments.app)
    signer = key_signer(keys.load_signing_key(credentials.key_file))
    url = arguments.url or credentials.plane_url
    with PlaneClient(
        url,
        signer,
        promise_keys=credentials.promise_keys,
        timeout_s=timeout_s,
        language="en",
        ca_file=arguments.ca or credentials.ca_file,
    ) as client:
        yield Plane(client, url, credentials.promise_keys)


def home_of_city() -> Path:
    """Where the sample city keeps what it has."""
    return Path(os.environ.get("SHUQIAO_HOME", ".shuqiao"))


def named_values(given: list[str], what: str, name: str) -> dict[str, str]:
    """Read what was given as `name=value`; raises `CallFaulty`."""
    found: dict[str, str] = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise CallFaulty(f"write a {what} as {name}=value, not {key!r} alone")
        if key in found:
            raise CallFaulty(f"the {name} {key} of a {what} stands twice")
        found[key] = value
    return found


def _ask(client: PlaneClient, arguments: argparse.Namespace) -> PlaneAnswer:
    context = CallContext(arguments.purpose, arguments.end_user, arguments.grant)
    if arguments.operation.endswith("-batch"):
        return _ask_many(client, arguments, context)
    if not arguments.subject:
        raise CallFaulty("name the record with --subject")
    if arguments.operation == "verify":
        claims = named_values(arguments.claim, "claim", "item")
        if not claims:
            raise CallFaulty("name what to compare with --claim item=value")
        return client.verify(
            arguments.resource, arguments.subject, claims, case=arguments.case, context=context
        )
    return client.query(
        arguments.resource, arguments.subject, arguments.item, case=arguments.case, context=context
    )


def _ask_many(client: PlaneClient, arguments: argparse.Namespace, context: CallContext) -> PlaneAnswer:
    if not arguments.subjects:
        raise CallFaulty("name a CSV file of subjects with --subjects")
    rows = read_subjects(Path(arguments.subjects))
    if arguments.operation == "query-batch":
        subjects = [row.subject for row in rows]
        return client.query_batch(
            arguments.resource, subjects, arguments.item, case=arguments.case, context=context
        )
    if not rows[0].claims:
        raise CallFaulty("the file of subjects needs a column for each item to compare")
    claimed = [(row.subject, row.claims) for row in rows]
    return client.verify_batch(arguments.resource, claimed, case=arguments.case, context=context)


def _keep_promise(home: Path, answer: PlaneAnswer) -> Path | None:
    """Keep the promise as evidence; it names an entry and holds no data of a person."""
    if answer.promise is None:
        return None
    file = home / "demo" / "promises" / f"{answer.promise.entry}.promise"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(answer.promise_text + "\n", encoding="ascii")
    except OSError:
        return None
    return file


def say(text: str) -> None:
    """Say something that is no answer."""
    print(text, file=sys.stderr)


def call_command(arguments: argparse.Namespace) -> int:
    """Make one call; the answer goes to standard output, words about it to standard error.

    Exit code 0 when the call was answered and its promise holds, else 1.
    """
    try:
        with plane_of(arguments) as plane:
            answer = _ask(plane.client, arguments)
    except (CallFaulty, SubjectsFaulty, TlsRefused, keys.KeyRefusedError) as error:
        say(str(error))
        return 1
    except PlaneUnreachable as error:
        say(f"the plane can't be reached: {error}. Is the city running? Start it with ./dev demo")
        return 1
    except PromiseBroken as error:
        say(f"{error}. Do not rely on the answer; tell the platform agency.")
        return 1
    print(json.dumps(answer.body, ensure_ascii=False, indent=2))
    kept = _keep_promise(home_of_city(), answer)
    if kept is not None and answer.promise is not None:
        say(f"entry {answer.promise.entry}; promise checked and kept in {kept}")
    if not answer.is_answered:
        say(f"{answer.code}: {answer.body.get('detail', '')}")
    return 0 if answer.is_answered else 1
