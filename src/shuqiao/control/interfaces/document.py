"""The OpenAPI 3.1 document of an entry's interface as applications call it, through the platform.

It is not the department's own description: the address, the signature, the codes of refusals and the values
that can be given at all are the platform's.
"""

from collections.abc import Collection
from typing import Any

from shuqiao.control.catalogue.models import Resource
from shuqiao.control.interfaces.models import Interface
from shuqiao.rules.errors import BY_CODE
from shuqiao.wire.interface import (
    JSON_TYPE,
    MAX_JSON_BYTES,
    Description,
    Limits,
    Operation,
    Parameter,
    Shape,
)

CODES = (
    "signature_missing",
    "signature_invalid",
    "signature_stale",
    "signature_replayed",
    "digest_mismatch",
    "request_malformed",
    "body_not_json",
    "body_too_large",
    "request_timeout",
    "session_over",
    "signed_call_needed",
    "not_available",
    "grant_not_yet_valid",
    "grant_expired",
    "grant_suspended",
    "grant_revoked",
    "operation_not_granted",
    "parameter_refused",
    "too_many_calls",
    "interface_failed",
    "interface_resting",
    "overloaded",
    "unavailable",
)
"""What a call of an interface can be refused with."""

MAX_REQUEST_BYTES = 1024 * 1024

_HEADERS = {
    "Content-Digest": "sha-256 of the body, RFC 9530",
    "Shuqiao-Purpose": "the purpose as the grant words it, percent-encoded UTF-8, or auto",
    "Shuqiao-End-User": "who asks, percent-encoded UTF-8, or - for the application itself",
    "Shuqiao-Grant": "the number of the grant, or auto for the one that fits",
    "Signature-Input": 'label sq; ("@method" "@authority" "@path" "content-digest" "shuqiao-purpose" '
    '"shuqiao-end-user" "shuqiao-grant");created;nonce;keyid',
    "Signature": "label sq, RFC 9421; ed25519, ecdsa-p256-sha256, sm2-sm3, or hmac-sha256 in a session",
}
_TYPES: dict[str, dict[str, Any]] = {
    "integer": {"pattern": "^-?[0-9]{1,18}$"},
    "number": {"pattern": r"^-?[0-9]{1,18}(\.[0-9]{1,12})?$"},
    "boolean": {"enum": ["true", "false"]},
    "date": {"format": "date"},
}


def call_path(resource_id: str, operation: str) -> str:
    """Where an operation is called."""
    return f"/v1/resources/{resource_id}/interface/{operation}"


def openapi(resource: Resource, held: Interface, description: Description) -> dict[str, Any]:
    """Write the document of the interface in force."""
    fields = {item.field for item in resource.items.all()}
    summary = f"{resource.code} {resource.name_zh}" + (f" / {resource.name_en}" if resource.name_en else "")
    return {
        "openapi": "3.1.0",
        "info": {"title": held.title or resource.name_zh, "version": held.version or "1", "summary": summary},
        "security": [{"signature": []}],
        "paths": {
            call_path(resource.id, one.id): {"post": _operation(one, fields)}
            for one in description.operations
        },
        "components": {
            "schemas": {"Problem": _problem()},
            "securitySchemes": {
                "signature": {"type": "http", "scheme": "signature", "description": "RFC 9421"}
            },
        },
        "x-shuqiao-limits": limits_of(held),
    }


def limits_of(held: Interface) -> dict[str, int]:
    """What a call may take, in seconds and bytes, and when the interface is left alone."""
    limits = Limits(timeout_s=held.timeout_s)
    return {
        "timeout_s": held.timeout_s,
        "max_request_bytes": MAX_REQUEST_BYTES,
        "max_json_answer_bytes": min(MAX_JSON_BYTES, limits.max_answer_bytes),
        "max_file_answer_bytes": limits.max_answer_bytes,
        "failures_in_a_row": limits.failures,
        "rest_s": round(limits.rest_s),
    }


def _operation(one: Operation, fields: Collection[str]) -> dict[str, Any]:
    kept = possible(one.answer, fields) if one.answer is not None else None
    schema = _schema(kept) if kept is not None else {"type": "object"}
    content = {JSON_TYPE: {"schema": schema}} if one.answer is not None else {one.answer_type: {}}
    done = {
        "description": "Only what the grant covers; sensitive values masked",
        "headers": {"Shuqiao-Promise": {"schema": {"type": "string"}}},
        "content": content,
    }
    return {
        "operationId": one.id,
        "summary": one.said or one.id,
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": words,
                "schema": {"type": "string"},
            }
            for name, words in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {JSON_TYPE: {"schema": _request(one)}}},
        "responses": {"200": done, **_refusals()},
    }


def _request(one: Operation) -> dict[str, Any]:
    parameters = {p.name: _parameter(p) for p in one.parameters}
    required = [p.name for p in one.parameters if p.is_required]
    properties: dict[str, Any] = {
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": parameters,
            "required": required,
        },
        "case": {"type": "string", "maxLength": 128, "description": "number of the case the call serves"},
    }
    if one.takes_body:
        properties["body"] = {"description": "the JSON body that the department's interface takes"}
    needed = [*(["parameters"] if required else []), *(["body"] if one.takes_body else [])]
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": needed}


def _parameter(one: Parameter) -> dict[str, Any]:
    """A parameter travels as text, whatever the department's interface makes of it."""
    found: dict[str, Any] = {"type": "string", "maxLength": one.max_chars, **_TYPES.get(one.type, {})}
    if one.values:
        found["enum"] = list(one.values)
    if one.said:
        found["description"] = one.said
    if one.example:
        found["examples"] = [one.example]
    return found


def _schema(shape: Shape) -> dict[str, Any]:
    if shape.kind == "object":
        inner = {name: _schema(one) for name, one in shape.fields.items()}
        return {"type": "object", "properties": inner}
    if shape.kind == "list":
        return {"type": "array", "items": _schema(shape.each) if shape.each is not None else {}}
    if shape.type == "date":
        found: dict[str, Any] = {"type": ["string", "null"], "format": "date"}
    else:
        found = {"type": [shape.type, "null"]}
    if shape.said:
        found["description"] = shape.said
    if shape.item:
        found["x-shuqiao-item"] = shape.item
    return found


def possible(shape: Shape, fields: Collection[str]) -> Shape | None:
    """The part of an answer that a grant could cover at all: values that are items of the entry."""
    if shape.kind == "value":
        return shape if not shape.item or shape.item in fields else None
    if shape.kind == "list":
        each = possible(shape.each, fields) if shape.each is not None else None
        return Shape(kind="list", each=each)
    kept = {name: possible(one, fields) for name, one in shape.fields.items()}
    return Shape(kind="object", fields={name: one for name, one in kept.items() if one is not None})


def _refusals() -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in CODES:
        by_status.setdefault(BY_CODE[code].status, []).append(code)
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {"description": ", ".join(codes), "content": content}
        for status, codes in sorted(by_status.items())
    }


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "RFC 9457",
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "code": {"type": "string", "enum": list(CODES)},
            "detail": text,
            "rule": text,
        },
        "required": ["type", "title", "status", "code", "detail"],
    }
