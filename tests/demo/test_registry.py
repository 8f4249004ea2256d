"""The sample department's own interface answers as described, to its node only, with invented values."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from shuqiao.demo import registry
from shuqiao.wire.interface import Shape, items_of
from shuqiao.wire.interface_reading import read_description

SECRET = b"sample-password"


@pytest.fixture
def address() -> Iterator[str]:
    """The interface, listening."""
    server = registry.RegistryServer(0, SECRET)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask(address: str, secret: bytes = SECRET) -> object:
    """What it answers."""
    headers = {"authorization": secret.decode()}
    answer = httpx.get(address, headers=headers, timeout=5, trust_env=False)
    answer.raise_for_status()
    return answer.json()


def fits(shape: Shape, value: object) -> bool:
    """Whether an answer has every value that the description names."""
    if shape.kind == "object":
        return isinstance(value, dict) and all(fits(one, value[name]) for name, one in shape.fields.items())
    if shape.kind == "list":
        return isinstance(value, list) and bool(value) and all(fits(shape.each, one) for one in value)
    return isinstance(value, int if shape.type == "integer" else str)


def test_it_answers_as_it_is_described(address):
    described = read_description(registry.description().read_bytes())
    one, many = described.operations
    assert fits(one.answer, ask(f"{address}/certificates/JS00000001"))
    listed = ask(f"{address}/certificates?division=440105&since=2026-01-01")
    assert fits(many.answer, listed) and len(listed["certificates"]) <= 20
    assert {row["division"] for row in listed["certificates"]} == {"440105"}
    assert min(row["received"] for row in listed["certificates"]) >= "2026-01-01"
    assert {"name", "certificate_received_date"} <= items_of(one.answer)


@pytest.mark.parametrize("number", ["JS99999999", "x", "JS1", ""])
def test_what_is_not_there_is_not_found(address, number):
    with pytest.raises(httpx.HTTPStatusError) as refused:
        ask(f"{address}/certificates/{number}")
    assert refused.value.response.status_code == 404


def test_nobody_but_the_node_is_told_anything(address):
    with pytest.raises(httpx.HTTPStatusError) as refused:
        ask(f"{address}/certificates/JS00000001", b"guess")
    assert refused.value.response.status_code == 401


def test_every_person_is_invented_and_says_so():
    assert all(registry.certificate(place)["name"].endswith("示例") for place in range(1, 200))
