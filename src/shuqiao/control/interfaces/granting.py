"""Which operations a grant of an entry's items opens."""

from collections.abc import Collection

import msgspec

from shuqiao.control.catalogue.models import Item, Service, ServiceKind
from shuqiao.control.catalogue.offering import masked
from shuqiao.control.interfaces.models import Interface
from shuqiao.control.regulations.current import regulation
from shuqiao.wire.interface import Description, items_of


def description_of(resource_id: str) -> Description | None:
    """Return the description in force of an entry's interface."""
    found = Interface.objects.filter(resource_id=resource_id, ended_at=None).first()
    return None if found is None else msgspec.convert(found.description, Description)


def operations_granted(
    resource_id: str, mode: str, fields: Collection[str], unmasked: Collection[str]
) -> tuple[str, ...]:
    """Name the operations that a grant opens, where the entry is served by its department's interface alone.

    An operation is opened whose answer holds a granted item; one that gives a file, which nobody can filter,
    only with all items of the entry, none of them masked. Source: our choice, decision "proxied interfaces".
    """
    if mode != "query" or _has_table(resource_id):
        return ()
    description = description_of(resource_id)
    if description is None:
        return ()
    given = frozenset(fields)
    rules = regulation()
    is_whole = all(
        item.field in given and (not masked(item, rules) or item.field in unmasked)
        for item in Item.objects.filter(resource_id=resource_id)
    )
    return tuple(
        one.id
        for one in description.operations
        if (is_whole if one.answer is None else items_of(one.answer) & given)
    )


def _has_table(resource_id: str) -> bool:
    return Service.objects.filter(resource_id=resource_id, kind=ServiceKind.TABLE, ended_at=None).exists()
