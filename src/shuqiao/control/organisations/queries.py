"""What pages show about departments, their persons in charge and their applications."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from shuqiao.control.organisations.models import Application, Department, PersonDuty, PersonInCharge
from shuqiao.control.texts import Text


@dataclass(frozen=True)
class DepartmentRef:
    """A department as it is named on a page."""

    code: str
    name: Text
    short: Text

    @property
    def region(self) -> str:
        """The region at the head of the code: the city's, or that of a district."""
        return self.code[:6]

    def __str__(self) -> str:
        """Return the name in the reader's language."""
        return str(self.name)


@dataclass(frozen=True)
class PersonRow:
    """One of the three persons in charge; `name` is empty while nobody is named."""

    duty: str
    label: Text
    name: str
    phone: str
    since: date | None


@dataclass(frozen=True)
class ApplicationRef:
    """An application of a department; `portal` marks the pages' own."""

    id: str
    name: Text
    portal: bool


_DUTY_EN = {
    PersonDuty.LEADER: "Leader in charge",
    PersonDuty.SHARING: "Person responsible for sharing",
    PersonDuty.TECHNICAL: "Person responsible for technical implementation",
}


def department_ref(department: Department) -> DepartmentRef:
    """Name a department for a page."""
    return DepartmentRef(
        department.code,
        Text(department.name_zh, department.name_en),
        Text(department.short_zh or department.name_zh, department.name_en),
    )


def department_refs() -> dict[str, DepartmentRef]:
    """Name every department, by code: one query."""
    rows = Department.objects.values_list("code", "name_zh", "short_zh", "name_en")
    return {code: DepartmentRef(code, Text(zh, en), Text(short or zh, en)) for code, zh, short, en in rows}


def application_ref(application: Application) -> ApplicationRef:
    """Name an application for a page."""
    return ApplicationRef(application.id, Text(application.name_zh, application.name_en), application.portal)


def persons_in_charge(department: str) -> tuple[PersonRow, ...]:
    """Return the three duties in the order of the law, with who holds each today."""
    return person_rows(PersonInCharge.objects.filter(department_id=department, until=None))


def person_rows(persons: Iterable[PersonInCharge]) -> tuple[PersonRow, ...]:
    """Show who of these persons holds each of the three duties."""
    held = {person.duty: person for person in persons}
    return tuple(_person_row(duty, held.get(duty)) for duty in PersonDuty)


def _person_row(duty: PersonDuty, person: PersonInCharge | None) -> PersonRow:
    return PersonRow(
        duty=duty.value,
        label=Text(str(duty.label), _DUTY_EN[duty]),
        name=person.name if person else "",
        phone=person.phone if person else "",
        since=person.since if person else None,
    )
