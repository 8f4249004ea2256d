"""Lists of an HTTP interface: a real server, paged in every way, and what a bad one can't do to the node."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from shuqiao.edge.connectors import SourceError, Unreadable
from shuqiao.edge.connectors import http_api as connector
from shuqiao.edge.connectors.kept import Keeping, KeptSource
from shuqiao.edge.connectors.opening import open_source
from shuqiao.edge.cover import Cover
from shuqiao.edge.mapping import ColumnSource, TableMapping, Way
from shuqiao.security.tls import server_context
from tests.edge.test_folder import rows_of
from tests.plugins.certificates import Place, new_place

TOKEN = "Bearer sesame"
ROWS = [{"no": f"{number:04}", "name": f"样例{number}", "sum": number} for number in range(1, 8)]


@dataclass
class Answer:
    """What the server says to one request."""

    document: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None


Asked = Callable[[str, dict[str, str]], Answer]


@dataclass
class Interface:
    """A server that answers as a test says; it notes what was asked for."""

    port: int
    answer: Asked
    asked: list[str]
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self.scheme}://localhost:{self.port}"


def _serving(tls: ssl.SSLContext | None = None) -> Iterator[Interface]:
    made = Interface(0, lambda _path, _query: Answer([]), [], "https" if tls else "http")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.asked.append(self.path)
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if self.headers.get("authorization") != TOKEN:
                said = Answer({}, 401)
            else:
                said = made.answer(parts.path, query)
            content = json.dumps(said.document).encode() if said.raw is None else said.raw
            self.send_response(said.status)
            headers = {"content-type": "application/json", "content-length": str(len(content))}
            for name, value in (headers | dict(said.headers)).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """The test has its own notes."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def interface() -> Iterator[Interface]:
    """A server of the department."""
    yield from _serving()


@pytest.fixture
def opened(
    interface: Interface, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., KeptSource]:
    """Opens the connector over a description; its pauses are short."""
    monkeypatch.setattr(connector, "_PAUSE_S", 0.001)
    monkeypatch.setattr("shuqiao.edge.connectors.patience.FIRST_S", 0.0)

    def made(table: Mapping[str, Any], **changed: Any) -> KeptSource:
        return describe(tmp_path, interface, table, **changed)

    return made


def describe(folder: Path, interface: Interface, table: Mapping[str, Any], **changed: Any) -> KeptSource:
    """Write the description and open what it says."""
    (folder / "token").write_text(TOKEN + "\n")
    said = {
        "base_url": f"{interface.url}/api",
        "headers": {"authorization": "token"},
        "tables": {"births": {"path": "/births", **table}},
        **changed,
    }
    (folder / "api.yaml").write_text(yaml.safe_dump(said))
    keeping = Keeping(folder / "home", Cover(folder / "cover.key"))
    source = open_source(f"api://{folder}/api.yaml", keeping)
    assert isinstance(source, KeptSource)
    return source


def mapping(**changed: Any) -> TableMapping:
    """The mapping of the list."""
    items = {"name": ColumnSource("name"), "sum": ColumnSource("sum")}
    named = {"resource": "r440100aaaaaaaaaa", "system": "s", "table": "births", "key": "no", "changed": ""}
    named |= {"items": items, "version": "1", "path": Path("births.yaml")}
    return TableMapping(**(named | changed))


def _number(_path: str, query: dict[str, str]) -> Answer:
    first = (int(query["page"]) - 1) * 3
    return Answer({"data": {"items": ROWS[first : first + 3], "total": len(ROWS)}})


def _offset(_path: str, query: dict[str, str]) -> Answer:
    # Asked for 5, it gives 3 at most: a short page is not the last one.
    first = int(query["from"])
    return Answer(ROWS[first : first + min(int(query["limit"]), 3)])


def _cursor(_path: str, query: dict[str, str]) -> Answer:
    first = int(query.get("after", "0"))
    return Answer({"items": ROWS[first : first + 3], "meta": {"next": first + 3 if first < 6 else None}})


def _link(path: str, query: dict[str, str]) -> Answer:
    first = int(query.get("from", "0"))
    link = {"link": f'<{path}?from={first + 3}>; rel="next", <{path}>; rel="first"'} if first < 6 else {}
    return Answer(ROWS[first : first + 3], headers=link)


def _url(path: str, query: dict[str, str]) -> Answer:
    first = int(query.get("from", "0"))
    after = f"http://localhost:PORT{path}?from={first + 3}" if first < 6 else ""
    return Answer({"items": ROWS[first : first + 3], "links": {"next": after}})


WAYS: dict[str, tuple[Asked, dict[str, Any], int]] = {
    "one": (lambda _path, _query: Answer(ROWS), {}, 1),
    "number": (
        _number,
        {"rows": "data.items", "total": "data.total", "pages": {"by": "number", "parameter": "page"}},
        4,
    ),
    "offset": (
        _offset,
        {"pages": {"by": "offset", "parameter": "from", "size": 5, "size_parameter": "limit"}},
        4,
    ),
    "cursor": (
        _cursor,
        {"rows": "items", "pages": {"by": "cursor", "parameter": "after", "next": "meta.next"}},
        3,
    ),
    "link": (_link, {"pages": {"by": "link"}}, 3),
    "url": (_url, {"rows": "items", "pages": {"by": "url", "next": "links.next"}}, 3),
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_row_comes_once_however_the_list_is_paged(
    interface: Interface, opened: Callable[..., KeptSource], way: str
) -> None:
    answer, table, requests = WAYS[way]
    interface.answer = lambda path, query: _with_port(answer(path, query), interface.port)
    source = opened({**table, "query": {"state": "valid"}})
    rows = await rows_of(source, mapping())
    assert sorted(row.values for row in rows) == [(one["name"], one["sum"]) for one in ROWS]
    assert len(interface.asked) == requests
    assert "state=valid" in interface.asked[0]
    await rows_of(source, mapping())
    assert len(interface.asked) == requests, "before its time the list isn't asked for again"
    await source.close()


def _with_port(answer: Answer, port: int) -> Answer:
    text = json.dumps(answer.document).replace("PORT", str(port))
    return Answer(json.loads(text), answer.status, answer.headers)


async def test_what_is_gone_from_the_list_is_gone(
    interface: Interface, opened: Callable[..., KeptSource]
) -> None:
    standing = list(ROWS)
    interface.answer = lambda _path, _query: Answer(standing)
    table = mapping(way=Way("ranges", 60.0), items={"name": ColumnSource("name"), "no": ColumnSource("no")})
    source = opened({}, every="1s")
    assert len(await rows_of(source, table)) == 7
    del standing[2]
    standing[0] = {**standing[0], "name": "改名"}
    await asyncio.sleep(1.0)
    names = {str(row.values[0]) for row in await rows_of(source, table)}
    assert names == {"改名", *(one["name"] for one in standing[1:])}
    await source.close()


async def test_a_server_that_is_busy_is_asked_again_and_the_list_is_whole(
    interface: Interface, opened: Callable[..., KeptSource]
) -> None:
    turns = iter([503, 429, 200, 500, 200, 502, 200])
    interface.answer = lambda path, query: (
        _cursor(path, query) if (status := next(turns)) == 200 else Answer({}, status, {"retry-after": "0"})
    )
    source = opened(WAYS["cursor"][1])
    assert len(await rows_of(source, mapping())) == 7
    interface.answer = lambda _path, _query: Answer({}, 503)
    source = opened(WAYS["cursor"][1])
    before = len(interface.asked)
    with pytest.raises(SourceError, match="it answers 503, page 1"):
        await source.clock(mapping())
    assert len(interface.asked) - before == 5
    # Nothing of a list that broke off is taken over, and nothing is lost.
    assert len(await source.read_all(mapping(), None, 10)) == 7
    await source.close()


OFTEN: dict[str, Any] = {"by": "url", "next": "next"}


@pytest.mark.parametrize(
    ("answer", "table", "said"),
    [
        (Answer({"items": ROWS, "next": "http://127.0.0.1:1/x"}), {"pages": OFTEN}, "another server"),
        (Answer({"items": ROWS, "next": "file:///etc/passwd"}), {"pages": OFTEN}, "another server"),
        (Answer({"items": ROWS, "next": "https://localhost:PORT/x"}), {"pages": OFTEN}, "another server"),
        (Answer({"items": ROWS, "next": "http://me@localhost:PORT/x"}), {"pages": OFTEN}, "another server"),
        (Answer({"items": ROWS, "next": "http://["}), {"pages": OFTEN}, "another server"),
        (Answer({"items": ROWS, "next": "http://xn--0.localhost/"}), {"pages": OFTEN}, "address is none"),
        (Answer({"items": ROWS, "next": "\ud800"}), {"pages": OFTEN}, "address is none"),
        (
            Answer({"items": ROWS, "next": "\ud800"}),
            {"pages": {"by": "cursor", "parameter": "after", "next": "next"}},
            r"can't be read behind row 7 \(UnicodeEncodeError\)",
        ),
        (Answer({"items": ROWS, "next": "?again"}), {"pages": OFTEN}, "came twice"),
        (
            Answer({"items": ROWS}),
            {"pages": {"by": "number", "parameter": "page"}},
            "the page came twice",
        ),
        (
            Answer({}, 302, {"location": "http://127.0.0.1:1/x"}),
            {},
            "redirection .302., which isn't followed",
        ),
        (Answer({}, 403), {}, "refuses the credentials .403."),
        (Answer({}, 404), {}, "answers 404 to page 1"),
        (Answer({}, headers={"content-type": "text/html"}), {}, "no JSON by its content-type"),
        (Answer({}, headers={"content-encoding": "gzip"}), {}, "is packed"),
        (Answer(raw=b'{"items": [' + "张样例".encode()), {}, "page 1 is no JSON"),
        (Answer(raw=b"[" * 15_000), {}, "page 1 is no JSON"),
        (Answer({"items": "张样例"}), {}, "no list of rows at 'items'"),
        (Answer({"items": ["张样例"]}), {}, "row 1, on page 1, is no object"),
        (Answer({"items": [{"no": "1", "name": "张样例"}]}), {}, "no row has a field 'sum'"),
        (Answer({"items": ROWS, "n": 8}), {"total": "n"}, "7 rows came where it names 8"),
        (Answer(raw=b'{"items": ["' + b"x" * 30_000 + b'"]}'), {}, "larger than 20000 bytes"),
    ],
)
async def test_a_bad_answer_is_told_clearly_and_takes_nothing_over(
    interface: Interface,
    opened: Callable[..., KeptSource],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answer: Answer,
    table: Mapping[str, Any],
    said: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(connector, "MAX_PAGE_BYTES", 20_000)
    interface.answer = lambda _path, _query: answer if answer.raw else _with_port(answer, interface.port)
    source = opened({"rows": "items", **table})
    with pytest.raises(SourceError, match=said) as told:
        await source.clock(mapping())
    assert "sesame" not in str(told.value) and "样例" not in str(told.value)
    assert "sesame" not in caplog.text and "localhost" not in caplog.text
    assert await source.read_all(mapping(), None, 10) == []
    await source.close()


async def test_a_list_without_end_is_left(
    interface: Interface, opened: Callable[..., KeptSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector, "MAX_PAGES", 5)
    interface.answer = lambda _path, query: Answer([{**ROWS[0], "no": query["page"]}])
    source = opened({"pages": {"by": "number", "parameter": "page"}})
    with pytest.raises(SourceError, match="more than 5 pages"):
        await source.clock(mapping())
    await source.close()


async def test_cells_keep_their_digits_and_a_bad_one_stands_alone(
    interface: Interface, opened: Callable[..., KeptSource]
) -> None:
    text = (
        b'[{"no": "1", "name": {"x": "\xe5\xbc\xa0"}, "sum": 12345678901234567890.1234},'
        b' {"no": "2", "name": {"x": "a\xffb"}, "sum": NaN}, {"no": "3", "name": null, "sum": 1e999999999},'
        b' {"no": "6", "name": null, "sum": 1e99999999999999999999},'
        b' {"no": "4", "name": {"x": "\\ud800"}, "sum": 123456789012345678901},'
        b' {"no": "5", "name": {"x": [1]}, "sum": true}]'
    )
    interface.answer = lambda _path, _query: Answer(raw=text)
    table = mapping(items={"name": ColumnSource("name.x"), "sum": ColumnSource("sum")})
    source = opened({})
    found = sorted((row.values for row in await rows_of(source, table)), key=str)
    damaged, unfit = Unreadable("text_unreadable"), Unreadable("item_type")
    assert found == sorted(
        [
            ("张", "12345678901234567890.1234"),
            (damaged, unfit),
            (None, unfit),
            (None, unfit),
            (damaged, "123456789012345678901"),
            (unfit, "true"),
        ],
        key=str,
    )
    await source.close()


async def test_a_server_that_fails_is_left_alone(
    interface: Interface, opened: Callable[..., KeptSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shuqiao.edge.connectors.patience.FIRST_S", 60.0)
    interface.answer = lambda _path, _query: Answer({}, 403)
    source = opened({})
    for _ in range(3):
        with pytest.raises(SourceError, match="refuses the credentials"):
            await source.clock(mapping())
    assert len(interface.asked) == 1
    await source.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An authority of the department's own."""
    return new_place(tmp_path / "tls")


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_certificate_is_looked_at(tmp_path: Path, place: Place, is_named: bool) -> None:
    for interface in _serving(server_context(place.files)):
        interface.answer = lambda _path, _query: Answer(ROWS)
        named = {"ca": str(place.ca_file)} if is_named else {}
        source = describe(tmp_path, interface, {}, **named)
        if is_named:
            assert len(await rows_of(source, mapping())) == 7
        else:
            with pytest.raises(SourceError, match="its certificate is of no authority known here"):
                await source.clock(mapping())
            assert interface.asked == []
        await source.close()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"base_url": "http://user:sesame@host/x"}, "without a user or a query"),
        ({"every": "soon"}, "every is a time"),
        ({"headers": {"Host": "token"}}, "the header Host is not for the file"),
        ({"headers": {"authorization": "gone"}}, "FileNotFoundError"),
        ({"tables": {"births": {"path": "births"}}}, "begins with /"),
        ({"tables": {"births": {"path": "/b", "pages": {"by": "cursor", "parameter": "a"}}}}, "need `next`"),
        ({"tables": {"births": {"path": "/b", "pages": {"by": "magic"}}}}, "Invalid enum value"),
        ({"tabels": {}}, "unknown field `tabels`"),
        ({"ca": "gone.pem"}, "no readable PEM"),
    ],
)
def test_a_wrong_description_is_told(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceError, match=said) as told:
        describe(tmp_path, Interface(1, _link, []), {}, **changed)
    assert "sesame" not in str(told.value)


async def test_a_table_nobody_described_is_told(tmp_path: Path) -> None:
    source = describe(tmp_path, Interface(1, _link, []), {})
    with pytest.raises(SourceError, match="no table 'deaths', but births"):
        await source.check(mapping(table="deaths"))
    await source.close()
