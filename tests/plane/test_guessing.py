"""Claims that do not agree are counted per department, subject and item; beyond a budget guessing stops."""

import asyncio
import concurrent.futures
import json
import time
from datetime import date
from typing import Any

import httpx
import pytest

from shuqiao.client.plane import PlaneAnswer
from shuqiao.plane.slowing import MAX_HELD, Slower
from shuqiao.security.http_signatures import CallContext
from tests.plane.conftest import APP, GUESS_DELAY_S, OTHER_APP, RESOURCE, City
from tests.vault import births

LIMIT = 10
RIGHT = {"mother_name": "样例母亲3"}
WRONG = {"mother_name": "别的人"}
UNKNOWN = "X999999999"
pytestmark = pytest.mark.requirement("MOD-02")


def ask(
    city: City,
    claims: dict[str, str],
    subject: str = births.certificate(3),
    *,
    case: str = "",
    application: str = APP,
) -> PlaneAnswer:
    """Verify once."""
    with city.client(application) as client:
        return client.verify(RESOURCE, subject, claims, case=case, context=CallContext())


def use_up(city: City, subject: str = births.certificate(3)) -> None:
    """Claim wrongly as often as a department may in a day."""
    with city.client() as client:
        for _ in range(LIMIT):
            answer = client.verify(RESOURCE, subject, WRONG, context=CallContext())
            assert answer.body["result"] == {"mother_name": False}


def suspicions(city: City) -> list[dict[str, Any]]:
    """The alarms of this test."""
    rows = city.admin.execute(
        "SELECT id, body FROM audit.entry WHERE event = 'guessing_suspected' ORDER BY occurred_at"
    ).fetchall()
    return [json.loads(body) for entry, body in rows if entry not in city.seen_before]


@pytest.mark.parametrize("subject", [births.certificate(3), UNKNOWN], ids=["known", "unknown"])
def test_beyond_the_budget_neither_a_right_nor_a_wrong_claim_is_answered(city: City, subject: str) -> None:
    city.issue()
    use_up(city, subject)
    for claims in (WRONG, RIGHT):
        started = time.monotonic()
        answer = ask(city, claims, subject)
        assert (answer.status, answer.code) == (403, "case_number_demanded")
        assert time.monotonic() - started >= GUESS_DELAY_S
        assert answer.promise is not None
        entry = city.entries()[-1]
        assert (entry["event"], entry["outcome"]) == ("verify", "case_number_demanded")
        assert entry["seen"].keys() == {"record", "provider", "outcome"}
    [alarm] = suspicions(city)
    assert (alarm["item"], alarm["scope"], alarm["limit"]) == ("mother_name", "department", LIMIT)
    # The caller sees the alarm too, and an id of a record that stays would tell that there is one.
    assert "record" not in alarm and alarm["call"] in {str(entry["id"]) for entry in city.entries()}
    assert (alarm["department"], alarm["provider"]) == ("440100-housing", births.DEPARTMENT)


def test_a_case_number_opens_the_way_and_the_alarm_is_given_once(city: City) -> None:
    city.issue()
    use_up(city)
    started = time.monotonic()
    answer = ask(city, RIGHT, case="GZF-2026-9")
    assert answer.body["result"] == {"mother_name": True}
    assert time.monotonic() - started >= GUESS_DELAY_S
    assert ask(city, WRONG, case="GZF-2026-9").body["result"] == {"mother_name": False}
    assert len(suspicions(city)) == 1


def test_another_item_another_subject_and_another_department_are_not_held_up(city: City) -> None:
    city.issue()
    city.issue(department="440100-education", applications=(OTHER_APP,))
    use_up(city)
    number = {"mother_citizen_id_number": births.citizen_number(3, "19700101")}
    assert ask(city, number).body["result"] == {"mother_citizen_id_number": True}
    assert ask(city, {"mother_name": "样例母亲4"}, births.certificate(4)).status == 200
    started = time.monotonic()
    assert ask(city, RIGHT, application=OTHER_APP).body["result"] == {"mother_name": True}
    assert time.monotonic() - started < GUESS_DELAY_S + 2


def test_the_whole_city_has_a_budget_too_and_still_nobody_is_locked_out(city: City) -> None:
    city.issue()
    city.issue(department="440100-education", applications=(OTHER_APP,))
    assert ask(city, WRONG).status == 200
    # Other departments have claimed wrongly all day.
    city.admin.execute(
        "INSERT INTO exchange.guess (mark, day, field, department, misses)"
        " SELECT mark, day, field, '440100-other', 48 FROM exchange.guess"
    )
    assert ask(city, WRONG, application=OTHER_APP).status == 200
    assert ask(city, RIGHT, application=OTHER_APP).code == "case_number_demanded"
    assert ask(city, RIGHT, application=OTHER_APP, case="RX-1").body["result"] == {"mother_name": True}
    assert [alarm["scope"] for alarm in suspicions(city)] == ["city"]


def test_many_guesses_at_once_over_all_workers_share_one_budget(city: City) -> None:
    city.issue()
    body = json.dumps({"subject": births.certificate(3), "claims": WRONG}).encode()
    url = f"{city.url}/v1/resources/{RESOURCE}/verify"
    signed = [city.signed(body) for _ in range(48)]

    def send(headers: dict[str, str]) -> int:
        return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=30).status_code

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answered = sorted(pool.map(send, signed))
    assert answered == [200] * LIMIT + [403] * 38
    [(misses,)] = city.admin.execute("SELECT misses FROM exchange.guess").fetchall()
    assert misses == 48
    assert len(suspicions(city)) == 1


def test_a_replayed_guess_is_not_counted(city: City) -> None:
    city.issue()
    body = json.dumps({"subject": births.certificate(3), "claims": WRONG}).encode()
    headers, url = city.signed(body), f"{city.url}/v1/resources/{RESOURCE}/verify"
    for status in (200, 401, 401):
        assert httpx.post(url, content=body, headers=headers, trust_env=False).status_code == status
    assert city.admin.execute("SELECT misses FROM exchange.guess").fetchall() == [(1,)]


def test_guesses_hidden_in_one_answer_for_all_are_counted_by_item(city: City) -> None:
    city.issue(items=("mother_name", "father_name"), match="all")
    for _ in range(LIMIT):
        assert ask(city, RIGHT | {"father_name": "别的人"}).body["result"] is False
    assert ask(city, RIGHT | {"father_name": "样例父亲3"}).code == "case_number_demanded"
    counted = city.admin.execute("SELECT field, misses FROM exchange.guess").fetchall()
    assert counted == [("father_name", LIMIT)]


def test_counters_name_nobody_and_end_with_the_day(city: City) -> None:
    city.issue()
    use_up(city)
    [(mark, day)] = city.admin.execute("SELECT mark, day FROM exchange.guess").fetchall()
    assert len(mark) == 16 and isinstance(day, date)
    records = city.admin.execute(f"SELECT record_id FROM base.{RESOURCE}").fetchall()
    assert bytes(mark) not in {record.bytes for (record,) in records}
    city.admin.execute("UPDATE exchange.guess SET day = day - 1")
    assert ask(city, RIGHT).body["result"] == {"mother_name": True}
    assert city.admin.execute("SELECT exchange.forget_guesses(current_date + 9)").fetchall() == [(1,)]


@pytest.mark.timeout(120)
def test_a_budget_outlives_the_workers(own_city: City) -> None:
    city = own_city
    city.issue()
    use_up(city)
    city.stop(9)
    city.start()
    assert ask(city, RIGHT).code == "case_number_demanded"


async def test_no_more_answers_are_held_back_than_the_bound() -> None:
    slower = Slower(60)
    given: list[int] = []
    for number in range(MAX_HELD + 2):
        slower.hold(lambda number=number: given.append(number))
    assert given == [MAX_HELD, MAX_HELD + 1]
    slower.give_all()
    assert len(given) == MAX_HELD + 2
    await asyncio.sleep(0)
