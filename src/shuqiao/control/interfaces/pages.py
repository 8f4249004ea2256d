"""The page of an entry's interface: operations, a console that answers with samples, failing calls."""

import json
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.actors import ActorRef, actor_refs
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.interfaces.document import call_path, limits_of, openapi, possible
from shuqiao.control.interfaces.granting import description_of
from shuqiao.control.interfaces.models import Interface
from shuqiao.control.organisations.models import Application
from shuqiao.control.texts import Text
from shuqiao.wire.interface import Operation, Shape, parameter_fault, sample_of

REPORT_DAYS = 30
MAX_ROWS = 200
ANSWERED = "answered"
_PLACES = {"path": Text("路径", "Path"), "query": Text("查询串", "Query")}
_TYPES = {
    "string": Text("文本", "Text"),
    "integer": Text("整数", "Integer"),
    "number": Text("数值", "Number"),
    "boolean": Text("是否", "Yes or no"),
    "date": Text("日期", "Date"),
}


@dataclass(frozen=True)
class ParameterRow:
    """One parameter as the page shows it."""

    name: str
    place: Text
    type: Text
    is_required: bool
    max_chars: int
    values: tuple[str, ...]
    said: str
    example: str

    @property
    def is_text(self) -> bool:
        """Tell whether its length is what bounds it."""
        return self.type is _TYPES["string"]


@dataclass(frozen=True)
class FieldRow:
    """One value of an answer; `item` names the entry's item it holds, `is_given` says whether any does."""

    path: str
    type: Text
    item: str
    is_given: bool
    said: str


@dataclass(frozen=True)
class OperationRow:
    """One operation with what it takes and gives."""

    id: str
    said: str
    method: str
    path: str
    call: str
    parameters: tuple[ParameterRow, ...]
    takes_body: bool
    answer_type: str
    fields: tuple[FieldRow, ...]
    sample: str
    request: str
    command: str


@dataclass(frozen=True)
class OutcomeRow:
    """How the calls of one system to one operation ended in the days of the report."""

    application: str
    department: str
    operation: str
    calls: int
    failed: int
    last_failure: datetime | None
    who: ActorRef | None = None


@dataclass(frozen=True)
class InterfacePage:
    """The interface of an entry; without one, `operations` is empty."""

    resource: str
    name: Text
    title: str
    version: str
    offered_at: datetime | None
    timeout_s: int
    limits: Mapping[str, int]
    operations: tuple[OperationRow, ...]
    outcomes: tuple[OutcomeRow, ...]
    may_offer: bool
    days: int = REPORT_DAYS


@dataclass(frozen=True)
class Trial:
    """What the console answered: invented values, or the name of the parameter that is wrong."""

    operation: str
    answer: str
    fault: str


def interface_page(viewer: Viewer, resource_id: str) -> InterfacePage:
    """Return the page; raises `NotFound` for what this viewer can't see, or where there is nothing to see."""
    resource = access_resource(viewer, resource_id)
    may_offer = _may_offer(viewer, resource)
    held = Interface.objects.filter(resource=resource, ended_at=None).first()
    if held is None and not may_offer:
        raise NotFound
    description = description_of(resource.id)
    names = {item.field: str(item.name) for item in resource.items.all()}
    system = _own_system(viewer)
    operations = description.operations if description is not None else ()
    return InterfacePage(
        resource=resource.id,
        name=resource.name,
        title=held.title if held else "",
        version=held.version if held else "",
        offered_at=held.offered_at if held else None,
        timeout_s=held.timeout_s if held else 20,
        limits=limits_of(held) if held else {},
        operations=tuple(_operation(one, resource.id, names, system) for one in operations),
        outcomes=outcomes_of(viewer, resource),
        may_offer=may_offer,
    )


def try_call(viewer: Viewer, resource_id: str, operation: str, given: Mapping[str, str]) -> Trial:
    """Answer a call with samples; the department is not asked, and no person's data are touched.

    Parameters are judged as the plane judges them. Raises `NotFound` for an operation that is not there.
    """
    resource = access_resource(viewer, resource_id)
    description = description_of(resource.id)
    found = description.operation(operation) if description is not None else None
    if found is None:
        raise NotFound
    parameters = {name: value for name, value in given.items() if value}
    fault = parameter_fault(found, parameters, has_body=found.takes_body)
    if fault is not None:
        return Trial(operation, "", fault)
    return Trial(operation, _sample(found, {item.field for item in resource.items.all()}), "")


def outcomes_of(viewer: Viewer, resource: Resource) -> tuple[OutcomeRow, ...]:
    """Tell how calls ended: to the provider those of all systems, to others those of their own."""
    is_own = resource.department_id == viewer.department.code or viewer.can(Capability.AUDIT_VIEW_ALL)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT application, department, operation, sum(calls),"
            " coalesce(sum(calls) FILTER (WHERE outcome <> %s), 0),"
            " max(last_at) FILTER (WHERE outcome <> %s) FROM exchange.interface_outcome"
            " WHERE resource_id = %s AND day > %s AND (%s OR department = %s)"
            " GROUP BY application, department, operation ORDER BY 5 DESC, 4 DESC, 1, 3 LIMIT %s",
            [
                ANSWERED,
                ANSWERED,
                resource.id,
                clock.today() - timedelta(days=REPORT_DAYS),
                is_own,
                viewer.department.code,
                MAX_ROWS,
            ],
        )
        rows = [OutcomeRow(*row) for row in cursor.fetchall()]
    named = actor_refs(row.application for row in rows)
    return tuple(replace(row, who=named.get(row.application)) for row in rows)


def interface_document(viewer: Viewer, resource_id: str) -> dict[str, Any]:
    """Return the OpenAPI document of the interface in force; raises `NotFound` where there is none."""
    resource = access_resource(viewer, resource_id)
    held = Interface.objects.filter(resource=resource, ended_at=None).first()
    description = description_of(resource.id)
    if held is None or description is None:
        raise NotFound
    return openapi(resource, held, description)


def _own_system(viewer: Viewer) -> str:
    """A system of the reader's department that could call, for the example."""
    own = Application.objects.filter(department_id=viewer.department.code, active=True, portal=False)
    return own.order_by("id").values_list("id", flat=True).first() or "app-…"


def _may_offer(viewer: Viewer, resource: Resource) -> bool:
    return resource.department_id == viewer.department.code and viewer.can(Capability.CATALOGUE_EDIT)


def _operation(one: Operation, resource_id: str, names: Mapping[str, str], system: str) -> OperationRow:
    parameters = tuple(
        ParameterRow(
            p.name, _PLACES[p.place], _TYPES[p.type], p.is_required, p.max_chars, p.values, p.said, p.example
        )
        for p in one.parameters
    )
    fields = tuple(_fields(one.answer, "", names)) if one.answer is not None else ()
    call = f"POST {call_path(resource_id, one.id)}"
    given = {p.name: p.example or "…" for p in one.parameters if p.is_required or p.example}
    return OperationRow(
        one.id,
        one.said,
        one.method,
        one.path,
        call,
        parameters,
        one.takes_body,
        one.answer_type,
        fields,
        _sample(one, names.keys()),
        _request(one, given),
        _command(one, given, resource_id, system),
    )


def _request(one: Operation, given: Mapping[str, str]) -> str:
    body: dict[str, object] = {"parameters": dict(given), **({"body": {}} if one.takes_body else {})}
    return json.dumps(body | {"case": "…"}, ensure_ascii=False, indent=2)


def _command(one: Operation, given: Mapping[str, str], resource_id: str, system: str) -> str:
    """The command that signs and sends the call; values are quoted for a shell."""
    words = ["shuqiao", "interface", one.id, "--app", system, "--resource", resource_id]
    for name, value in given.items():
        words += ["--param", f"{name}={value}"]
    if one.takes_body:
        words += ["--body", "FILE"]
    if one.answer is None:
        words += ["--out", "FILE"]
    return shlex.join(words)


def _fields(shape: Shape, path: str, names: Mapping[str, str]) -> list[FieldRow]:
    if shape.kind == "object":
        inner = [(f"{path}.{name}" if path else name, one) for name, one in shape.fields.items()]
        return [row for place, one in inner for row in _fields(one, place, names)]
    if shape.kind == "list":
        return [] if shape.each is None else _fields(shape.each, f"{path}[]", names)
    name = names.get(shape.item, "")
    return [FieldRow(path, _TYPES[shape.type], name, not shape.item or shape.item in names, shape.said)]


def _sample(one: Operation, fields: Collection[str]) -> str:
    """Write the sample of an answer with the values that could be granted at all."""
    if one.answer is None:
        return ""
    kept = possible(one.answer, fields)
    return json.dumps(sample_of(kept), ensure_ascii=False, indent=2) if kept is not None else "{}"
