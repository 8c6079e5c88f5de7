"""HTTP API → answers: what people ask for in the dashboard, and the command for them."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from api.app import answer


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return answer(event, context)
