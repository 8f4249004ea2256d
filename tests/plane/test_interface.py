"""What the plane says of itself: OpenAPI, health, metrics, and the parts that need no process."""

import asyncio
import hashlib
import re
import uuid

import httpx
import pytest

from shuqiao.plane import batch, gate
from shuqiao.plane.answers import language_of
from shuqiao.plane.batch import Batcher, QueueFull
from shuqiao.plane.openapi import document
from shuqiao.plane.settings import SettingsFaulty, read_settings
from shuqiao.rules.errors import BY_CODE, CallError
from shuqiao.security import keys
from shuqiao.wire.receipt import (
    decode_promise,
    encode_promise,
    make_promises,
    verify_promise,
)
from tests.plane.conftest import RESOURCE, City


def test_every_route_and_every_code_is_described() -> None:
    described = document()["paths"]
    operations = ("verify", "query", "verify-batch", "query-batch")
    calls = {f"/v1/resources/{{resource}}/{operation}" for operation in operations}
    assert set(described) == calls | gate._OPEN_ROUTES | {gate.SESSIONS_PATH, gate.HEADS_PATH}
    for path in calls:
        assert gate._CALL.fullmatch(path.replace("{resource}", RESOURCE))
        named = " ".join(
            response["description"] for response in described[path]["post"]["responses"].values()
        )
        codes = {code for code, error in BY_CODE.items() if issubclass(error, CallError)}
        assert codes <= set(re.findall(r"[a-z_]+", named))


def test_every_reference_of_the_document_leads_somewhere() -> None:
    made = document()
    references = re.findall(r"#/components/schemas/(\w+)", str(made))
    assert set(references) <= set(made["components"]["schemas"])
    assert made["openapi"] == "3.1.0"


def test_open_routes_answer_and_others_do_not_exist(city: City) -> None:
    for path in gate._OPEN_ROUTES:
        assert city.status(path) == 200
    assert city.status("/v1/resources") == 404
    assert city.status("/v1/resources/../../etc/passwd") == 404
    assert httpx.post(city.url + "/metrics", trust_env=False).status_code == 400


def test_metrics_count_calls_and_batches(city: City) -> None:
    httpx.post(f"{city.url}/v1/resources/{RESOURCE}/verify", trust_env=False)
    text = "".join(httpx.get(city.url + "/metrics", trust_env=False).text for _ in range(8))
    assert re.search(r'shuqiao_plane_calls_total\{worker="\d+",operation="verify",outcome="401"\} \d', text)
    assert "shuqiao_plane_call_seconds_bucket" in text
    assert re.search(r"shuqiao_plane_epoch\{[^}]+\} \d+", text)


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        (None, "zh"),
        ("", "zh"),
        ("en-GB,en;q=0.9", "en"),
        ("en;q=0.5, zh;q=0.8", "zh"),
        ("*", "zh"),
        ("en;q=x", "zh"),
        (",;,=;q=", "zh"),
    ],
)
def test_chinese_is_the_first_language(accept: str | None, language: str) -> None:
    assert language_of(accept) == language


def test_all_faults_of_the_settings_are_told_together() -> None:
    with pytest.raises(SettingsFaulty) as caught:
        read_settings({"PLANE_LANES": "99", "VAULT_CLIENT_KEY_FILE": "/nowhere/key"})
    for name in ("PLANE_DATABASE_URL", "VAULT_SOCKET", "VAULT_CLIENT_KEY_FILE", "PLANE_LANES"):
        assert name in str(caught.value)


@pytest.mark.parametrize("limits", ["", "0,5", "9,3", "5", "a,b"])
def test_limits_of_guesses_are_two_rising_numbers(limits: str) -> None:
    with pytest.raises(SettingsFaulty, match="PLANE_GUESS_LIMITS"):
        read_settings({"PLANE_GUESS_LIMITS": limits})


async def test_batches_grow_while_a_lane_is_busy_and_keep_their_limit() -> None:
    sizes: list[int] = []
    done = asyncio.Event()
    given = asyncio.Event()

    async def run(_key: tuple[str, str], works: list[int]) -> None:
        sizes.append(len(works))
        await given.wait()
        if sum(sizes) == 12:
            done.set()

    batcher: Batcher[int] = Batcher(run, lambda _: None, lanes=1, max_batch=8, max_waiting=11)
    batcher.submit(("r", "verify"), 0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for work in range(1, 12):
        batcher.submit(("r", "verify"), work)
    with pytest.raises(QueueFull):
        batcher.submit(("r", "verify"), 12)
    given.set()
    await asyncio.wait_for(done.wait(), 5)
    assert sizes == [1, 8, 3]
    assert batcher.waiting == 0


async def test_one_batch_of_a_kind_is_under_way_and_others_have_the_other_lanes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[tuple[str, int]] = []
    given = asyncio.Event()

    async def run(key: tuple[str, str], works: list[int]) -> None:
        begun.append((key[1], len(works)))
        await given.wait()

    async def settled() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    batcher: Batcher[int] = Batcher(run, lambda _: None, lanes=3, max_batch=8, max_waiting=32)
    for work, operation in enumerate(("verify", "verify", "query", "verify")):
        batcher.submit(("r", operation), work)
        await settled()
    assert begun == [("verify", 1), ("query", 1)]
    assert batcher.waiting == 2
    # More than a batch holds does not wait for the first one.
    for work in range(4, 10):
        batcher.submit(("r", "verify"), work)
    await settled()
    assert begun[2:] == [("verify", 8)]
    given.set()
    await settled()
    # Nor does anything wait for long behind a batch that does not end.
    monkeypatch.setattr(batch, "STUCK_S", 0.0)
    given.clear()
    begun.clear()
    for work in range(2):
        batcher.submit(("r", "verify"), work)
        await settled()
    assert begun == [("verify", 1), ("verify", 1)]
    given.set()
    await batcher.close(5)


async def test_a_batch_that_fails_gives_all_its_work_up_and_frees_its_lane() -> None:
    given_up: list[int] = []
    ran = asyncio.Event()

    async def run(_key: tuple[str, str], works: list[int]) -> None:
        if 0 in works:
            raise RuntimeError("injected")
        ran.set()

    batcher: Batcher[int] = Batcher(run, given_up.append, lanes=1, max_batch=8, max_waiting=8)
    batcher.submit(("r", "verify"), 0)
    batcher.submit(("r", "query"), 1)
    await asyncio.wait_for(ran.wait(), 5)
    assert given_up == [0]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 128])
def test_each_promise_of_a_batch_stands_alone(size: int) -> None:
    key = keys.generate_signing_key()
    bodies = [b"answer %d" % number for number in range(size)]
    entries = [
        (uuid.uuid4(), hashlib.sha256(body).digest(), hashlib.sha256(body).digest()) for body in bodies
    ]
    at = "2026-11-23T02:26:41.123456Z"
    promises = make_promises(
        entries, at, keys.key_id(key.public_key()), lambda m: keys.sign("ed25519", key, m)
    )
    for number, promise in enumerate(promises):
        again = decode_promise(encode_promise(promise))
        assert again == promise
        assert verify_promise(again, bodies[number], key.public_key())
        if size > 1:
            assert not verify_promise(again, bodies[number - 1], key.public_key())
