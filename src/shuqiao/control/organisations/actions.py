"""Admitting departments, naming persons in charge, enrolling applications."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.organisations.models import Application, Department, Duty, PersonDuty, PersonInCharge
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.rules.errors import FieldRequired


@dataclass(frozen=True)
class DepartmentInput:
    """A body as it is put in the register."""

    code: str
    name: Text
    short_zh: str
    kind: str
    level: str
    roles: tuple[str, ...] = ()
    credit_code: str = ""
    legal_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class DutyInput:
    """A statutory duty of a department."""

    number: int
    text: Text
    ground: str


def register_department(given: DepartmentInput) -> Department:
    """Put a body in the register, or bring its entry up to date; it stays inactive until activated."""
    region, _, word = given.code.partition("-")
    department, _ = Department.objects.update_or_create(
        code=given.code,
        defaults={
            "region": region,
            "word": word,
            "name_zh": given.name.zh,
            "name_en": given.name.en,
            "short_zh": given.short_zh,
            "kind": given.kind,
            "level": given.level,
            "roles": list(given.roles),
            "credit_code": given.credit_code,
            "legal_names": list(given.legal_names),
        },
    )
    return department


def register_duties(department: Department, duties: Iterable[DutyInput]) -> None:
    """Record the duties of a department; requests may rest on no others."""
    for duty in duties:
        Duty.objects.update_or_create(
            department=department,
            number=duty.number,
            defaults={"text_zh": duty.text.zh, "text_en": duty.text.en, "ground": duty.ground},
        )


@transaction.atomic
def name_person(department: Department, duty: PersonDuty, name: str, phone: str, since: date) -> None:
    """Name who holds a duty from a day on; who held it before keeps a row with the last day."""
    current = PersonInCharge.objects.select_for_update().filter(department=department, duty=duty, until=None)
    holder = current.first()
    if holder is not None and (holder.name, holder.phone) == (name, phone):
        return
    current.update(until=since)
    PersonInCharge.objects.create(department=department, duty=duty, name=name, phone=phone, since=since)


@transaction.atomic
def activate_department(department: Department, actor: str) -> None:
    """Let a department take part; refused while one of the three persons in charge is missing.

    The audit entry files with the competent department that all three are named; the names themselves
    are on the platform and never in the log. Source: guangzhou-2016 art. 8(2), 34(2).
    """
    held = set(
        PersonInCharge.objects.filter(department=department, until=None).values_list("duty", flat=True)
    )
    missing = [duty for duty in PersonDuty if duty.value not in held]
    if missing:
        raise FieldRequired(
            field="、".join(str(duty.label) for duty in missing),
            rule=regulation().cite_matter("persons_in_charge"),
        )
    changed = Department.objects.filter(code=department.code, active=False).update(active=True)
    if changed:
        append_entry(
            "department_enrolled",
            actor=actor,
            at=clock.now(),
            outcome="active",
            department=department.code,
            provider=department.code,
            facts={
                "persons_named": sorted(held),
                "articles": [regulation().cite_matter("persons_in_charge")],
            },
        )


@dataclass(frozen=True)
class ApplicationInput:
    """A system of a department with the public key it signs with (SubjectPublicKeyInfo DER)."""

    id: str
    department: str
    name: Text
    algorithm: str
    public_key: bytes
    portal: bool = False


@transaction.atomic
def enrol_application(given: ApplicationInput, actor: str) -> None:
    """Enrol a system, for the catalogue and for the plane at once; the same again changes nothing."""
    known = Application.objects.select_for_update().filter(id=given.id).first()
    if known is not None and bytes(known.public_key) == given.public_key and known.active:
        return
    Application.objects.update_or_create(
        id=given.id,
        defaults={
            "department_id": given.department,
            "name_zh": given.name.zh,
            "name_en": given.name.en,
            "algorithm": given.algorithm,
            "public_key": given.public_key,
            "active": True,
            "portal": given.portal,
        },
    )
    _write_exchange(given)
    append_entry(
        "application_enrolled",
        actor=actor,
        at=clock.now(),
        outcome="active",
        department=given.department,
        provider=given.department,
        facts={"application": given.id, "algorithm": given.algorithm},
    )


def retire_application(application: Application, actor: str, reason: str) -> None:
    """Take a system off the platform: the plane refuses its calls from the moment this is committed.

    The caller holds the row's lock and its transaction.
    """
    application.active = False
    application.save(update_fields=["active"])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE exchange.application SET active = false WHERE id = %s", [application.id])
    append_entry(
        "application_retired",
        actor=actor,
        at=clock.now(),
        outcome="ended",
        department=application.department_id,
        provider=application.department_id,
        facts={"application": application.id, "reason": reason},
    )


def _write_exchange(given: ApplicationInput) -> None:
    values: dict[str, str | bytes | bool] = {
        "id": given.id,
        "department": given.department,
        "name_zh": given.name.zh,
        "name_en": given.name.en,
        "algorithm": given.algorithm,
        "public_key": given.public_key,
        "portal": given.portal,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.application"
            " (id, department, name_zh, name_en, algorithm, public_key, portal)"
            " VALUES (%(id)s, %(department)s, %(name_zh)s, %(name_en)s, %(algorithm)s, %(public_key)s,"
            " %(portal)s)"
            " ON CONFLICT (id) DO UPDATE SET department = excluded.department, name_zh = excluded.name_zh,"
            " name_en = excluded.name_en, algorithm = excluded.algorithm, public_key = excluded.public_key,"
            " portal = excluded.portal, active = true",
            values,
        )
