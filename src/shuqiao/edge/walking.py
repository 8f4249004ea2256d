"""Walking through the YAML nodes of a file of the node, collecting faults with their lines."""

from __future__ import annotations

from pathlib import Path

import yaml


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
                self._fault(name, f"unknown word {name.value!r}")
            found[name.value] = value
        for name_ in required:
            if name_ not in found:
                self._fault(node, f"{name_!r} is missing")
        return found

    def _pairs(self, node: yaml.Node | None) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._fault(node, "a list of `name: value` is needed here")
            return []
        pairs: list[tuple[yaml.ScalarNode, yaml.Node]] = []
        names: set[str] = set()
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode) or name.value in names:
                self._fault(name, "a name must be a plain word and stand once")
                continue
            names.add(name.value)
            pairs.append((name, value))
        return pairs

    def _text(self, node: yaml.Node | None) -> str:
        if isinstance(node, yaml.ScalarNode) and node.value and node.tag != "tag:yaml.org,2002:null":
            return str(node.value)
        if node is not None:
            self._fault(node, "a text is needed here")
        return ""

    def _fault(self, node: yaml.Node | None, text: str) -> None:
        line = 1 if node is None else node.start_mark.line + 1
        self.faults.append(f"{self.path}:{line}: {text}")
