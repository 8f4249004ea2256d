"""The catalogue as DCAT 3, in the profile DCAT-AP 3.0: entries become datasets of a catalogue.

An entry is a `dcat:Dataset` at an address of its own; each mode, file or interface that serves it is a
`dcat:Distribution`; a base library is the `dcat:DatasetSeries` its entries belong to. Terms that several
entries share are described once in a document. The words of entries stand in Chinese and, where there are
any, in English.
Source: W3C DCAT 3; DCAT-AP 3.0; our choice, decision 17.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shuqiao.control.exports.entries import Named, PastVersion, Publisher, SharedEntry
from shuqiao.control.exports.eu_terms import (
    LANGUAGES,
    THEMES,
    Authority,
    access_right,
    file_type,
    frequency,
)
from shuqiao.control.exports.rdf import Iri, Node, Value, Words
from shuqiao.control.exports.readers import Places, Reader
from shuqiao.control.texts import Text

PROFILE = "http://data.europa.eu/r5r/"
# What an entry itself is written by: the guide of 2017 has no address of its own.
CORE_METADATA = Text("政务信息资源目录编制指南（试行）核心元数据", "Core metadata of the guide of 2017")

Properties = tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class CataloguePage:
    """One page of the catalogue: its own and the next address, and how many entries there are in all."""

    title: Text
    description: Text
    publisher: Publisher
    total: int
    address: str
    first: str
    following: str | None


@dataclass
class Graph:
    """Nodes of one document; a term is described where it is first used, and once."""

    places: Places
    reader: Reader
    described: set[str]

    def catalogue(self, page: CataloguePage, entries: Iterable[SharedEntry]) -> Iterator[Node]:
        """Give the page of the catalogue, then its entries with everything they name."""
        found = list(entries)
        yield self._catalogue_node(page, found)
        yield self._page_node(page)
        yield from self.publisher(page.publisher)
        yield from self._scheme()
        for language in LANGUAGES.values():
            yield from self._authority(language)
        for entry in found:
            yield from self.dataset(entry)

    def dataset(self, entry: SharedEntry, versions: Sequence[PastVersion] = ()) -> Iterator[Node]:
        """Give one entry with everything it names, and the versions it has had."""
        address = self.places.dataset(entry.id)
        had: Properties = tuple(
            ("dcat:hasVersion", Iri(self.places.version(entry.id, one.version))) for one in versions
        )
        yield Node(address, ("dcat:Dataset",), self._dataset_properties(entry, address) + had)
        for version in versions:
            yield self._version(entry, version)
        for number, one in enumerate(self._distributions(entry), start=1):
            yield Node(f"{address}#distribution-{number}", ("dcat:Distribution",), one)
        yield from self._terms(entry)

    def publisher(self, publisher: Publisher) -> Iterator[Node]:
        """Describe a department as publisher and as contact."""
        if not self._first(f"department {publisher.code}"):
            return
        iri = self.places.term("department", publisher.code)
        given: Properties = (*_in_both("foaf:name", publisher.name), ("dct:identifier", publisher.code))
        if publisher.credit_code:
            given += (("dct:identifier", publisher.credit_code),)
        yield Node(iri, ("foaf:Agent", "foaf:Organization"), given)
        contact = self.places.term("contact", publisher.code)
        yield Node(contact, ("vcard:Kind", "vcard:Organization"), _in_both("vcard:fn", publisher.name))

    def theme(self, theme: Named) -> Iterator[Node]:
        """Describe a class or subject of the classification."""
        if self._first(f"theme {theme.key}"):
            scheme: Properties = (("skos:inScheme", Iri(self._scheme_iri())), ("skos:notation", theme.key))
            iri = self.places.term("theme", theme.key)
            yield Node(iri, ("skos:Concept",), (*_in_both("skos:prefLabel", theme.words), *scheme))

    def series(self, library: Named) -> Iterator[Node]:
        """Describe a library as the series that its entries belong to."""
        if library.key and self._first(f"series {library.key}"):
            iri = self.places.term("series", library.key)
            words = _in_both("dct:title", library.words) + _in_both("dct:description", library.words)
            yield Node(iri, ("dcat:DatasetSeries",), words)

    def _version(self, entry: SharedEntry, version: PastVersion) -> Node:
        """Describe what an entry was in one version; its department answers for all of them."""
        given: Properties = (
            *_in_both("dct:title", version.name),
            *_in_both("dct:description", version.summary),
            ("dct:publisher", Iri(self.places.term("department", entry.publisher.code))),
            ("dct:issued", version.published_at),
            ("dcat:version", str(version.version)),
            ("dcat:isVersionOf", Iri(self.places.dataset(entry.id))),
            *_in_both("adms:versionNotes", version.note),
        )
        return Node(self.places.version(entry.id, version.version), ("dcat:Dataset",), given)

    def _first(self, term: str) -> bool:
        """Tell whether a term is met for the first time in this document."""
        new = term not in self.described
        self.described.add(term)
        return new

    def _catalogue_node(self, page: CataloguePage, entries: Sequence[SharedEntry]) -> Node:
        given: Properties = (
            *_in_both("dct:title", page.title),
            *_in_both("dct:description", page.description),
            ("dct:publisher", Iri(self.places.term("department", page.publisher.code))),
            ("dct:conformsTo", Iri(PROFILE)),
            *(("dct:language", Iri(one.iri)) for one in LANGUAGES.values()),
            ("dcat:themeTaxonomy", Iri(self._scheme_iri())),
            ("foaf:homepage", Iri(self._homepage())),
            ("hydra:totalItems", page.total),
            ("hydra:view", Iri(page.address)),
            *(("dcat:dataset", Iri(self.places.dataset(entry.id))) for entry in entries),
        )
        if entries:
            given += (("dct:modified", max(entry.modified for entry in entries)),)
        return Node(self.places.catalogue(), ("dcat:Catalog", "hydra:Collection"), given)

    def _page_node(self, page: CataloguePage) -> Node:
        given: Properties = (("hydra:first", Iri(page.first)),)
        if page.following is not None:
            given += (("hydra:next", Iri(page.following)),)
        return Node(page.address, ("hydra:PartialCollectionView",), given)

    def _homepage(self) -> str:
        return (
            f"{self.places.base}/open/" if self.reader is Reader.PUBLIC else f"{self.places.base}/catalogue/"
        )

    def _scheme_iri(self) -> str:
        return self.places.term("scheme", "classification")

    def _scheme(self) -> Iterator[Node]:
        if self._first("scheme"):
            words = _in_both(
                "dct:title", Text("政务信息资源分类", "Classification of government information")
            )
            yield Node(self._scheme_iri(), ("skos:ConceptScheme",), words)
            standard = _in_both("dct:title", CORE_METADATA)
            yield Node(self.places.term("standard", "core-metadata"), ("dct:Standard",), standard)
            yield Node(PROFILE, ("dct:Standard",), (("dct:title", "DCAT-AP"),))
            yield Node(self._homepage(), ("foaf:Document", "rdfs:Resource"), ())

    def _dataset_properties(self, entry: SharedEntry, address: str) -> Properties:
        eu_theme = THEMES.get(entry.subject[:3])
        access = access_right(entry.openness, open_to_public=entry.open_to_public)
        page = self.places.page(entry.id, self.reader)
        return (
            *_in_both("dct:title", entry.name),
            *_in_both("dct:description", entry.summary),
            ("dct:identifier", entry.id),
            ("adms:identifier", Iri(f"{address}#code")),
            ("dct:publisher", Iri(self.places.term("department", entry.publisher.code))),
            ("dcat:contactPoint", Iri(self.places.term("contact", entry.publisher.code))),
            *(("dcat:theme", Iri(self.places.term("theme", theme.key))) for theme in entry.themes),
            *((("dcat:theme", Iri(eu_theme.iri)),) if eu_theme else ()),
            *(pair for words in entry.keywords for pair in _in_both("dcat:keyword", words)),
            ("dct:accrualPeriodicity", Iri(frequency(entry.cycle.key).iri)),
            ("dct:accessRights", Iri(access.iri)),
            ("dct:issued", entry.issued),
            ("dct:modified", entry.modified),
            ("dcat:version", str(entry.version)),
            ("dct:conformsTo", Iri(self.places.term("standard", "core-metadata"))),
            *(("dct:conformsTo", Iri(self._standard(name))) for name in standards_of(entry)),
            ("dct:language", Iri(LANGUAGES["zh"].iri)),
            ("dct:spatial", Iri(self.places.term("region", entry.region))),
            ("dcat:landingPage", Iri(page)),
            *(
                (("dcat:inSeries", Iri(self.places.term("series", entry.library.key))),)
                if entry.library.key
                else ()
            ),
            *(("dct:relation", Iri(self.places.dataset(other))) for other in entry.related),
            *(
                ("dcat:distribution", Iri(f"{address}#distribution-{number}"))
                for number in range(1, len(entry.offers) + 1)
            ),
        )

    def _distributions(self, entry: SharedEntry) -> Iterator[Properties]:
        """One for each way the entry is served; without one, people are told how to ask on its page."""
        kind = file_type(entry.format_detail)
        for offer in entry.offers:
            place = offer.place if offer.place.startswith(("https://", "http://")) else ""
            given: Properties = (
                *_in_both(
                    "dct:title",
                    Text(f"{entry.name.zh}（{offer.words.zh}）", f"{entry.name.en} ({offer.words.en})"),
                ),
                ("dcat:accessURL", Iri(place or self.places.page(entry.id, self.reader))),
                ("dct:issued", entry.issued),
            )
            if offer.place and not place:
                given += (("dct:description", offer.place),)
            if kind is not None and offer.kind == "file":
                given += (("dct:format", Iri(kind.iri)),)
            yield given

    def _terms(self, entry: SharedEntry) -> Iterator[Node]:
        address = self.places.dataset(entry.id)
        yield Node(f"{address}#code", ("adms:Identifier",), (("skos:notation", entry.code),))
        page = self.places.page(entry.id, self.reader)
        yield Node(page, ("foaf:Document", "rdfs:Resource"), ())
        for offer in entry.offers:
            if offer.place.startswith(("https://", "http://")) and self._first(offer.place):
                yield Node(offer.place, ("rdfs:Resource",), ())
        for other in entry.related:
            if self._first(f"relation {other}"):
                yield Node(self.places.dataset(other), ("rdfs:Resource",), ())
        yield from self._scheme()
        yield from self.publisher(entry.publisher)
        yield from self.series(entry.library)
        for theme in entry.themes:
            yield from self.theme(theme)
        for name in standards_of(entry):
            if self._first(f"standard {name}"):
                yield Node(self._standard(name), ("dct:Standard",), (("dct:title", name),))
        if self._first(f"region {entry.region}"):
            iri = self.places.term("region", entry.region)
            yield Node(iri, ("dct:Location",), (("dct:identifier", entry.region),))
        used = [
            frequency(entry.cycle.key),
            access_right(entry.openness, open_to_public=entry.open_to_public),
            LANGUAGES["zh"],
            THEMES.get(entry.subject[:3]),
            file_type(entry.format_detail),
        ]
        for authority in used:
            if authority is not None:
                yield from self._authority(authority)

    def _authority(self, authority: Authority) -> Iterator[Node]:
        if self._first(authority.iri):
            label = (("skos:prefLabel", Words(authority.label, "en")),)
            yield Node(authority.iri, (authority.type,), label)

    def _standard(self, name: str) -> str:
        return self.places.term("standard", name.replace(" ", "_").replace("/", "-"))


def graph(places: Places, reader: Reader) -> Graph:
    """Begin a document."""
    return Graph(places, reader, set())


def standards_of(entry: SharedEntry) -> tuple[str, ...]:
    """The standards that items of an entry follow, as far as the reader learns of them."""
    named = (item.detail.standard for item in entry.items if item.detail is not None)
    return tuple(dict.fromkeys(name for name in named if name))


def _in_both(predicate: str, words: Text) -> Properties:
    found: Properties = ((predicate, Words(words.zh, "zh")),)
    if words.en and words.en != words.zh:
        found += ((predicate, Words(words.en, "en")),)
    return found
