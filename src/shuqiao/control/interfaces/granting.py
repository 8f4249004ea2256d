"""Which operations a grant of an entry's items opens."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from shuqiao.control.accounts.access import Fault
from shuqiao.control.catalogue.models import Item, Resource, Service, ServiceKind
from shuqiao.control.catalogue.offering import masked
from shuqiao.control.interfaces.models import Interface
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.wire.interface import Description, Operation, items_of


def description_of(resource_id: str) -> Description | None:
    """Return the description in force of an entry's interface."""
    found = Interface.objects.filter(resource_id=resource_id, ended_at=None).first()
    return None if found is None else msgspec.convert(found.description, Description)


@dataclass(frozen=True)
class OperationOption:
    """An operation that can be granted: what it says of itself, and the names of the items it answers with.

    Without items it gives a file.
    """

    id: str
    said: str
    items: tuple[Text, ...]

    @property
    def name(self) -> str:
        """What it is called on a page."""
        return self.said or self.id


def is_by_interface(resource_id: str) -> bool:
    """Tell whether queries of an entry go to its own interface: it has one, and no records by key."""
    return not _has_records(resource_id) and description_of(resource_id) is not None


def offered_modes(resource: Resource) -> list[str]:
    """The modes in which an entry can be asked for: an interface answers queries and nothing else."""
    by_interface = is_by_interface(resource.id)
    return [one for one in resource.modes if one == "query" or not by_interface]


def operation_options(resource_id: str) -> tuple[OperationOption, ...]:
    """Every operation of an entry that its department's interface alone serves; empty for others."""
    if not is_by_interface(resource_id):
        return ()
    names = {item.field: item.name for item in Item.objects.filter(resource_id=resource_id)}
    description = description_of(resource_id)
    return tuple(
        OperationOption(one.id, one.said, _names_in(one, names))
        for one in (description.operations if description else ())
    )


def _names_in(operation: Operation, names: Mapping[str, Text]) -> tuple[Text, ...]:
    held = items_of(operation.answer) if operation.answer is not None else frozenset[str]()
    return tuple(name for field, name in names.items() if field in held)


def operation_words(resource_id: str, operations: Collection[str]) -> tuple[Text, ...]:
    """Name operations in words, each with its id; one that the description has lost keeps its id."""
    description = description_of(resource_id) if operations else None
    said = {one.id: one.said for one in description.operations} if description else {}
    shown = [f"{said[one]}（{one}）" if said.get(one) else one for one in operations]
    english = [f"{said[one]} ({one})" if said.get(one) else one for one in operations]
    return tuple(Text(zh, en) for zh, en in zip(shown, english, strict=True))


@dataclass(frozen=True)
class OperationsAsked:
    """What is given of an interface; `chosen` are the operations, None where nobody was asked to choose."""

    mode: str
    fields: Collection[str]
    unmasked: Collection[str]
    has_rows: bool = False
    pseudonyms: bool = False
    chosen: Collection[str] | None = None


def operation_faults(resource_id: str, asked: OperationsAsked) -> tuple[Fault, ...]:
    """What an interface can't honour: rows and pseudonyms, no operation, one without a granted item.

    Source: our choice, decision "proxied interfaces".
    """
    if asked.mode != "query" or not is_by_interface(resource_id):
        return ()
    found = []
    if asked.has_rows:
        words = Text(
            "由部门接口提供的信息不能附记录条件", "What an interface gives can't be held to conditions"
        )
        found.append(Fault("rows", "interface_rows", words))
    if asked.pseudonyms:
        words = Text("由部门接口提供的信息不能以假名标识代替", "An interface can't be held to pseudonyms")
        found.append(Fault("pseudonyms", "interface_pseudonyms", words))
    possible = operations_granted(resource_id, asked.mode, asked.fields, asked.unmasked)
    chosen = tuple(asked.chosen or ())
    if not chosen:
        words = Text("请至少选一个接口操作", "Choose at least one operation")
        found.append(Fault("operations", "field_required", words))
    for words in operation_words(resource_id, [one for one in chosen if one not in possible]):
        zh = f"接口操作“{words.zh}”的应答不在同意的信息项之内"
        en = f"The operation {words.en} answers with none of the granted items"
        found.append(Fault("operations", "operation_not_granted", Text(zh, en)))
    return tuple(found)


def operations_kept(
    resource_id: str,
    mode: str,
    fields: Collection[str],
    unmasked: Collection[str],
    kept: Collection[str] | None,
) -> tuple[str, ...] | None:
    """What a grant that nobody chooses gives: of an older one what still opens, else all that the items open.

    None where no interface serves the entry.
    """
    if mode != "query" or not is_by_interface(resource_id):
        return None
    return operations_granted(resource_id, mode, fields, unmasked, kept)


def operations_granted(
    resource_id: str,
    mode: str,
    fields: Collection[str],
    unmasked: Collection[str],
    chosen: Collection[str] | None = None,
) -> tuple[str, ...]:
    """Name the operations that a grant opens, where the entry is served by its department's interface alone.

    An operation can be opened whose answer holds a granted item; one that gives a file, which nobody can
    filter, only with all items of the entry, none of them masked. Of these the `chosen` ones are, all where
    nobody chose. Source: our choice, decision "proxied interfaces".
    """
    if mode != "query" or _has_records(resource_id):
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
        and (chosen is None or one.id in chosen)
    )


def _has_records(resource_id: str) -> bool:
    kinds = (ServiceKind.TABLE, ServiceKind.NODE)
    return Service.objects.filter(resource_id=resource_id, kind__in=kinds, ended_at=None).exists()
