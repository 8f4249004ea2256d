"""Asking for a list of base information on the platforms of both levels at once.

Each entry has its own provider, who answers for what it has collected: one form becomes one request for each.
Source: guangzhou-2016 art. 28(2), 33, 35(1).
"""

from collections.abc import Collection
from dataclasses import replace

from django.db import transaction

from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.platforms import Counterpart, counterparts, rows_of_own_district
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.inputs import RequestInput
from shuqiao.control.texts import Text


def others_to_ask(viewer: Viewer, resource: Resource) -> tuple[Counterpart, ...]:
    """The same list on other platforms, where it is somebody else's."""
    found = counterparts(viewer, resource)
    return tuple(one for one in found if one.provider.code != viewer.department.code)


@transaction.atomic
def submit_on_platforms(viewer: Viewer, given: RequestInput, also: Collection[str]) -> tuple[str, ...]:
    """Send a request, and the same for these entries of its list on other platforms; return all numbers.

    All are sent or none. Which records of the city's list are asked for follows the list; other conditions
    hold everywhere. Raises `NotFound` for an entry that is not its counterpart, else as `submit_request`.
    """
    resource = access_resource(viewer, given.resource)
    known = {one.id: one for one in others_to_ask(viewer, resource)}
    if not set(also) <= known.keys():
        raise NotFound
    numbers = [submit_request(viewer, given)]
    usual = rows_of_own_district(viewer, resource)
    common = tuple(row for row in given.rows if row not in usual)
    for key in sorted(set(also)):
        rows = tuple(dict.fromkeys((*common, *rows_of_own_district(viewer, access_resource(viewer, key)))))
        other = replace(given, resource=key, rows=rows, renews="")
        try:
            numbers.append(submit_request(viewer, other))
        except FormRefused as refused:
            raise _about(known[key], refused) from None
    return tuple(numbers)


def _about(other: Counterpart, refused: FormRefused) -> FormRefused:
    """The faults of a request with the platform it was for."""
    at = other.platform
    words = [Text(f"{at.zh}：{one.message.zh}", f"{at.en}: {one.message.en}") for one in refused.faults]
    return FormRefused(
        tuple(Fault(one.field, one.code, said) for one, said in zip(refused.faults, words, strict=True))
    )
