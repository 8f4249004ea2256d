"""The picture of an inclusion proof: the path from an entry to the signed root, as SVG from the server."""

from dataclasses import dataclass

from shuqiao.control.operations.queries import AuditProof, Sibling
from shuqiao.control.texts import Text

MAX_DRAWN = 3
_WIDTH = 760
_ROW = 78
_TOP = 47
_BOX = 104
_MARGIN = 12


@dataclass(frozen=True)
class Node:
    """A box: where its middle is, what it says, and its kind (path, sib, leaf, root)."""

    x: float
    y: float
    width: float
    words: str
    kind: str
    note: str

    @property
    def left(self) -> float:
        """Return the left edge."""
        return self.x - self.width / 2

    @property
    def middle(self) -> float:
        """Return the base line of the words."""
        return self.y + 19

    @property
    def below(self) -> float:
        """Return the base line of the note."""
        return self.y + 46


@dataclass(frozen=True)
class Picture:
    """Boxes and lines, and the same as a list for small screens."""

    nodes: tuple[Node, ...]
    lines: tuple[str, ...]
    view: str
    path: tuple[tuple[str, Text, str], ...]


def draw(proof: AuditProof) -> Picture | None:
    """Draw the lowest levels one by one and what lies above them as one box; nothing to draw before."""
    if proof.size is None or proof.row.position is None or proof.row.position >= proof.size:
        return None
    drawn = proof.path[:MAX_DRAWN] if len(proof.path) > MAX_DRAWN + 1 else proof.path
    rest = proof.path[len(drawn) :]
    levels = len(drawn) + (1 if rest else 0)
    nodes: list[Node] = []
    lines: list[str] = []
    x, y = _WIDTH / 2, _TOP
    nodes.append(Node(x, y, 210, str(Text("树根 ", "Root ")) + _brief(proof.root), "path", ""))
    gap = 168.0
    for level in range(levels, 0, -1):
        sibling = proof.path[-1] if level > len(drawn) else drawn[level - 1]
        computed = _below(proof, drawn, rest, level)
        sign = 1 if sibling.side == "left" else -1
        own_x, other_x = x + sign * gap / 2, x - sign * gap / 2
        own_y = y + _ROW
        lines += [_line(x, y, own_x, own_y), _line(x, y, other_x, own_y)]
        nodes.append(
            Node(
                other_x,
                own_y,
                _BOX,
                _sibling_words(proof, len(drawn), level),
                "sib",
                _note(level, len(drawn), len(proof.path)),
            )
        )
        kind = "leaf" if level == 1 else "path"
        note = str(Text("这一条", "This entry")) if level == 1 else ""
        nodes.append(Node(own_x, own_y, _BOX, computed, kind, note))
        x, y = own_x, own_y
    return Picture(tuple(nodes), tuple(lines), _view(nodes), _as_list(proof, drawn, rest))


def _view(nodes: list[Node]) -> str:
    """Frame the drawing so that it stands in the middle, at its natural size where there is room."""
    left = min(node.left for node in nodes)
    right = max(node.left + node.width for node in nodes)
    width = max(_WIDTH, right - left + 2 * _MARGIN)
    height = max(node.y for node in nodes) + 70
    return f"{(left + right - width) / 2:g} 0 {width:g} {height:g}"


def _below(proof: AuditProof, drawn: tuple[Sibling, ...], rest: tuple[Sibling, ...], level: int) -> str:
    """Name the hash that a level starts from: what the level under it computed, the entry's own at last."""
    if level > len(drawn):
        return (drawn[-1].computed if drawn else proof.leaf_hash)[:8]
    if level == 1:
        return f"{proof.row.position:,}"
    return drawn[level - 2].computed[:8] if rest or level > 1 else proof.leaf_hash[:8]


def _note(level: int, drawn: int, total: int) -> str:
    if level > drawn and total > level:
        return str(Text(f"兄弟 {level}–{total}", f"Siblings {level}–{total}"))
    return str(Text(f"兄弟 {level}", f"Sibling {level}"))


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = (y1 + 30 + y2) / 2
    return f"M{x1:g} {y1 + 30:g}V{bend:g}H{x2:g}V{y2:g}"


def _root_words(proof: AuditProof) -> Text:
    if proof.proved:
        return Text("树根 与检查点相符", "Root, as signed")
    return Text("树根 与检查点不符", "Root, not as signed")


def _sibling_words(proof: AuditProof, drawn: int, level: int) -> str:
    """Show a sibling's hash, or how many siblings a box stands for."""
    if level <= drawn:
        return proof.path[level - 1].hash[:8]
    return str(Text(f"{len(proof.path) - drawn} 个摘要", f"{len(proof.path) - drawn} hashes"))


def _brief(text: str) -> str:
    return f"{text[:4]} {text[4:8]} … {text[-4:]}" if len(text) > 12 else text


def _as_list(
    proof: AuditProof, drawn: tuple[Sibling, ...], rest: tuple[Sibling, ...]
) -> tuple[tuple[str, Text, str], ...]:
    """List the path from the root down, as the picture shows it."""
    found: list[tuple[str, Text, str]] = [("", _root_words(proof), _brief(proof.root))]
    if rest:
        words = Text(
            f"兄弟 {len(drawn) + 1}–{len(proof.path)}", f"Siblings {len(drawn) + 1}–{len(proof.path)}"
        )
        found.append(("sib", words, str(Text(f"{len(rest)} 个摘要", f"{len(rest)} hashes"))))
    for number in range(len(drawn), 0, -1):
        sibling = drawn[number - 1]
        if number < len(drawn) or rest:
            found.append(("", Text("算出", "Computed"), sibling.computed[:8]))
        found.append(("sib", Text(f"兄弟 {number}", f"Sibling {number}"), sibling.hash[:8]))
    found.append(("", Text("这一条", "This entry"), f"{proof.row.position:,}"))
    return tuple(found)
