"""Registering another exchange system, and reporting how far it has moved."""

from datetime import date

from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Service
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.othersystems.access import access_system_locked, may_register
from shuqiao.control.othersystems.inputs import (
    MappingInput,
    ReportInput,
    SystemInput,
    mapping_faults,
    report_faults,
    system_faults,
)
from shuqiao.control.othersystems.models import ExchangeSystem, ExchangeSystemStep, MappedEntry
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.exchange_systems import Registration, decide_registration, may_report, missing_for_switch
from shuqiao.rules.ids import exchange_system_no
from shuqiao.rules.regulation import Regulation

MAX_MAPPED = 500
SWITCH_WORDS = {
    "not_mapped": Text(
        "请先把所交换的信息对应到目录条目", "Map what it exchanges to entries of the catalogue first"
    ),
    "entries_not_served": Text(
        "对应的目录条目中还有未在平台提供的", "Some of the mapped entries are not served by the platform yet"
    ),
}


def register_system(viewer: Viewer, given: SystemInput) -> str:
    """Register a system with its plan and return its number.

    A new one of a kind that the regulation forbids is refused with the article, and the refusal is logged:
    then nothing is stored (MOD-12). Raises `NotFound` for whoever may not register for the department.
    """
    if not may_register(viewer, given.department):
        raise NotFound
    rules = regulation()
    faults = system_faults(given)
    if not Department.objects.filter(code=given.department, active=True).exists():
        faults.append(Fault("department", "department_unknown", Text("部门不存在", "No such department")))
    until = given.planned_until
    if faults or until is None:
        raise FormRefused(tuple(faults))
    decided = decide_registration(
        given.kind, given.running_since, rules.exchange, rules.validity.valid_from, clock.today()
    )
    if not decided.allowed:
        _record_refusal(viewer, given, rules, decided)
        raise FormRefused((_refusal(rules, decided),))
    return _store(viewer, given, until, decided)


def _refusal(rules: Regulation, decided: Registration) -> Fault:
    cited = article_ref(decided.article, rules.id).cite
    words = Text(
        f"不得新建此类系统，部门间共享应当通过本平台（依据：{cited.zh}）",
        f"No new system of this kind may be built: share through the platform (rule: {cited.en})",
    )
    return Fault("kind", "new_system_forbidden", words)


@transaction.atomic
def _record_refusal(viewer: Viewer, given: SystemInput, rules: Regulation, decided: Registration) -> None:
    append_entry(
        "exchange_system_refused",
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome="new_system_forbidden",
        department=given.department,
        facts={"kind": given.kind, "name": given.name.strip(), "articles": [rules.cite(decided.article)]},
    )


@transaction.atomic
def _store(viewer: Viewer, given: SystemInput, until: date, decided: Registration) -> str:
    now = clock.now()
    year = clock.legal_day(now).year
    number = exchange_system_no(year, next_number("X", year))
    try:
        with transaction.atomic():
            system = ExchangeSystem.objects.create(
                number=number,
                department_id=given.department,
                kind=given.kind,
                name=given.name.strip(),
                purpose=given.purpose.strip(),
                partners=given.partners.strip(),
                running_since=given.running_since,
                plan=given.plan.strip(),
                planned_until=until,
                state="registered",
                regulation=regulation().id,
                registered_by_id=viewer.account_id,
                registered_at=now,
            )
    except IntegrityError:
        words = Text("本部门已登记同名的系统", "The department has registered a system of this name")
        raise FormRefused((Fault("name", "system_registered", words),)) from None
    _step(viewer, system, system.plan, "exchange_system_registered", {"is_new": decided.is_new})
    return number


@transaction.atomic
def map_entry(viewer: Viewer, number: str, given: MappingInput) -> None:
    """Say which entry of the catalogue stands for something the system exchanges.

    Raises `NotFound` for whoever may not, `FormRefused` with every fault; a second time changes nothing.
    """
    system = access_system_locked(viewer, number)
    faults = mapping_faults(given)
    if system.state == "moved":
        faults.append(_has_moved())
    if system.mapped.count() >= MAX_MAPPED:
        words = Text(f"最多 {MAX_MAPPED} 项", f"At most {MAX_MAPPED}")
        faults.append(Fault("what", "too_many", words))
    if faults:
        raise FormRefused(tuple(faults))
    what = given.what.strip()
    _, is_new = MappedEntry.objects.get_or_create(
        system=system,
        resource_id=given.resource,
        what=what,
        defaults={"account_id": viewer.account_id, "mapped_at": clock.now()},
    )
    if is_new:
        facts: dict[str, object] = {"mapped": what, "mapped_to": given.resource}
        _step(viewer, system, f"{what} → {given.resource}", "exchange_system_step", facts)


@transaction.atomic
def unmap_entry(viewer: Viewer, number: str, mapping: int) -> None:
    """Take a mapping back: it was wrong, or its entry is in the catalogue no longer.

    Raises `NotFound` for whoever may not and for a mapping that isn't there, `FormRefused` once it has moved.
    """
    system = access_system_locked(viewer, number)
    found = system.mapped.filter(pk=mapping).first()
    if found is None:
        raise NotFound
    if system.state == "moved":
        raise FormRefused((_has_moved(),))
    found.delete()
    facts: dict[str, object] = {"unmapped": found.what, "mapped_to": found.resource_id}
    _step(viewer, system, f"{found.what} ✕ {found.resource_id}", "exchange_system_step", facts)


def _has_moved() -> Fault:
    words = Text("已迁移停用的系统不再变更", "A system that has moved stays as it is")
    return Fault("what", "state_goes_back", words)


def _switch_fault(system: ExchangeSystem, wanted: str) -> Fault | None:
    """What keeps a system from being switched over or closed; any way of serving counts."""
    mapped = set(system.mapped.values_list("resource_id", flat=True))
    served = set(
        Service.objects.filter(resource_id__in=mapped, ended_at=None).values_list("resource_id", flat=True)
    )
    code = missing_for_switch(wanted, len(mapped), len(mapped - served))
    return Fault("state", code, SWITCH_WORDS[code]) if code else None


@transaction.atomic
def report_state(viewer: Viewer, number: str, given: ReportInput) -> None:
    """Report how far a system has moved; a system that has moved stays moved.

    Raises `NotFound` for whoever may not, `FormRefused` with every fault.
    """
    system = access_system_locked(viewer, number)
    faults = report_faults(given)
    if not faults and not may_report(system.state, given.state):
        words = Text("状态不能退回", "The state does not go back")
        faults.append(Fault("state", "state_goes_back", words))
    if not faults and (unready := _switch_fault(system, given.state)):
        faults.append(unready)
    if faults:
        raise FormRefused(tuple(faults))
    system.state = given.state
    system.planned_until = given.planned_until or system.planned_until
    system.save(update_fields=["state", "planned_until"])
    _step(viewer, system, given.note.strip(), "exchange_system_step", {})


def _step(viewer: Viewer, system: ExchangeSystem, note: str, event: str, facts: dict[str, object]) -> None:
    rules = regulation()
    entry = append_entry(
        event,
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome=system.state,
        department=system.department_id,
        case_no=system.number,
        facts={
            "kind": system.kind,
            "planned_until": system.planned_until.isoformat(),
            "articles": [rules.cite(rules.exchange.existing_article)],
            **facts,
        },
    )
    ExchangeSystemStep.objects.create(
        system=system,
        state=system.state,
        note=note,
        planned_until=system.planned_until,
        account_id=viewer.account_id,
        occurred_at=clock.now(),
        entry_id=entry,
    )
