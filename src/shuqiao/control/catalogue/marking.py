"""Marking in a text what a search matched: words, their synonyms, and what was typed as pinyin. Pure."""

from dataclasses import dataclass

from shuqiao.control.catalogue.words import QueryTerms, normalise, pinyin_cuts, syllables_of


@dataclass(frozen=True)
class Fragment:
    """A piece of a text; `hit` marks what matched."""

    text: str
    hit: bool


def occurs(zh: str, en: str, terms: QueryTerms) -> bool:
    """Tell whether anything of a query stands in a name, as a word, a synonym, English or pinyin."""
    if any(_matched(zh, terms)):
        return True
    words = normalise(en).split()
    return any(word.startswith(run) for run in terms.latin for word in words)


def fragments(text: str, terms: QueryTerms) -> tuple[Fragment, ...]:
    """Cut a text where the query occurs in it: whole where it can be, else its words and their synonyms."""
    hit = _matched(text, terms)
    pieces: list[Fragment] = []
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or hit[at] != hit[start]:
            pieces.append(Fragment(text[start:at], hit[start]))
            start = at
    return tuple(pieces)


def _matched(text: str, terms: QueryTerms) -> list[bool]:
    hit = [False] * len(text)
    plain = text.lower()
    whole = [chunk for chunk in terms.chunks if chunk in plain]
    words = [one for one in terms.needles if len(one) > 1 or one in terms.chunks]
    for needle in (*(whole or words), *(run for run in terms.latin if len(run) > 1)):
        _mark(hit, plain, needle)
    if terms.latin and not any(hit):
        _mark_sounds(hit, text, terms.latin)
    return hit


def _mark(hit: list[bool], text: str, needle: str) -> None:
    at = text.find(needle)
    while at >= 0:
        hit[at : at + len(needle)] = [True] * len(needle)
        at = text.find(needle, at + 1)


def _mark_sounds(hit: list[bool], text: str, runs: tuple[str, ...]) -> None:
    """Mark characters whose syllables or initials a Latin run spells."""
    places = [at for at, character in enumerate(text) if not character.isascii() and character.isalpha()]
    syllables = syllables_of(text)
    if len(places) != len(syllables):
        return
    initials = "".join(syllable[0] for syllable in syllables)
    for run in runs:
        for at in range(len(places)):
            length = _spelt(syllables[at:], run) or (len(run) if initials.startswith(run, at) else 0)
            if len(run) > 1:
                for place in places[at : at + length]:
                    hit[place] = True


def _spelt(syllables: tuple[str, ...], run: str) -> int:
    """How many syllables from the first a run spells, the last of them perhaps unfinished; 0 for none."""
    for cut in pinyin_cuts(run):
        here = syllables[: len(cut)]
        if len(here) == len(cut) and here[:-1] == cut[:-1] and here[-1].startswith(cut[-1]):
            return len(cut)
    return 0
