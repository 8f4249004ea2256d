"""An answer that still holds is not given again; whatever changes the catalogue makes a new edition of it."""

import pytest
from django.test import Client

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.exports.edition import edition
from shuqiao.control.organisations.models import Department
from tests.exports.conftest import BIRTH, HOUSEHOLD, opened

ADDRESSES = [
    "/dcat/catalog.ttl",
    "/dcat/catalog.jsonld",
    "/api/3/action/package_list",
    "/open/",
    "/open/catalogue.csv",
]


def asked(address: str, tag: str = "", client: Client | None = None):
    """The answer at an address, with its text, to a reader who holds an answer of some edition."""
    response = (client or Client()).get(address, headers={"if-none-match": tag} if tag else {})
    response.told = (b"".join(response) if response.streaming else response.content).decode()
    return response


def test_an_answer_is_kept_until_something_changes(committed_city):
    opened(BIRTH)
    tags = {address: asked(address)["ETag"] for address in ADDRESSES}
    for address, tag in tags.items():
        assert asked(address, tag).status_code == 304
        assert asked(address, f'"x", {tag}').status_code == 304
        # Another form, another reader: another answer.
        others = [other for other in ADDRESSES if other != address]
        assert all(asked(other, tag).status_code == 200 for other in others)
    department = Client()
    department.force_login(Account.objects.get(username="lin"))
    assert asked("/dcat/catalog.ttl", tags["/dcat/catalog.ttl"], department).status_code == 200
    opened(HOUSEHOLD)
    for address, tag in tags.items():
        answer = asked(address, tag)
        assert (answer.status_code, answer["ETag"] == tag) == (200, False)
        assert HOUSEHOLD in answer.told


def test_every_transaction_that_changes_what_is_given_out_is_an_edition(committed_city):
    changes = [
        lambda: Resource.objects.filter(id=BIRTH).update(summary_zh="另一摘要"),
        lambda: Resource.objects.filter(id=BIRTH).update(state="withdrawn"),
        lambda: Resource.objects.get(id=HOUSEHOLD).items.update(standard="GB 1"),
        lambda: Resource.objects.get(id=HOUSEHOLD).services.all().delete(),
        lambda: Department.objects.filter(code="440100-health").update(name_zh="改名"),
    ]
    seen = [edition()]
    for change in changes:
        change()
        seen.append(edition())
    assert len(set(seen)) == len(changes) + 1
    assert edition() == seen[-1]


@pytest.mark.parametrize("given", ["", "x", '"x"', "*" * 5000, 'W/"'])
def test_tags_that_are_none_are_no_reason_to_keep_silent(committed_city, given):
    assert asked("/dcat/catalog.ttl", given).status_code == 200
