"""How names become search terms: words, character pairs and pinyin. Pure functions."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import rjieba
from pypinyin import Style, lazy_pinyin

MAX_TERMS = 12


@dataclass(frozen=True)
class SearchText:
    """The search columns of one entry, as space-separated terms."""

    text: str
    title_words: str
    item_words: str
    other_words: str
    grams: str
    pinyin: str
    pinyin_key: str


@dataclass(frozen=True)
class QueryTerms:
    """A query taken apart. `chunks` are substrings to find exactly, `latin` prefixes of pinyin or English."""

    words: str
    chunks: tuple[str, ...]
    grams: str
    latin: tuple[str, ...]


def normalise(text: str) -> str:
    """Fold full width and case, drop what is neither letter nor digit: marks separate words."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())


def words_of(text: str) -> list[str]:
    """Cut a text into words and the shorter words within them."""
    return [word for word in rjieba.cut_for_search(normalise(text)) if word.strip()]


def grams_of(text: str) -> list[str]:
    """Return single characters and neighbouring pairs of every run of characters in a text."""
    found: list[str] = []
    for run in normalise(text).split():
        found += list(run)
        found += [run[at : at + 2] for at in range(len(run) - 1)]
    return found


def pinyin_of(text: str) -> list[str]:
    """Return pinyin and initials of a Chinese text from every syllable to its end.

    With a prefix match a reader may so begin at any syllable: chusheng, cs, dengji, dj.
    """
    syllables = [s for s in lazy_pinyin(normalise(text), style=Style.NORMAL, errors="ignore") if s.isascii()]
    tails = range(len(syllables))
    return ["".join(syllables[at:]) for at in tails] + ["".join(s[0] for s in syllables[at:]) for at in tails]


def search_text(
    title: str, title_en: str, items: Iterable[tuple[str, str]], others: Iterable[str]
) -> SearchText:
    """Prepare the search columns from an entry's names, its items' names and further texts."""
    named = list(items)
    lines = [title, *(zh for zh, _ in named)]
    return SearchText(
        text="\n".join(
            normalise(line).replace(" ", "") for line in [*lines, title_en, *(en for _, en in named)]
        ),
        title_words=" ".join(words_of(title) + words_of(title_en)),
        item_words=" ".join(word for zh, en in named for word in words_of(zh) + words_of(en)),
        other_words=" ".join(word for text in others for word in words_of(text)),
        grams=" ".join(dict.fromkeys(gram for line in lines for gram in grams_of(line))),
        pinyin=" ".join(dict.fromkeys(tail for line in lines for tail in pinyin_of(line))),
        pinyin_key="".join(lazy_pinyin(normalise(title), style=Style.NORMAL))[:400],
    )


def query_terms(text: str) -> QueryTerms:
    """Take a query apart; at most `MAX_TERMS` pieces of each kind are looked at."""
    runs = normalise(text).split()[:MAX_TERMS]
    latin = tuple(run for run in runs if run.isascii())
    chunks = tuple(run for run in runs if not run.isascii())
    return QueryTerms(
        words=" ".join(words_of(" ".join(chunks))[:MAX_TERMS]),
        chunks=chunks,
        grams=" ".join(gram for chunk in chunks for gram in _query_grams(chunk)),
        latin=latin,
    )


def _query_grams(chunk: str) -> list[str]:
    if len(chunk) == 1:
        return [chunk]
    return [chunk[at : at + 2] for at in range(len(chunk) - 1)]
