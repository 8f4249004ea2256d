"""The file of a subscription: whose changes, who signs, and which columns of which table they go to.

YAML in the node's folder `receive`, one file for each, its name being the subscription's. Read once at
start; every fault names file and line. A file holds an address with a password, so nobody else may read it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import yaml

from shuqiao.edge.mapping import MAX_FILE_BYTES, MappingError
from shuqiao.edge.walking import Walker
from shuqiao.wire.subjects import check_resource

KEY, OPERATION, PART = "_key", "_op", "_part"
"""What a feed says of a row beside its items: its key in this feed, what happened, and in which part."""

Mode = Literal["append", "upsert", "replace"]
Guarantee = Literal["exactly once", "at least once, idempotent by key"]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ITEM = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SCHEMES = ("postgresql", "postgres", "mysql", "mariadb", "sqlite")
_MODES: tuple[Mode, ...] = ("append", "upsert", "replace")
_TOP = ("resource", "application", "plane", "target", "mode", "columns")
_MORE = ("key", "gone", "position", "faults", "grant", "purpose", "case", "recalled", "recipient_key")
_MOST_DEAD = 1_000_000


@dataclass(frozen=True, slots=True)
class Gone:
    """What is done with a record that is gone: deleted, kept, or the moment noted in a column."""

    how: Literal["delete", "keep", "mark"]
    column: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription. `columns` says for each item of the feed to which column of the table it goes.

    `key` is what finds a row again. `most_dead` is how many rows of one part may fail to fit before the
    subscription stops. `is_position_here` says that the target takes no table of ours: position and effect
    are then not one, and a part may be applied twice. `deletes_recalled`: what is called back because its
    grant has ended, the node deletes by itself. `recipient_key` is the file of the key to which all parts are
    sealed, made where there is none.
    """

    name: str
    path: Path
    resource: str
    application: str
    key_file: Path
    plane_url: str
    plane_keys: Path
    authority: Path | None
    target_url: str
    table: str
    mode: Mode
    key: str
    columns: Mapping[str, str]
    gone: Gone
    most_dead: int
    is_position_here: bool = False
    grant: str = "auto"
    purpose: str = "auto"
    case: str = ""
    deletes_recalled: bool = False
    recipient_key: Path | None = None

    def __repr__(self) -> str:
        """Leave addresses and keys out."""
        return f"Subscription({self.name})"

    @property
    def guarantee(self) -> Guarantee:
        """How often the effect of a part may be had."""
        return "at least once, idempotent by key" if self.is_position_here else "exactly once"

    @property
    def key_column(self) -> str:
        """The column by which rows are found again; empty where none is."""
        return self.columns.get(self.key, "")

    @property
    def items(self) -> dict[str, str]:
        """The items of the resource among the columns."""
        return {item: column for item, column in self.columns.items() if not item.startswith("_")}


def load_subscriptions(folder: Path) -> list[Subscription]:
    """Read every `*.yaml` of a folder; raises MappingError with the faults of all files together."""
    found: list[Subscription] = []
    faults: list[str] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            found.append(read_subscription(path))
        except MappingError as error:
            faults.append(str(error))
    tables = [(one.target_url, one.table) for one in found]
    faults += [
        f"{one.path}:1: another subscription writes the table {one.table} too"
        for one in found
        if tables.count((one.target_url, one.table)) > 1
    ]
    if faults:
        raise MappingError("\n".join(faults))
    return found


def read_subscription(path: Path) -> Subscription:
    """Read one file."""
    if _NAME.fullmatch(path.stem) is None:
        raise MappingError(f"{path}:1: a subscription's name is of a-z, 0-9 and -")
    if path.stat().st_mode & 0o077:
        raise MappingError(f"{path}:1: others may read this file, which holds an address: chmod 600 {path}")
    data = path.read_bytes()
    if len(data) > MAX_FILE_BYTES:
        raise MappingError(f"{path}:1: the file is larger than {MAX_FILE_BYTES} bytes")
    try:
        root = yaml.compose(data.decode("utf-8"), Loader=yaml.SafeLoader)
    except (yaml.MarkedYAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise MappingError(f"{path}:{mark.line + 1 if mark else 1}: not readable as YAML") from None
    reader = _Reader(path)
    made = reader.subscription(root)
    if reader.faults or made is None:
        raise MappingError("\n".join(reader.faults))
    return made


class _Reader(Walker):
    """Makes the subscription of one file."""

    def subscription(self, root: yaml.Node | None) -> Subscription | None:
        top = self._fields(root, required=_TOP, optional=_MORE)
        application = self._fields(top.get("application"), required=("id", "key_file"))
        plane = self._fields(top.get("plane"), required=("url", "keys_file"), optional=("ca_file",))
        target = self._fields(top.get("target"), required=("url", "table"))
        columns = self._columns(top.get("columns"))
        gone = self._gone(top.get("gone"))
        mode = self._mode(top.get("mode"))
        most_dead = self._most_dead(top.get("faults"))
        position = self._text(top["position"]) if "position" in top else "target"
        if position not in ("target", "node"):
            self._fault(top["position"], "`position` is target or node")
        recalled = self._text(top["recalled"]) if "recalled" in top else "keep"
        if recalled not in ("delete", "keep"):
            self._fault(top["recalled"], "`recalled` is delete or keep")
        made = None
        if not self.faults:
            made = Subscription(
                name=self.path.stem,
                path=self.path,
                resource=self._resource(top["resource"]),
                application=self._text(application["id"]),
                key_file=self._file(application["key_file"]),
                plane_url=self._url(plane["url"]),
                plane_keys=self._file(plane["keys_file"]),
                authority=self._file(plane["ca_file"]) if "ca_file" in plane else None,
                target_url=self._target_url(target["url"]),
                table=self._text(target["table"]),
                mode=mode,
                key=self._text(top.get("key")),
                columns=columns,
                gone=gone,
                most_dead=most_dead,
                is_position_here=position == "node",
                deletes_recalled=recalled == "delete",
                recipient_key=self._new_file(top["recipient_key"]) if "recipient_key" in top else None,
                **{name: self._text(top[name]) for name in ("grant", "purpose", "case") if name in top},
            )
            self._check(top, made)
        return made

    def _check(self, top: dict[str, yaml.Node], made: Subscription) -> None:
        """Refuse words that are each right and together mean nothing."""
        if made.key and (made.key not in made.columns or made.key in (OPERATION, PART)):
            self._fault(top["key"], f"the key {made.key!r} has no column")
        if made.mode != "append":
            if not made.key:
                self._fault(top["mode"], "name the `key` by which a row is found again: _key or an item")
            for name in (OPERATION, PART):
                if name in made.columns:
                    self._fault(top["columns"], f"{name} has a column in mode append only")
            if made.gone.how != "keep" and KEY not in made.columns:
                self._fault(
                    top.get("gone", top["columns"]),
                    "a record that is gone is named by its key in the feed alone: give _key a column,"
                    " or say `gone: keep`",
                )
        elif "gone" in top:
            self._fault(top["gone"], "in mode append every row stays; give _op a column to see what is gone")
        if made.gone.column in made.columns.values():
            self._fault(top["gone"], "this column has an item already")
        if made.is_position_here and made.mode == "append":
            self._fault(top["mode"], "what is appended twice stays twice: keep `position` at the target")

    def _columns(self, node: yaml.Node | None) -> dict[str, str]:
        if node is None:
            return {}
        columns: dict[str, str] = {}
        for name, value in self._pairs(node):
            if name.value not in (KEY, OPERATION, PART) and _ITEM.fullmatch(name.value) is None:
                self._fault(name, f"{name.value!r} is no item")
            columns[name.value] = self._text(value)
            if list(columns.values()).count(columns[name.value]) > 1:
                self._fault(value, f"the column {columns[name.value]!r} is named twice")
        if not any(not name.startswith("_") for name in columns):
            self._fault(node, "no item has a column")
        return columns

    def _gone(self, node: yaml.Node | None) -> Gone:
        if node is None:
            return Gone("delete")
        if isinstance(node, yaml.ScalarNode):
            match self._text(node):
                case "delete":
                    return Gone("delete")
                case "keep":
                    return Gone("keep")
            self._fault(node, "`gone` is delete, keep, or {mark: COLUMN}")
            return Gone("keep")
        fields = self._fields(node, required=("mark",))
        return Gone("mark", self._text(fields.get("mark")))

    def _mode(self, node: yaml.Node | None) -> Mode:
        text = self._text(node)
        for mode in _MODES:
            if text == mode:
                return mode
        if node is not None:
            self._fault(node, f"`mode` is one of {', '.join(_MODES)}")
        return "upsert"

    def _most_dead(self, node: yaml.Node | None) -> int:
        if node is None:
            return 1000
        fields = self._fields(node, required=("most",))
        text = self._text(fields.get("most"))
        if not text.isdecimal() or int(text) > _MOST_DEAD:
            self._fault(node, f"`most` is a number from 0 to {_MOST_DEAD}")
            return 0
        return int(text)

    def _resource(self, node: yaml.Node) -> str:
        try:
            return check_resource(self._text(node))
        except ValueError:
            self._fault(node, "this is no id of a resource")
            return ""

    def _url(self, node: yaml.Node) -> str:
        text = self._text(node)
        found = urlsplit(text)
        if found.scheme not in ("http", "https") or not found.hostname or found.username:
            self._fault(node, "the plane's address is https://host")
        elif found.scheme == "http" and found.hostname not in ("127.0.0.1", "::1", "localhost"):
            self._fault(node, "without TLS the plane is reached on this machine only: https://host")
        return text

    def _target_url(self, node: yaml.Node) -> str:
        text = self._text(node)
        if urlsplit(text).scheme not in _SCHEMES:
            self._fault(node, f"the target's address begins with one of {', '.join(_SCHEMES)}")
        return text

    def _new_file(self, node: yaml.Node) -> Path:
        text = self._text(node)
        path = self.path.parent / text
        if not text or not path.parent.is_dir():
            self._fault(node, "there is no such folder")
        return path

    def _file(self, node: yaml.Node) -> Path:
        path = self.path.parent / self._text(node)
        if not path.is_file():
            self._fault(node, "there is no such file")
        return path
