"""Seeding a city: departments, duties, persons in charge, accounts, applications, base lists, older cases.

Every step may be repeated after a crash: what is there is kept. Persons are invented and say so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer, viewer_of
from shuqiao.control.accounts.actions import AccountInput, create_account
from shuqiao.control.accounts.models import Account
from shuqiao.control.basedata.citations import store_citations
from shuqiao.control.catalogue.actions import load_base_lists
from shuqiao.control.disputes.actions import bring_dispute, take_step
from shuqiao.control.disputes.advance import possible_steps
from shuqiao.control.disputes.inputs import DisputeInput, StepInput
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.disputes.steps import free_kinds
from shuqiao.control.grants.keys import portal_key_file
from shuqiao.control.onesource.register import take_in_missing
from shuqiao.control.operations import (
    sample,
    sample_cases,
    sample_catalogue,
    sample_feed,
    sample_files,
    sample_held,
)
from shuqiao.control.organisations.actions import (
    ApplicationInput,
    DepartmentInput,
    DutyInput,
    activate_department,
    enrol_application,
    name_person,
    register_department,
    register_duties,
)
from shuqiao.control.organisations.models import Department, Duty, PersonDuty
from shuqiao.control.regulations.current import bodies, calendar
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.inputs import AnswerInput, RequestInput
from shuqiao.control.requests.models import Request
from shuqiao.control.texts import Text
from shuqiao.rules.catalogue import Body
from shuqiao.rules.ids import department_code, resource_id
from shuqiao.rules.procedures import latest_until
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.workdays import is_working_day
from shuqiao.security import keys

ACTOR = "system:seed"
SAMPLE_SINCE = date(2016, 7, 1)


@dataclass(frozen=True)
class Seeding:
    """What the caller decides: passwords by username, and where private keys of applications go.

    With `renew_passwords` accounts that exist get the passwords given here.
    """

    passwords: Mapping[str, str]
    application_keys: Path
    renew_passwords: bool = False


def seed_city(regulation: Regulation, seeding: Seeding) -> None:
    """Make the sample city of a regulation, or add what an earlier seeding left out."""
    store_citations()
    seed_departments(regulation)
    load_base_lists(regulation, ACTOR)
    take_in_missing()
    _seed_accounts(regulation, seeding)
    _seed_applications(regulation, seeding)
    seed_cases(regulation)
    seed_disputes(regulation)
    people = {name: _viewer(name) for name in sample_catalogue.PEOPLE}
    sample_catalogue.seed_catalogue(regulation, people, _working_moment(6))
    sample_files.register_sample_files(_viewer("huang"))
    sample_held.seed_held(regulation, _viewer("lin"), _viewer("zhao"), _working_moment(1))
    sample_feed.seed_feed(regulation, _viewer("lin"), _viewer("zhao"), _working_moment(1))
    sample_cases.seed_demand(regulation, _viewer("xu"), _viewer("huang"), _working_moment(4))
    sample_cases.seed_project(regulation, _viewer("huang"))
    sample_cases.seed_application(regulation, _viewer("huang"))


def seed_departments(regulation: Regulation) -> None:
    """Register the departments of the regulation's data with their duties and three invented persons each."""
    for place, body in enumerate(bodies(regulation.id).departments):
        department = register_department(_department(regulation, body))
        register_duties(department, [DutyInput(d.number, Text(d.zh, d.en), d.ground) for d in body.duties])
        for offset, duty in enumerate(PersonDuty):
            person = sample.sample_person(place * len(PersonDuty) + offset)
            name_person(department, duty, person, "020-00000000", SAMPLE_SINCE)
        activate_department(department, ACTOR)


def _department(regulation: Regulation, body: Body) -> DepartmentInput:
    return DepartmentInput(
        code=department_code(regulation.region, body.word),
        name=Text(body.zh, body.en),
        short_zh=body.short_zh,
        kind=body.kind,
        level=regulation.level,
        roles=body.roles,
        legal_names=body.legal_names,
    )


def _seed_accounts(regulation: Regulation, seeding: Seeding) -> None:
    for given in sample.ACCOUNTS:
        create_account(
            AccountInput(
                given.username,
                given.display_name,
                department_code(regulation.region, given.department),
                given.role,
            ),
            seeding.passwords[given.username],
            renew=seeding.renew_passwords,
        )


def _seed_applications(regulation: Regulation, seeding: Seeding) -> None:
    """Enrol the sample systems, and a portal application for each department whose people use pages."""
    for given in sample.APPLICATIONS:
        code = department_code(regulation.region, given.department)
        key = keys.load_or_create_signing_key(seeding.application_keys / f"{given.id}.key")
        _enrol(given.id, code, Text(given.zh, given.en), key, portal=False)
    for word in dict.fromkeys(account.department for account in sample.ACCOUNTS):
        department = Department.objects.get(code=department_code(regulation.region, word))
        if "requester" in department.roles:
            key = keys.load_or_create_signing_key(portal_key_file(f"app-{word}-portal"))
            name = Text(f"{department.short_zh}平台页面", f"{department.name_en}, platform pages")
            _enrol(f"app-{word}-portal", department.code, name, key, portal=True)


def _enrol(app: str, department: str, name: Text, key: keys.SigningKey, *, portal: bool) -> None:
    public = keys.public_der(key.public_key())
    enrol_application(
        ApplicationInput(app, department, name, keys.algorithm_of(key), public, portal=portal), ACTOR
    )


def seed_cases(regulation: Regulation) -> None:
    """Submit and answer the older sample cases as their people would have, on working days gone by."""
    if Request.objects.exclude(state="draft").exists():
        return
    for case in sample.CASES:
        _seed_case(regulation, case)


def _seed_case(regulation: Regulation, case: sample.SampleCase) -> None:
    viewer = _viewer(case.clerk)
    moment = _working_moment(case.days_ago)
    portal = f"app-{viewer.department.code.partition('-')[2]}-portal"
    with clock.fixed(moment):
        number = submit_request(
            viewer,
            RequestInput(
                resource=resource_id(regulation.region, case.list_key),
                mode=case.mode,
                duty=Duty.objects.get(department_id=viewer.department.code, number=1).pk,
                purpose=case.purpose,
                case_wording="办件编号",
                items=case.items,
                applications=(portal, *case.applications),
                accepted_conditions=tuple(condition.key for condition in regulation.conditions),
                wanted_until=_last_day(regulation, moment),
            ),
        )
    if case.reviewer:
        _answer_case(regulation, case, number)


def _answer_case(regulation: Regulation, case: sample.SampleCase, number: str) -> None:
    moment = _working_moment(case.days_ago - case.answered_after)
    with clock.fixed(moment):
        answer_request(
            _viewer(case.reviewer),
            number,
            AnswerInput(
                decisions={name: name in case.granted for name in case.items},
                refusal_reason=case.refusal,
                mode=case.mode,
                match="each",
                valid_until=_last_day(regulation, _working_moment(case.days_ago)),
            ),
        )


def seed_disputes(regulation: Regulation) -> None:
    """Bring the older sample disputes and take their steps, as far as the regulation knows them."""
    if Dispute.objects.filter(case_number="").exists():
        return
    known = {kind.key for kind in free_kinds(regulation)}
    for given in sample.DISPUTES:
        if given.kind in known:
            _seed_dispute(regulation, given)


def _seed_dispute(regulation: Regulation, given: sample.SampleDispute) -> None:
    with clock.fixed(_working_moment(given.days_ago)):
        number = bring_dispute(
            _viewer(given.by),
            DisputeInput(
                kind=given.kind,
                case_number="",
                applicant="",
                respondent=department_code(regulation.region, given.respondent),
                reason=given.reason,
                subject=given.subject,
            ),
        )
    for place, (by, action, brought) in enumerate(given.steps, 1):
        viewer = _viewer(by)
        possible = {step.action for step in possible_steps(viewer, Dispute.objects.get(number=number))}
        if action not in possible:
            return
        with clock.fixed(_working_moment(max(0, given.days_ago - 2 * place))):
            take_step(viewer, number, action, _brought(brought))


def _brought(given: dict[str, str]) -> StepInput:
    return StepInput(minutes=given.get("minutes", ""), result=given.get("result", ""))


def _viewer(username: str) -> Viewer:
    return viewer_of(Account.objects.select_related("department").get(username=username))


def _last_day(regulation: Regulation, moment: datetime) -> date:
    return latest_until(clock.legal_day(moment), regulation.period.maximum_months)


def _working_moment(days_ago: int) -> datetime:
    """Return the morning of the working day that lies so many working days back."""
    day, left = clock.today(), days_ago
    while left:
        day -= timedelta(days=1)
        left -= is_working_day(calendar(), day)
    return datetime.combine(day, time(9, 40), clock.LEGAL_ZONE)
