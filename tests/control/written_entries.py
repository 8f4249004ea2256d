"""What the programs write into the audit log, read from their source: events, outcomes and facts.

The words are followed through the source as far as they stand there: constants, the arguments of every call
of a helper, members of enums, keys of dicts. What is only known while the city runs (the state of a case)
comes back as its expression, for the test to say where its words come from.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import shuqiao

SOURCE = Path(shuqiao.__file__).parent
MOST_DEEP = 12


@dataclass
class Found:
    """Words of one kind, and the expressions that don't say theirs."""

    words: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)

    def add(self, other: "Found") -> "Found":
        """Take in what was found elsewhere."""
        self.words |= other.words
        self.open |= other.open
        return self


@dataclass(frozen=True)
class Place:
    """Where an expression stands: its file, and the functions around it, the innermost last."""

    file: Path
    around: tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]


class Programs:
    """Every module of the project, and the look-ups that follow a word."""

    @cached_property
    def modules(self) -> dict[Path, ast.Module]:
        """The parsed files."""
        return {path: ast.parse(path.read_text("utf-8")) for path in sorted(SOURCE.rglob("*.py"))}

    @cached_property
    def calls(self) -> dict[str, list[tuple[Place, ast.Call]]]:
        """Every call by the last word of what is called."""
        found: dict[str, list[tuple[Place, ast.Call]]] = {}
        for path, module in self.modules.items():
            for place, node in _walk(path, module, ()):
                if isinstance(node, ast.Call):
                    found.setdefault(_last_word(node.func), []).append((place, node))
        return found

    @cached_property
    def functions(self) -> dict[str, list[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]]:
        """Every function and method by its name."""
        found: dict[str, list[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]] = {}
        for path, module in self.modules.items():
            for node in ast.walk(module):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.setdefault(node.name, []).append((path, node))
        return found

    @cached_property
    def members(self) -> dict[tuple[str, str], str]:
        """Words that stand in classes: members of enums, codes of errors."""
        found = {}
        for module in self.modules.values():
            for one in ast.walk(module):
                for line in one.body if isinstance(one, ast.ClassDef) else ():
                    if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                        value = line.value.elts[0] if isinstance(line.value, ast.Tuple) else line.value
                        if isinstance(value, ast.Constant) and isinstance(value.value, str):
                            found[one.name, line.targets[0].id] = value.value
        return found

    def words(self, node: ast.expr, at: Place, deep: int = 0) -> Found:
        """The words that an expression may be."""
        if deep > MOST_DEEP:
            return Found(open={ast.unparse(node)})
        match node:
            case ast.Constant(value=str(text)):
                return Found({text} - {""})
            case ast.Constant(value=None):
                return Found()
            case ast.IfExp(body=one, orelse=other):
                return self.words(one, at, deep + 1).add(self.words(other, at, deep + 1))
            case ast.BoolOp(values=values):
                found = Found()
                for value in values:
                    found.add(self.words(value, at, deep + 1))
                return found
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if (name, attr) in self.members:
                return Found({self.members[name, attr]})
            case ast.Attribute(value=inner, attr="value"):
                return self.words(inner, at, deep + 1)
            case ast.Name(id=name):
                return self._named(name, at, deep, self.words) or Found(open={ast.unparse(node)})
            case (
                ast.Subscript(value=ast.Name() as table)
                | ast.Call(func=ast.Attribute(value=ast.Name() as table, attr="get"))
            ):
                kept = self._named(table.id, at, deep, self._values)
                return kept or Found(open={ast.unparse(node)})
            case ast.Call(func=ast.Name(id="str"), args=[inner]):
                return self.words(inner, at, deep + 1)
            case ast.Call(func=func) if self._returned(func, at, deep, self.words) is not None:
                return self._returned(func, at, deep, self.words) or Found()
        return Found(open={ast.unparse(node)})

    def keys(self, node: ast.expr, at: Place, deep: int = 0) -> Found:
        """The keys of a dict that an expression makes."""
        if deep > MOST_DEEP:
            return Found(open={ast.unparse(node)})
        match node:
            case ast.Dict(keys=keys, values=values):
                found = Found()
                for key, value in zip(keys, values, strict=True):
                    found.add(
                        self.keys(value, at, deep + 1) if key is None else self.words(key, at, deep + 1)
                    )
                return found
            case ast.BinOp(left=left, right=right):
                return self.keys(left, at, deep + 1).add(self.keys(right, at, deep + 1))
            case ast.BoolOp(values=values):
                found = Found()
                for value in values:
                    found.add(self.keys(value, at, deep + 1))
                return found
            case ast.IfExp(body=one, orelse=other):
                return self.keys(one, at, deep + 1).add(self.keys(other, at, deep + 1))
            case ast.Constant(value=None):
                return Found()
            case ast.Name(id=name):
                return self._named(name, at, deep, self.keys) or Found(open={ast.unparse(node)})
            case ast.Call(func=ast.Name(id="dict"), args=[inner]):
                return self.keys(inner, at, deep + 1)
            case ast.Call(func=func):
                return self._returned(func, at, deep, self.keys) or Found(open={ast.unparse(node)})
        return Found(open={ast.unparse(node)})

    def _values(self, node: ast.expr, at: Place, deep: int) -> Found:
        found = Found()
        for value in node.values if isinstance(node, ast.Dict) else ():
            found.add(self.words(value, at, deep + 1))
        return found

    def _named(self, name: str, at: Place, deep: int, follow) -> Found | None:
        """What a name stands for: assigned in the function, its parameter at every call, or of the module."""
        for depth in range(len(at.around), 0, -1):
            function, inside = at.around[depth - 1], Place(at.file, at.around[:depth])
            found, is_known = Found(), False
            for line in ast.walk(function):
                if (value := _assigned(line, name)) is not None:
                    is_known = True
                    found.add(follow(value, inside, deep + 1))
                elif follow == self.keys and (key := _key_set(line, name)) is not None:
                    found.add(self.words(key, inside, deep + 1))
            if not is_known and name in _parameters(function):
                is_known = True
                found.add(self._given(function, name, at, deep, follow))
            if is_known:
                return found
        for line in self.modules[at.file].body:
            if (value := _assigned(line, name)) is not None:
                return follow(value, Place(at.file, ()), deep + 1)
            if isinstance(line, ast.ImportFrom) and any(one.name == name for one in line.names):
                path = SOURCE.parent.joinpath(*(line.module or "").split(".")).with_suffix(".py")
                if path in self.modules:
                    return self._named(name, Place(path, ()), deep + 1, follow)
        return None

    def _given(self, function, name: str, at: Place, deep: int, follow) -> Found:
        """What every call of a function gives for one of its parameters; its default where it has one."""
        found, names = Found(), _parameters(function)
        is_method = names[:1] == ["self"]
        place = names.index(name) - is_method
        wide = function.name.startswith("_") or len(self.functions[function.name]) > 1
        for where, call in self.calls.get(function.name, ()):
            if wide and where.file != at.file:
                continue
            keyword = next((one.value for one in call.keywords if one.arg == name), None)
            value = keyword or (call.args[place] if place < len(call.args) else None)
            if value is not None:
                found.add(follow(value, where, deep + 1))
        if (default := _default(function, name)) is not None:
            found.add(follow(default, Place(at.file, ()), deep + 1))
        return found

    def _returned(self, func: ast.expr, at: Place, deep: int, follow) -> Found | None:
        known = self.functions.get(_last_word(func), [])
        own = [one for one in known if one[0] == at.file] or known
        if not own:
            return None
        found = Found()
        for path, function in own:
            for line in ast.walk(function):
                if isinstance(line, ast.Return) and line.value is not None:
                    found.add(follow(line.value, Place(path, (function,)), deep + 1))
        return found


def _walk(path: Path, node: ast.AST, around: tuple) -> Iterator[tuple[Place, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield Place(path, around), child
        yield from _walk(path, child, (*around, child) if is_function else around)


def _last_word(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _assigned(line: ast.AST, name: str) -> ast.expr | None:
    match line:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name) and target.id == name:
                    return value
                if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                    for one, given in zip(target.elts, value.elts, strict=True):
                        if isinstance(one, ast.Name) and one.id == name:
                            return given
        case ast.AnnAssign(target=ast.Name(id=known), value=ast.expr() as value) if known == name:
            return value
        case ast.AugAssign(target=ast.Name(id=known), value=value) if known == name:
            return value
    return None


def _key_set(line: ast.AST, name: str) -> ast.expr | None:
    match line:
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=known), slice=key)]) if known == name:
            return key
    return None


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [one.arg for one in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def _default(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> ast.expr | None:
    given = function.args
    plain = [one.arg for one in (*given.posonlyargs, *given.args)]
    defaults = dict(zip(plain[len(plain) - len(given.defaults) :], given.defaults, strict=True))
    defaults |= {
        one.arg: value for one, value in zip(given.kwonlyargs, given.kw_defaults, strict=True) if value
    }
    return defaults.get(name)


def built(programs: Programs, made: str, wanted: str, follow) -> Found:
    """What every construction of a dataclass gives for one of its fields."""
    found = Found()
    for module in programs.modules.values():
        for one in ast.walk(module):
            if isinstance(one, ast.ClassDef) and one.name == made:
                fields = [line.target.id for line in one.body if isinstance(line, ast.AnnAssign)]
                if wanted in fields:
                    place = fields.index(wanted)
                    found.add(_given_to(programs, made, wanted, place, follow))
    return found


def _given_to(programs: Programs, made: str, wanted: str, place: int, follow) -> Found:
    found = Found()
    for at, call in programs.calls.get(made, ()):
        keyword = next((one.value for one in call.keywords if one.arg == wanted), None)
        value = keyword or (call.args[place] if place < len(call.args) else None)
        if value is not None:
            found.add(follow(value, at))
    return found


@dataclass
class Written:
    """What stands in the source: the three kinds of words of an entry."""

    events: Found = field(default_factory=Found)
    outcomes: Found = field(default_factory=Found)
    facts: Found = field(default_factory=Found)


def written_by_programs(programs: Programs) -> Written:
    """Read the calls of `append_entry` and the lines that plane, node and loader write."""
    written = Written()
    for name, events, outcomes, facts in (
        ("append_entry", ("event", 0), ("outcome", 3), ("facts", 9)),
        ("Entry", ("event", 0), ("outcome", 3), ("facts", 9)),
        ("AuditEntry", ("event", 0), ("outcome", 3), ("facts", 9)),
        ("CallEntry", ("event", 0), ("outcome", 7), ("", 99)),
    ):
        for at, call in programs.calls.get(name, ()):
            given = {one.arg: one.value for one in call.keywords}
            # Other classes are called `Entry` too; the log's own has an event and an outcome.
            if name == "Entry" and not (len(call.args) > 3 or "outcome" in given):
                continue
            for found, (word, place), follow in (
                (written.events, events, programs.words),
                (written.outcomes, outcomes, programs.words),
                (written.facts, facts, programs.keys),
            ):
                value = given.get(word) or (call.args[place] if place < len(call.args) else None)
                if value is not None:
                    found.add(follow(value, at))
    return written


def written_with_sql(programs: Programs) -> Written:
    """Read the entries that a program other than control appends by a statement of its own, and what the
    plane says of how a call of an interface ended."""
    written = Written()
    for path, module in programs.modules.items():
        for at, node in _walk(path, module, ()):
            if isinstance(node, ast.Dict) and _appends(at):
                said = {key.value: value for key, value in zip(node.keys, node.values, strict=True)
                        if isinstance(key, ast.Constant)}  # fmt: skip
                if "event" in said and "outcome" in said:
                    written.facts.add(programs.keys(node, at))
                    written.events.add(programs.words(said["event"], at))
                    written.outcomes.add(programs.words(said["outcome"], at))
    for at, call in programs.calls.get("_end", ()):
        if at.file.parent.name == "interface" and len(call.args) > 3:
            written.facts.add(programs.keys(call.args[3], at))
    return written


def _appends(at: Place) -> bool:
    """Whether a function around holds the statement that appends."""
    return any(
        isinstance(line, ast.Constant) and "audit.append($" in str(line.value)
        for function in at.around
        for line in ast.walk(function)
    )


_APPENDED = re.compile(r"audit\.append\(|exchange\.record_once\(")
_OBJECT = re.compile(r"jsonb?_build_object\(")
_WORD = re.compile(r"'([a-z][a-z_0-9]*)'")
_MOST_ARGUMENTS = 12


def written_by_the_database(folder: Path = SOURCE) -> Written:
    """Read the SQL: what is appended, and every JSON object that names an event or an outcome."""
    written = Written()
    for text in (path.read_text("utf-8") for path in sorted(folder.rglob("*.sql"))):
        for start in _APPENDED.finditer(text):
            *said, outcome, body = _arguments(text, start.end())[:_MOST_ARGUMENTS]
            if len(said) < _MOST_ARGUMENTS - 3 or "uuid" in said[0]:
                # The declaration of the function itself.
                continue
            written.events.words |= set(_WORD.findall(said[2]))
            written.outcomes.words |= set(_WORD.findall(_results(_valued(outcome, text))))
            for inner in _OBJECT.finditer(body):
                written.facts.words |= _keys(_arguments(body, inner.end()))
        for start in _OBJECT.finditer(text):
            pairs = _arguments(text, start.end())
            said_of = dict(zip(pairs[::2], pairs[1::2], strict=False))
            if not {"'event'", "'outcome'"} & said_of.keys():
                continue
            written.facts.words |= _keys(pairs)
            written.events.words |= set(_WORD.findall(said_of.get("'event'", "")))
            written.outcomes.words |= set(_WORD.findall(_results(said_of.get("'outcome'", ""))))
    return written


def _keys(pairs: list[str]) -> set[str]:
    return {word for pair in pairs[::2] for word in _WORD.findall(pair)}


def _valued(expression: str, text: str) -> str:
    """What a variable is set to, for its name."""
    set_to = re.findall(rf"\b{re.escape(expression)} := ([^;]*);", text) if expression.isidentifier() else []
    return " ".join(set_to) or expression


def _results(expression: str) -> str:
    """What a CASE may give, without what it asks."""
    return re.sub(r"\bWHEN\b.*?\bTHEN\b", "", expression)


def _arguments(text: str, start: int) -> list[str]:
    """Split the arguments of a call whose parenthesis was opened before `start`."""
    found, depth, quoted, begin = [], 0, False, start
    for at in range(start, len(text)):
        character = text[at]
        if character == "'":
            quoted = not quoted
        elif not quoted and character in "([":
            depth += 1
        elif not quoted and character == "," and depth == 0:
            found.append(text[begin:at].strip())
            begin = at + 1
        elif not quoted and character in ")]":
            if depth == 0:
                return [*found, text[begin:at].strip()]
            depth -= 1
    return found
