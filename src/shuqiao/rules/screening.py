"""Whether a value bears a mark of secrecy, or a personal number where none is declared, for both sides.

The rules are data. A pattern is literal text, in which `#` stands for a run of digits and `[…]` for one of
the characters inside; no pattern can take long, whatever the value is. A mark is looked for without blanks,
wide letters and case. Nothing here keeps or returns a value.
Source: our choice, decision 46.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from shuqiao.rules.identifiers import check_citizen_id

Kind = Literal["mark", "citizen_id", "bank_card", "phone"]
Action = Literal["hold", "stop", "off"]
KINDS: tuple[Kind, ...] = ("mark", "citizen_id", "bank_card", "phone")
ACTIONS: tuple[Action, ...] = ("hold", "stop", "off")

MAX_RULES = 40
MAX_PATTERNS = 60
MAX_PATTERN_CHARS = 40
MAX_PLACES = 500
LEAST_LITERAL = 2
"""A pattern needs so many literal characters in a row: with fewer it would find nearly everything."""

DECLARED: dict[str, frozenset[str]] = {
    "citizen_id": frozenset({"citizen_id", "document"}),
    "bank_card": frozenset({"citizen_id", "credit_code", "document"}),
    "phone": frozenset({"contact", "document"}),
}
"""Kinds of items in which such a number is to be expected."""

_LEAST_DIGITS = 11
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_PLACE = re.compile(r"r[0-9]{6}[a-z2-7]{10}(/[a-z][a-z0-9_]{0,62})?|[a-z][a-z0-9_]{0,62}", re.ASCII)
_PARTS = re.compile(r"\[([^\[\]#]{1,20})\]|(#+)|([^\[\]#]+)")
_BLANK = b" \t\r\n\v\f"
_HIDDEN = re.compile("[\\s\u00ad\u200b-\u200f\u2060\ufeff]+")
# Wide letters and digits, blanks of several bytes, marks nobody sees: such a column is read value by value.
_ODD = re.compile(
    rb"\xef\xbc[\x90-\xba]|\xef\xbd[\x81-\x9a]|\xe3\x80\x80|\xe2\x80[\x80-\x8f\xa8\xa9\xaf]|\xe2\x81\xa0"
    rb"|\xef\xbb\xbf|\xc2[\x85\xa0\xad]"
)
BETWEEN = b"\x01"
"""Stands between the values of a column; where a value holds it too, each of them is read by itself."""

_DIGITS = bytes(48 if 48 <= code <= 57 else 1 if code == BETWEEN[0] else 32 for code in range(256))
_DIGIT = re.compile("[0-9]")
_DENSE = re.compile("[0-9]{11}")
_RUN = re.compile(r"(?<![0-9])[0-9]{11,19}(?![0-9])[Xx]?")
_PHONE = re.compile(r"(?:86)?1[3-9][0-9]{9}")


@dataclass(frozen=True)
class Rule:
    """One rule: what it looks for, what is done, and where.

    `patterns` are those of a mark, or the first digits of bank cards. `only` and `besides` name places: an
    item, a resource, or `resource/item`; where `only` is empty the rule is for every place.
    """

    key: str
    zh: str
    en: str
    kind: Kind
    action: Action = "hold"
    patterns: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """All rules that are in force, under the number of their version; 0 are those that are shipped."""

    version: int
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class RuleFault:
    """What is wrong with a rule: its key, the field, and a word for it."""

    key: str
    field: str
    code: str


def faults_of(rules: Sequence[Rule]) -> list[RuleFault]:
    """Return why rules can't be put into force; nothing where they can."""
    faults = [RuleFault("", "rules", "too_many")] if len(rules) > MAX_RULES else []
    keys = [rule.key for rule in rules]
    for rule in rules:
        if _KEY.fullmatch(rule.key) is None or keys.count(rule.key) > 1:
            faults.append(RuleFault(rule.key, "key", "key_wrong"))
        if not (0 < len(rule.zh) <= 100 and 0 < len(rule.en) <= 200 and (rule.zh + rule.en).isprintable()):
            faults.append(RuleFault(rule.key, "words", "words_missing"))
        if rule.kind not in KINDS or rule.action not in ACTIONS:
            faults.append(RuleFault(rule.key, "kind", "kind_unknown"))
        faults += [RuleFault(rule.key, "patterns", code) for code in _pattern_faults(rule)]
        places = (*rule.only, *rule.besides)
        if len(places) > MAX_PLACES or any(_PLACE.fullmatch(place) is None for place in places):
            faults.append(RuleFault(rule.key, "places", "place_unknown"))
    return faults


def _pattern_faults(rule: Rule) -> list[str]:
    if rule.kind == "bank_card":
        right = all(re.fullmatch(r"[0-9]{1,8}", one, re.ASCII) for one in rule.patterns)
        return [] if rule.patterns and right else ["prefix_wrong"]
    if rule.kind != "mark":
        return ["patterns_needless"] if rule.patterns else []
    if not 0 < len(rule.patterns) <= MAX_PATTERNS:
        return ["patterns_missing" if not rule.patterns else "too_many"]
    return sorted({code for one in rule.patterns if (code := _pattern_fault(one))})


def _pattern_fault(pattern: str) -> str:
    parts = _PARTS.findall(_plain(pattern))
    rebuilt = "".join(f"[{one}]" if one else run or text for one, run, text in parts)
    if len(pattern) > MAX_PATTERN_CHARS or not pattern.isprintable() or rebuilt != _plain(pattern):
        return "pattern_unreadable"
    if _is_ambiguous(parts):
        return "pattern_unreadable"
    return "" if len(_anchor(pattern)) >= LEAST_LITERAL else "pattern_short"


def _is_ambiguous(parts: Sequence[tuple[str, str, str]]) -> bool:
    """Say whether a run of digits could end in several places: many such in a pattern take for ever."""
    return any(
        before[1] and (_DIGIT.search(after[0]) or _DIGIT.match(after[2])) for before, after in pairwise(parts)
    )


def _plain(text: str) -> str:
    """Return a text without blanks, wide forms and case."""
    return _HIDDEN.sub("", unicodedata.normalize("NFKC", text)).lower()


def _anchor(pattern: str) -> str:
    """Return the longest run of letters that every text of a pattern holds as it is written."""
    literals = [text for _, _, text in _PARTS.findall(_plain(pattern))]
    runs = [run for text in literals for run in re.findall(r"\w+", text)]
    return max(runs, key=len, default="")


def _compiled(pattern: str) -> re.Pattern[str]:
    parts = [
        f"[{re.escape(one)}]" if one else f"[0-9]{{{len(run)},{8 * len(run)}}}" if run else re.escape(text)
        for one, run, text in _PARTS.findall(_plain(pattern))
    ]
    return re.compile("".join(parts))


@dataclass(frozen=True)
class _Run:
    """A run of digits in a text; `free` where no letter stands beside it, as in a digest."""

    text: str
    free: bool


_Check = Callable[[_Run], bool]


def _runs(text: str) -> Iterable[_Run]:
    for found in _RUN.finditer(text):
        beside = text[max(0, found.start() - 1) : found.start()] + text[found.end() : found.end() + 1]
        yield _Run(found[0].upper(), not any(one.isascii() and one.isalpha() for one in beside))


@dataclass(frozen=True)
class ItemScreen:
    """What is looked for in one item: `find` says in which rules a value is caught."""

    marks: tuple[tuple[str, re.Pattern[str]], ...]
    words: tuple[str, ...]
    anchors: tuple[bytes, ...]
    numbers: tuple[tuple[str, _Check], ...]

    def suspects(self, column: bytes, count: int) -> Iterable[int]:
        """Say which of so many values, in UTF-8 with `BETWEEN` between them, may be caught: quick."""
        if _ODD.search(column) or column.count(BETWEEN) != count - 1:
            return range(count)
        squeezed = column.translate(None, _BLANK).lower()
        found = {place for anchor in self.anchors for place in _holding(squeezed, anchor)}
        if self.numbers:
            found.update(_holding(squeezed.translate(_DIGITS, b"-"), b"0" * _LEAST_DIGITS))
        return sorted(found)

    def find(self, value: str) -> tuple[str, ...]:
        """Return the keys of the rules that a value is caught in."""
        plain = _plain(value)
        found = []
        if any(anchor in plain for anchor in self.words):
            found = [key for key, pattern in self.marks if pattern.search(plain)]
        if self.numbers and len(value) >= _LEAST_DIGITS:
            joined = plain.replace("-", "")
            if _DENSE.search(joined):
                runs = {*_runs(unicodedata.normalize("NFKC", value)), *_runs(joined)}
                found += [key for key, fits in self.numbers if any(map(fits, runs))]
        return tuple(dict.fromkeys(found))


def _holding(column: bytes, wanted: bytes) -> Iterable[int]:
    place = begin = 0
    while (at := column.find(wanted, begin)) >= 0:
        place += column.count(BETWEEN, begin, at)
        yield place
        begin = column.find(BETWEEN, at)
        if begin < 0:
            return


@dataclass(frozen=True)
class Screen:
    """Rules in force, for any item; items of one kind and place share what is made of them."""

    rules: Rules
    _made: dict[tuple[str, str, str], ItemScreen | None] = field(default_factory=dict, compare=False)

    def of_item(self, resource: str, item: str, kind: str) -> ItemScreen | None:
        """Return what is looked for in an item of this kind; None where it is nothing."""
        place = (resource, item, kind)
        if place not in self._made:
            self._made[place] = _screen_of([one for one in self.rules.rules if _is_for(one, *place)])
        return self._made[place]

    def rule(self, key: str) -> Rule | None:
        """Return a rule by its key."""
        return next((one for one in self.rules.rules if one.key == key), None)


def _is_for(rule: Rule, resource: str, item: str, kind: str) -> bool:
    places = {item, resource, f"{resource}/{item}"}
    if rule.action == "off" or places & set(rule.besides) or (rule.only and not places & set(rule.only)):
        return False
    return kind not in DECLARED.get(rule.kind, frozenset())


def _screen_of(rules: Iterable[Rule]) -> ItemScreen | None:
    rules = list(rules)
    marks = [(rule.key, pattern) for rule in rules if rule.kind == "mark" for pattern in rule.patterns]
    numbers = [(rule.key, _number_check(rule)) for rule in rules if rule.kind != "mark"]
    if not marks and not numbers:
        return None
    words = tuple(sorted({_anchor(pattern) for _, pattern in marks}))
    return ItemScreen(
        marks=tuple((key, _compiled(pattern)) for key, pattern in marks),
        words=words,
        anchors=tuple(word.encode() for word in words),
        numbers=tuple(numbers),
    )


def _number_check(rule: Rule) -> _Check:
    if rule.kind == "citizen_id":
        return lambda run: check_citizen_id(run.text).ok
    if rule.kind == "phone":
        return lambda run: run.free and _PHONE.fullmatch(run.text) is not None
    return lambda run: run.free and _is_card(run.text, rule.patterns)


def _is_card(number: str, begins: tuple[str, ...]) -> bool:
    return number.startswith(begins) and 16 <= len(number) <= 19 and passes_luhn(number)


def passes_luhn(number: str) -> bool:
    """Say whether a number of digits passes Luhn's check. Source: ISO/IEC 7812-1."""
    if not number.isascii() or not number.isdigit():
        return False
    doubled = "0246813579"
    total = sum(
        int(digit if place % 2 == 0 else doubled[int(digit)]) for place, digit in enumerate(number[::-1])
    )
    return total % 10 == 0
