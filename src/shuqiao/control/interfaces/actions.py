"""Registering the interface of an entry, and replacing its description."""

from datetime import datetime

import msgspec
from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Item, Resource, Service, ServiceKind
from shuqiao.control.catalogue.services import write_exchange
from shuqiao.control.interfaces.models import Interface
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import SETTING
from shuqiao.wire.interface import Description, InterfaceSpec, Limits, items_of
from shuqiao.wire.interface_reading import DescriptionRefused, read_description

OFFER = Text("登记接口", "Register an interface")
MAX_TIMEOUT_S = 50


@transaction.atomic
def offer_interface(viewer: Viewer, resource_id: str, document: bytes, timeout_s: int) -> None:
    """Register the interface of an entry, or a new version of its description, for pages and plane.

    Address and credentials are no part of it: they stay with the department's node. Raises `NotFound` for
    whoever does not provide the entry, `FormRefused` with every fault.
    """
    require(viewer, Capability.CATALOGUE_EDIT, OFFER)
    own = Resource.objects.select_for_update().filter(department_id=viewer.department.code)
    resource = own.filter(pk=resource_id, state="published").first()
    if resource is None:
        raise NotFound
    items = list(resource.items.all())
    description = _checked(resource, items, document, timeout_s)
    now, rules = clock.now(), regulation()
    entry = append_entry(
        "interface_offered",
        actor=f"account:{viewer.username}",
        at=now,
        outcome="offered",
        department=viewer.department.code,
        provider=resource.department_id,
        resource_id=resource.id,
        facts={
            "operations": [one.id for one in description.operations],
            "version": description.version,
            "articles": [rules.cite(rules.citations.get("catalogue_entry", SETTING))],
        },
    )
    Interface.objects.filter(resource=resource, ended_at=None).update(ended_at=now)
    Interface.objects.create(
        resource=resource,
        document=document.decode("utf-8"),
        description=msgspec.to_builtins(description),
        title=description.title,
        version=description.version,
        timeout_s=timeout_s,
        offered_by_id=viewer.account_id,
        offered_at=now,
        entry_id=entry,
    )
    _serve(resource, now)
    write_exchange(resource, items)
    _tell_plane(resource.id, InterfaceSpec(description=description, limits=Limits(timeout_s=timeout_s)))


def _serve(resource: Resource, now: datetime) -> None:
    """Let an interface serve an entry from now on, where none does yet."""
    served = Service.objects.filter(resource=resource, kind=ServiceKind.INTERFACE, ended_at=None)
    if not served.exists():
        Service.objects.create(resource=resource, kind=ServiceKind.INTERFACE, offered_at=now)


def _checked(resource: Resource, items: list[Item], document: bytes, timeout_s: int) -> Description:
    faults = []
    if "query" not in resource.modes:
        words = Text("该目录条目未提供查询模式", "The entry is not offered for queries")
        faults.append(Fault("document", "mode_missing", words))
    if all(item.field != resource.record_key for item in items):
        words = Text("该目录条目没有记录主键", "The entry has no record key")
        faults.append(Fault("document", "record_key_unknown", words))
    if not 1 <= timeout_s <= MAX_TIMEOUT_S:
        words = Text(f"请填写 1 至 {MAX_TIMEOUT_S} 秒", f"From 1 to {MAX_TIMEOUT_S} seconds")
        faults.append(Fault("timeout_s", "timeout_refused", words))
    description = None
    try:
        description = read_description(document)
        document.decode("utf-8")
    except (DescriptionRefused, UnicodeDecodeError) as error:
        words = Text(f"接口描述不能使用：{error}", f"The description can't be used: {error}")
        faults.append(Fault("document", "description_refused", words))
    if description is not None and not _gives_something(description, items):
        zh = "接口描述中没有一个字段是该目录条目的信息项；名称不同时用 x-shuqiao-item 指明"
        en = "No field of the description is an item of the entry; name it by x-shuqiao-item where it differs"
        faults.append(Fault("document", "nothing_given", Text(zh, en)))
    if faults or description is None:
        raise FormRefused(tuple(faults))
    return description


def _gives_something(description: Description, items: list[Item]) -> bool:
    fields = {item.field for item in items}
    shapes = [one.answer for one in description.operations]
    return any(shape is None or items_of(shape) & fields for shape in shapes)


def _tell_plane(resource_id: str, spec: InterfaceSpec) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.interface (resource_id, spec) VALUES (%s, %s)"
            " ON CONFLICT (resource_id) DO UPDATE SET spec = excluded.spec, active = true",
            [resource_id, msgspec.json.encode(spec).decode()],
        )
