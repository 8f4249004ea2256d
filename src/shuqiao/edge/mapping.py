"""The mapping file: from the columns of a department's own table to the items of a catalogue resource.

YAML, read once at start. Every fault names the file and line; nothing is guessed and no unknown word is
skipped, because a silently ignored line would be a silently missing item.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import yaml

from shuqiao.edge.guard import REMOVE_SHARE
from shuqiao.edge.walking import Walker
from shuqiao.edge.words import Words
from shuqiao.wire.schemas import ItemSpec, ResourceSpec, identity_items

MAX_FILE_BYTES = 256 * 1024


class MappingError(Exception):
    """A mapping file can't be used; the message lists its faults, one a line, as `file:line: fault`."""


@dataclass(frozen=True)
class ColumnSource:
    """An item that comes from a column, its values translated where `codes` is given.

    A value that `codes` doesn't list is sent as it is: the hub then refuses the row with its reason.
    """

    column: str
    codes: Mapping[str, str] | None = None


@dataclass(frozen=True)
class ConstantSource:
    """An item that has the same value in every row."""

    value: str


Source = ColumnSource | ConstantSource
By = Literal["changes", "ranges", "log"]
OnChange = Literal["", "evolve", "freeze", "discard_row", "discard_value"]

WAYS: tuple[By, ...] = ("changes", "ranges", "log")
CONTRACTS: tuple[OnChange, ...] = ("evolve", "freeze", "discard_row", "discard_value")
W = TypeVar("W", bound=str)

_DURATION = re.compile(r"([1-9][0-9]{0,6})(s|min|h|d)")
_SHARE = re.compile(r"(0|[1-9][0-9]{0,2})%")
_UNITS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
_LONGEST_S = 31 * 86_400

COMPARE_EVERY_S = 300.0
"""How often ranges of keys are compared where a mapping doesn't say."""


@dataclass(frozen=True)
class Way:
    """How changes are found: by a time of change, by comparing ranges of keys, or in the database's log.

    `compare_every_s` is how often ranges are compared, 0 for never; `remove_share` is the share of the list
    that may leave at once without a person's word.
    """

    by: By = "changes"
    compare_every_s: float = 0.0
    remove_share: float = REMOVE_SHARE

    @property
    def tells_removals(self) -> bool:
        """Say whether removed rows are told by their key, and not by full loads alone."""
        return self.by != "changes" or self.compare_every_s > 0


@dataclass(frozen=True)
class TableMapping:
    """One source table mapped to one resource; `version` changes with any byte of the file.

    `changed` names the column of each row's time of change; lists in files have none, and tables whose
    changes are found in another way need none. `is_held` tells that its rows stay here: they are never sent,
    the node answers about them. `on_change` is what is done when the source's columns change; where nothing
    is said, a column that is gone stops the reading and everything else is only told.
    """

    resource: str
    system: str
    table: str
    key: str
    changed: str
    items: Mapping[str, Source]
    version: str
    path: Path
    is_held: bool = False
    way: Way = Way()
    on_change: OnChange = ""

    @property
    def keeps_ranges(self) -> bool:
        """Say whether the node remembers which keys it has sent."""
        return self.way.compare_every_s > 0

    @property
    def ends_loads(self) -> bool:
        """Say whether a full load is all there is, so that what it didn't meet is gone.

        Lists in a folder gather what was ever put there, unless ranges are compared.
        """
        return self.keeps_ranges or self.way.by == "log" or self.changed != ""

    def can_remove(self, record_key: str) -> bool:
        """Say whether a removal can be told: the record key must be the table's key as it is."""
        source = self.items.get(record_key)
        return isinstance(source, ColumnSource) and source.column == self.key and source.codes is None

    def source_columns(self) -> tuple[str, ...]:
        """Return the columns to read, each once, in a fixed order."""
        named = [source.column for source in self.items.values() if isinstance(source, ColumnSource)]
        return tuple(dict.fromkeys(named))


def load_mappings(
    folder: Path, resources: Mapping[str, ResourceSpec], *, is_needed: bool = True
) -> list[TableMapping]:
    """Read every `*.yaml` of a folder; raise MappingError with the faults of all files together."""
    mappings: list[TableMapping] = []
    faults: list[str] = []
    paths = sorted(folder.glob("*.yaml"))
    if not paths and is_needed:
        said = Words("没有映射文件（*.yaml）", "holds no mapping file (*.yaml)")
        faults.append(f"{folder}: {said}")
    for path in paths:
        try:
            mappings.append(read_mapping(path, resources))
        except MappingError as error:
            faults.append(str(error))
    names = [mapping.resource for mapping in mappings]
    faults += [
        f"{folder}: {Words(f'{name}映射了两次', f'{name} is mapped twice')}"
        for name in sorted({n for n in names if names.count(n) > 1})
    ]
    if faults:
        raise MappingError("\n".join(faults))
    return mappings


def version_of(data: bytes) -> str:
    """Return the version of a mapping file: another one for every change of a byte."""
    return hashlib.sha256(data).hexdigest()[:16]


def read_mapping(path: Path, resources: Mapping[str, ResourceSpec]) -> TableMapping:
    """Read one mapping file and check it against the resource it names."""
    data = path.read_bytes()
    if len(data) > MAX_FILE_BYTES:
        said = Words(f"文件超过{MAX_FILE_BYTES}字节", f"the file is larger than {MAX_FILE_BYTES} bytes")
        raise MappingError(f"{path}:1: {said}")
    try:
        root = yaml.compose(data.decode("utf-8"), Loader=yaml.SafeLoader)
    except (yaml.MarkedYAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        said = Words("不是可读的YAML", "not readable as YAML")
        raise MappingError(f"{path}:{mark.line + 1 if mark else 1}: {said}") from None
    reader = _Reader(path)
    mapping = reader.mapping(root, resources, version_of(data))
    if reader.faults or mapping is None:
        raise MappingError("\n".join(reader.faults))
    return mapping


def _is_table(spec: ResourceSpec) -> bool:
    """Say whether rows can be brought: the vault keeps records apart by a key that identifies."""
    return any(item.field == spec.record_key for item in identity_items(spec))


class _Reader(Walker):
    """Walks the YAML nodes of one file and collects faults with their lines."""

    def mapping(
        self, root: yaml.Node | None, resources: Mapping[str, ResourceSpec], version: str
    ) -> TableMapping | None:
        words = ("kept", "capture", "on_change")
        top = self._fields(root, required=("resource", "source", "items"), optional=words)
        resource = self._text(top.get("resource"))
        spec = resources.get(resource)
        if "resource" in top and spec is None:
            said = Words(
                f"平台没有属于本部门的条目{resource!r}；若目录刚变，请运行shuqiao node enrol --renew",
                f"the hub has no resource {resource!r} for this department; if the catalogue has changed, run"
                " shuqiao node enrol --renew",
            )
            self._fault(top["resource"], said)
        if spec is not None and not _is_table(spec):
            said = Words(
                f"条目{resource}没有能识别记录的主键（例如只以文件提供），没有可送入的数据表",
                f"the entry {resource} has no record key that identifies (files alone may serve it): there"
                " is no table to bring rows to",
            )
            self._fault(top["resource"], said)
        is_held = self._is_held(root, top.get("kept"), spec)
        fields = ("system", "table", "key")
        source = self._fields(top.get("source"), required=fields, optional=("changed",))
        items = self._items(top.get("items"), spec)
        if self.faults:
            return None
        system, table, key = (self._text(source[name]) for name in fields)
        changed = self._text(source["changed"]) if "changed" in source else ""
        if self.faults:
            return None
        if spec is not None and is_held:
            self._check_held(top["items"], spec, items)
        way = self._way(top.get("capture"))
        on_change = self._one_of(top.get("on_change"), "on_change", CONTRACTS, "")
        made = TableMapping(
            resource, system, table, key, changed, items, version, self.path, is_held, way, on_change
        )
        if way.tells_removals:
            self._check_removals(root, spec, made)
        return None if self.faults else made

    def _way(self, node: yaml.Node | None) -> Way:
        if node is None:
            return Way()
        fields = self._fields(node, optional=("by", "compare_every", "remove_at_most"))
        by = self._one_of(fields.get("by"), "by", WAYS, "changes")
        every = COMPARE_EVERY_S if by == "ranges" else 0.0
        if "compare_every" in fields and by == "log":
            said = Words("日志本身会说明哪些行已删除", "the log tells itself which rows are gone")
            self._fault(fields["compare_every"], said)
        elif "compare_every" in fields:
            every = self._seconds(fields["compare_every"])
        share = self._share(fields["remove_at_most"]) if "remove_at_most" in fields else REMOVE_SHARE
        return Way(by, every, share)

    def _share(self, node: yaml.Node) -> float:
        found = _SHARE.fullmatch(self._text(node))
        share = int(found[1]) / 100 if found else 2.0
        if share > 1:
            said = Words("这里需要比例，如20%，最多100%", "a share such as 20% is needed here, 100% at most")
            self._fault(node, said)
        return share

    def _seconds(self, node: yaml.Node) -> float:
        found = _DURATION.fullmatch(self._text(node))
        seconds = int(found[1]) * _UNITS[found[2]] if found else 0
        if not 0 < seconds <= _LONGEST_S:
            said = Words(
                "这里需要时长，如90s、10min、24h、7d，最长31天",
                "a time such as 90s, 10min, 24h or 7d is needed here, 31 days at most",
            )
            self._fault(node, said)
        return float(seconds)

    def _one_of(self, node: yaml.Node | None, word: str, known: tuple[W, ...], default: W) -> W:
        if node is None:
            return default
        text = self._text(node)
        for one in known:
            if one == text:
                return one
        named = ", ".join(known)
        self._fault(node, Words(f"`{word}`只能是{named}之一", f"`{word}` is one of {named}"))
        return default

    def _check_removals(self, node: yaml.Node | None, spec: ResourceSpec | None, made: TableMapping) -> None:
        """Rows that are gone are told by their key, which must be what records are found by."""
        if spec is not None and not made.can_remove(spec.record_key):
            self._fault(
                node,
                Words(
                    f"删除的行由键{made.key!r}说明：{spec.record_key!r}须就是这一列且不翻译代码，"
                    "否则只能按变更时间采集",
                    f"removed rows are told by the key {made.key!r}: {spec.record_key!r} must be that column"
                    " without codes, or rows be captured by changes alone",
                ),
            )

    def _is_held(self, root: yaml.Node | None, node: yaml.Node | None, spec: ResourceSpec | None) -> bool:
        """Both must say that records stay here: a hub that says otherwise one day gets none of them."""
        own = "hub" if node is None else self._text(node)
        if own not in ("hub", "node"):
            self._fault(node, Words("`kept`只能是hub或node", "`kept` is hub or node"))
        elif spec is not None and own != spec.kept:
            said = Words(
                f"平台登记为数据留存于{spec.kept}，`kept`须与之一致",
                f"the hub says that records are kept at the {spec.kept}: `kept` must agree",
            )
            self._fault(node or root, said)
        return own == "node"

    def _check_held(self, node: yaml.Node, spec: ResourceSpec, items: Mapping[str, Source]) -> None:
        key = items[spec.record_key]
        if not isinstance(key, ColumnSource) or key.codes is not None:
            said = Words(
                f"记录由{spec.record_key!r}查找，它须是不翻译代码的列",
                f"records are found by {spec.record_key!r}, which needs a column without codes",
            )
            self._fault(node, said)

    def _items(self, node: yaml.Node | None, spec: ResourceSpec | None) -> dict[str, Source]:
        if node is None or spec is None:
            return {}
        known = {item.field: item for item in spec.items}
        sources: dict[str, Source] = {}
        for name, value in self._pairs(node):
            item = known.get(name.value)
            if item is None:
                said = Words(f"该条目没有信息项{name.value!r}", f"the resource has no item {name.value!r}")
                self._fault(name, said)
                continue
            found = self._source(value, item)
            if found is not None:
                sources[item.field] = found
        needed = [item.field for item in spec.items if item.required or item.field == spec.record_key]
        for field in needed:
            if field not in sources:
                said = Words(f"必填信息项{field!r}没有映射", f"the required item {field!r} is not mapped")
                self._fault(node, said)
        return sources

    def _source(self, node: yaml.Node, item: ItemSpec) -> Source | None:
        if isinstance(node, yaml.ScalarNode):
            return ColumnSource(self._text(node))
        fields = self._fields(node, optional=("column", "codes", "value"))
        if set(fields) == {"value"}:
            return ConstantSource(self._text(fields["value"]))
        if "column" not in fields or "value" in fields:
            said = Words(
                "信息项要么取自一列（可带codes），要么是固定值",
                "an item takes either a column (with codes) or a value",
            )
            self._fault(node, said)
            return None
        codes = self._codes(fields["codes"], item) if "codes" in fields else None
        return ColumnSource(self._text(fields["column"]), codes)

    def _codes(self, node: yaml.Node, item: ItemSpec) -> dict[str, str]:
        codes: dict[str, str] = {}
        for name, value in self._pairs(node):
            codes[name.value] = self._text(value)
            if item.codes is not None and codes[name.value] not in item.codes:
                to = codes[name.value]
                said = Words(f"{to!r}不是{item.field!r}的代码", f"{to!r} is not a code of {item.field!r}")
                self._fault(value, said)
        return codes
