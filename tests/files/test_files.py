"""Files under a grant: listed, fetched whole and in ranges, recorded first, stopped at once."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from pathlib import Path

import httpx
import psycopg
import pytest

from shuqiao.client.bulk import CopyRefused
from shuqiao.demo.city import Options, control_environment
from shuqiao.demo.home import Home
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext
from shuqiao.security.pieces import link_secret, read_wrapping
from shuqiao.security.suites import SUITES
from shuqiao.wire.files import FileLink, file_link_token, open_file_link
from tests.files.conftest import ITEMS, NO_CONTEXT, REPORTS, FileCity, content_of
from tests.plane.conftest import APP, OTHER_APP, RESOURCE

LARGE = 3 * 256 * 1024 + 777


def got(city: FileCity, path: str, **headers: str) -> httpx.Response:
    """Fetch a link as anybody would."""
    return httpx.get(city.url + path, headers=headers, timeout=20, trust_env=False)


@pytest.mark.requirement("MOD-06", "MOD-10")
def test_a_file_is_listed_and_fetched_and_both_are_recorded(city: FileCity, tmp_path: Path) -> None:
    content = content_of(LARGE)
    file = city.register()
    city.store(file, content)
    grant = city.file_grant()
    with city.files() as files:
        answer = files.list(REPORTS, CallContext(end_user="lin"), case="样例〔2026〕1号")
        [line] = answer.files
        assert (line.file, line.version, line.size_bytes) == (file, 1, LARGE)
        assert line.digest == hashlib.sha256(content).hexdigest()
        assert line.title == "年度报告（样例）" and answer.grant == grant.id
        fetched = files.fetch(REPORTS, file, tmp_path, CallContext(end_user="lin"))
    assert fetched.path.read_bytes() == content
    listed = city.logged("files_listed")
    assert listed[0]["case"] == "样例〔2026〕1号" and listed[0]["actor"] == f"{APP}/lin"
    [delivered] = city.logged("file_delivered")
    assert delivered["provider"] == "440100-health" and delivered["grant"] == grant.id
    assert delivered["actor"] == f"{APP}/lin"
    assert delivered["seen"] | {"version_id": ""} == {
        "file_id": str(file),
        "file_version": 1,
        "version_id": "",
        "file_digest": line.digest,
        "size_bytes": LARGE,
        "from_byte": 0,
        "bytes": LARGE,
        "channel": "interface",
    }


def test_what_is_handed_out_is_never_shown_in_place_and_says_its_digest(city: FileCity) -> None:
    content = content_of(1000)
    city.store(city.register(), content, name='报告\u00a0"x".html')
    city.file_grant()
    with city.files() as files:
        [line] = files.list(REPORTS, NO_CONTEXT).files
    answer = got(city, line.path)
    assert answer.status_code == 200 and answer.content == content
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''%E6%8A%A5")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["shuqiao-promise"]


@pytest.mark.parametrize("size", [1, 256 * 1024, 256 * 1024 + 1, LARGE])
@pytest.mark.parametrize("suite", ["international", "national"])
def test_any_range_is_given(city: FileCity, size: int, suite: str) -> None:
    content = content_of(size)
    city.store(city.register(), content, suite=SUITES[suite])
    city.file_grant()
    with city.files() as files:
        [line] = files.list(REPORTS, NO_CONTEXT).files
    for first, last in {(0, size - 1), (size - 1, size - 1), (size // 2, size - 1), (size // 3, size // 2)}:
        part = got(city, line.path, range=f"bytes={first}-{last}")
        assert part.status_code == 206 and part.content == content[first : last + 1]
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
    assert got(city, line.path, range="bytes=-1").content == content[-1:]
    assert got(city, line.path, range=f"bytes={size}-").status_code == 416
    other = {"range": "bytes=0-0", "if-range": '"another"'}
    assert got(city, line.path, **other).content == content


def test_a_broken_download_goes_on_and_is_checked(city: FileCity, tmp_path: Path) -> None:
    content = content_of(LARGE)
    file = city.register()
    city.store(file, content)
    city.file_grant()
    digest = hashlib.sha256(content).hexdigest()
    begun = tmp_path / f"{digest[:32]}.part"
    begun.write_bytes(content[:300_000])
    with city.files() as files:
        fetched = files.fetch(REPORTS, file, tmp_path, NO_CONTEXT)
        assert fetched.path.read_bytes() == content and not begun.exists()
        assert city.logged("file_delivered")[-1]["seen"]["from_byte"] == 300_000
        # What is there and whole isn't fetched again; what was spoilt is.
        files.fetch(REPORTS, file, tmp_path, NO_CONTEXT)
        assert len(city.logged("file_delivered")) == 1
        fetched.path.write_bytes(b"spoilt")
        begun.write_bytes(b"x" * 1000)
        assert files.fetch(REPORTS, file, tmp_path, NO_CONTEXT).path.read_bytes() == content


@pytest.mark.requirement("MOD-05")
def test_a_revoked_grant_ends_list_and_link_at_once(city: FileCity) -> None:
    city.store(city.register(), content_of(10))
    grant = city.file_grant()
    with city.files() as files:
        [line] = files.list(REPORTS, NO_CONTEXT).files
        assert got(city, line.path).status_code == 200
        city.revoke(grant)
        refused = got(city, line.path)
        assert (refused.status_code, refused.json()["code"]) == (403, "grant_revoked")
        with pytest.raises(CopyRefused, match="grant_revoked"):
            files.list(REPORTS, NO_CONTEXT)
    assert len(city.logged("file_delivered")) == 1


def test_a_new_version_is_given_and_the_old_one_no_more(city: FileCity) -> None:
    file = city.register()
    city.store(file, b"first")
    city.file_grant()
    with city.files() as files:
        [old] = files.list(REPORTS, NO_CONTEXT).files
        city.store(file, b"second", 2)
        [new] = files.list(REPORTS, NO_CONTEXT).files
        assert new.version == 2 and got(city, new.path).content == b"second"
        assert got(city, old.path).status_code == 404
        city.withdraw(file)
        assert files.list(REPORTS, NO_CONTEXT).files == ()
        assert got(city, new.path).status_code == 404


def test_a_grant_of_chosen_files_opens_no_other(city: FileCity) -> None:
    mine, other = city.register("一"), city.register("二")
    city.store(mine, b"mine")
    secret = city.store(other, b"other")
    grant = city.file_grant(files=(str(mine),))
    with city.files() as files:
        [line] = files.list(REPORTS, NO_CONTEXT).files
        assert line.file == mine
        for hidden in (other, uuid.uuid4()):
            with pytest.raises(CopyRefused) as refused:
                files.list(REPORTS, NO_CONTEXT, file=hidden)
            assert refused.value.code == "not_available"
    # Even a link that the platform itself had made for the other file gives nothing.
    link = FileLink(secret, APP, grant.id, APP, "interface", "", int(time.time()) + 600, uuid.UUID(int=1))
    token = file_link_token(city.link_secret, link)
    assert got(city, f"/v1/files/{secret}?link={token}").status_code == 404


@pytest.mark.requirement("MOD-05")
def test_refusals_do_not_tell_what_exists(city: FileCity) -> None:
    version = city.store(city.register(), b"there")
    city.file_grant()
    said = set()
    for resource in (REPORTS, RESOURCE, "r440100nothingb23"):
        with city.files(OTHER_APP) as files, pytest.raises(CopyRefused) as refused:
            files.list(resource, NO_CONTEXT)
        said.add((refused.value.code, refused.value.detail))
    assert len(said) == 1
    bodies = {got(city, f"/v1/files/{one}?link=abc").text for one in (version, uuid.uuid4())}
    assert len(bodies) == 1
    assert not city.logged("file_delivered", "files_listed")


def test_a_link_is_for_its_file_its_reader_and_its_time(city: FileCity) -> None:
    version, other = city.store(city.register("一"), b"a"), city.store(city.register("二"), b"b")
    grant, secret = city.file_grant(), city.link_secret
    late = FileLink(version, APP, grant.id, APP, "interface", "", int(time.time()) - 1, uuid.UUID(int=1))
    token = file_link_token(secret, late)
    assert got(city, f"/v1/files/{version}?link={token}").json()["code"] == "link_expired"
    good = file_link_token(
        secret,
        FileLink(version, APP, grant.id, APP, "interface", "", int(time.time()) + 60, uuid.UUID(int=1)),
    )
    assert got(city, f"/v1/files/{version}?link={good}").content == b"a"
    assert got(city, f"/v1/files/{other}?link={good}").status_code == 404
    stranger = FileLink(
        version, OTHER_APP, grant.id, OTHER_APP, "interface", "", int(time.time()) + 60, uuid.UUID(int=1)
    )
    token = file_link_token(secret, stranger)
    assert got(city, f"/v1/files/{version}?link={token}").status_code == 404
    assert open_file_link(b"0" * 32, good) is None


def test_what_control_holds_makes_no_link(city: FileCity) -> None:
    version, grant = city.store(city.register(), b"there"), city.file_grant()
    link = FileLink(version, APP, grant.id, APP, "interface", "", int(time.time()) + 60, uuid.UUID(int=1))
    held = keys.load_secret_file(city.secret)
    before = hmac.digest(held, b"file links", hashlib.sha256)
    for secret in (held, read_wrapping(city.secret), link_secret(held), before):
        token = file_link_token(secret, link)
        assert got(city, f"/v1/files/{version}?link={token}").status_code == 404
    assert not city.logged("file_delivered")
    # The same link, made with what only the plane has, is good on every worker.
    token = file_link_token(city.link_secret, link)
    assert got(city, f"/v1/files/{version}?link={token}").content == b"there"
    assert "PLANE_SESSION_KEY_FILE" not in control_environment(Home(city.folder), Options())


@pytest.mark.parametrize(
    "change",
    [
        {"items": ITEMS[:2], "unmasked": ()},
        {"unmasked": ()},
        {"channels": ("download",)},
        {"pseudonyms": True},
        {"files": ()},
        {"mode": "query"},
        {"applications": (OTHER_APP,)},
    ],
    ids=str,
)
def test_a_grant_that_withholds_something_gives_no_file(city: FileCity, change: dict[str, object]) -> None:
    version = city.store(city.register(), b"there")
    grant = city.file_grant(**change)
    with city.files() as files, pytest.raises(CopyRefused):
        files.list(REPORTS, NO_CONTEXT)
    token = file_link_token(
        city.link_secret,
        FileLink(version, APP, grant.id, APP, "interface", "", int(time.time()) + 60, uuid.UUID(int=1)),
    )
    assert got(city, f"/v1/files/{version}?link={token}").status_code in (403, 404)
    assert not city.logged("file_delivered")


def test_a_case_that_is_demanded_is_recorded_with_the_delivery(city: FileCity) -> None:
    city.store(city.register(), b"there")
    city.file_grant(case_required=True)
    with city.files() as files:
        with pytest.raises(CopyRefused) as refused:
            files.list(REPORTS, NO_CONTEXT)
        assert refused.value.code == "request_malformed"
        [line] = files.list(REPORTS, NO_CONTEXT, case="样例〔2026〕7号").files
    assert got(city, line.path).status_code == 200
    [delivered] = city.logged("file_delivered")
    assert delivered["case"] == "样例〔2026〕7号" == delivered["said"]["case"]


def test_a_half_stored_version_is_never_there(city: FileCity) -> None:
    file, content = city.register(), content_of(LARGE)
    whole = [bytes([7]) * (256 * 1024 + 16)] * 3 + [bytes([7]) * (777 + 16)]
    for pieces in ([], whole[:3], [*whole[:3], whole[3][:-1]], [*whole, b"x" * 17]):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            city.store(file, content, pieces=pieces)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
        city.store(file, content, number=2)
    assert city.admin.execute("SELECT count(*) FROM exchange.file_piece").fetchone() == (0,)
    version = city.store(file, content)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation), city.control() as control:
        control.execute("INSERT INTO exchange.file_piece VALUES (%s, 9, %s)", [version, b"x" * 100])
    # Pieces without their version do not outlast their transaction.
    with pytest.raises(psycopg.errors.ForeignKeyViolation), city.control() as control:
        control.execute("INSERT INTO exchange.file_piece VALUES (%s, 0, %s)", [uuid.uuid4(), b"x" * 100])


def test_control_writes_files_and_reads_none_back(city: FileCity) -> None:
    version = city.store(city.register(), b"content in clear")
    for statement in (
        "SELECT content FROM exchange.file_piece",
        "SELECT wrapped_key FROM exchange.file_version",
        "SELECT exchange.deliver_file(1, NULL, NULL, NULL, 0, 0, '', '', '', '', '', '')",
        "DELETE FROM exchange.file_version",
        "UPDATE exchange.file_version SET digest = ''",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), city.control() as control:
            control.execute(statement.encode())
    with psycopg.connect(city.hub.role("shuqiao_plane")) as plane:
        assert plane.execute("SELECT count(*) FROM exchange.file_piece").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            plane.execute("SELECT wrapped_key FROM exchange.file_version")
    row = city.admin.execute(
        "SELECT content FROM exchange.file_piece WHERE version = %s", [version]
    ).fetchone()
    assert row is not None and b"content in clear" not in row[0]


def test_a_piece_that_was_altered_is_cut_and_not_given(city: FileCity) -> None:
    version = city.store(city.register(), content_of(LARGE))
    city.file_grant()
    city.admin.execute(
        "UPDATE exchange.file_piece SET content = set_byte(content, 5, get_byte(content, 5) # 1)"
        " WHERE version = %s AND number = 2",
        [version],
    )
    with city.files() as files:
        [line] = files.list(REPORTS, NO_CONTEXT).files
    with pytest.raises(httpx.RemoteProtocolError):
        got(city, line.path)


def test_a_signed_list_is_given_once(city: FileCity) -> None:
    city.store(city.register(), b"there")
    city.file_grant()
    body = json.dumps({}).encode()
    headers = city.signed(body, operation="files", resource=REPORTS)
    address = f"{city.url}/v1/resources/{REPORTS}/files"
    first = httpx.post(address, content=body, headers=headers, trust_env=False)
    again = httpx.post(address, content=body, headers=headers, trust_env=False)
    assert (first.status_code, again.status_code) == (200, 401), again.text
    assert again.json()["code"] == "signature_replayed"


@pytest.mark.requirement("MOD-06")
def test_download_is_for_named_persons_on_the_pages(city: FileCity) -> None:
    city.store(city.register(), b"there")
    city.file_grant(channels=("download",))
    lin = CallContext(end_user="lin")

    def refused(context: CallContext) -> str:
        with city.files() as files, pytest.raises(CopyRefused) as error:
            files.list(REPORTS, context, channel="download")
        return error.value.code

    assert refused(lin) == "pages_only"
    city.admin.execute("UPDATE exchange.application SET portal = true WHERE id = %s", [APP])
    try:
        assert refused(NO_CONTEXT) == "pages_only"
        with city.files() as files:
            [line] = files.list(REPORTS, lin, channel="download").files
        assert got(city, line.path).content == b"there"
    finally:
        city.admin.execute("UPDATE exchange.application SET portal = false WHERE id = %s", [APP])
    [delivered] = city.logged("file_delivered")
    assert delivered["seen"]["channel"] == "download" and delivered["actor"] == f"{APP}/lin"
    # What was made for a system that is none of the pages' any more gives nothing.
    assert got(city, line.path).json()["code"] == "pages_only"
