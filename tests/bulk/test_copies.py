"""A copy from request to files: what is in it, who may have it, what is recorded, what lies on the disk."""

import csv
import io
import signal
import socket
import time
import zipfile
from pathlib import Path

import httpx
import psycopg
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from shuqiao.client.bulk import CopyRefused
from shuqiao.plane.bulk.settings import open_spool
from shuqiao.wire.bulk import Link, link_token
from shuqiao.wire.grant import Row
from tests.bulk.conftest import ITEMS, NO_CONTEXT, PERMITS, READER, CopyCity
from tests.vault import births


def copy_of(city: CopyCity, folder: Path, form: str, **options: str):
    """Ask, wait and fetch."""
    with city.bulk() as bulk:
        job = bulk.ask(PERMITS, form, context=NO_CONTEXT, **options)
        bulk.wait(job, NO_CONTEXT, timeout_s=60)
        return bulk.fetch(job, folder, NO_CONTEXT)


def rows_of(city: CopyCity, where: str = "true") -> list[tuple]:
    """The granted items as the base has them."""
    return city.admin.execute(
        f"SELECT {', '.join(ITEMS)} FROM base.{PERMITS} WHERE {where} ORDER BY permit_no"
    ).fetchall()


def read_arrow(files: tuple[Path, ...]) -> pa.Table:
    """All parts as one table."""
    return pa.concat_tables(ipc.open_stream(file.read_bytes()).read_all() for file in files)


@pytest.mark.requirement("MOD-04")
def test_a_copy_holds_the_granted_items_of_the_granted_rows(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(1000)
    city.bulk_grant(rows=(Row(field="kind_code", op="in", values=("1", "3")),))
    copy = copy_of(city, tmp_path, "arrow")
    table = read_arrow(copy.files).sort_by("permit_no")
    assert tuple(table.column_names) == ITEMS
    assert [tuple(row.values()) for row in table.to_pylist()] == rows_of(city, "kind_code IN ('1', '3')")
    assert copy.manifest.rows == 500
    assert copy.manifest.up_to == 1


@pytest.mark.requirement("SEC-17")
def test_asking_preparing_and_each_delivery_are_recorded(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(10)
    grant = city.bulk_grant()
    copy = copy_of(city, tmp_path, "csv")
    asked, prepared, delivered = city.logged("bulk_asked", "bulk_prepared", "bulk_delivered")
    assert (asked["event"], prepared["event"]) == ("bulk_asked", "bulk_prepared")
    assert {row["grant"] for row in (asked, prepared, delivered)} == {grant.id}
    assert (asked["actor"], delivered["actor"]) == ("app-housing-rental", "app-housing-rental")
    assert prepared["said"]["rows"] == delivered["seen"]["rows"] == 10
    assert prepared["said"]["asked_by"] == "app-housing-rental"
    assert prepared["id"] == copy.manifest.entry
    assert (delivered["seen"]["part"], delivered["seen"]["job"]) == (1, str(copy.manifest.job))


def test_every_format_holds_the_same_rows(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(200)
    city.bulk_grant()
    expected = rows_of(city)
    copied = copy_of(city, tmp_path / "p", "parquet", digest="sm3")
    assert copied.manifest.digest_algorithm == "sm3"
    table = parquet.read_table(copied.files[0]).sort_by("permit_no")
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
    text = copy_of(city, tmp_path / "c", "csv").files[0].read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    rows = sorted(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline="")))
    assert rows.pop() == list(ITEMS)
    assert [row[0] for row in rows] == [row[0] for row in expected]
    # What a program for tables would compute comes as text, everything else as it is.
    assert {row[4] for row in rows if row[4].startswith(("'", "="))} == {"'=1+1"}
    assert sum(row[4] == '两\n行,"引"' for row in rows) == 40
    book = copy_of(city, tmp_path / "x", "xlsx").files[0]
    with zipfile.ZipFile(book) as content:
        sheet = content.read("xl/worksheets/sheet1.xml").decode()
        assert "<f>" not in sheet
        assert sheet.count("<row ") == 201


def test_a_workbook_too_large_is_refused_with_its_reason(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(100_001)
    city.bulk_grant()
    with pytest.raises(CopyRefused, match="copy_too_large"):
        copy_of(city, tmp_path, "xlsx")
    refused = city.logged("bulk_prepared")
    assert [row["outcome"] for row in refused] == ["copy_too_large"]


@pytest.mark.requirement("SEC-18")
def test_a_sensitive_item_leaves_masked_unless_the_grant_names_it(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(20)
    grant = city.bulk_grant(items=("permit_no", "phone"))
    masked = read_arrow(copy_of(city, tmp_path / "a", "arrow").files)
    assert all(value.startswith("139") and "****" in value for value in masked.column("phone").to_pylist())
    city.revoke(grant)
    city.bulk_grant(items=("permit_no", "phone"), unmasked=("phone",))
    clear = read_arrow(copy_of(city, tmp_path / "b", "arrow").files)
    assert sorted(clear.column("phone").to_pylist()) == [f"1390000{serial:04d}" for serial in range(1, 21)]


def births_grant(city: CopyCity, **changes: object) -> None:
    """A grant of mode bulk on the births, whose persons live in the vault."""
    items = ("birth_certificate_number", "mother_name", "mother_citizen_id_number", "sex_code")
    city.admin.execute(
        "UPDATE exchange.resource SET spec = jsonb_set(spec, '{modes}', %s) WHERE id = %s",
        ['["verify", "query", "bulk"]', births.RESOURCE],
    )
    city.bulk_grant(resource=births.RESOURCE, items=items, **changes)


def births_copy(city: CopyCity, folder: Path) -> list[dict[str, str]]:
    """Copy the births and read them."""
    with city.bulk() as bulk:
        job = bulk.ask(births.RESOURCE, "arrow", context=NO_CONTEXT)
        bulk.wait(job, NO_CONTEXT, timeout_s=60)
        return read_arrow(bulk.fetch(job, folder, NO_CONTEXT).files).to_pylist()


def test_identity_comes_from_the_vault(city: CopyCity, tmp_path: Path) -> None:
    births_grant(city, unmasked=("birth_certificate_number", "mother_name"))
    rows = births_copy(city, tmp_path)
    expected = {births.certificate(serial): births.birth(serial) for serial in range(20)}
    assert {row["birth_certificate_number"] for row in rows} == set(expected)
    assert all(row["mother_name"] == expected[row["birth_certificate_number"]]["mother_name"] for row in rows)


def test_pseudonyms_stand_for_numbers(city: CopyCity, tmp_path: Path) -> None:
    births_grant(city, pseudonyms=True)
    rows = births_copy(city, tmp_path)
    numbers = {row["mother_citizen_id_number"] for row in rows}
    assert len(numbers) == 20
    assert all(number.startswith("px-") for number in numbers)


@pytest.mark.requirement("SEC-01")
def test_prepared_files_are_encrypted_where_they_lie(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(50)
    city.bulk_grant()
    copy = copy_of(city, tmp_path, "csv")
    stored = [
        file for file in city.spool.rglob("*") if file.is_file() and str(copy.manifest.job) in str(file)
    ]
    assert stored
    for file in stored:
        content = file.read_bytes()
        assert b"P0000" not in content
        assert b"permit_no" not in content
    assert b"P00000001" in copy.files[0].read_bytes()
    # What is altered on the disk is never delivered.
    changed = bytearray(stored[0].read_bytes())
    changed[10] ^= 1
    stored[0].write_bytes(changed)
    with city.bulk() as bulk:
        link = bulk.state(str(copy.manifest.job), NO_CONTEXT).links[0]
        with pytest.raises(httpx.HTTPError):
            httpx.get(city.url + link.path, trust_env=False)


def test_a_download_goes_on_where_it_broke_off(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(20_000)
    city.bulk_grant()
    copy = copy_of(city, tmp_path, "csv")
    whole = copy.files[0].read_bytes()
    begun = copy.files[0].with_name(copy.files[0].name + ".part")
    begun.write_bytes(whole[:300_000])
    copy.files[0].unlink()
    with city.bulk() as bulk:
        again = bulk.fetch(str(copy.manifest.job), tmp_path, NO_CONTEXT)
        assert again.files[0].read_bytes() == whole
        assert city.logged("bulk_delivered")[-1]["seen"]["from_byte"] == 300_000
        path = city.url + bulk.state(str(copy.manifest.job), NO_CONTEXT).links[0].path
    for wanted, status, content in (
        ("bytes=10-19", 206, whole[10:20]),
        ("bytes=-7", 206, whole[-7:]),
        (f"bytes={len(whole) - 3}-", 206, whole[-3:]),
        ("bytes=5-2", 200, whole),
        ("bytes=1-2,4-5", 200, whole),
    ):
        answer = httpx.get(path, headers={"range": wanted}, trust_env=False)
        assert (answer.status_code, answer.content) == (status, content), wanted
    behind = httpx.get(path, headers={"range": f"bytes={len(whole)}-"}, trust_env=False)
    assert (behind.status_code, behind.json()["code"]) == (416, "range_unsatisfiable")
    stale = httpx.get(path, headers={"range": "bytes=1-2", "if-range": '"other"'}, trust_env=False)
    assert stale.content == whole


@pytest.mark.requirement("MOD-04")
@pytest.mark.requirement("MOD-05")
def test_a_link_is_good_for_one_part_and_while_the_grant_holds(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(10)
    grant = city.bulk_grant()
    copy = copy_of(city, tmp_path, "csv")
    job = str(copy.manifest.job)
    with city.bulk() as bulk:
        path = bulk.state(job, NO_CONTEXT).links[0].path
        place, _, token = path.partition("?link=")
        many = f"{path}&a=1&b=2&c=3&d=4"
        altered, other = f"{place}?link={token[:-2]}AA", f"{place[:-1]}2?link={token}"
        for wrong in (place, altered, other, f"{path}&link=x", many):
            refused = httpx.get(city.url + wrong, trust_env=False)
            assert (refused.status_code, refused.json()["code"]) == (404, "not_available"), wrong
        secret = open_spool(city.spool, city.folder / "bulk.key").link_secret
        over = link_token(secret, Link(copy.manifest.job, 1, "app-housing-rental", grant.id, "x", 1))
        assert httpx.get(f"{city.url}{place}?link={over}", trust_env=False).json()["code"] == "link_expired"
        delivered = len(city.logged("bulk_delivered"))
        assert httpx.get(city.url + path, trust_env=False).status_code == 200
        city.revoke(grant)
        refused = httpx.get(city.url + path, trust_env=False)
        assert (refused.status_code, refused.json()["code"]) == (403, "grant_revoked")
        assert len(city.logged("bulk_delivered")) == delivered + 1
        with pytest.raises(CopyRefused, match="grant_revoked"):
            bulk.ask(PERMITS, "csv", context=NO_CONTEXT)


@pytest.mark.requirement("MOD-04")
def test_only_the_named_application_and_channel_get_a_copy(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(10)
    city.bulk_grant(channels=("download",))
    with city.bulk() as bulk, pytest.raises(CopyRefused, match="channel_not_granted"):
        bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
    with city.pages() as bulk:
        job = bulk.ask(PERMITS, "csv", context=READER, channel="download")
        bulk.wait(job, READER, timeout_s=60)
    with city.bulk("app-education-enrol") as other:
        with pytest.raises(CopyRefused, match="not_available"):
            other.ask(PERMITS, "csv", context=NO_CONTEXT)
        with pytest.raises(CopyRefused, match="not_available"):
            other.state(job, NO_CONTEXT)
    refusals = [row["outcome"] for row in city.logged("call_refused")]
    assert sorted(refusals) == ["channel_not_granted", "not_available", "not_available"]


@pytest.mark.requirement("MOD-04")
def test_the_roles_of_plane_and_copier_read_no_list_by_themselves(city: CopyCity) -> None:
    city.fill_permits(3)
    city.bulk_grant()
    for role in ("shuqiao_plane", "shuqiao_bulk", "shuqiao_control"):
        with (
            psycopg.connect(city.hub.role(role), autocommit=True) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(f"SELECT count(*) FROM base.{PERMITS}")
    with psycopg.connect(city.hub.role("shuqiao_bulk")) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # Without a job that somebody asked for, and the log knows, nothing opens.
        found = connection.execute(
            "SELECT outcome FROM exchange.open_bulk(gen_random_uuid(), 1, (SELECT value FROM exchange.epoch))"
        ).fetchone()
        assert found == ("gone",)


def test_a_killed_preparation_is_taken_up_again_and_nothing_is_doubled(
    city: CopyCity, tmp_path: Path
) -> None:
    city.fill_permits(150_000)
    city.bulk_grant()
    with city.bulk() as bulk:
        job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        for pause in (0.05, 0.3):
            while bulk.state(job, NO_CONTEXT).state == "waiting":
                time.sleep(0.01)
            time.sleep(pause)
            city.stop_copier(signal.SIGKILL)
            # As if its time had run out: nobody renews it any more.
            city.admin.execute("UPDATE exchange.bulk_progress SET lease_until = now()")
            city.start_copier()
        bulk.wait(job, NO_CONTEXT, timeout_s=60)
        copy = bulk.fetch(job, tmp_path, NO_CONTEXT)
    numbers = [row[0] for row in csv.reader(io.StringIO(copy.files[0].read_text("utf-8-sig"), newline=""))][
        1:
    ]
    assert sorted(numbers) == [f"P{serial:08d}" for serial in range(1, 150_001)]
    assert len(city.logged("bulk_prepared")) == 1
    assert [folder.name for folder in (city.spool / job).iterdir()] == [copy_attempt(city, job)]


def copy_attempt(city: CopyCity, job: str) -> str:
    """The attempt that has made a copy."""
    found = city.admin.execute("SELECT attempt FROM exchange.bulk_job WHERE id = %s", [job]).fetchone()
    return str(found[0]) if found else ""


def test_a_slow_reader_costs_no_memory_and_is_cut(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(150_000)
    city.bulk_grant()
    copy = copy_of(city, tmp_path, "csv")
    with city.bulk() as bulk:
        path = bulk.state(str(copy.manifest.job), NO_CONTEXT).links[0].path
    with socket.create_connection(("127.0.0.1", city.port), timeout=40) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert peer.recv(12) == b"HTTP/1.1 200"
        assert is_established(city.port, peer)
        time.sleep(13)
        # What the kernel holds of it may still come, drop by drop; the plane has hung up.
        assert not is_established(city.port, peer)


def is_established(port: int, peer: socket.socket) -> bool:
    """Say whether the server's end of a connection is still open, as the kernel tells."""
    ends = f"{port:04X}", f"{peer.getsockname()[1]:04X}"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any((one[1][-4:], one[2][-4:], one[3]) == (*ends, "01") for one in lines)


@pytest.mark.requirement("MOD-01")
def test_a_mode_the_provider_took_back_gives_no_copy_and_no_page(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(10)
    city.bulk_grant()
    job = str(copy_of(city, tmp_path, "csv").manifest.job)
    change = "UPDATE exchange.resource SET spec = jsonb_set(spec, '{modes}', %s) WHERE id = %s"
    with city.bulk() as bulk, city.pages() as pages:
        path = bulk.state(job, NO_CONTEXT).links[0].path
        city.admin.execute(change, ['["verify", "query"]', PERMITS])
        try:
            assert httpx.get(city.url + path, trust_env=False).json()["code"] == "not_available"
            assert pages.browse(PERMITS, {}, READER).code == "not_available"
            with pytest.raises(CopyRefused, match="not_available"):
                bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        finally:
            city.admin.execute(change, ['["verify", "query", "bulk"]', PERMITS])


@pytest.mark.requirement("MOD-05")
def test_where_each_use_names_its_case_so_do_browsing_and_feeds(city: CopyCity) -> None:
    city.fill_permits(10)
    city.bulk_grant(case_required=True)
    with city.bulk() as bulk, city.pages() as pages:
        assert pages.browse(PERMITS, {}, READER).code == "request_malformed"
        assert pages.browse(PERMITS, {"case": "GZF-7"}, READER).status == 200
        assert city.logged("browse_viewed")[-1]["said"]["case"] == "GZF-7"
        with pytest.raises(CopyRefused, match="request_malformed"):
            bulk.subscribe(PERMITS, context=NO_CONTEXT)
        assert bulk.subscribe(PERMITS, case="GZF-7", context=NO_CONTEXT)
