"""Registering a business system, reporting how it stands to the platform, its test and its acceptance.

Source: guangzhou-2019-165 art. 16¶2-3; guangzhou-2016 art. 43; xiamen-2015 art. 19; ONB-02, SUP-11.
"""

import uuid
from dataclasses import dataclass
from datetime import date, datetime

from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.interconnection.access import (
    access_own_locked,
    access_system_locked,
    may_accept,
    may_register,
)
from shuqiao.control.interconnection.inputs import (
    AcceptanceInput,
    ReportInput,
    SystemInput,
    application_taken,
    day_faults,
    note_faults,
    one_line,
    report_faults,
    system_faults,
)
from shuqiao.control.interconnection.models import BusinessSystem, ConnectionCertificate, SystemStep
from shuqiao.control.interconnection.readings import Passed, find_tests, ways_kept, ways_of
from shuqiao.control.interconnection.words import missing_words
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import article_ref
from shuqiao.control.texts import Text
from shuqiao.rules import interconnection as rules
from shuqiao.rules.ids import business_system_no
from shuqiao.rules.interconnection import CONNECTED, PLANNED, RETIRED, UNCONNECTED


@dataclass(frozen=True)
class Done:
    """A step to record; without a viewer the platform did it."""

    kind: str
    viewer: Viewer | None
    article: str
    note: str = ""
    due_on: date | None = None
    passed: Passed | None = None


@transaction.atomic
def register_system(viewer: Viewer, given: SystemInput) -> str:
    """Register a system of a department as not connected and return its number.

    Raises `NotFound` for whoever may not register for the department, `FormRefused` with every fault.
    """
    if not may_register(viewer, given.department):
        raise NotFound
    faults = system_faults(given)
    if not Department.objects.filter(code=given.department, active=True).exists():
        faults.append(Fault("department", "department_unknown", Text("部门不存在", "No such department")))
    if faults:
        raise FormRefused(tuple(faults))
    now = clock.now()
    year = clock.legal_day(now).year
    try:
        with transaction.atomic():
            system = BusinessSystem.objects.create(
                number=business_system_no(year, next_number("B", year)),
                department_id=given.department,
                name=one_line(given.name),
                purpose=one_line(given.purpose),
                application=given.application,
                brings_id=given.brings or None,
                state=UNCONNECTED,
                registered_by_id=viewer.account_id,
                registered_at=now,
            )
    except IntegrityError as error:
        # Somebody else was quicker.
        is_key = "key_of_one_system" in str(error)
        raise FormRefused((application_taken() if is_key else _name_taken(),)) from None
    record(system, Done("registered", viewer, _connect_article()))
    return system.number


@transaction.atomic
def change_system(viewer: Viewer, number: str, given: SystemInput) -> None:
    """Change a system's name, what it is for and its ways; its certificate lapses, for it says all of them.

    One that is connected is tested anew where its ways are others.
    """
    system = access_own_locked(viewer, number)
    if given.department != system.department_id:
        raise NotFound
    faults = system_faults(given, number)
    if system.state == RETIRED:
        faults.append(_fault("state", "system_retired", "系统已停用", "The system is retired"))
    others = BusinessSystem.objects.filter(department=system.department_id).exclude(pk=system.pk)
    if not faults and others.filter(name=one_line(given.name)).exists():
        faults.append(_name_taken())
    if faults:
        raise FormRefused(tuple(faults))
    said, ways = (system.name, system.purpose), (system.application, system.brings_id or "")
    system.name, system.purpose = one_line(given.name), one_line(given.purpose)
    system.application, system.brings_id = given.application, given.brings or None
    if ways != (given.application, given.brings) and system.state == CONNECTED:
        system.state = UNCONNECTED
        lapse(system, viewer, "ways_changed")
    elif said != (system.name, system.purpose):
        # The sealed document bears both, so it would speak of another system.
        lapse(system, viewer, "words_changed")
    system.save()
    record(system, Done("changed", viewer, _connect_article()))


@transaction.atomic
def report_state(viewer: Viewer, number: str, given: ReportInput) -> None:
    """Report that a system is planned, connected or retired; connected is checked, not believed.

    Raises `NotFound` for whoever may not, `FormRefused` with every fault.
    """
    system = access_own_locked(viewer, number)
    faults, ways = report_faults(given), ways_of(system)
    if given.state not in rules.states_after(system.state, ways):
        wants_more = given.state == CONNECTED and system.state in rules.OPEN
        faults.append(_not_connected(ways.missing) if wants_more else _impossible())
    if faults:
        raise FormRefused(tuple(faults))
    planned = given.planned_until if given.state == PLANNED else None
    system.state, system.planned_until = given.state, planned or system.planned_until
    system.save(update_fields=["state", "planned_until"])
    record(system, Done(given.state, viewer, _connect_article(), given.note, planned))
    if given.state == RETIRED:
        lapse(system, viewer, "system_retired")


@transaction.atomic
def record_test(viewer: Viewer, number: str) -> tuple[str, ...]:
    """Record the tests that a connected system has passed since it is connected; returns their ways.

    A test is a call that the system's own key signed and another department's information answered, or a
    batch that the department's node brought and the platform took: both found in the audit log, not stated.
    Raises `FormRefused` where there is none that is not recorded yet.
    """
    system = access_own_locked(viewer, number)
    since = connected_since(system)
    if system.state != CONNECTED or since is None:
        raise FormRefused((_not_connected(("not_connected",)),))
    there = find_tests(system, since)
    known = system.steps.filter(kind="tested", proof__in=[one.entry for one in there])
    recorded = set(known.values_list("proof", flat=True))
    found = [one for one in there if one.entry not in recorded]
    if not found:
        zh = "接入以来，日志中还没有这个系统与其他部门互联共享的记录"
        en = "Since it is connected, the log has no call of it to another department and no batch of it"
        raise FormRefused((_fault("test", "test_not_found", zh, en),))
    for one in found:
        record(system, Done("tested", viewer, _acceptance_article(), passed=one))
    return tuple(one.way for one in found)


@transaction.atomic
def record_acceptance(viewer: Viewer, number: str, given: AcceptanceInput) -> None:
    """Record whether a system is accepted: none without a certificate in force passes (SUP-11).

    Where the regulation gives a day by which it is put right, whoever refuses says it. Raises `NotFound` for
    whoever does not accept systems, `FormRefused` with every fault.
    """
    system = access_system_locked(viewer, number)
    if not may_accept(viewer):
        raise NotFound
    duty = regulation().exchange.interconnection
    faults = note_faults(given.note)
    if not given.passes and duty.rectifies:
        faults += day_faults("due_on", given.due_on)
    certificate = certificate_in_force(system)
    if not rules.may_accept(is_certified=certificate is not None, passes=given.passes):
        cited = article_ref(duty.acceptance_article).cite
        words = Text(
            f"没有有效的互联共享测试证明，不得通过验收（依据：{cited.zh}）",
            f"Without a certificate of interconnection in force it doesn't pass (rule: {cited.en})",
        )
        faults.append(Fault("passes", "not_interconnected", words))
    if faults:
        raise FormRefused(tuple(faults))
    kind = "accepted" if given.passes else "refused"
    due = None if given.passes else given.due_on
    record(system, Done(kind, viewer, _acceptance_article(), given.note, due))
    notify(system.department_id, "system_accepted", system.number, capability=Capability.APPLICATION_ENROL,
           occasion=clock.now().isoformat(), params={"name": system.name, "state": kind})  # fmt: skip


def certificate_in_force(system: BusinessSystem) -> ConnectionCertificate | None:
    """The certificate that holds at this moment: it lapses with the connection, whenever that is noticed."""
    if system.state != CONNECTED or ways_kept(system).missing:
        return None
    return system.certificates.defer("pdf").filter(ended_at=None).first()


def connected_since(system: BusinessSystem) -> datetime | None:
    """When the system was connected last, or None."""
    step = system.steps.filter(kind="connected").first()
    return step.occurred_at if step else None


def tested_ways(system: BusinessSystem) -> dict[str, SystemStep]:
    """The newest passed test on each way since the system is connected."""
    since = connected_since(system)
    if since is None:
        return {}
    rows = system.steps.filter(kind="tested", occurred_at__gte=since)
    return {step.way: step for step in rows.order_by("way", "-occurred_at", "-id").distinct("way")}


def lapse(system: BusinessSystem, viewer: Viewer | None, why: str) -> None:
    """End the certificate in force, where there is one, because the system can't share any more."""
    for certificate in system.certificates.defer("pdf").select_for_update().filter(ended_at=None):
        end_certificate(certificate, "lapsed", why, viewer)


def end_certificate(certificate: ConnectionCertificate, how: str, reason: str, viewer: Viewer | None) -> None:
    """End a certificate with its entry and the notice to its department; the caller has locked it."""
    system, now = certificate.system, clock.now()
    certificate.ended_at, certificate.ended_how, certificate.reason = now, how, reason
    certificate.save(update_fields=["ended_at", "ended_how", "reason"])
    append_entry(
        "interconnection_ended",
        actor=_actor(viewer),
        at=now,
        outcome=how,
        department=certificate.issuer_id,
        provider=system.department_id,
        case_no=certificate.number,
        facts={"system": system.number, "reason": reason},
    )
    notify(system.department_id, "interconnection_ended", certificate.number,
           capability=Capability.APPLICATION_ENROL, params={"name": system.name, "state": how})  # fmt: skip


def record(system: BusinessSystem, done: Done) -> uuid.UUID:
    """Keep a step with its entry; returns the entry's id."""
    now, passed = clock.now(), done.passed
    entry = append_entry(
        "system_tested" if passed is not None else "system_step",
        actor=_actor(done.viewer),
        at=now,
        outcome=passed.way if passed is not None else done.kind,
        department=done.viewer.department.code if done.viewer else system.department_id,
        provider=system.department_id,
        case_no=system.number,
        facts=_facts(done),
    )
    SystemStep.objects.create(
        system=system,
        kind=done.kind,
        way=passed.way if passed else "",
        proof=passed.entry if passed else None,
        proof_at=passed.at if passed else None,
        note=done.note.strip(),
        due_on=done.due_on,
        account_id=done.viewer.account_id if done.viewer else None,
        occurred_at=now,
        entry_id=entry,
    )
    return entry


def _facts(done: Done) -> dict[str, object]:
    facts: dict[str, object] = {"articles": [regulation().cite(done.article)]}
    if done.due_on is not None and done.kind == PLANNED:
        facts |= {"planned_until": done.due_on.isoformat()}
    elif done.due_on is not None:
        facts |= {"due_on": done.due_on.isoformat()}
    if done.passed is not None:
        facts |= {"proof": str(done.passed.entry)}
    return facts


def _actor(viewer: Viewer | None) -> str:
    return f"account:{viewer.username}" if viewer else "system:control"


def _connect_article() -> str:
    return regulation().exchange.interconnection.connect_article


def _acceptance_article() -> str:
    return regulation().exchange.interconnection.acceptance_article


def _not_connected(missing: tuple[str, ...]) -> Fault:
    return Fault("state", missing[0] if missing else "not_connected", missing_words(missing))


def _impossible() -> Fault:
    return _fault("state", "state_impossible", "现在不能登记为这个状态", "It can't be in this state now")


def _name_taken() -> Fault:
    words = Text("本部门已登记同名的系统", "The department has registered a system of this name")
    return Fault("name", "system_registered", words)


def _fault(name: str, code: str, zh: str, en: str) -> Fault:
    return Fault(name, code, Text(zh, en))
