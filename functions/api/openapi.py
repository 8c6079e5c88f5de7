"""The description of the API, made from its routes.

It names for each route the group that may use it, as `x-group`. https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer

from api.access import Access, access_of

_TOKEN = "token"  # noqa: S105 - a name
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "Stable, for programs."},
                "message": {"type": "string", "description": "One sentence, for people."},
                "details": {"type": "array", "items": {}},
            },
        }
    },
}
_ERROR_RESPONSE = {
    "description": "An error",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
# Powertools' own errors, in whose place are this API's.
_UNUSED = ("HTTPValidationError", "ValidationError", "ResponseValidationError")


def describe(app: APIGatewayHttpResolver) -> dict[str, Any]:
    """Return the description of an API."""
    text = app.get_openapi_json_schema(
        title="Loupe",
        version="1",
        description="What people ask for: inspections, reviews, statistics, rules, models and runs.",
        security_schemes={_TOKEN: HTTPBearer(bearerFormat="JWT")},
        security=[{_TOKEN: []}],
    )
    document: dict[str, Any] = json.loads(text)
    document.pop("servers", None)
    schemas = document["components"]["schemas"]
    for name in _UNUSED:
        schemas.pop(name, None)
    schemas["Error"] = _ERROR
    for route in (*app._static_routes, *app._dynamic_routes):
        operation = document["paths"].get(route.openapi_path, {}).get(route.method.lower())
        if operation is None:
            continue
        access = access_of(route.func)
        if access is Access.ANYONE:
            operation["security"] = []
        else:
            operation["x-group"] = str(access)
        operation["responses"]["default"] = _ERROR_RESPONSE
    return document
