"""Walking through the YAML nodes of a file of the node, collecting faults with their lines."""

from __future__ import annotations

from pathlib import Path

import yaml

from shuqiao.edge.words import Words


class Walker:
    """What readers of one file build on: no unknown word is skipped, every fault names file and line."""

    def __init__(self, path: Path) -> None:
        """Begin without faults."""
        self.path = path
        self.faults: list[str] = []

    def _fields(
        self, node: yaml.Node | None, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()
    ) -> dict[str, yaml.Node]:
        found: dict[str, yaml.Node] = {}
        for name, value in self._pairs(node):
            if name.value not in (*required, *optional):
                self._fault(name, Words(f"不认识的词{name.value!r}", f"unknown word {name.value!r}"))
            found[name.value] = value
        for name_ in required:
            if name_ not in found:
                self._fault(node, Words(f"缺少{name_!r}", f"{name_!r} is missing"))
        return found

    def _pairs(self, node: yaml.Node | None) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._fault(node, Words("这里需要若干行`名称: 值`", "a list of `name: value` is needed here"))
            return []
        pairs: list[tuple[yaml.ScalarNode, yaml.Node]] = []
        names: set[str] = set()
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode) or name.value in names:
                said = Words("名称须是普通的词，且只出现一次", "a name must be a plain word and stand once")
                self._fault(name, said)
                continue
            names.add(name.value)
            pairs.append((name, value))
        return pairs

    def _text(self, node: yaml.Node | None) -> str:
        if isinstance(node, yaml.ScalarNode) and node.value and node.tag != "tag:yaml.org,2002:null":
            return str(node.value)
        if node is not None:
            self._fault(node, Words("这里需要一段文字", "a text is needed here"))
        return ""

    def _fault(self, node: yaml.Node | None, text: str | Words) -> None:
        line = 1 if node is None else node.start_mark.line + 1
        self.faults.append(f"{self.path}:{line}: {text}")
