"""An entry's data: a base table only when they are offered, and columns that follow the entry."""

from dataclasses import replace

import msgspec
import pytest
from django.db import DatabaseError, DataError, transaction

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.basedata.tables import create_list
from shuqiao.control.catalogue.models import Resource, Service
from shuqiao.control.catalogue.services import offer_table
from shuqiao.control.compiling.drafts import begin, check
from shuqiao.wire.schemas import ResourceSpec
from tests.control.conftest import audit_entries, beyond_control, rows

from .conftest import APPLIED, HOUSING, KEY, STATUS, entry

OFFICE = replace(STATUS, field="review_office", zh="审核机关")


def columns(resource: str, schema: str = "base") -> set[str]:
    """The columns of an entry's table; none where it has no table."""
    with beyond_control():
        found = rows(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            schema,
            resource,
        )
    return {name for (name,) in found}


def exchanged(resource: str) -> tuple[str, bool, ResourceSpec] | None:
    """What plane and loader know of an entry."""
    found = rows("SELECT department, active, spec::text FROM exchange.resource WHERE id = %s", resource)
    if not found:
        return None
    [(department, active, spec)] = found
    return department, active, msgspec.json.decode(spec, type=ResourceSpec)


@pytest.fixture
def offered(guangzhou):
    """A published entry whose data are offered."""
    case = guangzhou.published()
    offer_table(guangzhou.viewer("hou"), case.resource)
    return guangzhou, case.resource


@pytest.mark.requirement("CAT-24")
def test_a_table_is_made_when_data_are_offered_and_not_before(guangzhou):
    case = guangzhou.published()
    assert exchanged(case.resource) is None and columns(case.resource) == set()
    for _ in range(2):
        offer_table(guangzhou.viewer("hou"), case.resource)
    department, active, spec = exchanged(case.resource)
    assert (department, active, spec.record_key) == (HOUSING, True, "applicant_id")
    assert {"approval_status", "applied_on"} <= columns(case.resource)
    # What identifies a person has no place in a base table.
    assert "applicant_id" not in columns(case.resource)
    assert Service.objects.get(resource=case.resource).kind == "table"
    assert len(audit_entries("service_offered")) == 1


def test_only_the_provider_offers_and_only_what_a_table_can_hold(guangzhou):
    case = guangzhou.published()
    for stranger in ("chen", "zhao"):
        with pytest.raises(NotFound):
            offer_table(guangzhou.viewer(stranger), case.resource)
    plain_key = replace(KEY, identity=False)
    other = guangzhou.published(
        name_zh="另一条目",
        items=(plain_key, replace(STATUS, field="photo", zh="现场照片", data_type="G")),
    )
    with pytest.raises(FormRefused) as refused:
        offer_table(guangzhou.viewer("hou"), other.resource)
    assert {fault.field for fault in refused.value.faults} == {"record_key", "items.photo"}
    assert exchanged(other.resource) is None


def test_an_item_added_by_the_procedure_gets_its_column_everywhere(offered):
    office, resource = offered
    number = office.changed(resource, items=(KEY, STATUS, APPLIED, OFFICE))
    office.send(number)
    assert "review_office" not in columns(resource)
    office.go_on(number)
    for schema in ("base", "base_history", "staging"):
        assert "review_office" in columns(resource, schema), schema
    _, _, spec = exchanged(resource)
    assert [item.field for item in spec.items][-1] == "review_office"


def test_an_item_left_out_is_no_longer_given_and_what_was_received_stays(offered):
    office, resource = offered
    number = office.changed(resource, items=(KEY, APPLIED))
    office.send(number)
    office.go_on(number)
    _, _, spec = exchanged(resource)
    assert [item.field for item in spec.items] == ["applicant_id", "applied_on"]
    assert "approval_status" in columns(resource)


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"items": (KEY, replace(STATUS, data_type="D", length=None), APPLIED)}, "items[1].data_type"),
        ({"items": (KEY, replace(STATUS, identity=True, kind="name"), APPLIED)}, "items[1].identity"),
        ({"record_key": "approval_status"}, "record_key"),
    ],
)
def test_what_stored_data_do_not_allow_is_said_before_it_is_sent(offered, changed, path):
    office, resource = offered
    faults = check(office.viewer("hou"), entry(**changed), resource=resource)
    assert (path, "structure_kept") in {(fault.path, fault.code) for fault in faults}
    number = office.changed(resource, **changed)
    with pytest.raises(FormRefused):
        office.send(number)


def test_the_database_itself_keeps_a_columns_type_and_keeps_identity_out(offered):
    _, resource = offered
    for change in (
        "jsonb_set(spec, '{items,1,type}', '\"date\"')",
        "jsonb_set(spec, '{items,1,identity}', 'true')",
    ):
        with pytest.raises((DataError, DatabaseError)), transaction.atomic():
            rows(f"UPDATE exchange.resource SET spec = {change} WHERE id = %s RETURNING id", resource)
            create_list(resource)


def test_an_entry_taken_out_is_no_longer_answered(offered):
    office, resource = offered
    begun = begin(office.viewer("hou"), "withdrawal", resource)
    office.send(begun.number)
    office.go_on(begun.number)
    _, active, _ = exchanged(resource)
    assert active is False
    assert Service.objects.get(resource=resource).ended_at is not None


def test_a_list_of_the_law_can_be_changed_like_any_other_entry(guangzhou):
    held = Resource.objects.get(list_key="birth")
    before = {item.field: (item.number, item.part, item.type) for item in held.items.all()}
    number = guangzhou.changed(
        held.id,
        by="chen",
        scope="本市各级行政机关",
        items=(*_items(held), replace(OFFICE, zh="出生医学证明补发机关")),
    )
    guangzhou.send(number, by="chen")
    guangzhou.go_on(number)
    held.refresh_from_db()
    after = {item.field: (item.number, item.part, item.type) for item in held.items.all()}
    assert {field: after[field] for field in before} == before
    assert after["review_office"] == (max(n for n, _, _ in before.values()) + 1, 0, "string")
    assert held.list_key == "birth" and held.version == 2
    assert "review_office" in columns(held.id)


def _items(held: Resource):
    from shuqiao.control.catalogue.entries import entry_from

    return entry_from(held.content).items
