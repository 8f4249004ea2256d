"""Copies sealed to their recipient: what lies in the spool and goes over the wire, only its key opens."""

import base64
import csv
import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.client.bulk import BulkClient, Copy
from shuqiao.client.fetching import CopyBroken, CopyRefused
from shuqiao.plane.bulk.settings import open_spool
from shuqiao.security import keys
from shuqiao.security.at_rest import FileRefused, encrypted_size, read_pieces, unwrap_key
from shuqiao.security.recipients import SALT_FILE, open_key, salt_of, write_recipient
from shuqiao.security.sealing import SealRefusedError
from shuqiao.wire.bulk import BulkState, sealed_context
from tests.bulk.conftest import NO_CONTEXT, PERMITS, READER, CopyCity
from tests.bulk.test_copies import copy_of, read_arrow, rows_of
from tests.bulk.test_feeds import waiting_part
from tests.bulk.test_suites_of_copies import national

__all__ = ["national"]
pytestmark = pytest.mark.timeout(180)
KEY = X25519PrivateKey.generate()
TRIED = 90.0


def asked(bulk: BulkClient, form: str = "arrow", **options: str) -> str:
    """Ask for a copy and wait until it is ready."""
    job = bulk.ask(PERMITS, form, context=NO_CONTEXT, **options)
    bulk.wait(job, NO_CONTEXT, timeout_s=TRIED)
    return job


def sealed_copy(city: CopyCity, folder: Path, form: str = "arrow", **options: str) -> Copy:
    """Ask for a sealed copy and fetch it."""
    with city.bulk(recipient=KEY) as mine:
        return mine.fetch(asked(mine, form, **options), folder, NO_CONTEXT)


def stored_of(city: CopyCity, job: object) -> list[Path]:
    """The files of a copy in the spool."""
    return sorted((city.spool / str(job)).rglob("part-*"))


def kept_key(city: CopyCity, job: object) -> tuple[bytes, int]:
    """What the database keeps of a copy's content key, and its attempt."""
    row = city.admin.execute(
        "SELECT wrapped_key, attempt FROM exchange.bulk_job WHERE id = %s", [job]
    ).fetchone()
    assert row is not None
    return bytes(row[0]), row[1]


@pytest.mark.requirement("SEC-01")
def test_a_sealed_copy_holds_what_an_open_one_does(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(1000)
    city.bulk_grant()
    copy = sealed_copy(city, tmp_path / "sealed")
    table = read_arrow(copy.files).sort_by("permit_no")
    assert [tuple(row.values()) for row in table.to_pylist()] == rows_of(city)
    assert copy.manifest.sealed_to == write_recipient(KEY.public_key())
    for form in ("csv", "parquet", "xlsx"):
        sealed = sealed_copy(city, tmp_path / form, form, digest="sm3")
        assert sealed.manifest.digest_algorithm == "sm3"
    plain = copy_of(city, tmp_path / "plain", "csv")
    assert (tmp_path / "csv" / plain.files[0].name).read_bytes() == plain.files[0].read_bytes()
    assert plain.manifest.sealed_to == ""
    # Beside the opened parts nothing is left of what came.
    left = {file.name for file in (tmp_path / "sealed").iterdir()}
    assert left == {copy.files[0].name, "manifest.json", "manifest.signature", SALT_FILE}
    recipient = keys.key_id(KEY.public_key())
    asked, prepared = city.logged("bulk_asked", "bulk_prepared")[:2]
    assert asked["said"]["recipient"] == prepared["said"]["recipient"] == recipient


@pytest.mark.requirement("SEC-01")
def test_spool_secret_and_wire_together_open_nothing(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(20_000)
    city.bulk_grant()
    copy = sealed_copy(city, tmp_path, "csv")
    job, plain = copy.manifest.job, copy.files[0].read_bytes()
    (stored,) = stored_of(city, job)
    assert b"P0000" not in stored.read_bytes() and b"permit_no" not in stored.read_bytes()
    # Whoever has the platform's secret, the database and the spool.
    kept, attempt = kept_key(city, job)
    secret = open_spool(city.spool, city.folder / "bulk.key").wrapping_secret
    for context in (f"{job}/{attempt}".encode(), sealed_context(job)):
        with pytest.raises(FileRefused):
            unwrap_key(secret, kept, context)
    with pytest.raises(SealRefusedError):
        open_key(X25519PrivateKey.generate(), kept, sealed_context(job))
    # Whoever reads the wire: the state and the part, as they lie.
    with city.bulk() as bulk:
        state = bulk.state(str(job), NO_CONTEXT)
        answer = httpx.get(city.url + state.links[0].path, trust_env=False)
    assert base64.b64decode(state.sealed_key) == kept
    assert answer.content == stored.read_bytes()
    assert len(answer.content) == encrypted_size(len(plain))
    # The recipient alone; and the digest of the manifest is none that could be tried out.
    key = open_key(KEY, kept, sealed_context(job))
    opened = b"".join(read_pieces(stored, key, 1, sealed_context(job), len(plain)))
    assert opened == plain
    digests = {copy.manifest.parts[0].digest}

    assert hashlib.sha256(plain).hexdigest() not in digests
    assert hashlib.sha256(salt_of(key) + plain).hexdigest() in digests


def test_another_key_is_refused_with_words(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(10)
    city.bulk_grant()
    other = X25519PrivateKey.generate()
    with city.bulk() as bulk, city.bulk(recipient=KEY) as mine, city.bulk(recipient=other) as theirs:
        job, open_job = asked(mine), asked(bulk)
        for client, named, code, words in (
            (theirs, job, "recipient_key_other", keys.key_id(other.public_key())),
            (bulk, job, "recipient_key_needed", keys.key_id(KEY.public_key())),
            (mine, open_job, "not_sealed", "ask for a new one"),
        ):
            with pytest.raises(CopyRefused, match=words) as refused:
                client.fetch(named, tmp_path / code, NO_CONTEXT)
            assert refused.value.code == code
            assert not (tmp_path / code).exists()


def test_what_was_altered_is_not_kept(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(10)
    city.bulk_grant()
    with city.bulk(recipient=KEY) as mine:
        job = asked(mine, "csv")
        (stored,) = stored_of(city, job)
        whole = stored.read_bytes()
        stored.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(CopyBroken):
            mine.fetch(job, tmp_path / "altered", NO_CONTEXT)
        assert not list((tmp_path / "altered").glob("part-*"))
        # A content key that somebody else has sealed to the recipient opens nothing of it.
        kept = kept_key(city, job)[0]
        city.admin.execute(
            "UPDATE exchange.bulk_job SET wrapped_key = %s WHERE id = %s", [kept[:-1] + b"x", job]
        )
        with pytest.raises(CopyBroken, match="sealed to your key"):
            mine.fetch(job, tmp_path / "key", NO_CONTEXT)
        stored.write_bytes(whole)
        city.admin.execute("UPDATE exchange.bulk_job SET wrapped_key = %s WHERE id = %s", [kept, job])
        assert mine.fetch(job, tmp_path / "whole", NO_CONTEXT).manifest.rows == 10


def test_a_sealed_download_goes_on_where_it_broke_off(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(20_000)
    city.bulk_grant()
    with city.bulk(recipient=KEY) as mine:
        job = asked(mine, "csv")
        whole = mine.fetch(job, tmp_path, NO_CONTEXT).files[0].read_bytes()
        (stored,) = stored_of(city, job)
        sealed, file = stored.read_bytes(), tmp_path / stored.name
        file.unlink()
        (tmp_path / f"{stored.name}.part").write_bytes(sealed[:300_000])
        # The worker goes away meanwhile.
        city.stop()
        city.start()
        assert mine.fetch(job, tmp_path, NO_CONTEXT).files[0].read_bytes() == whole
        assert city.logged("bulk_delivered")[-1]["seen"]["from_byte"] == 300_000
        # What is whole is opened without a download, what is opened not even that.
        file.unlink()
        (tmp_path / f"{stored.name}.part").write_bytes(sealed)
        delivered = len(city.logged("bulk_delivered"))
        for _ in range(2):
            assert mine.fetch(job, tmp_path, NO_CONTEXT).files[0].read_bytes() == whole
        assert len(city.logged("bulk_delivered")) == delivered
        path = city.url + mine.state(job, NO_CONTEXT).links[0].path
    for wanted, content in (("bytes=10-19", sealed[10:20]), ("bytes=-7", sealed[-7:])):
        answer = httpx.get(path, headers={"range": wanted}, trust_env=False)
        assert (answer.status_code, answer.content) == (206, content)
        assert answer.headers["content-range"].endswith(f"/{len(sealed)}")


def test_a_killed_preparation_of_a_sealed_copy_is_taken_up_again(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(150_000)
    city.bulk_grant()
    with city.bulk(recipient=KEY) as mine:
        job = mine.ask(PERMITS, "csv", context=NO_CONTEXT)
        until = time.monotonic() + TRIED
        while mine.state(job, NO_CONTEXT).state == "waiting":
            assert time.monotonic() < until
            time.sleep(0.01)
        city.stop_copier(signal.SIGKILL)
        city.admin.execute("UPDATE exchange.bulk_progress SET lease_until = now()")
        city.start_copier()
        mine.wait(job, NO_CONTEXT, timeout_s=TRIED)
        copy = mine.fetch(job, tmp_path, NO_CONTEXT)
    text = copy.files[0].read_text("utf-8-sig")
    numbers = [row[0] for row in csv.reader(io.StringIO(text, newline=""))][1:]
    assert sorted(numbers) == [f"P{serial:08d}" for serial in range(1, 150_001)]
    assert len(city.logged("bulk_prepared")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "x",
        base64.b64encode(bytes(44)).decode(),
        base64.b64encode(keys.public_der(keys.generate_signing_key().public_key())).decode(),
        base64.b64encode(keys.public_der(keys.generate_signing_key("sm2-sm3").public_key())).decode(),
        # A point of small order, with which nothing is shared.
        base64.b64encode(keys.public_der(KEY.public_key())[:12] + bytes(32)).decode(),
    ],
)
def test_a_key_to_which_nothing_can_be_sealed_is_refused(city: CopyCity, text: str) -> None:
    city.bulk_grant()
    with city.bulk() as bulk, pytest.raises(CopyRefused) as refused:
        bulk.ask(PERMITS, "csv", context=NO_CONTEXT, recipient=text)
    assert refused.value.code == "recipient_key_unfit"
    assert [row["outcome"] for row in city.logged("call_refused")] == ["recipient_key_unfit"]


def test_pages_open_nothing_so_they_get_nothing_sealed(city: CopyCity) -> None:
    city.bulk_grant()
    with city.pages() as pages, pytest.raises(CopyRefused) as refused:
        pages.ask(
            PERMITS,
            "csv",
            context=READER,
            channel="download",
            recipient=write_recipient(KEY.public_key()),
        )
    assert refused.value.code == "sealing_on_pages"


def test_under_the_national_suite_it_is_refused_clearly(national: CopyCity) -> None:
    city = national
    city.bulk_grant()
    with city.bulk(recipient=KEY) as mine:
        # The worker writes by the other suite here, and lets the request through. Feeds are asked alike.
        with pytest.raises(CopyRefused) as failed:
            asked(mine)
        assert failed.value.code == "sealing_unsupported"
        assert city.logged("bulk_prepared")[-1]["outcome"] == "sealing_unsupported"
        city.stop()
        os.environ["SHUQIAO_SUITE"] = "national"
        try:
            city.start()
            with pytest.raises(CopyRefused) as refused:
                mine.ask(PERMITS, "csv", context=NO_CONTEXT)
            with pytest.raises(CopyRefused, match="sealing_unsupported"):
                mine.subscribe(PERMITS, "csv", context=NO_CONTEXT)
        finally:
            del os.environ["SHUQIAO_SUITE"]
            city.stop()
            city.start()
    assert refused.value.code == "sealing_unsupported"


def command(city: CopyCity, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `shuqiao bulk copy` as its reader would."""
    demo = home / "demo"
    demo.mkdir(parents=True, exist_ok=True)
    key = demo / "app.pem"
    keys.write_secret_file(key, keys.private_pem(city.application_keys["app-housing-rental"]))
    promise_keys = httpx.get(city.url + "/v1/promise-keys", trust_env=False).json()["keys"]
    said: dict[str, Any] = {
        "plane_url": city.url,
        "applications": {"app-housing-rental": {"key_file": str(key)}},
        "promise_keys": promise_keys,
    }
    (demo / "credentials.json").write_bytes(msgspec.json.encode(said))
    return subprocess.run(
        [
            *(sys.executable, "-m", "shuqiao.cli", "bulk", "copy", "--app", "app-housing-rental"),
            *("--resource", PERMITS, "--format", "csv", *words),
        ],
        env=os.environ | {"SHUQIAO_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_makes_the_key_and_keeps_it(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(10)
    city.bulk_grant()
    key = tmp_path / "keys" / "recipient.pem"
    done = command(city, tmp_path, "--out", str(tmp_path / "out"), "--recipient-key", str(key))
    assert done.returncode == 0, done.stderr
    assert key.stat().st_mode & 0o777 == 0o400
    assert keys.key_id(keys.load_sealing_key(key).public_key()) in done.stderr
    (part,) = (tmp_path / "out").glob("part-*")
    assert b"P00000001" in part.read_bytes()
    job = done.stderr.partition("job ")[2].partition(";")[0]
    for wrong, words in (("other.pem", "recipient_key_other"), ("", "recipient_key_needed")):
        named = ("--recipient-key", str(tmp_path / "keys" / wrong)) if wrong else ()
        done = command(city, tmp_path, "--out", str(tmp_path / "wrong"), "--job", job, *named)
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr


def test_a_state_says_nothing_of_a_key_that_is_the_platforms(city: CopyCity) -> None:
    city.fill_permits(1)
    city.bulk_grant()
    with city.bulk() as bulk:
        state: BulkState = bulk.state(asked(bulk), NO_CONTEXT)
    assert state.sealed_key == ""


def test_a_feed_is_sealed_to_one_key_from_beginning_to_end(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(5)
    city.bulk_grant()
    other = X25519PrivateKey.generate()
    with city.bulk() as bulk, city.bulk(recipient=KEY) as mine, city.bulk(recipient=other) as theirs:
        feed = mine.subscribe(PERMITS, "csv", context=NO_CONTEXT)
        assert mine.subscribe(PERMITS, "csv", context=NO_CONTEXT) == feed
        for client in (bulk, theirs):
            with pytest.raises(CopyRefused) as refused:
                client.subscribe(PERMITS, "csv", context=NO_CONTEXT)
            assert (refused.value.code, feed in str(refused.value)) == ("feed_sealed_otherwise", True)
        job = str(waiting_part(mine, feed, 1).parts[0].job)
        copy = mine.fetch(job, tmp_path / "1", NO_CONTEXT)
        assert b"P00000005" in copy.files[0].read_bytes()
        assert b"P0000" not in stored_of(city, job)[0].read_bytes()
        assert copy.manifest.sealed_to == write_recipient(KEY.public_key())
        with pytest.raises(CopyRefused, match="recipient_key_needed"):
            bulk.fetch(job, tmp_path / "2", NO_CONTEXT)
        mine.take(feed, 1, NO_CONTEXT)
        mine.end_feed(feed, NO_CONTEXT)
        again = theirs.subscribe(PERMITS, "csv", context=NO_CONTEXT)
        assert again != feed
        job = str(waiting_part(theirs, again, 1).parts[0].job)
        assert theirs.fetch(job, tmp_path / "3", NO_CONTEXT).manifest.rows == 5
    assert [row["said"]["recipient"] for row in city.logged("bulk_prepared")] == [
        keys.key_id(one.public_key()) for one in (KEY, other)
    ]
