"""The OpenAPI document: valid to another validator, true of every answer, and each answer in it occurs."""

import json
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from psycopg.conninfo import make_conninfo

from shuqiao.control.compiling.drafts import begin
from shuqiao.control.compiling.interface.openapi import DOCUMENT
from shuqiao.rules.entries import Entry, EntryItem
from shuqiao.rules.errors import BY_CODE
from tests.compiling.interface_client import BASE, HEALTH, System, complete_entry, enrolled
from tests.control.conftest import BIRTH, committed_city

__all__ = ["committed_city"]

pytestmark = pytest.mark.database

SAID: dict[str, Any] = json.loads(DOCUMENT)
TABLE = f"{BASE}/tables/{{key}}"
COLUMN = {"name": "xm", "type": "text", "data_type": "M"}
DESCRIBED = {
    "version": 1,
    "database": "postgresql",
    "schema": "yw",
    "table": "t",
    "comment": "",
    "rows": 9,
    "columns": [COLUMN],
}
ENTRY, DRAFT, LIST = f"{BASE}/entries/{{key}}", f"{BASE}/entries/{{key}}/draft", f"{BASE}/entries"
OPERATIONS = {
    (path, method): operation
    for path, methods in SAID["paths"].items()
    for method, operation in methods.items()
    if method != "parameters"
}


def test_another_validator_finds_the_document_valid() -> None:
    assert [str(fault) for fault in OpenAPIV31SpecValidator(SAID).iter_errors()] == []


def test_the_document_describes_an_entry_field_by_field() -> None:
    schemas = SAID["components"]["schemas"]
    assert set(schemas["Entry"]["properties"]) == set(Entry.__dataclass_fields__)
    assert set(schemas["EntryItem"]["properties"]) == set(EntryItem.__dataclass_fields__)
    assert not schemas["Entry"]["additionalProperties"] and not schemas["PutEntry"]["additionalProperties"]
    checked(schemas["Entry"], complete_entry())


def test_the_document_is_given_to_everybody(client) -> None:
    answer = client.get(f"{BASE}/openapi.json")
    assert (answer.status_code, answer.content) == (200, DOCUMENT)


def checked(schema: dict[str, Any], content: Any) -> None:
    """Hold a content against a schema of the document."""
    whole = {"$ref": "#/schema", "schema": schema, "components": SAID["components"]}
    assert [fault.message for fault in Draft202012Validator(whole).iter_errors(content)] == []


class Recorder:
    """Keeps which documented answers occurred, and holds each against its schema."""

    def __init__(self) -> None:
        self.occurred: set[tuple[str, str, str, str]] = set()

    def take(self, path: str, method: str, answer: Any) -> Any:
        """Check one answer and remember it."""
        responses = OPERATIONS[path, method]["responses"]
        status, said = str(answer.status_code), answer.json()
        assert status in responses, (path, method, said)
        [(kind, described)] = responses[status]["content"].items()
        assert answer.headers["content-type"] == kind
        checked(described["schema"], said)
        if kind.startswith("application/problem"):
            assert said["code"] in responses[status]["description"].split(", "), said
        self.occurred.add((path, method, status, said.get("code", "")))
        return answer


def documented() -> Iterator[tuple[str, str, str, str]]:
    """Every answer of the document: path, method, status and, for a refusal, code."""
    for (path, method), operation in OPERATIONS.items():
        for status, response in operation["responses"].items():
            codes = response["description"].split(", ") if int(status) >= 400 else [""]
            yield from ((path, method, status, code) for code in codes)


@pytest.mark.requirement("CAT-18")
def test_every_documented_answer_occurs_and_is_as_described(committed_city, client) -> None:
    system, seen = System(enrolled("app-health-catalogue", HEALTH)), Recorder()
    seen.take(f"{BASE}/openapi.json", "get", client.get(f"{BASE}/openapi.json"))
    _answered(system, seen)
    _written(system, seen, committed_city)
    for path, method in OPERATIONS:
        if not path.endswith("openapi.json"):
            _refused_to_anybody(system, seen, path, method)
    assert sorted(set(documented()) - seen.occurred) == []
    assert {code for *_, code in seen.occurred if code} <= BY_CODE.keys()


def _answered(system: System, seen: Recorder) -> None:
    seen.take(ENTRY, "put", system.put("units", complete_entry()))
    seen.take(ENTRY, "put", system.put("units", complete_entry(scope="")))
    seen.take(ENTRY, "get", system.get("/entries/units"))
    seen.take(ENTRY, "get", system.get(f"/entries/{BIRTH}"))
    seen.take(DRAFT, "get", system.get("/entries/units/draft"))
    seen.take(LIST, "get", system.get("/entries"))
    seen.take(f"{BASE}/vocabulary", "get", system.get("/vocabulary"))
    seen.take(f"{BASE}/standards/{{kind}}", "get", system.get("/standards/elements"))
    for path, place in ((ENTRY, "/entries/none"), (DRAFT, "/entries/none/draft")):
        seen.take(path, "get", system.get(place))


def _written(system: System, seen: Recorder, city: Any) -> None:
    def put(*given: Any, **more: Any) -> None:
        seen.take(ENTRY, "put", system.put(*given, **more))

    seen.take(ENTRY, "put", system.put_raw("units", b"nonsense"))
    seen.take(ENTRY, "put", system.put_raw("units", b" " * (1024 * 1024 + 1)))
    put("r440100aaaaaaaaaa", complete_entry())
    put("units", complete_entry(scope=""), submit=True)
    put("units", complete_entry(), revision=99)
    put("units", complete_entry(), submit=True)
    put("units", complete_entry(scope="x"))
    _tables(system, seen)
    begin(city.viewer("chen"), "correction", BIRTH)
    put(BIRTH, complete_entry(name_zh="另一名称"))


def _tables(system: System, seen: Recorder) -> None:
    def put(key: str, body: bytes) -> None:
        seen.take(TABLE, "put", system.put_raw(key, body, "tables"))

    said = json.dumps(DESCRIBED).encode()
    for key in ("table.yw.t", "table.yw.t", "r440100aaaaaaaaaa"):
        put(key, said)
    put("table.yw.t", json.dumps(DESCRIBED | {"columns": [COLUMN, COLUMN | {"name": "b"}]}).encode())
    put("table.yw.t2", b"nonsense")
    put("table.yw.t2", b" " * (1024 * 1024 + 1))


def _refused_to_anybody(system: System, seen: Recorder, path: str, method: str) -> None:
    """What every signed operation may be refused with."""
    place = path.replace("{key}", "units").replace("{kind}", "elements")
    body = b'{"entry":{}}' if method == "put" else b""

    def ask(headers: dict[str, str]) -> None:
        seen.take(path, method, system.send(method.upper(), place, body, headers))

    def signed(**more: Any) -> dict[str, str]:
        return system.headers(method.upper(), place, body, **more)

    ask({})
    ask(signed() | {"shuqiao-purpose": "other"})
    ask(signed(created=int(time.time()) - 400))
    ask(system.headers(method.upper(), place, body + b"x"))
    ask(signed() | {"shuqiao-grant": "a b"})
    ask(signed(user="nobody"))
    used = signed(user="nobody")
    for _ in range(2):
        ask(used)
    with psycopg.connect(_superuser()) as other, connection.cursor() as cursor:
        other.execute("LOCK TABLE control.interface_usedsignature IN ACCESS EXCLUSIVE MODE")
        cursor.execute("SET lock_timeout = '150ms'")
        ask(signed())
        cursor.execute("SET lock_timeout = '5s'")


def _superuser() -> str:
    place = connection.settings_dict
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    return make_conninfo("", **{name: place[key] for name, key in names.items()})
