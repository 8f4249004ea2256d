"""A seeded city for the tests of control: real departments, lists and keys, in one transaction a module."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest
from django.conf import settings
from django.db import connection

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer, viewer_of
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.actions import load_base_lists
from shuqiao.control.operations.seed import seed_departments
from shuqiao.control.organisations.actions import ApplicationInput, enrol_application
from shuqiao.control.organisations.models import Duty
from shuqiao.control.regulations.current import forget_calendar, regulation
from shuqiao.control.requests.answering import AnswerInput
from shuqiao.control.requests.inputs import RequestInput
from shuqiao.control.texts import Text
from shuqiao.rules.ids import resource_id
from shuqiao.security import keys
from tests.plugins.stages import Stage

NOW = datetime(2026, 11, 11, 1, 42, tzinfo=UTC)
"""Wednesday 11 November 2026, 09:42 in Guangzhou."""

BIRTH = resource_id("440100", "birth")
HOUSEHOLD = resource_id("440100", "household_registration")

PEOPLE = (
    ("lin", "housing", "clerk"),
    ("hou", "housing", "sharing_officer"),
    ("tan", "housing", "technician"),
    ("chen", "health", "sharing_officer"),
    ("gong", "health", "leader"),
    ("wu", "health", "technician"),
    ("bai", "health", "clerk"),
    ("zhao", "police", "sharing_officer"),
    ("zheng", "data", "coordinator"),
    ("zhou", "supervision", "supervisor"),
    ("ma", "platform", "platform_operator"),
)


def seed(people=PEOPLE) -> None:
    """Departments, the 21 lists, accounts without passwords, and two applications of housing."""
    keys.load_or_create_signing_key(settings.CONFIG.grant_key_file)
    rules = regulation()
    seed_departments(rules)
    load_base_lists(rules, "system:test")
    add_people(people)
    for app, department, portal in (
        ("app-housing-portal", "440100-housing", True),
        ("app-housing-rental", "440100-housing", False),
        ("app-police-portal", "440100-police", True),
    ):
        der = keys.public_der(keys.generate_signing_key().public_key())
        enrol_application(
            ApplicationInput(app, department, Text(app, app), "ed25519", der, portal=portal), "system:test"
        )


def add_people(people) -> None:
    """Add accounts without passwords: user name, department and role of each."""
    for username, word, role in people:
        Account.objects.create(
            username=username,
            display_name=username,
            department_id=f"440100-{word}",
            role=role,
            password="!",
            created_at=NOW,
        )


def seed_city() -> None:
    """Seed what most tests stand on."""
    with clock.fixed(NOW):
        seed()


@dataclass(frozen=True)
class City:
    """The seeded city as tests use it."""

    def viewer(self, username: str) -> Viewer:
        """The account as the actions see it."""
        return viewer_of(Account.objects.select_related("department").get(username=username))

    def wanted(self, **changes) -> RequestInput:
        """A complete request of housing for two items of the birth list."""
        given = {
            "resource": BIRTH,
            "mode": "verify",
            "duty": Duty.objects.get(department_id="440100-housing", number=1).pk,
            "purpose": "公租房亲子关系核验",
            "case_wording": "公租房受理编号",
            "items": {"mother_name": "核对家庭成员关系", "mother_citizen_id_number": "核对家庭成员关系"},
            "applications": ("app-housing-portal", "app-housing-rental"),
            "accepted_conditions": tuple(condition.key for condition in regulation().conditions),
            "wanted_until": date(2027, 11, 11),
        }
        return RequestInput(**(given | changes))

    def answer(self, **changes) -> AnswerInput:
        """A complete answer that grants both items."""
        given = {
            "decisions": {"mother_name": True, "mother_citizen_id_number": True},
            "mode": "verify",
            "match": "each",
            "valid_until": date(2027, 11, 11),
        }
        return AnswerInput(**(given | changes))


@contextmanager
def beyond_control() -> Iterator[None]:
    """Be the superuser on the test's own connection, for what control itself cannot do."""
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        yield
        cursor.execute("SET ROLE shuqiao_control")


def rows(sql: str, *values) -> list[tuple]:
    """Rows of a query on the test's own connection."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def audit_entries(event: str) -> list[tuple]:
    """(department, provider, actor, resource, grant, case, outcome) of every entry of an event, in order."""
    return rows(
        "SELECT department, provider, actor, resource_id, grant_id, case_no, outcome FROM audit.entry"
        " WHERE event = %s ORDER BY occurred_at, id",
        event,
    )


@pytest.fixture(autouse=True)
def set_time() -> Iterator[None]:
    """Hold the clock at NOW."""
    with clock.fixed(NOW):
        yield


@pytest.fixture(scope="module")
def seeded(stage: Stage) -> Iterator[None]:
    """Seed once and stand there for a module; each test has a transaction of its own."""
    with stage.standing_on(stage.seeded(seed_city)):
        yield


@pytest.fixture
def city(seeded, db) -> City:
    """The seeded city, as it was, for one test."""
    forget_calendar()
    return City()


@pytest.fixture
def committed_city(stage: Stage) -> Iterator[City]:
    """A seeded city that other connections see, for this test alone."""
    forget_calendar()
    with stage.copy(seed_city):
        yield City()
    forget_calendar()
