"""The OpenAPI document of the plane with copies, feeds and browsing; tests hold it against the routes."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from shuqiao.plane.bulk.fetching import SEALED_TYPE
from shuqiao.rules.bulk import FORMATS, media_type
from shuqiao.wire.bulk import (
    BrowseAnswer,
    BrowseRequest,
    BulkAsked,
    BulkRequest,
    BulkState,
    FeedAsked,
    FeedRequest,
    FeedState,
    FeedStateRequest,
    FeedTaken,
    Manifest,
    StateRequest,
    TakenRequest,
)
from shuqiao.wire.recalls import (
    NUMBER,
    DeletionKept,
    DeletionRequest,
    FeedEnded,
    FeedEndRequest,
    RecallsAnswer,
    RecallsRequest,
)

_TEMPLATE = "/v1/resources/{resource}/query"
_STRUCTS = (
    BulkRequest,
    BulkAsked,
    StateRequest,
    BulkState,
    Manifest,
    FeedRequest,
    FeedAsked,
    FeedState,
    FeedStateRequest,
    TakenRequest,
    FeedTaken,
    BrowseRequest,
    BrowseAnswer,
    FeedEndRequest,
    FeedEnded,
    RecallsRequest,
    RecallsAnswer,
    DeletionRequest,
    DeletionKept,
)
_SIGNED: dict[str, tuple[str, type[msgspec.Struct], type[msgspec.Struct]]] = {
    "/v1/bulk": ("Ask for a copy of what a grant of mode bulk covers", BulkRequest, BulkAsked),
    "/v1/bulk/{job}": ("How far a copy is; its manifest and links", StateRequest, BulkState),
    "/v1/feeds": ("Subscribe to the changes of a resource", FeedRequest, FeedAsked),
    "/v1/feeds/{feed}": ("The parts of a feed that wait, or the next one", FeedStateRequest, FeedState),
    "/v1/feeds/{feed}/taken": ("Keep the position of a feed", TakenRequest, FeedTaken),
    "/v1/feeds/{feed}/end": ("End a feed, or have it begin anew", FeedEndRequest, FeedEnded),
    "/v1/recalls": ("What is to be deleted as its grant has ended", RecallsRequest, RecallsAnswer),
    "/v1/recalls/{recall}/receipt": ("Sign for a deletion", DeletionRequest, DeletionKept),
    "/v1/resources/{resource}/browse": ("Read one page of records", BrowseRequest, BrowseAnswer),
}
_UNRECORDED = (BulkState, FeedState, RecallsAnswer)
_NAMED = ("job", "feed", "resource", "part", "recall")


def _reference(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{struct.__name__}"}}}


def _parameters(path: str) -> list[dict[str, Any]]:
    forms: dict[str, dict[str, Any]] = {
        "resource": {"type": "string", "pattern": "^r[0-9]{6}[a-z2-7]{10}$"},
        "part": {"type": "integer", "minimum": 1},
        "recall": {"type": "string", "pattern": f"^{NUMBER}$"},
    }
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": forms.get(name, {"type": "string", "format": "uuid"}),
        }
        for name in _NAMED
        if f"{{{name}}}" in path
    ]


def with_copies(made: dict[str, Any]) -> dict[str, Any]:
    """Add the routes of copies to the document of keyed calls."""
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    made["components"]["schemas"] |= schemas
    for path, (summary, body, answer) in _SIGNED.items():
        operation = copy.deepcopy(made["paths"][_TEMPLATE]["post"])
        operation["summary"] = summary
        operation["requestBody"]["content"] = _reference(body)
        done = operation["responses"]["200"]
        done["content"] = _reference(answer)
        if answer in _UNRECORDED:
            # It gives out nothing of a record, so nothing is promised.
            done.pop("headers", None)
        made["paths"][path] = {"parameters": _parameters(path), "post": operation}
    made["paths"]["/v1/bulk/{job}/parts/{part}"] = _part(made["paths"][_TEMPLATE]["post"]["responses"])
    return made


def _part(responses: dict[str, Any]) -> dict[str, Any]:
    kinds = (*(media_type(form) for form in FORMATS), SEALED_TYPE)
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    refused = {status: said for status, said in responses.items() if status != "200"}
    header = {"name": "range", "in": "header", "required": False, "schema": {"type": "string"}}
    link = {"name": "link", "in": "query", "required": True, "schema": {"type": "string"}}
    return {
        "parameters": _parameters("/v1/bulk/{job}/parts/{part}"),
        "get": {
            "summary": "Fetch a part, or a range of it, by a link that expires, sealed or not",
            "security": [],
            "parameters": [link, header],
            "responses": {
                "200": {"description": "The part", "content": content},
                "206": {"description": "A range of it", "content": content},
                **refused,
            },
        },
    }
