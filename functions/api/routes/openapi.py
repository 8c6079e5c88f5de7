"""The description of the API itself."""

from __future__ import annotations

import functools
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from api.access import Group, allow

router = APIGatewayHttpRouter()


@router.get("/openapi.json", summary="Describe the API", compress=True)
@allow(Group.VIEWER)
def show() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return _description()


@functools.cache
def _description() -> dict[str, Any]:
    # Its import takes a third of a second, which no other request must wait for.
    from api.openapi import describe

    app = router.api_resolver
    if not isinstance(app, APIGatewayHttpResolver):
        raise TypeError("the application includes this router")
    return describe(app)
