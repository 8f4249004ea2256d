"""An attack: tell from answers and their times who is in a list. It must not succeed.

Calls of the kinds to be told apart are sent in turn over one connection, so that the machine's moods meet all
of them alike. What is compared is how often a call of one kind took longer than one of the other: one half
where time tells nothing, nought or one where it tells all.
"""

import http.client
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence

import pytest

from shuqiao.wire.grant import Row
from tests.plane.conftest import RESOURCE, City
from tests.vault import births

PEOPLE = range(2, 20)
TURNS = 9
"""Fewer than the wrong claims a department may make about an item in a day."""
TELLS_NOTHING = 0.12
pytestmark = [pytest.mark.requirement("MOD-02")]


def advantage(first: Sequence[float], second: Sequence[float]) -> float:
    """How far the share of pairs in which the first took longer lies from one half."""
    longer = sum((a > b) + (a == b) / 2 for a in first for b in second)
    return abs(longer / (len(first) * len(second)) - 0.5)


class Attacker:
    """Sends signed calls over one connection and takes their times."""

    def __init__(self, city: City, operation: str) -> None:
        self.city, self.operation = city, operation
        self.connection = http.client.HTTPConnection("127.0.0.1", city.port, timeout=30)
        self.times: dict[str, list[float]] = {}
        self.shapes: dict[str, set[str]] = {}

    def __enter__(self) -> "Attacker":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, kind: str, content: object) -> None:
        """Send one call; what is kept of the answer is what can't be the same in two answers."""
        body = json.dumps(content).encode()
        headers = self.city.signed(body, operation=self.operation)
        started = time.perf_counter()
        self.connection.request(
            "POST", f"/v1/resources/{RESOURCE}/{self.operation}", body=body, headers=headers
        )
        response = self.connection.getresponse()
        raw = response.read()
        self.times.setdefault(kind, []).append(time.perf_counter() - started)
        self.shapes.setdefault(kind, set()).add(f"{response.status} {len(raw)} {shape(json.loads(raw))}")


def shape(value: object) -> object:
    """An answer without ids, digests and times."""
    if isinstance(value, dict):
        return {
            key: shape(part) for key, part in sorted(value.items()) if key not in ("entry", "at", "digest")
        }
    return [shape(part) for part in value] if isinstance(value, list) else value


def stranger(serial: int) -> str:
    """A number nobody has."""
    return f"X{999_000_000 + serial}"


def attack(attacker: Attacker, kinds: dict[str, Callable[[int], object]]) -> None:
    """Send calls of every kind in turn, in a new order each time."""
    order = [(turn, serial, kind) for turn in range(TURNS) for serial in PEOPLE for kind in kinds]
    random.Random(7).shuffle(order)
    for _, serial, kind in order:
        attacker.send(kind, kinds[kind](serial))


def assert_alike(attacker: Attacker) -> None:
    """Neither bodies nor times tell one kind from another."""
    kinds = sorted(attacker.times)
    assert len({frozenset(attacker.shapes[kind]) for kind in kinds}) == 1, attacker.shapes
    for place, first in enumerate(kinds):
        for second in kinds[place + 1 :]:
            found = advantage(attacker.times[first], attacker.times[second])
            assert found < TELLS_NOTHING, (first, second, found)


def test_who_is_not_there_looks_like_who_is_claimed_wrongly_and_who_is_outside_the_grant(city: City) -> None:
    city.issue(rows=(Row(field="sex_code", op="eq", values=("2",)),))

    def claim(subject: str, name: str) -> object:
        return {"subject": subject, "claims": {"mother_name": name}}

    with Attacker(city, "verify") as attacker:
        attack(
            attacker,
            {
                "not there": lambda n: claim(stranger(n), "样例某人0"),
                # Every second one is claimed rightly, but is a record the grant is not about.
                "wrong or outside": lambda n: claim(
                    births.certificate(n), "样例某人0" if n % 2 else f"样例母亲{n}"
                ),
            },
        )
    assert_alike(attacker)


def test_a_query_about_nobody_looks_like_one_about_a_record_outside_the_grant(city: City) -> None:
    city.issue(mode="query", items=("newborn_name",), rows=(Row(field="sex_code", op="eq", values=("9",)),))
    with Attacker(city, "query") as attacker:
        attack(
            attacker,
            {
                "not there": lambda n: {"subject": stranger(n)},
                "outside": lambda n: {"subject": births.certificate(n)},
            },
        )
    assert_alike(attacker)


def test_a_batch_about_nobody_looks_like_one_claimed_wrongly(city: City) -> None:
    city.issue()
    with Attacker(city, "verify-batch") as attacker:
        names = {"not there": stranger, "wrong": births.certificate}
        for turn in range(60):
            if turn % TURNS == 0:
                city.admin.execute("DELETE FROM exchange.guess")
            for kind in sorted(names, reverse=bool(turn % 2)):
                subjects = [
                    {"subject": names[kind](serial), "claims": {"mother_name": "样例某人0"}}
                    for serial in PEOPLE
                ]
                attacker.send(kind, {"subjects": subjects})
    assert attacker.shapes["wrong"] == attacker.shapes["not there"]
    wrong, absent = (statistics.median(attacker.times[kind]) for kind in ("wrong", "not there"))
    assert 0.75 < wrong / absent < 1.33
    assert advantage(attacker.times["wrong"], attacker.times["not there"]) < 2 * TELLS_NOTHING


def test_the_measure_sees_a_difference_where_there_is_one() -> None:
    noise = random.Random(3)
    quick = [noise.gauss(10, 1) for _ in range(160)]
    slow = [noise.gauss(11, 1) for _ in range(160)]
    assert advantage(quick, [noise.gauss(10, 1) for _ in range(160)]) < TELLS_NOTHING < advantage(quick, slow)
