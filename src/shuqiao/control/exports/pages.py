"""What the public pages show: the entries that are open, found by words and by subject."""

from dataclasses import dataclass

from shuqiao.control.accounts.access import NotFound
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.exports.entries import Named, SharedEntry, prepared, read
from shuqiao.control.exports.readers import Reader, visible
from shuqiao.control.exports.selecting import MAX_QUERY_CHARS, Condition, counts, ranked, select

PAGE_SIZE = 10
MAX_PAGE = 1000


@dataclass(frozen=True)
class SubjectCount:
    """A subject (项) that has open entries, and how many."""

    theme: Named
    count: int
    selected: bool


@dataclass(frozen=True)
class OpenPage:
    """One page of the open entries."""

    query: str
    subject: str
    entries: tuple[SharedEntry, ...]
    subjects: tuple[SubjectCount, ...]
    total: int
    page: int
    pages: int


def open_page(text: str, subject: str, page: int) -> OpenPage:
    """Find open entries; a subject that doesn't exist is left out."""
    asked = text.strip()[:MAX_QUERY_CHARS]
    known = vocabulary().subjects
    chosen = subject if subject in known else ""
    everywhere = select(Reader.PUBLIC, asked, ())
    within = select(Reader.PUBLIC, asked, [Condition("subject", (chosen,))]) if chosen else everywhere
    total = within.count()
    pages = max(1, -(-total // PAGE_SIZE))
    number = max(1, min(page, pages, MAX_PAGE))
    rows = prepared(ranked(within, asked))[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    subjects = [
        SubjectCount(Named(key, known[key], key), n, key == chosen)
        for key, n in counts(everywhere, "subject")
        if key in known
    ]
    entries = tuple(read(list(rows), Reader.PUBLIC))
    return OpenPage(asked, chosen, entries, tuple(subjects), total, number, pages)


def open_entry(resource: str) -> SharedEntry:
    """Return an open entry; raises `NotFound` for one that is hidden as for one that isn't there."""
    found = list(read(list(prepared(visible(Reader.PUBLIC).filter(id=resource))), Reader.PUBLIC))
    if not found:
        raise NotFound
    return found[0]
