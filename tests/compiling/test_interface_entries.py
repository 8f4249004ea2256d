"""Departments' systems write draft entries: once however often, checked like the pages', one's own only."""

import json

import pytest

from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.compiling.drafts import begin, check
from shuqiao.control.compiling.models import Compilation
from tests.compiling.interface_client import HEALTH, HOUSING, System, complete_entry, enrolled
from tests.control.conftest import BIRTH, HOUSEHOLD, City, audit_entries, city, rows

__all__ = ["city"]

pytestmark = pytest.mark.database


@pytest.fixture
def health(city: City) -> System:
    """The health department's system."""
    return System(enrolled("app-health-catalogue", HEALTH))


@pytest.fixture
def housing(city: City) -> System:
    """The housing department's system."""
    return System(enrolled("app-housing-catalogue", HOUSING), user="hou")


def counts() -> tuple[int, int]:
    """How many cases there are, and how many entries of the log."""
    return Compilation.objects.count(), rows("SELECT count(*) FROM audit.entry")[0][0]


@pytest.mark.requirement("CAT-18")
def test_an_entry_is_kept_as_the_draft_the_pages_would_make(health: System, city: City) -> None:
    done = health.put("vaccination-units", complete_entry())
    assert done.status_code == 201, done.content.decode()
    said = done.json()
    assert (said["result"], said["dry_run"], said["revision"], said["state"]) == (
        "created",
        False,
        1,
        "draft",
    )
    draft = Compilation.objects.get(number=said["number"])
    assert (draft.origin, draft.kind, draft.key) == ("interface", "new", "vaccination-units")
    assert (draft.department_id, draft.compiler.username) == (HEALTH, "chen")
    kept = entry_from(draft.content)
    assert kept == entry_from(complete_entry())
    on_the_pages = check(city.viewer("chen"), kept, resource=said["resource"])
    assert [fault["path"] for fault in said["faults"]] == [fault.path for fault in on_the_pages] == []


@pytest.mark.requirement("CAT-18")
def test_the_same_content_twice_changes_nothing(health: System) -> None:
    first = health.put("units", complete_entry()).json()
    second = health.put("units", complete_entry())
    assert second.status_code == 200
    assert second.json() == first | {"result": "unchanged"}
    assert Compilation.objects.count() == 1
    changed = health.put("units", complete_entry(scope="本市行政机关")).json()
    assert (changed["result"], changed["number"], changed["revision"]) == ("changed", first["number"], 2)
    by_id = health.put(first["resource"], complete_entry(scope="本市行政机关")).json()
    assert (by_id["result"], by_id["resource"]) == ("unchanged", first["resource"])


def test_a_dry_run_says_what_would_be_and_writes_nothing(health: System) -> None:
    before = counts()
    said = health.put("units", complete_entry(scope=""), dry_run=True)
    assert said.status_code == 200 and counts() == before
    assert (said.json()["result"], said.json()["number"], said.json()["dry_run"]) == ("created", "", True)
    assert [(fault["path"], fault["code"]) for fault in said.json()["faults"]] == [
        ("scope", "field_required")
    ]
    assert said.json()["faults"][0]["article"]
    refused = health.put("units", complete_entry(scope=""), dry_run=True, submit=True)
    assert refused.status_code == 422 and refused.json()["code"] == "entry_faulty"


def test_a_draft_may_be_incomplete_and_says_what_is_missing(health: System) -> None:
    said = health.put("units", {"name_zh": "接种单位信息"}).json()
    missing = {fault["path"] for fault in said["faults"]}
    assert said["result"] == "created" and {"subject", "items", "not_secret"} <= missing
    state = health.get("/entries/units/draft").json()
    assert state["faults"] == said["faults"] and state["number"] == said["number"]


def test_submitting_sends_it_into_the_procedure_and_then_it_is_closed(health: System) -> None:
    refused = health.put("units", complete_entry(not_secret=False), submit=True)
    assert (refused.status_code, refused.json()["code"]) == (422, "entry_faulty")
    assert [fault["path"] for fault in refused.json()["faults"]] == ["not_secret"]
    assert Compilation.objects.count() == 0
    sent = health.put("units", complete_entry(), submit=True).json()
    case = Compilation.objects.get(number=sent["number"])
    assert (sent["state"], case.state) == ("put_forward", "put_forward")
    assert case.submitted_by.username == "chen" and case.declared_by.username == "chen"
    again = health.put("units", complete_entry(), submit=True)
    assert (again.status_code, again.json()["result"]) == (200, "unchanged")
    other = health.put("units", complete_entry(scope="另行"))
    assert (other.status_code, other.json()["code"]) == (409, "entry_being_changed")
    case.refresh_from_db()
    assert case.revision == sent["revision"]


def test_who_builds_on_an_old_revision_is_told(health: System) -> None:
    first = health.put("units", complete_entry()).json()
    assert health.put("units", complete_entry(scope="甲"), revision=first["revision"]).status_code == 200
    late = health.put("units", complete_entry(scope="乙"), revision=first["revision"])
    assert (late.status_code, late.json()["code"]) == (409, "draft_changed")
    assert Compilation.objects.get().content["scope"] == "甲"
    assert health.put("new-one", complete_entry(name_zh="另一条"), revision=0).status_code == 201


def test_an_entry_in_force_is_changed_by_its_id(health: System) -> None:
    seen = health.get(f"/entries/{BIRTH}").json()
    assert seen["draft"] is None and seen["published"]["version"] == 1
    content = seen["published"]["entry"]
    assert health.put(BIRTH, content).json()["result"] == "unchanged"
    done = health.put(BIRTH, content | {"scope": "全市"}).json()
    case = Compilation.objects.get(number=done["number"])
    assert (done["result"], case.kind, case.resource, case.base_version) == ("changed", "change", BIRTH, 1)


def test_a_correction_of_wording_is_in_force_at_once(health: System, city: City) -> None:
    content = health.get(f"/entries/{BIRTH}").json()["published"]["entry"]
    begin(city.viewer("chen"), "correction", BIRTH)
    worded = content | {"summary_en": "Births, as certificates say.", "not_secret": True}
    done = health.put(BIRTH, worded, submit=True)
    assert done.status_code == 200, done.content.decode()
    said = done.json()
    assert (said["state"], said["result"]) == ("published", "changed")
    assert Compilation.objects.get(number=said["number"]).phase == "granted"
    now = health.get(f"/entries/{BIRTH}").json()
    assert now["draft"] is None and now["published"]["entry"]["summary_en"] == worded["summary_en"]


@pytest.mark.parametrize("key", [HOUSEHOLD, "r440100aaaaaaaaaa", "units"])
def test_another_departments_entry_looks_like_one_that_is_not_there(
    health: System, housing: System, key: str
) -> None:
    made = health.put("units", complete_entry()).json()
    for place in (key, f"{key}/draft"):
        assert housing.get(f"/entries/{place}").json() == housing.get("/entries/nothing-at-all").json()
    assert made["resource"] not in housing.get("/entries").content.decode()
    unknown = housing.put("r440100bbbbbbbbbb", complete_entry(department=HOUSING))
    for foreign in (HOUSEHOLD, made["resource"]):
        refused = housing.put(foreign, complete_entry(department=HOUSING))
        assert (refused.status_code, refused.json()) == (404, unknown.json())
    own = housing.put("units", complete_entry(department=HOUSING)).json()
    assert own["result"] == "created" and own["resource"] != made["resource"]


def test_an_entry_for_another_department_is_refused(health: System) -> None:
    refused = health.put("units", complete_entry(department=HOUSING))
    assert refused.status_code == 422
    assert [fault["code"] for fault in refused.json()["faults"]] == ["department_not_own"]
    assert Compilation.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"summary_zh": "<script>alert(1)</script>"}, "summary_zh"),
        ({"name_zh": "a\u0007b"}, "name_zh"),
        ({"items": [{"field": "a", "zh": "<b>x</b>", "length": 1}]}, "items[0].zh"),
        ({"scope": "x" * 201}, "scope"),
        ({"joint": ["440100-nowhere"]}, "joint"),
        ({"collecting": "nobody"}, "collecting"),
        ({"related": ["r440100aaaaaaaaaa"] * 51}, "related"),
    ],
)
def test_what_may_not_stand_in_a_draft_is_refused_at_its_place(
    health: System, changes: dict, path: str
) -> None:
    before = Compilation.objects.count()
    refused = health.put("units", complete_entry(**changes))
    assert refused.status_code == 422
    assert path in {fault["path"] for fault in refused.json()["faults"]}
    assert Compilation.objects.count() == before == 0


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b" ", "body_not_json", 400),
        (b"not json", "body_not_json", 400),
        (b"[]", "body_not_json", 400),
        (b"\xff\xfe{}", "body_not_json", 400),
        (b'{"entry":' + b"[" * 200_000, "request_malformed", 400),
        (b'{"entry":' + b'{"a":' * 200_000, "body_not_json", 400),
        (b'{"entry":{"items":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "body_not_json", 400),
        (b"{}", "request_malformed", 400),
        (b'{"entry":{},"nonsense":1}', "request_malformed", 400),
        (b'{"entry":{"nonsense":1}}', "request_malformed", 400),
        (b'{"entry":{"items":[{"field":"a","zh":"b","sample":"c"}]}}', "request_malformed", 400),
        (b'{"entry":{"name_zh":5}}', "request_malformed", 400),
        (b'{"entry":{"name_zh":"a\\u0000b"}}', "request_malformed", 400),
        (b'{"entry":{"items":[{"field":"a","zh":"b","data_type":"\\u0000"}]}}', "request_malformed", 400),
        (b'{"entry":{"name_zh":"\\ud800"}}', "body_not_json", 400),
        (b'{"entry":{"shared_until":"2026-02-30"}}', "request_malformed", 400),
        (b'{"entry":{},"revision":"1"}', "request_malformed", 400),
        (b'{"entry":{},"submit":"yes"}', "request_malformed", 400),
        (b'{"entry":{"records":1e400}}', "request_malformed", 400),
    ],
)
def test_bad_bodies_are_refused_with_the_part_at_fault(
    health: System, body: bytes, code: str, status: int
) -> None:
    refused = health.put_raw("units", body)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.content
    assert refused.headers["content-type"] == "application/problem+json"
    assert Compilation.objects.count() == 0


def test_a_body_too_large_is_refused_before_it_is_read(health: System) -> None:
    body = b'{"entry":{"summary_zh":"' + b"x" * (1024 * 1024) + b'"}}'
    refused = health.put_raw("units", body)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("key", ["-x", "a b", "a%20b", "x" * 81, "a/b", "..", ""])
def test_a_key_is_plain(health: System, key: str) -> None:
    refused = health.put(key, complete_entry())
    assert (
        refused.status_code in (400, 401, 404)
        and refused.headers["content-type"] == "application/problem+json"
    )
    assert Compilation.objects.count() == 0


def test_every_write_leaves_its_entry_in_the_log(health: System) -> None:
    said = health.put("units", complete_entry()).json()
    health.put("units", complete_entry())
    health.put("units", complete_entry(scope="<b>"))
    [received] = audit_entries("entry_received")
    actor = "app-health-catalogue/chen"
    assert received == (HEALTH, HEALTH, actor, said["resource"], None, said["number"], "created")
    [refused] = audit_entries("entry_refused")
    assert (refused[0], refused[2], refused[-1]) == (HEALTH, actor, "entry_faulty")


def test_the_list_is_paged_and_holds_the_departments_own(health: System) -> None:
    for number in range(5):
        assert health.put(f"unit-{number}", complete_entry(name_zh=f"单位{number}")).status_code == 201
    whole = health.get("/entries").json()
    assert whole["next"] == ""
    keys = {entry["key"] for entry in whole["entries"]}
    assert {f"unit-{number}" for number in range(5)} | {BIRTH} <= keys and HOUSEHOLD not in keys
    seen, after = [], ""
    while True:
        page = health.get("/entries", f"?limit=2&after={after}").json()
        assert len(page["entries"]) <= 2
        seen += page["entries"]
        after = page["next"]
        if not after:
            break
    assert seen == whole["entries"]
    for query in ("?limit=0", "?limit=101", "?limit=x", "?after=%00", "?after=a'b"):
        assert health.get("/entries", query).json()["code"] == "request_malformed"


def test_vocabulary_and_standards_say_what_may_be_chosen(health: System) -> None:
    words = health.get("/vocabulary").json()
    assert words["regulation"] == "guangzhou-2016"
    assert {"key": "monthly", "zh": "每月", "en": "Monthly"} in words["words"]["cycles"]
    assert {"shared_until", "platform", "items"} <= {one["field"] for one in words["required"]}
    assert HEALTH in {one["key"] for one in words["departments"]}
    assert health.get("/standards/elements", "?limit=2").status_code == 200
    assert health.get("/standards/nonsense").json()["code"] == "request_malformed"


def test_remarks_of_a_review_come_back(health: System) -> None:
    said = health.put("units", complete_entry()).json()
    case = Compilation.objects.get(number=said["number"])
    case.marks.create(
        state="compiled", path="items.unit_name", accepted=False, remark="请写全称",
        account=case.compiler, made_at=case.changed_at,
    )  # fmt: skip
    [remark] = health.get("/entries/units/draft").json()["remarks"]
    assert remark == {"path": "items.unit_name", "accepted": False, "remark": "请写全称"}


def test_english_is_answered_in_english(health: System) -> None:
    path = "/api/v1/catalogue/entries/nothing"
    headers = health.headers("GET", path) | {"accept-language": "en"}
    said = health.send("GET", path, b"", headers)
    assert said.json()["detail"].startswith("The department has no such entry")
    assert json.loads(health.get("/entries/nothing").content)["detail"].startswith("本部门没有")
