"""The catalogue as DCAT: read by another implementation, checked against shapes, at stable addresses."""

import json
import os
from pathlib import Path

import pyshacl
import pytest
from django.test import Client
from rdflib import DCAT, DCTERMS, RDF, Graph, Literal, URIRef
from rdflib.compare import isomorphic

from shuqiao.control.catalogue.history import keep_version
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.exports.rdf import Iri, Node, Words, json_ld, turtle
from shuqiao.control.texts import Text
from tests.exports.conftest import BIRTH, HOUSEHOLD

# The reader of JSON-LD uses a class of its own library that the library wants to leave behind.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")

SHAPES = Path(__file__).parent / "dcat-ap-shapes.ttl"
AUTHORITY = "http://publications.europa.eu/resource/authority"
HAS_VERSION = URIRef("http://www.w3.org/ns/dcat#hasVersion")
IN_SERIES = URIRef("http://www.w3.org/ns/dcat#inSeries")
HYDRA_NEXT = URIRef("http://www.w3.org/ns/hydra/core#next")


def shapes_to_check() -> list[Path]:
    """Our own shapes, and the published file where somebody names it."""
    published = os.environ.get("SHUQIAO_DCAT_AP_SHAPES")
    return [SHAPES, *([Path(published)] if published else [])]


def client_of(city, username: str) -> Client:
    """A browser signed in as an account; an empty name is nobody."""
    client = Client()
    if username:
        from shuqiao.control.accounts.models import Account

        client.force_login(Account.objects.get(username=username))
    return client


def graph_of(client: Client, address: str, form: str = "turtle") -> Graph:
    """What another implementation reads at an address."""
    response = client.get(address)
    assert response.status_code == 200, response.content
    return Graph().parse(data=response.content, format=form)


def faults(graph: Graph, shapes: Path) -> str:
    """What is wrong by some shapes; nothing where all is well."""
    form = "json-ld" if shapes.suffix == ".jsonld" else "turtle"
    fine, _, words = pyshacl.validate(
        graph, shacl_graph=Graph().parse(shapes, format=form), inplace=True, advanced=False
    )
    return "" if fine else words


@pytest.mark.parametrize("username", ["", "lin"])
@pytest.mark.parametrize("path", ["/dcat/catalog.ttl", f"/dcat/dataset/{BIRTH}.ttl", "/dcat/terms.ttl"])
@pytest.mark.parametrize("shapes", shapes_to_check(), ids=lambda path: path.name)
def test_documents_are_valid_by_the_shapes_of_dcat_ap(city, username, path, shapes):
    graph = graph_of(client_of(city, username), path)
    assert len(graph) > 5
    assert faults(graph, shapes) == ""


def test_the_shapes_find_what_is_missing(city):
    graph = graph_of(client_of(city, "lin"), "/dcat/catalog.ttl")
    dataset = URIRef(f"http://testserver/dcat/dataset/{BIRTH}")
    graph.remove((dataset, DCTERMS.title, None))
    graph.add((dataset, DCTERMS.accessRights, Literal("everybody")))
    assert "title" in faults(graph, SHAPES)
    assert "accessRights" in faults(graph, SHAPES)


@pytest.mark.requirement("STD-03")
@pytest.mark.parametrize("path", ["/dcat/catalog", f"/dcat/dataset/{BIRTH}", "/dcat/terms"])
def test_both_forms_say_the_same(city, path):
    client = client_of(city, "lin")
    one, other = graph_of(client, f"{path}.ttl"), graph_of(client, f"{path}.jsonld", "json-ld")
    assert isomorphic(one, other)


def test_an_entry_has_its_metadata_in_the_words_of_dcat(city):
    graph = graph_of(client_of(city, "lin"), f"/dcat/dataset/{BIRTH}.ttl")
    entry = Resource.objects.get(id=BIRTH)
    dataset = URIRef(f"http://testserver/dcat/dataset/{BIRTH}")
    assert (dataset, RDF.type, DCAT.Dataset) in graph
    assert (dataset, DCTERMS.title, Literal("出生登记信息", lang="zh")) in graph
    assert (dataset, DCTERMS.identifier, Literal(BIRTH)) in graph
    assert (dataset, DCTERMS.accessRights, URIRef(f"{AUTHORITY}/access-right/PUBLIC")) in graph
    assert (dataset, DCTERMS.accrualPeriodicity, URIRef(f"{AUTHORITY}/frequency/DAILY")) in graph
    assert (dataset, DCAT.theme, URIRef("http://testserver/dcat/terms#theme-101")) in graph
    assert (dataset, DCAT.theme, URIRef(f"{AUTHORITY}/data-theme/SOCI")) in graph
    assert (dataset, IN_SERIES, URIRef("http://testserver/dcat/terms#series-population")) in graph
    assert len(list(graph.objects(dataset, DCAT.distribution))) == len(entry.modes)
    publisher = graph.value(dataset, DCTERMS.publisher)
    assert publisher == URIRef("http://testserver/dcat/terms#department-440100-health")


def test_what_is_only_shared_among_departments_is_restricted(city):
    graph = graph_of(client_of(city, "lin"), f"/dcat/dataset/{HOUSEHOLD}.ttl")
    dataset = URIRef(f"http://testserver/dcat/dataset/{HOUSEHOLD}")
    assert graph.value(dataset, DCTERMS.accessRights) == URIRef(f"{AUTHORITY}/access-right/RESTRICTED")


def test_departments_learn_what_an_entry_said_before_and_the_public_does_not(city):
    entry = Resource.objects.get(id=BIRTH)
    content = entry.content | {"name_zh": "新生儿登记信息"}
    keep_version(entry, content, Text("改名", "Renamed"), shared=True)
    dataset, other = (URIRef(f"http://testserver/dcat/dataset/{BIRTH}{end}") for end in ("", "#version-1"))
    graph = graph_of(client_of(city, "lin"), f"/dcat/dataset/{BIRTH}.ttl")
    assert len(list(graph.objects(dataset, HAS_VERSION))) == 2
    assert str(graph.value(other, DCTERMS.title)) == "出生登记信息"
    assert faults(graph, SHAPES) == ""
    assert HAS_VERSION not in set(graph_of(client_of(city, ""), f"/dcat/dataset/{BIRTH}.ttl").predicates())


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("text/turtle", "text/turtle"),
        ("application/ld+json", "application/ld+json"),
        ("*/*", "application/ld+json"),
        ("text/turtle;q=0.9, application/ld+json;q=0.5", "text/turtle"),
        ("", "application/ld+json"),
    ],
)
def test_the_form_is_what_the_reader_prefers(city, accept, form):
    response = client_of(city, "").get(f"/dcat/dataset/{BIRTH}", headers={"accept": accept})
    assert response["Content-Type"] == f"{form}; charset=utf-8"
    assert "Accept" in response["Vary"]


def test_a_form_nobody_writes_is_refused_and_a_browser_goes_to_the_page(city):
    client = client_of(city, "")
    assert client.get("/dcat/catalog", headers={"accept": "application/pdf"}).status_code == 406
    for path, page in (
        ("/dcat/catalog", "http://testserver/open/"),
        (f"/dcat/dataset/{BIRTH}", f"http://testserver/open/{BIRTH}/"),
    ):
        response = client.get(path, headers={"accept": "text/html,application/xhtml+xml"})
        assert (response.status_code, response["Location"]) == (303, page)


def test_pages_lead_from_one_to_the_next_and_hold_every_entry_once(city, monkeypatch):
    monkeypatch.setattr("shuqiao.control.exports.documents.PAGE_SIZE", 8)
    client, found, address = client_of(city, "lin"), [], "/dcat/catalog.ttl"
    while address:
        graph = graph_of(client, address)
        found += [str(one).rpartition("/")[2] for one in graph.subjects(RDF.type, DCAT.Dataset)]
        assert faults(graph, SHAPES) == ""
        following = list(graph.objects(None, HYDRA_NEXT))
        address = (
            str(following[0]).replace("http://testserver/dcat/catalog", "/dcat/catalog.ttl")
            if following
            else ""
        )
    assert sorted(found) == sorted(Resource.objects.values_list("id", flat=True))


NASTY = 'a"b\\c\nd\re\tf<g>{h}\u0000\u0007\u007f\'\'\'"""中^`|'


def test_texts_cannot_break_out_of_either_form():
    node = Node(
        'http://x.invalid/a b<c>"d"',
        ("dcat:Dataset",),
        (
            ("dct:title", Words(NASTY, "zh")),
            ("dct:identifier", NASTY),
            ("dct:relation", Iri("http://x.invalid/>")),
        ),
    )
    one = Graph().parse(data="".join(turtle([node])), format="turtle")
    other = Graph().parse(data="".join(json_ld([node])), format="json-ld")
    assert isomorphic(one, other)
    assert len(one) == 4
    assert {str(text) for text in one.objects(None, DCTERMS.identifier)} == {NASTY}


def test_json_ld_needs_nothing_from_elsewhere(city):
    content = json.loads(client_of(city, "").get("/dcat/catalog.jsonld").content)
    assert isinstance(content["@context"], dict)
    assert "@import" not in content["@context"]
