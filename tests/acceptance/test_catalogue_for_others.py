"""CKAN's own client and an RDF library at a running city: what it gives out, over its real server."""

import io
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import ckanapi
import openpyxl
import pytest
import requests
from ckanapi.errors import NotFound
from rdflib import DCAT, RDF, Graph

from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, key_signer, sign_request
from tests.plugins.city import City

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated"),
]

APPLICATION = "app-housing-rental"


class Signed(requests.auth.AuthBase):
    """Signs each request with the key of an application of the sample city."""

    def __init__(self, city: City) -> None:
        file = Path(city.credentials["applications"][APPLICATION]["key_file"])
        self.signer = key_signer(keys.load_signing_key(file if file.is_absolute() else city.home / file))

    def __call__(self, request):
        parts = urlsplit(request.url)
        target = (request.method, parts.netloc, parts.path)
        created = int(time.time())
        context = CallContext(end_user="-")
        request.headers.update(sign_request(self.signer, target, request.body or b"", context, created))
        return request


def catalogue(city: City, auth=None) -> ckanapi.RemoteCKAN:
    """CKAN's client at the city."""
    session = requests.Session()
    session.auth = auth
    return ckanapi.RemoteCKAN(city.url, session=session)


@pytest.mark.requirement("PUB-01")
@pytest.mark.requirement("CAT-27")
def test_the_public_reads_what_is_open_and_an_application_the_whole_sharing_catalogue(city):
    public, office = catalogue(city), catalogue(city, Signed(city))
    opened = public.action.package_search(rows=1000)
    shared = office.action.package_search(rows=1000)
    assert 0 < opened["count"] < shared["count"] == len(shared["results"])
    mine = {one["id"] for one in opened["results"]}
    flags = {
        one["id"]: {e["key"]: e["value"] for e in one["extras"]}["open_to_public"]
        for one in shared["results"]
    }
    assert mine == {resource for resource, flag in flags.items() if flag == "true"}
    hidden = next(iter(set(flags) - mine))
    assert office.action.package_show(id=hidden)["id"] == hidden
    with pytest.raises(NotFound):
        public.action.package_show(id=hidden)


@pytest.mark.requirement("STD-03")
def test_every_format_names_the_same_entries(city):
    mine = set(catalogue(city).action.package_list())
    graph = Graph().parse(
        data=requests.get(f"{city.url}/dcat/catalog.ttl", timeout=30).content, format="turtle"
    )
    assert {str(one).rpartition("/")[2] for one in graph.subjects(RDF.type, DCAT.Dataset)} == mine
    told = json.loads(requests.get(f"{city.url}/dcat/catalog.jsonld", timeout=30).content)
    assert {one["@id"].rpartition("/")[2] for one in told["@graph"] if "dcat:Dataset" in one["@type"]} == mine
    book = openpyxl.load_workbook(
        io.BytesIO(requests.get(f"{city.url}/open/catalogue.xlsx", timeout=30).content)
    )
    header, *rows = book.active.values
    assert {row[header.index("信息资源标识")] for row in rows} == mine
