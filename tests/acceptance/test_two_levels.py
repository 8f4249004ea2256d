"""A list of base information on the platforms of city and district, over all real processes.

Bodies of both levels bring what they registered through nodes of their own; an office of each level asks for
what the other has, and calls for it. All persons are invented.
"""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shuqiao.client.plane import PlaneClient
from shuqiao.demo.city import Options, control_environment, nats_url
from shuqiao.demo.home import Home
from shuqiao.demo.people import STORY_CHILD_ID, STORY_FATHER_ID, STORY_MOTHER_ID
from shuqiao.edge.mapping import version_of
from shuqiao.loader.enrol import enrol_department
from shuqiao.rules.ids import resource_id
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, key_signer
from tests.loader.line import Child, wait_for
from tests.plugins.city import City
from tests.plugins.ports import free_port

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

CITY, DISTRICT, OTHER = "440100", "440105", "440106"
MARRIAGES = {region: resource_id(region, "marriage_adoption") for region in (CITY, DISTRICT)}
ISSUER = "issuing_authority_name"
PATIENCE_S = 120.0

MAPPING = """# 婚姻登记: invented
resource: {resource}
source: {{system: hydj-1, table: hydj, key: zjhm, changed: gxsj}}
items:
  id_document_number: zjhm
  name: xm
  id_document_type: zjlx
  marital_status: hyzk
  issuing_authority_name: fzjg
  issuing_authority_division: xzqh
"""

BEFORE = """
import datetime, django, json, pathlib, sys
django.setup()
from django.db import transaction
from shuqiao.control import clock
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.platforms import open_district_lists
from shuqiao.control.exchange.clearances import longest, sign
from shuqiao.control.organisations import actions as bodies
from shuqiao.control.organisations.models import Department, PersonDuty
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.security import keys
given = json.loads(sys.argv[1])
for word, zh, names in (("civil-affairs", "样例区民政局", ("民政部门",)), ("housing", "样例区住建局", ())):
    made = bodies.register_department(bodies.DepartmentInput(
        code=f"440105-{word}", name=Text(zh, f"Haizhu {word}, sample"), short_zh=zh, kind="organ",
        level="district", roles=("provider", "requester"), legal_names=names))
    bodies.register_duties(made, [bodies.DutyInput(1, Text("样例职权", "Sample duty"), "样例")])
    for duty in PersonDuty:
        bodies.name_person(made, duty, "样例", "020-00000000", datetime.date(2016, 7, 1))
    bodies.activate_department(made, "system:test")
for name, code in (("min", "440100-civil-affairs"), ("qumin", "440105-civil-affairs"),
                   ("qufang", "440105-housing"), ("shifang", "440100-housing")):
    Account.objects.create(username=name, display_name="样例", department_id=code, role="sharing_officer",
                           password="!", created_at=clock.now())
for app, code in given["apps"].items():
    public = keys.public_der(keys.load_signing_key(pathlib.Path(given["keys"]) / app).public_key())
    bodies.enrol_application(
        bodies.ApplicationInput(app, code, Text("样例系统", "Sample"), "ed25519", public), "system:test")
opened = open_district_lists()
with transaction.atomic():
    for resource, version in given["mappings"].items():
        for review in regulation().reviews:
            sign(resource, review.key, version, longest(review, clock.today()), "min")
print("opened", opened)
"""

ASK = """
import datetime, django, json, sys
django.setup()
from shuqiao.control import clock
from shuqiao.control.accounts.access import viewer_of
from shuqiao.control.accounts.models import Account
from shuqiao.control.organisations.models import Duty
from shuqiao.control.regulations.current import regulation
from shuqiao.control.requests.answering import AnswerInput, answer_request
from shuqiao.control.requests.inputs import RequestInput
from shuqiao.control.requests.pages import request_form
from shuqiao.control.requests.platforms import submit_on_platforms
given = json.loads(sys.argv[1])
who = lambda name: viewer_of(Account.objects.select_related("department").get(username=name))
viewer, until = who(given["by"]), clock.today() + datetime.timedelta(days=30)
numbers = submit_on_platforms(viewer, RequestInput(
    resource=given["resource"], mode="query", purpose="样例核对", items={given["item"]: "样例理由"},
    duty=Duty.objects.filter(department_id=viewer.department.code)[0].pk, applications=(given["app"],),
    accepted_conditions=tuple(one.key for one in regulation().conditions), wanted_until=until,
    rows=request_form(viewer, given["resource"]).kept_rows), given["also"])
answer = AnswerInput(decisions={given["item"]: True}, mode="query", match="all", valid_until=until)
answered = [answer_request(who(name), number, answer) for number, name in zip(numbers, given["answer"])]
print("granted", json.dumps(answered))
"""


@dataclass
class Levels:
    """The running city with nodes of civil affairs on both levels."""

    city: City
    folder: Path

    def options(self) -> Options:
        """The ports of its processes."""
        city = self.city
        return Options(plane_port=city.plane_port, port=city.port, nats_port=city.nats_port)

    def office(self, script: str, given: dict[str, Any]) -> str:
        """Run a script of the office; what it says last."""
        done = subprocess.run(
            [sys.executable, "-c", script, json.dumps(given)],
            env=os.environ | control_environment(Home(self.city.home), self.options()),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip().splitlines()[-1]

    def hub(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the hub's database."""
        with psycopg.connect(Home(self.city.home).hub_superuser_url("shuqiao")) as hub:
            return hub.execute(sql, values).fetchall()

    def merged(self) -> int:
        """How many records have come to the lists of both levels."""
        sql = "SELECT coalesce(sum(inserted), 0) FROM exchange.batch WHERE resource_id = ANY(%s)"
        return int(self.hub(sql, list(MARRIAGES.values()))[0][0])

    def grants(self, by: str, app: str, region: str, also: str, answer: list[str]) -> list[str]:
        """Ask for both levels' lists in one form, and let both providers agree; the grants' numbers."""
        given = {"by": by, "app": app, "resource": MARRIAGES[region], "also": [MARRIAGES[also]]}
        said = self.office(ASK, given | {"answer": answer, "item": ISSUER})
        return list(json.loads(said.removeprefix("granted ")))

    def ask(self, app: str, region: str, grant: str, number: str) -> str | None:
        """The issuer of a person's record on one platform as the plane gives it, None where none is there."""
        signer = key_signer(keys.load_signing_key(self.folder / app))
        context = CallContext(end_user="样例经办人", grant=grant)
        with PlaneClient(f"http://127.0.0.1:{self.city.plane_port}", signer) as client:
            answer = client.query(MARRIAGES[region], number, [ISSUER], case="样例-1", context=context)
        assert answer.status in (200, 404), answer
        found = answer.body.get("data") or {}
        return found.get(ISSUER)


def source_of(folder: Path, region: str, rows: list[tuple[str, str, str]]) -> tuple[Path, str]:
    """A department's own database with these records (number, issuer, division), and its mapping."""
    file = folder / f"{region}.db"
    with sqlite3.connect(file) as link:
        link.execute(
            "CREATE TABLE hydj (zjhm text PRIMARY KEY, xm text, zjlx text, hyzk text, fzjg text, xzqh text,"
            " gxsj datetime)"
        )
        for number, issuer, division in rows:
            row = (number, "张样例", "111", "20", issuer, division, "2026-11-02 09:00:00")
            link.execute("INSERT INTO hydj VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    link.close()
    return file, MAPPING.format(resource=MARRIAGES[region])


async def admitted(levels: Levels, region: str, file: Path, mapping: str) -> Child:
    """A node of the civil affairs of a level, admitted and ready to start."""
    department, home = f"{region}-civil-affairs", Home(levels.city.home)
    folder = levels.folder / department
    folder.mkdir(mode=0o700)
    await enrol_department(
        department=department,
        node_home=folder,
        secrets=home.secrets,
        database_url=home.hub_url("shuqiao_owner"),
        nats_url=nats_url(levels.options()),
    )
    (folder / "mappings").mkdir()
    (folder / "mappings" / "marriages.yaml").write_text(mapping, encoding="utf-8")
    environment = {
        "NODE_HOME": str(folder),
        "NODE_DEPARTMENT": department,
        "NATS_URL": nats_url(levels.options()),
        "NODE_CREDS": str(folder / "node.creds"),
        "NODE_CA": str(home.secrets / "ca.pem"),
        "NODE_MAPPING": str(folder / "mappings"),
        "NODE_SOURCE_URL": f"sqlite://{file}",
    }
    return Child(department, [sys.executable, "-m", "shuqiao.edge.main"], environment, folder / "node.log")


APPS = {"app-city-housing": "440100-housing", "app-haizhu-housing": "440105-housing"}
RECORDS = {
    # The city registered somebody of the district and somebody of another one.
    CITY: [(STORY_MOTHER_ID, "市婚姻登记处", DISTRICT), (STORY_FATHER_ID, "市婚姻登记处", OTHER)],
    DISTRICT: [(STORY_CHILD_ID, "海珠区婚姻登记处", DISTRICT)],
}


@pytest.fixture(scope="module")
def levels() -> Iterator[Levels]:
    """A city of its own in which both levels have brought their records."""
    with tempfile.TemporaryDirectory(prefix="sq2-") as name:
        folder = Path(name)
        made = Levels(City(folder / "home", free_port(), free_port(), free_port()), folder)
        made.city.start()
        nodes: list[Child] = []
        try:
            sources = {region: source_of(folder, region, rows) for region, rows in RECORDS.items()}
            for app in APPS:
                keys.load_or_create_signing_key(folder / app)
            versions = {MARRIAGES[r]: version_of(mapping.encode()) for r, (_, mapping) in sources.items()}
            said = made.office(BEFORE, {"apps": APPS, "keys": str(folder), "mappings": versions})
            assert said == "opened 5"
            for region, (file, mapping) in sources.items():
                nodes.append(asyncio.run(admitted(made, region, file, mapping)))
            for node in nodes:
                node.start()
            wait_for(
                lambda: made.merged() == len(RECORDS[CITY] + RECORDS[DISTRICT]), PATIENCE_S, "all merged"
            )
            yield made
        except BaseException:
            print(*(node.written()[-3000:] for node in nodes), sep="\n")
            raise
        finally:
            for node in nodes:
                node.end()
            made.city.stop()


@pytest.mark.requirement("BAS-22", source="GZ16:28¶2")
def test_what_each_level_collects_lies_on_its_own_platform_with_its_origin(levels: Levels) -> None:
    for region, records in RECORDS.items():
        sql = (
            f"SELECT {ISSUER}, source_department, source_system, batch_sequence FROM base.{MARRIAGES[region]}"
        )
        found = levels.hub(sql)
        assert sorted(row[0] for row in found) == sorted(issuer for _, issuer, _ in records)
        assert {row[1:3] for row in found} == {(f"{region}-civil-affairs", "hydj-1")}
        assert all(row[3] >= 1 for row in found)


@pytest.mark.requirement("BAS-22", source="GZ16:33¶1")
def test_an_office_of_the_city_gets_what_a_district_provided(levels: Levels) -> None:
    own, other = levels.grants("shifang", "app-city-housing", CITY, DISTRICT, ["min", "qumin"])
    assert levels.ask("app-city-housing", DISTRICT, other, STORY_CHILD_ID) == "海珠区婚姻登记处"
    assert levels.ask("app-city-housing", CITY, own, STORY_FATHER_ID) == "市婚姻登记处"
    assert levels.ask("app-city-housing", CITY, own, STORY_CHILD_ID) is None
    told = "SELECT provider, resource_id FROM audit.entry WHERE event = 'query' AND grant_id = %s"
    assert levels.hub(told, other) == [("440105-civil-affairs", MARRIAGES[DISTRICT])]


@pytest.mark.requirement("BAS-22", source="GZ16:33¶2")
def test_an_office_of_a_district_gets_of_the_citys_list_its_own_people(levels: Levels) -> None:
    own, cities = levels.grants("qufang", "app-haizhu-housing", DISTRICT, CITY, ["qumin", "min"])
    assert levels.ask("app-haizhu-housing", DISTRICT, own, STORY_CHILD_ID) == "海珠区婚姻登记处"
    assert levels.ask("app-haizhu-housing", CITY, cities, STORY_MOTHER_ID) == "市婚姻登记处"
    assert levels.ask("app-haizhu-housing", CITY, cities, STORY_FATHER_ID) is None
