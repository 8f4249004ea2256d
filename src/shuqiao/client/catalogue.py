"""A small client of the catalogue's interface: signs with an application's key, sends, reads the answer."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from shuqiao.security.http_signatures import CallContext, RequestSigner, sign_request
from shuqiao.security.tls import client_context

TIMEOUT_S = 30.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024
_BASE = "/api/v1/catalogue"
_NOBODY = ""


class CatalogueUnreachable(Exception):
    """The platform could not be reached, or what came back is no answer of its interface."""


@dataclass(frozen=True, slots=True)
class CatalogueAnswer:
    """Status and content of an answer; a refusal has its `code`, an accepted one has none."""

    status: int
    content: dict[str, Any]

    @property
    def code(self) -> str:
        """Return the code of a refusal, or nothing."""
        return str(self.content.get("code", "")) if self.status >= 400 else ""


class CatalogueClient:
    """Writes and reads entries of one department; `person` is the account that compiles."""

    def __init__(
        self,
        url: str,
        signer: RequestSigner,
        person: str = _NOBODY,
        *,
        language: str = "zh",
        ca_file: Path | None = None,
    ) -> None:
        """Remember whom to ask and as whom; nothing is sent yet.

        An https address needs a certificate of the machine's authorities, or of the one in `ca_file` alone;
        raises `TlsRefused` for a file of no use.
        """
        headers = {"accept-language": language}
        self._http = httpx.Client(
            base_url=url, timeout=TIMEOUT_S, headers=headers, verify=client_context(ca_file), trust_env=False
        )
        self._signer = signer
        self._context = CallContext(end_user=person)

    def __enter__(self) -> CatalogueClient:
        """Open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._http.close()

    def put(self, key: str, entry: dict[str, Any], **options: Any) -> CatalogueAnswer:
        """Keep an entry as a draft; options are `revision`, `dry_run` and `submit`."""
        return self.send("PUT", f"/entries/{quote(key, safe='~')}", {"entry": entry, **options})

    def put_table(self, key: str, description: bytes) -> CatalogueAnswer:
        """Make a draft of what `shuqiao node describe` wrote."""
        return self.send("PUT", f"/tables/{quote(key, safe='~')}", description)

    def get(self, place: str, query: str = "") -> CatalogueAnswer:
        """Read a place, such as `/entries/KEY/draft` or `/vocabulary`."""
        return self.send("GET", place, query=query)

    def send(
        self, method: str, place: str, body: dict[str, Any] | bytes = b"", query: str = ""
    ) -> CatalogueAnswer:
        """Sign one request and send it; raises `CatalogueUnreachable`. A repetition needs a new signature."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode("utf-8")
        path = _BASE + place
        target = (method, self._http.base_url.netloc.decode("ascii"), path)
        headers = sign_request(self._signer, target, raw, self._context, int(time.time()))
        if raw:
            headers["content-type"] = "application/json"
        try:
            response = self._http.request(method, path + query, content=raw, headers=headers)
            content = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise CatalogueUnreachable(f"{type(error).__name__} at {self._http.base_url}") from error
        if len(response.content) > MAX_ANSWER_BYTES or not isinstance(content, dict):
            raise CatalogueUnreachable("the answer is none of the interface")
        return CatalogueAnswer(response.status_code, content)
