"""A sample department's own HTTP interface: family planning certificates, all invented.

It stands for a system that a department has had for years. It knows nothing of the platform; the department's
node calls it, and the description beside it is what the department registered.
"""

import argparse
import hmac
import json
import re
import sys
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from shuqiao.demo.names import DISTRICT_CODES, DISTRICT_NAMES

DESCRIPTIONS: Final = Path(__file__).parent / "interfaces"
LIST_KEY: Final = "family_planning"
"""The list of the catalogue that this interface serves."""

MAX_SECRET_BYTES = 200


def description() -> Path:
    """The OpenAPI description of this interface, as its department registered it."""
    return DESCRIPTIONS / f"{LIST_KEY}.openapi.yaml"


_CERTIFICATES: Final = 2_000
_SHOWN: Final = 20
_NUMBER: Final = re.compile(r"JS(\d{8})")
_FIRST_DAY: Final = date(2025, 1, 2)
_SURNAMES: Final = "王张刘杨黄周吴徐孙马朱胡郭何高罗郑梁谢宋"


def certificate(place: int) -> dict[str, str]:
    """One invented certificate; the same on every machine."""
    district = DISTRICT_CODES[place % len(DISTRICT_CODES)]
    return {
        "number": f"JS{place:08d}",
        "name": f"{_SURNAMES[place % len(_SURNAMES)]}示例",
        "received": (_FIRST_DAY + timedelta(days=place % 600)).isoformat(),
        "authority": f"{DISTRICT_NAMES[district]}示例街道办事处",
        "division": district,
        "remark": "内部备注（示例）",
    }


class Registry(BaseHTTPRequestHandler):
    """Answers the two calls; whoever doesn't bring the department's password is told nothing."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: "RegistryServer"

    def do_GET(self) -> None:
        """Answer one certificate, or those of a district."""
        given = self.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), self.server.secret):
            self._answer(401, {"error": "unauthorized"})
            return
        address = urlsplit(self.path)
        asked = parse_qs(address.query)
        if address.path == "/certificates":
            self._answer(200, _listed(asked.get("division", [""])[0], asked.get("since", [""])[0]))
            return
        found = _NUMBER.fullmatch(unquote(address.path).removeprefix("/certificates/"))
        if found is None or not 0 < int(found[1]) <= _CERTIFICATES:
            self._answer(404, {"error": "not found"})
        else:
            self._answer(200, certificate(int(found[1])))

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: an address holds the number of a certificate."""


def _listed(division: str, since: str) -> dict[str, object]:
    every = (certificate(place) for place in range(1, _CERTIFICATES + 1))
    found = [one for one in every if one["division"] == division and one["received"] >= since]
    return {"total": len(found), "certificates": found[:_SHOWN]}


class RegistryServer(ThreadingHTTPServer):
    """Listens on the loopback; knows the password of the department's node."""

    daemon_threads = True

    def __init__(self, port: int, secret: bytes) -> None:
        """Bind the port; 0 takes a free one."""
        super().__init__(("127.0.0.1", port), Registry)
        self.secret = secret


def main() -> int:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret-file", type=Path, required=True)
    arguments = parser.parse_args()
    secret = arguments.secret_file.read_bytes()[:MAX_SECRET_BYTES].strip()
    if not secret:
        print("the password file is empty", file=sys.stderr)
        return 1
    RegistryServer(arguments.port, secret).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
