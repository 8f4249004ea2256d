"""A department's system as the tests of the interface play it: it signs, sends, and reads the answer."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from shuqiao.control.organisations.actions import ApplicationInput, enrol_application
from shuqiao.control.texts import Text
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, key_signer, sign_request

HOST = "testserver"
BASE = "/api/v1/catalogue"
HEALTH, HOUSING = "440100-health", "440100-housing"


def enrolled(application: str, department: str, algorithm: str = "ed25519", *, portal: bool = False) -> Any:
    """Enrol an application of a department and return its private key."""
    key = keys.generate_signing_key(algorithm)
    der = keys.public_der(key.public_key())
    words = Text(application, application)
    enrol_application(
        ApplicationInput(application, department, words, algorithm, der, portal=portal), "system:test"
    )
    return key


@dataclass
class System:
    """One application with its key, and the person it names."""

    key: Any
    user: str = "chen"
    client: Client = field(default_factory=lambda: Client(headers={"accept-language": "zh-CN"}))

    def headers(self, method: str, path: str, body: bytes = b"", **more: Any) -> dict[str, str]:
        """The headers that sign a request; `more` are created, nonce, host, and the user."""
        target = (method, more.get("host", HOST), path)
        context = CallContext(end_user=more.get("user", self.user))
        created = more.get("created", int(time.time()))
        return sign_request(key_signer(self.key), target, body, context, created, more.get("nonce"))

    def send(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
        """Send a request as it is; signed by the caller or not at all."""
        kind = "application/json" if method == "PUT" else ""
        sent = {"host": HOST} | (headers or {})
        return self.client.generic(method, path, body, content_type=kind, headers=sent)

    def get(self, place: str, query: str = "", **more: Any) -> Any:
        """Ask for a place below the interface."""
        path = f"{BASE}{place}"
        return self.send("GET", path + query, b"", self.headers("GET", path, b"", **more))

    def put(self, key: str, entry: Any, **more: Any) -> Any:
        """Write an entry; `revision`, `dry_run` and `submit` go into the body."""
        options = {name: more.pop(name) for name in ("revision", "dry_run", "submit") if name in more}
        return self.put_raw(key, json.dumps({"entry": entry, **options}, ensure_ascii=False).encode(), **more)

    def put_raw(self, key: str, body: bytes, place: str = "entries", **more: Any) -> Any:
        """Send any bytes as an entry, or to another place."""
        path = f"{BASE}/{place}/{key}"
        return self.send("PUT", path, body, self.headers("PUT", path, body, **more))


def complete_entry(**changes: Any) -> dict[str, Any]:
    """An entry of the health department that breaks no rule of guangzhou-2016."""
    given = {
        "name_zh": "接种单位信息",
        "name_en": "Vaccination units",
        "summary_zh": "本市接种单位的名称、地址和服务时间。",
        "subject": "202001",
        "department": HEALTH,
        "collecting": HEALTH,
        "origin": "direct",
        "forms": ["structured"],
        "format": "database",
        "library_kind": "business",
        "scope": "全市行政机关",
        "use": "便民服务",
        "manner": ["platform_database"],
        "platform": "市政府信息共享平台",
        "open_to_public": True,
        "update_cycle": "monthly",
        "shared_until": "2027-10-31",
        "legal_ground": "疫苗管理法第四十四条",
        "not_secret": True,
        "items": [
            {"field": "unit_name", "zh": "接种单位名称", "length": 120, "key": True},
            {"field": "unit_address", "zh": "接种单位地址", "length": 200},
        ],
    }
    return given | changes
