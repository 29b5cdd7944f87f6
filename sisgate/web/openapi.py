"""The OpenAPI document: what FastAPI cannot know of the middleware and the problem documents."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sisgate.problem_details import MEDIA_TYPE

_PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457). `code` names the error, in errors.md.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:sisgate:error:unknown_job"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string", "examples": ["unknown_job"]},
    },
    "additionalProperties": True,
}
_TEXT = {"type": "string"}
"""JSON Lines, events and metrics: without a schema, generated clients return nothing of them."""

_ANSWER = {
    "description": "A problem document.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def completed(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return the function that makes the document of an application, once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    return openapi


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        license_info=app.license_info,
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "An access token."}
    }
    document["servers"] = [{"url": "/", "description": "Where this document is from."}]
    document["security"] = [{"token": []}]
    for path in document["paths"].values():
        for operation in path.values():
            answers = operation["responses"]
            answers.pop("422", None)
            for media in (m for each in answers.values() for m in each.get("content", {}).values()):
                media.setdefault("schema", _TEXT)
            answers["default"] = _ANSWER
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for schema in schemas.values():
        # What the service sends has all its fields; what it takes (`OrderDocument`) has no others.
        if "properties" in schema and schema.get("additionalProperties", True):
            schema["required"] = list(schema["properties"])
    schemas["Problem"] = _PROBLEM
    return document
