"""The interfaces of the department that calls are passed to: a YAML file for each, beside its description.

Address and credentials stand here and nowhere else. A file names the entry, the description that the
department registered, the address, headers whose values are read from files, and how long a call may take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import yaml

from shuqiao.edge.mapping import MAX_FILE_BYTES, MappingError
from shuqiao.wire.interface import Description
from shuqiao.wire.interface_reading import MAX_DOCUMENT_BYTES, DescriptionRefused, read_description
from shuqiao.wire.subjects import check_resource

MAX_SECRET_BYTES = 8 * 1024
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type"})


@dataclass(frozen=True, slots=True)
class NodeInterface:
    """An interface of the department: its address without a slash at the end, and headers of every call."""

    resource: str
    description: Description
    base_url: str
    headers: Mapping[str, str]
    timeout_s: float

    def __repr__(self) -> str:
        """Leave address and credentials out."""
        return f"NodeInterface({self.resource})"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    resource: str
    description: str
    base_url: str
    headers: Annotated[dict[str, str], msgspec.Meta(max_length=16)] = {}
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=50)] = 20.0


def load_interfaces(folder: Path | None) -> dict[str, NodeInterface]:
    """Read every `*.yaml` of the folder; raises `MappingError` with the faults of all files together."""
    found: dict[str, NodeInterface] = {}
    faults = []
    for path in sorted(folder.glob("*.yaml")) if folder is not None else ():
        try:
            made = _read(path)
        except (ValueError, OSError, yaml.YAMLError) as error:
            # What YAML says of a fault may quote the line, and a line may hold an address.
            said = "not readable as YAML" if isinstance(error, yaml.YAMLError) else str(error)
            faults.append(f"{path}: {said}")
            continue
        if made.resource in found:
            faults.append(f"{path}: {made.resource} has an interface already")
        found[made.resource] = made
    if faults:
        raise MappingError("\n".join(faults))
    return found


def _read(path: Path) -> NodeInterface:
    given = msgspec.convert(yaml.safe_load(_bounded(path, MAX_FILE_BYTES)), _File)
    address = urlsplit(given.base_url)
    if address.scheme not in ("http", "https") or not address.hostname or address.query or address.username:
        raise ValueError("base_url must be http(s)://host/path, without a user or a query")
    try:
        description = read_description(_bounded(path.parent / given.description, MAX_DOCUMENT_BYTES))
    except DescriptionRefused as error:
        raise ValueError(f"{given.description}: {error}") from None
    headers = {name: bounded_header(path.parent, name, file) for name, file in given.headers.items()}
    return NodeInterface(
        check_resource(given.resource), description, given.base_url.rstrip("/"), headers, given.timeout_s
    )


def bounded_header(folder: Path, name: str, file: str) -> str:
    """Return the value of a header that a file holds; raises ValueError where it isn't one to be set."""
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"the header {name} is not for the file to set")
    return _bounded(folder / file, MAX_SECRET_BYTES).decode("ascii").strip()


def _bounded(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{path.name} is larger than {limit} bytes")
    return content
