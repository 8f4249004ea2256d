"""How names become search terms: pieces of one to three characters, words and pinyin. Pure functions.

A term is one of: a piece of a text (`出生登`), the same of an entry's own name (`^出生登`), syllables
(`~chu`, `~chu.sheng`), initials (`=cs`, `=csd`) and, added by the database, the code (`#10101201`). But for
codes their number is bounded by the language, so no prefix has to look through millions of them.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import rjieba
from pypinyin import Style, lazy_pinyin

from shuqiao.control.catalogue.synonyms import synonym_file

MAX_TERMS = 12
MAX_SYNONYMS = 8
_UNIT = re.compile(r"[0-9a-z]+|.")


@dataclass(frozen=True)
class SearchText:
    """The search columns of one entry: its terms, and its name plain, as pinyin and as initials."""

    terms: tuple[str, ...]
    name: str
    pinyin_key: str
    initials: str


@dataclass(frozen=True)
class Piece:
    """A word that must occur, or one of the words that stand for it."""

    text: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class QueryTerms:
    """A query taken apart: its Chinese runs whole, the words they are cut into, and its Latin runs."""

    chunks: tuple[str, ...]
    pieces: tuple[Piece, ...]
    latin: tuple[str, ...]

    @property
    def needles(self) -> tuple[str, ...]:
        """Every text that is marked where it occurs."""
        return tuple(dict.fromkeys(text for piece in self.pieces for text in (piece.text, *piece.also)))

    @property
    def synonyms(self) -> tuple[str, ...]:
        """Words that were looked for besides those of the query."""
        return tuple(dict.fromkeys(text for piece in self.pieces for text in piece.also))


def normalise(text: str) -> str:
    """Fold full width and case, drop what is neither letter nor digit: marks separate words."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())


def words_of(text: str) -> list[str]:
    """Cut a text into words and the shorter words within them."""
    return [word for word in rjieba.cut_for_search(normalise(text)) if word.strip()]


def units_of(run: str) -> list[str]:
    """Cut a normalised run into characters; digits and Latin letters stay together."""
    return _UNIT.findall(run)


def _runs_of(units: Sequence[str], size: int) -> list[str]:
    return ["".join(units[at : at + size]) for at in range(len(units) - size + 1)]


def pieces_of(text: str) -> tuple[str, ...]:
    """Return the pieces of one, two and three characters of a text; none reaches over a mark or space."""
    found: list[str] = []
    for run in normalise(text).split():
        units = units_of(run)
        for size in (1, 2, 3):
            found += _runs_of(units, size)
    return tuple(found)


@lru_cache(maxsize=50_000)
def _word_sounds(word: str) -> tuple[str, ...]:
    return tuple(lazy_pinyin(word, style=Style.NORMAL, errors=lambda run: f" {run.replace(' ', '')}"))


def _sounds(text: str) -> list[str]:
    """Pinyin of a text, a syllable for each character; what has none stands there after a space."""
    return [sound for word in rjieba.cut(normalise(text)) for sound in _word_sounds(word)]


def syllables_of(text: str) -> tuple[str, ...]:
    """Return the pinyin of the Chinese characters of a text, one syllable each."""
    return tuple(sound for sound in _sounds(text) if not sound.startswith(" "))


def pinyin_terms(text: str) -> tuple[str, ...]:
    """Return syllables, pairs of them, and two and three initials in a row."""
    syllables = syllables_of(text)
    initials = [syllable[0] for syllable in syllables]
    pairs = [".".join(syllables[at : at + 2]) for at in range(len(syllables) - 1)]
    return (
        *(f"~{one}" for one in (*syllables, *pairs)),
        *(f"={one}" for size in (2, 3) for one in _runs_of(initials, size)),
    )


@lru_cache(maxsize=1_000)
def _word_pieces(text: str) -> tuple[str, ...]:
    """Pieces of the words of a running text: what stands in different words is not looked for together."""
    return tuple(dict.fromkeys(piece for word in words_of(text) if len(word) > 1 for piece in _needed(word)))


@lru_cache(maxsize=20_000)
def _item_terms(zh: str, en: str) -> tuple[str, ...]:
    return (*pieces_of(zh), *pinyin_terms(zh), *(word for word in normalise(en).split() if word.isascii()))


def search_text(
    title: str, title_en: str, items: Iterable[tuple[str, str]], others: Iterable[str]
) -> SearchText:
    """Prepare the search terms from an entry's names, its items' names and further texts."""
    own = (*pieces_of(title), *pieces_of(title_en))
    found = {*own, *(f"^{piece}" for piece in own), *pinyin_terms(title)}
    for zh, en in items:
        found.update(_item_terms(zh, en))
    for text in others:
        found.update(_word_pieces(text))
    return SearchText(
        tuple(found),
        normalise(title).replace(" ", ""),
        "".join(_sounds(title)).replace(" ", "")[:400],
        "".join(syllable[0] for syllable in syllables_of(title))[:100],
    )


def query_terms(text: str, *, plain: bool = False) -> QueryTerms:
    """Take a query apart; at most `MAX_TERMS` words of each kind. `plain` leaves synonyms out."""
    runs = normalise(text).split()[:MAX_TERMS]
    latin = tuple(run for run in runs if run.isascii())
    chunks = tuple(run for run in runs if not run.isascii())
    pieces = tuple(piece for chunk in chunks for piece in _cut(chunk, plain))
    return QueryTerms(chunks, pieces[:MAX_TERMS], latin)


def _cut(chunk: str, plain: bool) -> list[Piece]:
    """Cut a run into words; the longest word that has synonyms goes first where several begin."""
    found: list[Piece] = []
    words, rest = {} if plain else synonyms(), ""
    at = 0
    while at < len(chunk):
        ends = range(min(len(chunk), at + _longest_synonym()), at + 1, -1) if words else ()
        end = next((end for end in ends if chunk[at:end] in words), 0)
        if end:
            found += [Piece(word) for word in _plain_words(rest)]
            found.append(Piece(chunk[at:end], words[chunk[at:end]]))
            rest, at = "", end
        else:
            rest, at = rest + chunk[at], at + 1
    return found + [Piece(word) for word in _plain_words(rest)]


def _plain_words(text: str) -> list[str]:
    return [word for word in rjieba.cut(text) if word.strip()] if text else []


@cache
def synonyms() -> dict[str, tuple[str, ...]]:
    """Each word of the file with those that stand for it; none that is only a part of the word itself."""
    given = synonym_file()
    found: dict[str, dict[str, None]] = {}
    for group in (*given.same, *given.related):
        plain = [normalise(word).replace(" ", "") for word in group]
        for word in plain:
            others = (other for other in plain if other != word and other not in word and word not in other)
            found.setdefault(word, {}).update(dict.fromkeys(others))
    return {word: tuple(others)[:MAX_SYNONYMS] for word, others in found.items() if others}


@cache
def _longest_synonym() -> int:
    return max((len(word) for word in synonyms()), default=0)


def _needed(text: str) -> list[str]:
    """The fewest pieces that a text with this word must have: its threes, or itself."""
    units = units_of(text)
    return _runs_of(units, min(3, len(units)))


def tsquery(terms: QueryTerms, mark: str = "") -> str:
    """Return the condition on the terms as a tsquery; with mark `^` on the entry's own name only."""
    parts = [_any_of(_all_of(word, mark) for word in (piece.text, *piece.also)) for piece in terms.pieces]
    parts += [_latin(run, mark) for run in terms.latin]
    return " & ".join(f"({part})" for part in parts)


def _all_of(word: str, mark: str) -> str:
    return " & ".join(quoted(mark + piece) for piece in _needed(word))


def _any_of(parts: Iterable[str]) -> str:
    return " | ".join(f"({part})" for part in parts)


def quoted(term: str) -> str:
    """Quote a term for a tsquery."""
    return "'" + term.replace("\\", "\\\\").replace("'", "''") + "'"


def _latin(run: str, mark: str) -> str:
    """A Latin run is an English word or number, pinyin, initials or the beginning of a code."""
    prefix = ":*" if len(run) > 1 else ""
    parts = [quoted(mark + run) + prefix]
    if run.isdigit() and len(run) >= 5:
        parts.append(quoted(f"#{run}") + ":*")
    if run.isalpha() and 2 <= len(run) <= 12:
        parts.append(" & ".join(quoted(f"={one}") for one in _runs_of(run, min(3, len(run)))))
    parts += [_syllable_query(cut) for cut in pinyin_cuts(run)]
    return _any_of(parts)


def _syllable_query(syllables: tuple[str, ...]) -> str:
    if len(syllables) == 1:
        return quoted(f"~{syllables[0]}") + ":*"
    pairs = [".".join(syllables[at : at + 2]) for at in range(len(syllables) - 1)]
    return " & ".join([*(quoted(f"~{pair}") for pair in pairs[:-1]), quoted(f"~{pairs[-1]}") + ":*"])


@cache
def _known_syllables() -> tuple[frozenset[str], frozenset[str]]:
    """All syllables of the common characters, and all their beginnings."""
    characters = "".join(map(chr, range(0x4E00, 0x9FA6)))
    given = frozenset(lazy_pinyin(list(characters), style=Style.NORMAL))
    # Interjections without a vowel would cut words where no reader would.
    known = frozenset(s for s in given if s.isascii() and any(vowel in s for vowel in "aeiouv"))
    return known, frozenset(s[:end] for s in known for end in range(1, len(s) + 1))


@lru_cache(maxsize=1_000)
def pinyin_cuts(run: str) -> tuple[tuple[str, ...], ...]:
    """Cut a Latin run into syllables in at most four ways; the last syllable may be unfinished."""
    if not run.isalpha() or len(run) < 2 or len(run) > 40:
        return ()
    known, beginnings = _known_syllables()
    found: list[tuple[str, ...]] = []
    waiting: list[tuple[tuple[str, ...], str]] = [((), run)]
    while waiting and len(found) < 4:
        done, rest = waiting.pop()
        if rest in beginnings and (len(rest) > 1 or done) and (rest in known or done or len(rest) > 2):
            found.append((*done, rest))
        # The longest beginning is looked at first, so it is put on top last.
        waiting += [
            ((*done, rest[:n]), rest[n:]) for n in range(1, min(6, len(rest) - 1) + 1) if rest[:n] in known
        ]
    return tuple(found)
