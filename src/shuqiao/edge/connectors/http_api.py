"""Lists of an HTTP interface, page by page, as `api:///path/file.yaml` (see `api_settings`).

The whole list is read every so often and compared with what was read before, so an interface needs no time of
change. It is taken in as a whole or not at all. Only the server that the file names is asked: a next page on
another one, or a redirection, isn't followed. A server that fails is asked again after growing pauses.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import re
import ssl
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx

from shuqiao.edge.connectors import SourceError, Unreadable
from shuqiao.edge.connectors.api_settings import Api, ApiTable, read_api
from shuqiao.edge.connectors.diagnosis import network_reason
from shuqiao.edge.connectors.kept import Keeping, KeptSource
from shuqiao.edge.connectors.lists import Cell, Listed, cell_of, told
from shuqiao.edge.connectors.patience import Patience
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words
from shuqiao.rules.errors import ItemType, TextUnreadable
from shuqiao.security.tls import TlsRefused, client_context

# The client's own log has every address, and an address may have the numbers of persons.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

MAX_PAGE_BYTES = 64 * 1024 * 1024
MAX_PAGES = 100_000
_TRIES, _PAUSE_S, _LONGEST_PAUSE_S = 5, 1.0, 60.0
_AGAIN = (429, 500, 502, 503, 504)
_WHOLE_DIGITS = 18
_CHANCE = random.SystemRandom()
_NO_CHARACTER = re.compile("[\ud800-\udfff]")


def api_source(url: str, keeping: Keeping) -> KeptSource:
    """Return the connector of an HTTP interface."""
    return KeptSource(ApiShelf(read_api(url)), keeping)


class ApiShelf:
    """The lists of one interface; each is new when its time has come again."""

    tells_columns = False

    def __init__(self, api: Api) -> None:
        """Keep the description; nothing is asked yet."""
        self._api = api
        self._turns: dict[str, tuple[str, float]] = {}
        self._ends = threading.Event()
        self._patience = Patience()
        try:
            self._trusted = client_context(api.authority)
        except TlsRefused as error:
            raise _wrong(str(error), str(error)) from None

    def standing(self, mapping: TableMapping) -> Mapping[str, str | None]:
        """Return the list with a word for its turn: a new one at the start, and when its time is over."""
        self._table(mapping)
        now = time.monotonic()
        word, since = self._turns.get(mapping.table, ("", now - self._api.every_s))
        if now - since >= self._api.every_s:
            word, since = uuid.uuid4().hex, now
            self._turns[mapping.table] = (word, since)
        return {mapping.table: word}

    @contextmanager
    def opened(self, mapping: TableMapping, _name: str) -> Iterator[Listed]:
        """Ask for the list, page by page as its rows are taken."""
        table = self._table(mapping)
        columns = tuple(dict.fromkeys((mapping.key, *mapping.source_columns())))
        with (
            self._patience.ask(),
            httpx.Client(
                trust_env=False,
                follow_redirects=False,
                verify=self._trusted,
                headers={
                    **self._api.headers,
                    "accept": "application/json",
                    # A packed answer could be far larger than what came.
                    "accept-encoding": "identity",
                },
                timeout=self._api.timeout_s,
            ) as client,
        ):
            asked = _Asked(client, self._api, table, self._ends)
            yield Listed(dict.fromkeys(columns, ""), told("the interface", asked.rows(columns)))

    def stays(self, _mapping: TableMapping, _states: Mapping[str, str | None]) -> bool:
        """Say yes: an interface has one state, which is now."""
        return True

    def close(self) -> None:
        """End the pauses between tries."""
        self._ends.set()

    def _table(self, mapping: TableMapping) -> ApiTable:
        table = self._api.tables.get(mapping.table)
        if table is None:
            known = ", ".join(sorted(self._api.tables))[:500]
            said = Words(
                f"接口中没有清单{mapping.table!r}，现有：{known}",
                f"the interface has no table {mapping.table!r}, but {known}",
            )
            raise SourceError(f"{mapping.path}: {said}")
        return table


class _Asked:
    """One reading of a list from its first page to its last."""

    def __init__(self, client: httpx.Client, api: Api, table: ApiTable, ends: threading.Event) -> None:
        self._client = client
        self._api = api
        self._table = table
        self._ends = ends
        self._origin = _origin(httpx.URL(api.base_url))

    def rows(self, columns: tuple[str, ...]) -> Iterator[list[Cell]]:
        """Give the cells of the columns of every row; the list must have each column at least once."""
        met: set[str] = set()
        count, total = 0, None
        for number, (page, named) in enumerate(self._pages(), 1):
            total = total if named is None else named
            for row in page:
                count += 1
                if not isinstance(row, dict):
                    raise _wrong(
                        f"第{number}页的第{count}行不是对象", f"row {count}, on page {number}, is no object"
                    )
                found = [_at(row, name) for name in columns]
                met.update(name for name, (there, _) in zip(columns, found, strict=True) if there)
                yield [_cell(value) for _, value in found]
        missing = [name for name in columns if name not in met]
        if count and missing:
            named = ", ".join(map(repr, missing))
            raise _wrong(f"没有一行有字段{named}", f"no row has a field {named}")
        if total is not None and total != count:
            raise _wrong(
                f"所报总数为{total}，取得{count}行，稍后重取",
                f"{count} rows came where it names {total}: it is asked again",
            )

    def _pages(self) -> Iterator[tuple[list[Any], Any]]:
        """Give the rows of each page, with the number of all rows where the answer names it."""
        pages = self._table.pages
        url = httpx.URL(self._api.base_url + self._table.path)
        query = dict(self._table.query)
        if pages.size is not None:
            query[pages.size_parameter] = str(pages.size)
        step = pages.first if pages.by == "number" else 0
        seen: set[bytes] = set()
        for number in range(1, MAX_PAGES + 1):
            if pages.by in ("number", "offset"):
                query[pages.parameter] = str(step)
            document, link = self._get(url.copy_merge_params(query) if query else url, number)
            rows = self._rows_of(document, number)
            yield rows, self._total(document)
            if pages.by in ("number", "offset"):
                # A server may give fewer rows than are asked for; only a page without any is the last one.
                if not rows:
                    return
                self._is_new(seen, json.dumps(rows, default=str), Words("同一页", "the page"))
                step += 1 if pages.by == "number" else len(rows)
                continue
            after = link if pages.by == "link" else _at(document, pages.next)[1] if pages.next else None
            if after is None or after == "":
                return
            self._is_new(seen, str(after), Words("下一页的位置", "the next page's place"))
            if pages.by == "cursor":
                query[pages.parameter] = str(after)
            else:
                url, query = self._next(url, after), {}
        raise _wrong(f"清单超过{MAX_PAGES}页", f"the list has more than {MAX_PAGES} pages")

    def _rows_of(self, document: Any, number: int) -> list[Any]:
        rows = _at(document, self._table.rows)[1] if self._table.rows else document
        if not isinstance(rows, list):
            where = Words("整个应答不是", "as the whole answer")
            if place := self._table.rows:
                where = Words(f"{place!r}处没有", f"at {place!r}")
            raise _wrong(f"第{number}页{where.zh}行的清单", f"page {number} has no list of rows {where.en}")
        return rows

    def _total(self, document: Any) -> Any:
        return _at(document, self._table.total)[1] if self._table.total else None

    def _is_new(self, seen: set[bytes], text: str, what: Words) -> None:
        mark = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
        if mark in seen:
            raise _wrong(
                f"{what.zh}出现两次：请核对parameter和`next`",
                f"{what.en} came twice: are parameter and `next` right?",
            )
        seen.add(mark)

    def _next(self, url: httpx.URL, after: Any) -> httpx.URL:
        try:
            made = url.join(str(after))
            is_ours = _origin(made) == self._origin and not made.userinfo
        except (httpx.InvalidURL, ValueError):
            raise _wrong("下一页的地址不成其为地址", "the next page's address is none") from None
        if not is_ours:
            raise _wrong(
                "下一页在另一台服务器上，不去请求", "the next page lies on another server, which isn't asked"
            )
        return made

    def _get(self, url: httpx.URL, number: int) -> tuple[Any, str | None]:
        """Ask for one page, again where that may help; raises SourceError saying what is wrong."""
        for turn in range(_TRIES):
            # A little more or less, so that nodes don't march in step.
            pause_s = _PAUSE_S * 2**turn * _CHANCE.uniform(0.8, 1.2)
            try:
                with self._client.stream("GET", url) as response:
                    if response.status_code not in _AGAIN:
                        content = self._content(response, number)
                        return _document(content, number), response.links.get("next", {}).get("url")
                    said = Words(f"应答{response.status_code}", f"it answers {response.status_code}")
                    pause_s = max(pause_s, _asked_pause(response))
            except httpx.TimeoutException:
                said = Words("没有按时应答", "it doesn't answer in time")
            except httpx.HTTPError as error:
                if _is_untrusted(error):
                    raise SourceError(
                        Words(
                            "接口：其证书不是本机所知机构签发，或属于别的名称，请在`ca`中写明机构",
                            "the interface: its certificate is of no authority known here, or of another"
                            " name: name the authority in `ca`",
                        )
                    ) from None
                said = _unreached(error)
            if turn + 1 < _TRIES and self._ends.wait(pause_s):
                break
        raise SourceError(Words(f"接口：{said.zh}，第{number}页", f"the interface: {said.en}, page {number}"))

    def _content(self, response: httpx.Response, number: int) -> bytes:
        status = response.status_code
        if status in (401, 403):
            raise SourceError(
                Words(
                    f"接口：凭据不被接受（{status}），请检查`headers`",
                    f"the interface: it refuses the credentials ({status}): look at `headers`",
                )
            )
        if 300 <= status < 400:
            raise SourceError(
                f"the interface: it answers with a redirection ({status}), which isn't followed:"
                " name the address it leads to"
            )
        if status != httpx.codes.OK:
            raise SourceError(
                Words(
                    f"接口：第{number}页应答{status}", f"the interface: it answers {status} to page {number}"
                )
            )
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not kind.endswith(("/json", "+json")):
            raise _wrong(
                f"第{number}页的content-type不是JSON", f"page {number} is no JSON by its content-type"
            )
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _wrong(
                f"第{number}页经过压缩，并未要求", f"page {number} is packed, which wasn't asked for"
            )
        content, until = bytearray(), time.monotonic() + 10 * self._api.timeout_s
        for piece in response.iter_raw():
            content += piece
            if len(content) > MAX_PAGE_BYTES:
                raise _wrong(
                    f"第{number}页大于{MAX_PAGE_BYTES}字节",
                    f"page {number} is larger than {MAX_PAGE_BYTES} bytes",
                )
            if time.monotonic() > until:
                raise httpx.ReadTimeout("the whole page took too long")
        return bytes(content)


def _wrong(zh: str, en: str) -> SourceError:
    return SourceError(Words(f"接口：{zh}", f"the interface: {en}"))


def _document(content: bytes, number: int) -> Any:
    """Read JSON with every digit of its numbers; bytes that are no text are a fault of their cell."""
    try:
        return json.loads(
            content.decode("utf-8-sig", "surrogateescape"),
            parse_float=_fraction,
            parse_int=_whole,
            parse_constant=lambda _: Unreadable(ItemType.code),
        )
    except (ValueError, RecursionError):
        raise _wrong(f"第{number}页不是JSON", f"page {number} is no JSON") from None


def _whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _WHOLE_DIGITS else Decimal(digits)


def _fraction(digits: str) -> Decimal | Unreadable:
    try:
        return Decimal(digits)
    except InvalidOperation:
        return Unreadable(ItemType.code)


def _at(place: Any, name: str) -> tuple[bool, Any]:
    """Return whether a field is there, and its value: one of this name, else the way the dots lead to."""
    if isinstance(place, dict) and name in place:
        return True, place[name]
    for word in name.split("."):
        if not isinstance(place, dict) or word not in place:
            return False, None
        place = place[word]
    return True, place


def _cell(value: Any) -> Cell:
    match value:
        case bool():
            return "true" if value else "false"
        case str() if not value.isascii() and _NO_CHARACTER.search(value):
            return Unreadable(TextUnreadable.code)
        case dict() | list():
            return Unreadable(ItemType.code)
    return cell_of(value)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host.lower(), url.port


def _asked_pause(response: httpx.Response) -> float:
    """Return how long the server asks to be left alone, at most a minute."""
    told = response.headers.get("retry-after", "")
    return min(float(told), _LONGEST_PAUSE_S) if told.isdecimal() else 0.0


def _unreached(error: httpx.HTTPError) -> Words:
    """Say why there was no answer, by what the network said beneath the library's own error."""
    found, beneath = None, error.__cause__ or error.__context__
    while beneath is not None and found is None:
        found, beneath = network_reason(beneath), beneath.__cause__ or beneath.__context__
    name = type(error).__name__
    if found is None:
        return Words(f"连不上（{name}）", f"it can't be reached ({name})")
    return Words(f"连不上：{found.zh}", f"it can't be reached: {found.en}")


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
