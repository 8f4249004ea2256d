"""The proof between two checkpoints that the pages give away is checked by the words of the RFC."""

import base64
from uuid import uuid4

import pytest
from django.urls import reverse

from shuqiao.control.accounts.models import Account
from shuqiao.rules import merkle
from tests.auditlog.test_consistency import is_consistent

from .conftest import NOW
from .test_audit import execute


@pytest.fixture
def sizes(city) -> tuple[int, int, int]:
    """A log of 600 leaves under three checkpoints."""
    leaves = [merkle.leaf_hash(bytes([n % 256, n // 256])) for n in range(600)]
    for position, leaf in enumerate(leaves):
        execute("INSERT INTO audit.leaf VALUES (%s, %s, %s)", position, uuid4(), leaf)
    for node in merkle.append(merkle.EMPTY, leaves).nodes:
        execute("INSERT INTO audit.node VALUES (%s, %s, %s)", node.level, node.position, node.hash)
    sizes = (70, 256, 600)
    for size in sizes:
        root = merkle.root_of(leaves[:size])
        execute("INSERT INTO audit.checkpoint VALUES (%s, %s, %s, 'key', 'signed')", size, root, NOW)
    return sizes


@pytest.mark.requirement("SEC-05")
@pytest.mark.parametrize(("older", "newer"), [(0, 1), (0, 2), (1, 2), (2, 2)])
def test_any_two_checkpoints(client, city, sizes, older, newer):
    client.force_login(Account.objects.get(username="lin"))
    newest = newer == len(sizes) - 1
    address = reverse("audit_consistency", args=[sizes[older]]) + ("" if newest else f"?newer={sizes[newer]}")
    given = client.get(address).json()
    assert (given["older"]["size"], given["newer"]["size"]) == (sizes[older], sizes[newer])
    roots = tuple(base64.b64decode(given[end]["root"]) for end in ("older", "newer"))
    path = [bytes.fromhex(node) for node in given["path"]]
    assert is_consistent(sizes[older], sizes[newer], roots, path)
    execute("ALTER TABLE audit.leaf DISABLE TRIGGER insert_only")
    execute("UPDATE audit.leaf SET hash = sha256('x') WHERE position = 64")
    path = [bytes.fromhex(node) for node in client.get(address).json()["path"]]
    assert is_consistent(sizes[older], sizes[newer], roots, path) == (older == newer or older > 0)


@pytest.mark.parametrize(
    "address", ["71.json", "600.json?newer=70", "70.json?newer=x", "9999999999999999999.json"]
)
def test_what_is_no_checkpoint_is_not_found(client, city, sizes, address):
    client.force_login(Account.objects.get(username="lin"))
    assert client.get(f"{reverse('audit')}consistency/{address}").status_code == 404
    client.force_login(Account.objects.get(username="wu"))
    assert client.get(reverse("audit_consistency", args=[70])).status_code == 404
