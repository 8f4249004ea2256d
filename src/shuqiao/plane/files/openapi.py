"""The whole OpenAPI document of the plane, with files; tests hold it against the routes."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from shuqiao.plane.bulk.openapi import with_copies
from shuqiao.plane.openapi import document
from shuqiao.rules.files import TYPES
from shuqiao.wire.files import FilesAnswer, FilesRequest

LIST_PATH = "/v1/resources/{resource}/files"
FILE_PATH = "/v1/files/{version}"
_TEMPLATE = "/v1/resources/{resource}/query"


def with_files(made: dict[str, Any]) -> dict[str, Any]:
    """Add the routes of files to a document that has those of keyed calls."""
    _, schemas = msgspec.json.schema_components(
        (FilesRequest, FilesAnswer), ref_template="#/components/schemas/{name}"
    )
    made["components"]["schemas"] |= schemas
    template = made["paths"][_TEMPLATE]
    operation = copy.deepcopy(template["post"])
    operation["summary"] = "List the files that a grant of mode bulk opens, with a link for each"
    operation["requestBody"]["content"] = _reference("FilesRequest")
    operation["responses"]["200"]["content"] = _reference("FilesAnswer")
    made["paths"][LIST_PATH] = {"parameters": copy.deepcopy(template["parameters"]), "post": operation}
    made["paths"][FILE_PATH] = _file(template["post"]["responses"])
    return made


def _reference(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _file(responses: dict[str, Any]) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = dict.fromkeys(sorted(set(TYPES.values())), binary)
    text = {"schema": {"type": "string"}}
    headers = {
        "Repr-Digest": {"description": "SHA-256 of the whole file, RFC 9530", **text},
        "ETag": {"description": "the same digest in hexadecimal", **text},
        **responses["200"].get("headers", {}),
    }
    refused = {status: said for status, said in responses.items() if status != "200"}
    version = {
        "name": "version",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    }
    asked = [
        {"name": "link", "in": "query", "required": True, **text},
        {"name": "range", "in": "header", "required": False, **text},
        {"name": "if-range", "in": "header", "required": False, **text},
    ]
    return {
        "parameters": [version],
        "get": {
            "summary": "Fetch a version of a file, or a range of it, by a link that expires",
            "security": [],
            "parameters": asked,
            "responses": {
                "200": {"description": "The file", "content": content, "headers": headers},
                "206": {"description": "A range of it", "content": content, "headers": headers},
                **refused,
            },
        },
    }


DOCUMENT = msgspec.json.encode(with_files(with_copies(document())))
"""What `/openapi.json` answers."""
