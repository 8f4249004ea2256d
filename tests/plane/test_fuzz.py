"""What the OpenAPI description allows and what it forbids, drawn at random: every answer is described.

Most requests are signed over what was drawn, so that they get as far as a true call; the others carry what
was drawn for a signature, too.
"""

import json
import time
from collections import Counter
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.parameters import ParameterLocation

from shuqiao.plane.openapi import document
from shuqiao.security.http_signatures import CallContext, sign_request
from tests.plane.conftest import APP, PEOPLE, RESOURCE, VERIFY_ITEMS, City
from tests.vault import births

EXAMPLES = 40
SPOILT_HEADERS = (ParameterLocation.HEADER, GenerationMode.NEGATIVE)
HELD = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
METHODS = ("get", "post", "put", "delete")
# What has neither parameters nor a body can't be asked wrongly in the words of its description.
DRAWN = [
    (method, path, mode)
    for path, item in document()["paths"].items()
    for method in METHODS
    if method in item
    for mode in GenerationMode
    if mode.is_positive or "requestBody" in item[method]
]


@pytest.fixture(scope="module")
def held() -> list[Any]:
    """The checks every answer must pass."""
    load_all_checks()
    found = [check for check in CHECKS.get_all() if check.__name__ in HELD]
    assert len(found) == len(HELD)
    return found


def sensible(body: Any, serial: int) -> Any:
    """A drawn body whose subjects are in the list, and whose items are granted."""
    if isinstance(body, str):
        return births.certificate(serial)
    if not isinstance(body, dict):
        return body
    changed = dict(body)
    if "subject" in body:
        changed["subject"] = births.certificate(serial)
    if isinstance(body.get("subjects"), list):
        changed["subjects"] = [sensible(one, at % PEOPLE) for at, one in enumerate(body["subjects"])]
    if "items" in body:
        changed["items"] = ["sex_code"]
    if "claims" in body:
        changed["claims"] = {"mother_name": "样例"}
    if "case" in body:
        changed["case"] = "样例〔2026〕1号"
    return changed


def sent(city: City, case: Case, *, signed: bool) -> requests.Response:
    """Send a drawn request, signed over the bytes that are sent."""
    drawn = requests.Request(**case.as_transport_kwargs(base_url=city.url)).prepare()
    body = drawn.body or b""
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)
    if signed:
        target = (drawn.method or "", f"127.0.0.1:{city.port}", (drawn.path_url or "/"))
        made = sign_request(city.signer(APP), target, content, CallContext(), int(time.time()))
        drawn.headers.update(made)
    with requests.Session() as session:
        session.trust_env = False
        return session.send(drawn, timeout=20)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("method", "path", "mode"), DRAWN, ids=str)
def test_every_answer_is_described(
    city: City, held: list[Any], method: str, path: str, mode: GenerationMode
) -> None:
    for operation in ("verify", "query"):
        city.issue(mode=operation, items=("sex_code",) if operation == "query" else VERIFY_ITEMS)
    seen: Counter[str] = Counter()
    drawn = schemathesis.openapi.from_dict(document())[path][method]

    @settings(
        max_examples=EXAMPLES if method != "get" else 5,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=drawn.as_strategy(mode), wild=st.integers(0, 5), unsigned=st.integers(0, 5))
    def ask(case: Case, wild: int, unsigned: int) -> None:
        if wild < 5 and "resource" in case.path_parameters:
            case.path_parameters["resource"] = RESOURCE
        if wild < 3 and mode.is_positive:
            case.body = sensible(case.body, wild)
        assert case.meta is not None
        parts = [(place, part.mode) for place, part in case.meta.components.items()]
        # Signing would mend what was left out of the headers or spoilt in them.
        answered = sent(city, case, signed=unsigned < 5 and SPOILT_HEADERS not in parts)
        if answered.status_code < 400:
            seen["answered"] += 1
        else:
            problem = json.loads(answered.content)
            assert problem["status"] == answered.status_code and problem["title"]
            seen[problem["code"]] += 1
        case.validate_response(answered, checks=held)

    ask()
    print(dict(seen))
    # A test that is turned away at the door each time would prove little of what is behind it.
    assert mode.is_negative or "/resources/" not in path or "answered" in seen
