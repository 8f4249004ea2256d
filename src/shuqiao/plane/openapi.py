"""The OpenAPI 3.1 document of the plane; tests hold it against the routes and the error codes."""

from __future__ import annotations

from typing import Any

import msgspec

from shuqiao.rules.errors import BY_CODE, CallError
from shuqiao.wire.batch_messages import (
    QueryBatchAnswer,
    QueryBatchRequest,
    VerifyBatchAnswer,
    VerifyBatchRequest,
)
from shuqiao.wire.messages import (
    HeadAnswer,
    Problem,
    PromiseKey,
    QueryAnswer,
    QueryRequest,
    SessionAnswer,
    SessionHead,
    SessionRequest,
    VerifyAnswer,
    VerifyRequest,
)
from shuqiao.wire.receipt import Promise

CALL_CODES = tuple(code for code, error in BY_CODE.items() if issubclass(error, CallError))
_SESSION_CODES = (
    "signature_missing",
    "signature_invalid",
    "signature_stale",
    "digest_mismatch",
    "request_malformed",
    "body_not_json",
    "body_too_large",
    "request_timeout",
    "too_many_calls",
    "unavailable",
    "signature_replayed",
    "session_unsigned",
)
_HEAD_CODES = (*_SESSION_CODES[:-2], "not_available", "head_contradicted")
_STRUCTS = (
    VerifyRequest,
    VerifyAnswer,
    QueryRequest,
    QueryAnswer,
    VerifyBatchRequest,
    VerifyBatchAnswer,
    QueryBatchRequest,
    QueryBatchAnswer,
    SessionRequest,
    SessionAnswer,
    SessionHead,
    HeadAnswer,
    PromiseKey,
    Problem,
    Promise,
)
_SIGNED_HEADERS = {
    "Content-Digest": "sha-256 of the body, RFC 9530; or sm3, a key of this interface's own",
    "Shuqiao-Purpose": "the purpose as the grant words it, percent-encoded UTF-8, or auto",
    "Shuqiao-End-User": "who asks, percent-encoded UTF-8, or - for the application itself",
    "Shuqiao-Grant": "the number of the grant, or auto for the one that fits",
    "Signature-Input": "label sq; RFC 9421 with exactly the components and parameters of this interface",
    "Signature": "label sq",
}


def _reference(struct: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def _json(struct: type[msgspec.Struct], kind: str = "application/json") -> dict[str, Any]:
    return {kind: {"schema": _reference(struct)}}


def _problems(codes: tuple[str, ...]) -> dict[str, Any]:
    """Give a response per status, naming the codes it may carry."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(BY_CODE[code].status, []).append(code)
    return {
        str(status): {
            "description": ", ".join(sorted(names)),
            "content": _json(Problem, "application/problem+json"),
        }
        for status, names in sorted(by_status.items())
    }


def _signed(summary: str, body: type[msgspec.Struct], answer: type[msgspec.Struct]) -> dict[str, Any]:
    codes = {SessionAnswer: _SESSION_CODES, HeadAnswer: _HEAD_CODES}.get(answer, CALL_CODES)
    is_call = codes is CALL_CODES
    done: dict[str, Any] = {"description": "Answered", "content": _json(answer)}
    if is_call:
        done["headers"] = {
            "Shuqiao-Promise": {
                "description": "base64url of a Promise: the entry of this answer is in the log by the "
                "next checkpoint. Refusals that were recorded carry it too.",
                "schema": {"type": "string"},
            }
        }
    return {
        "summary": summary,
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": text,
                "schema": {"type": "string"},
            }
            for name, text in _SIGNED_HEADERS.items()
        ],
        "requestBody": {"required": True, "content": _json(body)},
        "responses": {"200": done, **_problems(codes)},
    }


def _open(summary: str, kind: str, schema: dict[str, Any], codes: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "get": {
            "summary": summary,
            "security": [],
            "responses": {
                "200": {"description": "The answer", "content": {kind: {"schema": schema}}},
                **_problems(codes),
            },
        }
    }


def _paths() -> dict[str, Any]:
    place = {
        "name": "resource",
        "in": "path",
        "required": True,
        "description": "the immutable id of the resource",
        "schema": {"type": "string", "pattern": "^r[0-9]{6}[a-z2-7]{10}$"},
    }
    any_object = {"type": "object"}
    keys = {"type": "object", "properties": {"keys": {"type": "array", "items": _reference(PromiseKey)}}}
    verify = _signed("Compare claimed values with one record", VerifyRequest, VerifyAnswer)
    query = _signed("Read the granted items of one record", QueryRequest, QueryAnswer)
    many_verified = _signed("Compare claims with up to 1,000 records", VerifyBatchRequest, VerifyBatchAnswer)
    many_queried = _signed(
        "Read the granted items of up to 1,000 records", QueryBatchRequest, QueryBatchAnswer
    )
    session = _signed("Agree a session key: 1,000 calls, one minute", SessionRequest, SessionAnswer)
    head = _signed("Sign the list of a session's calls", SessionHead, HeadAnswer)
    return {
        "/v1/resources/{resource}/verify": {"parameters": [place], "post": verify},
        "/v1/resources/{resource}/query": {"parameters": [place], "post": query},
        "/v1/resources/{resource}/verify-batch": {"parameters": [place], "post": many_verified},
        "/v1/resources/{resource}/query-batch": {"parameters": [place], "post": many_queried},
        "/v1/sessions": {"post": session},
        "/v1/sessions/heads": {"post": head},
        "/v1/promise-keys": _open("Public keys that sign promises", "application/json", keys),
        "/openapi.json": _open("This document", "application/json", any_object),
        "/health/live": _open("The process runs", "application/json", any_object),
        "/health/ready": _open("Calls can be answered", "application/json", any_object, ("unavailable",)),
        "/metrics": _open("Counters of one worker", "text/plain", {"type": "string"}),
    }


def document() -> dict[str, Any]:
    """Build the document."""
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    signature = {
        "type": "http",
        "scheme": "signature",
        "description": "RFC 9421, fixed profile: label sq; ed25519, ecdsa-p256-sha256, or hmac-sha256 in a "
        "session; at most 300 s old.",
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "数桥数据服务接口 Shuqiao data plane", "version": "1"},
        "security": [{"signature": []}],
        "paths": _paths(),
        "components": {"schemas": schemas, "securitySchemes": {"signature": signature}},
    }


DOCUMENT = msgspec.json.encode(document())
