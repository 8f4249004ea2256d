"""Registering another exchange system, and reporting how far it has moved."""

from datetime import date

from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.othersystems.access import access_system_locked, may_register
from shuqiao.control.othersystems.inputs import ReportInput, SystemInput, report_faults, system_faults
from shuqiao.control.othersystems.models import ExchangeSystem, ExchangeSystemStep
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.exchange_systems import Registration, decide_registration, may_report
from shuqiao.rules.ids import exchange_system_no
from shuqiao.rules.regulation import Regulation


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
def report_state(viewer: Viewer, number: str, given: ReportInput) -> None:
    """Report how far a system has moved; a system that has moved stays moved.

    Raises `NotFound` for whoever may not, `FormRefused` with every fault.
    """
    system = access_system_locked(viewer, number)
    faults = report_faults(given)
    if not faults and not may_report(system.state, given.state):
        words = Text("状态不能退回", "The state does not go back")
        faults.append(Fault("state", "state_goes_back", words))
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
