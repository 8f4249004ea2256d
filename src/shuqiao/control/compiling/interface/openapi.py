"""The OpenAPI 3.1 document of the interface; tests hold it against what really comes."""

from __future__ import annotations

from typing import Any

import msgspec

from shuqiao.control.compiling.interface.messages import (
    MAX_BODY_BYTES,
    MAX_PAGE,
    DraftState,
    EntryList,
    EntryProblem,
    OneEntry,
    PutEntry,
    PutResult,
    StandardList,
    VocabularyAnswer,
)
from shuqiao.rules.entries import Entry
from shuqiao.rules.errors import BY_CODE
from shuqiao.wire.tables import TableDescription

BASE = "/api/v1/catalogue"
_ANSWERS = (PutResult, OneEntry, DraftState, EntryList, VocabularyAnswer, StandardList, EntryProblem)

SIGNED_CODES = (
    "signature_missing",
    "signature_invalid",
    "signature_stale",
    "signature_replayed",
    "digest_mismatch",
    "request_malformed",
    "end_user_refused",
    "unavailable",
)
"""What every signed request may be refused with."""

READ_CODES = (*SIGNED_CODES, "entry_not_found")
TABLE_CODES = (*READ_CODES, "body_too_large", "entry_faulty", "entry_being_changed")
WRITE_CODES = (*TABLE_CODES, "body_not_json", "draft_changed", "correction_too_wide")

_SIGNED_HEADERS = {
    "Content-Digest": "sha-256 of the body, RFC 9530 (or sm3); of the empty body for a GET",
    "Shuqiao-Purpose": "auto",
    "Shuqiao-End-User": "the account of the person of the department it is done for; - only for reading",
    "Shuqiao-Grant": "auto",
    "Signature-Input": "label sq; RFC 9421 with exactly the components and parameters of the data plane",
    "Signature": "label sq",
}

_KEY = {
    "name": "key",
    "in": "path",
    "required": True,
    "description": "the department's own stable key of the entry, or the entry's id",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._~-]{0,79}$"},
}
_KIND = {
    "name": "kind",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": ["elements", "code-lists", "formats"]},
}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _problems(codes: tuple[str, ...]) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(BY_CODE[code].status, []).append(code)
    return {
        str(status): {
            "description": ", ".join(sorted(names)),
            "content": {"application/problem+json": {"schema": _reference("EntryProblem")}},
        }
        for status, names in sorted(by_status.items())
    }


def _done(description: str, name: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _reference(name)}}}


def _signed(operation: str, summary: str, codes: tuple[str, ...]) -> dict[str, Any]:
    headers = [
        {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in _SIGNED_HEADERS.items()
    ]
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": headers,
        "responses": _problems(codes),
    }


def _read(operation: str, summary: str, answer: str, codes: tuple[str, ...] = SIGNED_CODES) -> dict[str, Any]:
    made = _signed(operation, summary, codes)
    made["responses"] = {"200": _done("Answered", answer), **made["responses"]}
    return made


def _paged(operation: str, summary: str, answer: str) -> dict[str, Any]:
    made = _read(operation, summary, answer)
    made["parameters"] += [
        {
            "name": "after",
            "in": "query",
            "required": False,
            "description": "`next` of the page before",
            "schema": {"type": "string", "maxLength": 80},
        },
        {
            "name": "limit",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": MAX_PAGE},
        },
    ]
    return made


def _put() -> dict[str, Any]:
    made = _signed("putEntry", "Keep an entry as a draft; the same twice changes nothing", WRITE_CODES)
    made["description"] = (
        f"At most {MAX_BODY_BYTES} bytes. All that decides stands in the signed body: `revision` for "
        "concurrency, `dry_run` to check only, `submit` to send the draft into the procedure. A draft may be "
        "incomplete: `faults` says what must be corrected before it is submitted."
    )
    made["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": _reference("PutEntry")}},
    }
    made["responses"] = {
        "200": _done("Changed, unchanged, or checked in a dry run", "PutResult"),
        "201": _done("A draft was created", "PutResult"),
        **made["responses"],
    }
    return made


def _put_table() -> dict[str, Any]:
    summary = "Make a draft of what `shuqiao node describe` says of a table"
    made = _signed("putTable", summary, TABLE_CODES)
    made["description"] = (
        "The same description twice changes nothing. A draft made of another structure is not written over, "
        "and a table whose entry is in force is refused: change that entry."
    )
    made["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": _reference("TableDescription")}},
    }
    made["responses"] = {
        "200": _done("Unchanged", "PutResult"),
        "201": _done("A draft of guesses was created", "PutResult"),
        **made["responses"],
    }
    return made


def _paths() -> dict[str, Any]:
    get_entry = _read("getEntry", "What is in force, and what is proposed", "OneEntry", READ_CODES)
    get_draft = _read("getDraft", "How far a change is, and its faults", "DraftState", READ_CODES)
    document = {
        "operationId": "getOpenapi",
        "summary": "This document",
        "security": [],
        "responses": {
            "200": {
                "description": "Answered",
                "content": {"application/json": {"schema": {"type": "object"}}},
            }
        },
    }
    return {
        f"{BASE}/entries": {"get": _paged("listEntries", "The department's entries", "EntryList")},
        f"{BASE}/entries/{{key}}": {"parameters": [_KEY], "get": get_entry, "put": _put()},
        f"{BASE}/entries/{{key}}/draft": {"parameters": [_KEY], "get": get_draft},
        f"{BASE}/tables/{{key}}": {"parameters": [_KEY], "put": _put_table()},
        f"{BASE}/vocabulary": {
            "get": _read("getVocabulary", "What may be chosen and what must be filled", "VocabularyAnswer")
        },
        f"{BASE}/standards/{{kind}}": {
            "parameters": [_KIND],
            "get": _paged("listStandards", "The city's standards in use", "StandardList"),
        },
        f"{BASE}/openapi.json": {"get": document},
    }


def _schemas() -> dict[str, Any]:
    """Describe the messages; an entry is written field by field, and no other field is taken."""
    template = "#/components/schemas/{name}"
    _, schemas = msgspec.json.schema_components(
        (PutEntry, TableDescription, *_ANSWERS, Entry), ref_template=template
    )
    for name in ("Entry", "EntryItem"):
        schemas[name]["additionalProperties"] = False
    schemas["PutEntry"]["properties"]["entry"] = _reference("Entry")
    return schemas


def document() -> dict[str, Any]:
    """Build the document."""
    signature = {
        "type": "http",
        "scheme": "signature",
        "description": "RFC 9421, the fixed profile of the data plane: label sq; ed25519 or "
        "ecdsa-p256-sha256 with an application's own key; at most 300 s old; each nonce once.",
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "数桥目录编制接口 Shuqiao catalogue interface", "version": "1"},
        "security": [{"signature": []}],
        "paths": _paths(),
        "components": {"schemas": _schemas(), "securitySchemes": {"signature": signature}},
    }


DOCUMENT = msgspec.json.encode(document())
