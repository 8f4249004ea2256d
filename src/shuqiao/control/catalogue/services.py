"""What serves an entry: the platform's own table, or the department's node where the data stay with it.

An entry may stand in the catalogue without its data; its base table and its row for the plane come when they
are offered, and follow the entry when a later version changes its items. Source: xiamen-2015 art. 10;
shenyang-2016 art. 16, 20(1); CAT-24, ING-09, MOD-13.
"""

from collections.abc import Collection, Iterable

import msgspec
from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.basedata.tables import create_list
from shuqiao.control.catalogue.models import Item, Resource, Service, ServiceKind
from shuqiao.control.catalogue.offering import is_held
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import SETTING
from shuqiao.rules.terms import is_masked
from shuqiao.wire.schemas import ItemSpec, ResourceSpec

MAX_COLUMN_CHARS = 59
MAX_TABLE_ITEMS = 200
OFFER = Text("提供数据", "Offer the data")
KINDS = (ServiceKind.TABLE, ServiceKind.NODE)


def offer_table(viewer: Viewer, resource_id: str) -> None:
    """Make the base table of an entry and let plane and loader know it; a second call changes nothing.

    Raises `NotFound` for whoever does not provide the entry, `FormRefused` where its items can't be kept in a
    table: it needs a record key that identifies, a mode, and fields that can be columns.
    """
    _offer(viewer, resource_id, ServiceKind.TABLE)


def keep_at_node(viewer: Viewer, resource_id: str) -> None:
    """Let the department's node answer for an entry whose data stay with it; a second call changes nothing.

    The platform has no table of such an entry. Raises as `offer_table` does. Source: shenyang-2016 art. 16¶3.
    """
    _offer(viewer, resource_id, ServiceKind.NODE)


@transaction.atomic
def _offer(viewer: Viewer, resource_id: str, kind: ServiceKind) -> None:
    require(viewer, Capability.CATALOGUE_EDIT, OFFER)
    own = Resource.objects.select_for_update().filter(department_id=viewer.department.code)
    resource = own.filter(pk=resource_id, state="published").first()
    if resource is None:
        raise NotFound
    served = Service.objects.filter(resource=resource, kind__in=KINDS, ended_at=None).first()
    if served is not None and served.kind == kind:
        return
    items = list(resource.items.all())
    faults = table_faults(resource, items) + _place_faults(resource, served, kind)
    if faults:
        raise FormRefused(faults)
    now = clock.now()
    Service.objects.create(resource=resource, kind=kind, offered_at=now)
    write_exchange(resource, items)
    if kind is ServiceKind.TABLE:
        create_list(resource.id)
    rules = regulation()
    append_entry(
        "service_offered",
        actor=f"account:{viewer.username}",
        at=now,
        outcome=kind.value,
        department=viewer.department.code,
        provider=resource.department_id,
        resource_id=resource.id,
        facts={
            "items": len(items),
            "version": resource.version,
            "articles": [rules.cite(rules.citations.get("catalogue_entry", SETTING))],
        },
    )


def _place_faults(resource: Resource, served: Service | None, kind: ServiceKind) -> tuple[Fault, ...]:
    """Why the records can't be kept in this place beside what serves the entry already."""
    if served is not None:
        words = Text("该目录条目的数据已另有存放处", "The data of this entry are kept elsewhere already")
        return (Fault("kept", "kept_elsewhere", words),)
    if kind is ServiceKind.NODE and not set(resource.modes) - {"bulk"}:
        words = Text("留存部门的数据只能核验或查询", "Data that stay are verified or queried only")
        return (Fault("modes", "kept_at_node", words),)
    return ()


def table_faults(resource: Resource, items: Collection[Item]) -> tuple[Fault, ...]:
    """Why the items of an entry can't be kept in a table of the platform; empty where they can."""
    found = []
    if Service.objects.filter(resource=resource, kind=ServiceKind.FILE, ended_at=None).exists():
        words = Text("该目录条目已以文件提供", "Files serve this entry")
        found.append(Fault("document", "files_serve", words))
    key = next((item for item in items if item.field == resource.record_key), None)
    if key is None or not key.identity:
        words = Text("须有一个作为身份项的记录主键", "It needs a record key that is an item of identity")
        found.append(Fault("record_key", "record_key_unknown", words))
    if not resource.modes:
        found.append(Fault("modes", "field_required", Text("请选择共享模式", "Choose a sharing mode")))
    if len(items) > MAX_TABLE_ITEMS:
        words = Text(f"最多 {MAX_TABLE_ITEMS} 个信息项", f"At most {MAX_TABLE_ITEMS} items")
        found.append(Fault("items", "too_many", words))
    for item in items:
        if not item.identity and (item.type == "image" or len(item.field) > MAX_COLUMN_CHARS):
            words = Text("该项不能作为数据表的列入库", "It can't be kept as a column of a table")
            found.append(Fault(f"items.{item.field}", "column_refused", words))
    return tuple(found)


def modes_given(resource: Resource, *, held: bool) -> tuple[str, ...]:
    """The modes in which an entry can be given: nobody copies records that stay with their department."""
    return tuple(mode for mode in resource.modes if not held or mode != "bulk")


def write_exchange(resource: Resource, items: Iterable[Item]) -> None:
    """Write the row by which plane and loader know an entry, or bring it up to date."""
    limit = regulation().masked_from_sensitivity
    held = is_held(resource)
    spec = ResourceSpec(
        record_key=resource.record_key,
        modes=modes_given(resource, held=held),
        items=tuple(msgspec.convert(_spec_of(item, limit), ItemSpec) for item in items),
        kept="node" if held else "hub",
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec, active)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET code = excluded.code,"
            " name_zh = excluded.name_zh, name_en = excluded.name_en, department = excluded.department,"
            " spec = excluded.spec, active = excluded.active",
            [
                resource.id,
                resource.code,
                resource.name_zh,
                resource.name_en,
                resource.department_id,
                msgspec.json.encode(spec).decode(),
                resource.state == "published",
            ],
        )


def refresh_tables(resources: Iterable[Resource]) -> None:
    """Bring plane and tables of entries that are served by anything in step with what the entries say now."""
    by_id = {resource.id: resource for resource in resources}
    served = Service.objects.filter(resource_id__in=by_id, ended_at=None)
    tables = set(served.filter(kind=ServiceKind.TABLE).values_list("resource_id", flat=True))
    for key in sorted(set(served.values_list("resource_id", flat=True))):
        write_exchange(by_id[key], list(by_id[key].items.all()))
        if key in tables:
            create_list(key)


def _spec_of(item: Item, masked_from: int) -> dict[str, object]:
    return {
        "field": item.field,
        "zh": item.zh,
        "en": item.en,
        "type": item.type,
        "identity": item.identity,
        "kind": item.kind,
        "sensitivity": item.sensitivity,
        "required": item.required,
        # In one order, however the database gives them back: what is written again is the same structure.
        "codes": tuple(sorted(item.codes)) if item.codes else None,
        "length": item.length,
        "only_with": item.only_with,
        "masked": is_masked(item.sensitivity, masked_from, business_secret=item.business_secret),
    }
