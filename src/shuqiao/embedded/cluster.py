"""The folders of a NATS cluster, one to be carried to each server's machine.

`python -m shuqiao.embedded.cluster --secrets FOLDER --out FOLDER --at FOLDER HOST[:PORT[:ROUTE_PORT]] …`

The servers know each other by certificates of an authority that issues no others: whoever could join as a
server would see every account. Run again, it keeps that authority and issues certificates anew.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shuqiao.embedded.nats import Place, configuration, nats_environment
from shuqiao.security.certificates import (
    KeyedCertificate,
    create_authority_certificate,
    issue_server_certificate,
)
from shuqiao.security.keys import read_secret_file, write_secret_file
from shuqiao.security.nats_accounts import HUB_MAX_BYTES
from shuqiao.security.nats_secrets import (
    load_authority,
    load_certificates,
    write_hub_credentials,
    write_plane_credentials,
)
from shuqiao.security.replacing import replace_file

SIZES = (3, 5)
_ADDRESS = re.compile(r"([A-Za-z0-9.-]{1,253})(?::([0-9]{1,5}))?(?::([0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True)
class Member:
    """One server: its name, the machine's address, and its ports for nodes and for the other servers."""

    name: str
    host: str
    port: int
    route_port: int


def read_members(texts: Sequence[str]) -> list[Member]:
    """Read `HOST[:PORT[:ROUTE_PORT]]` of each server; raises ValueError."""
    if len(texts) not in SIZES:
        raise ValueError("a cluster has 3 or 5 servers, so that a majority can decide")
    members = []
    for number, text in enumerate(texts, 1):
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is not HOST[:PORT[:ROUTE_PORT]]")
        ports = [int(port or default) for port, default in zip(found.groups()[1:], (4222, 6222), strict=True)]
        members.append(Member(f"nats-{number}", found[1], *ports))
    return members


def write_cluster(
    secrets: Path, out: Path, members: Sequence[Member], *, at: Path | None = None, max_bytes: int
) -> list[Path]:
    """Write a folder for each server under `out` and return them; `at` is where each will lie on its machine.

    `max_bytes` is what one server's store may take.
    """
    authority = load_authority(secrets)
    load_certificates(secrets)
    write_hub_credentials(secrets)
    write_plane_credentials(secrets)
    of_servers = KeyedCertificate((secrets / "ca.pem").read_bytes(), read_secret_file(secrets / "ca.key"))
    of_routes = _route_authority(secrets)
    folders = []
    for member in members:
        folder = out / member.name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _issue(folder / "nats", of_servers, member, is_peer=False)
        _issue(folder / "route", of_routes, member, is_peer=True)
        replace_file(folder / "route-ca.pem", of_routes.certificate, mode=0o444)
        ((name, key),) = nats_environment(secrets).items()
        replace_file(folder / "nats.env", f"{name}={key}\n".encode(), mode=0o600)
        place = at or folder
        own = Place(member.name, f"{member.host}:{member.port}", place, place / "data")
        # What an account may store counts every copy.
        text = configuration(authority, own, max_bytes, copies=len(members)) + _routes(member, members, place)
        replace_file(folder / "nats.conf", text.encode(), mode=0o600)
        for data in ("data/accounts", "data/jetstream"):
            (folder / data).mkdir(mode=0o700, parents=True, exist_ok=True)
        folders.append(folder)
    return folders


def _route_authority(secrets: Path) -> KeyedCertificate:
    certificate, key = secrets / "nats-route-ca.pem", secrets / "nats-route-ca.key"
    # The key is written last: a start that was cut short makes both anew.
    if not key.exists():
        made = create_authority_certificate("Shuqiao NATS routes", datetime.now(UTC))
        replace_file(certificate, made.certificate, mode=0o444)
        write_secret_file(key, made.key)
    return KeyedCertificate(certificate.read_bytes(), read_secret_file(key))


def _issue(path: Path, authority: KeyedCertificate, member: Member, *, is_peer: bool) -> None:
    made = issue_server_certificate(authority, (member.host,), datetime.now(UTC), is_peer=is_peer)
    replace_file(path.with_suffix(".pem"), made.certificate, mode=0o444)
    replace_file(path.with_suffix(".key"), made.key, mode=0o400)


def _routes(member: Member, members: Sequence[Member], place: Path) -> str:
    others = [f"tls://{one.host}:{one.route_port}" for one in members if one != member]
    # Nodes use the addresses they were told: what servers tell of themselves may not be reachable from there.
    return f"""\
cluster {{
  name: shuqiao
  listen: {json.dumps(f"{member.host}:{member.route_port}")}
  no_advertise: true
  routes: {json.dumps(others)}
  tls {{
    cert_file: {json.dumps(str(place / "route.pem"))}
    key_file: {json.dumps(str(place / "route.key"))}
    ca_file: {json.dumps(str(place / "route-ca.pem"))}
    min_version: "1.3"
    timeout: 5
  }}
}}
"""


def main(arguments: Sequence[str]) -> int:
    """Write the folders and say what to do with them; 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m shuqiao.embedded.cluster", description=__doc__)
    parser.add_argument("servers", nargs="+", metavar="HOST[:PORT[:ROUTE_PORT]]")
    parser.add_argument("--secrets", type=Path, required=True, help="the hub's secrets folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--at", type=Path, default=Path("/etc/shuqiao-nats"), help="on each server's machine")
    parser.add_argument("--store-bytes", type=int, default=HUB_MAX_BYTES, help="of one server's disk")
    asked = parser.parse_args(arguments)
    try:
        members = read_members(asked.servers)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    folders = write_cluster(asked.secrets, asked.out, members, at=asked.at, max_bytes=asked.store_bytes)
    for member, folder in zip(members, folders, strict=True):
        print(f"{folder}  goes to {asked.at} on {member.host}")
    print("NATS_URL=" + ",".join(f"tls://{one.host}:{one.port}" for one in members))
    print("LOADER_STREAM_REPLICAS=3")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
