"""Step Functions → the rules: the winner's operating points go into force with its model, or are taken back."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from inspection import clients
from retraining.documents import Documents
from retraining.rules import ProposedRules
from retraining.settings import RulesSettings


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    """Stage, apply or withdraw the winner's rules.

    Args:
        event: `action`, `run`, `version` (the name of the rules), and `report`, the S3 URI of the winner's
            evaluation.json.
        context: Lambda's context.
    """
    rules = _rules()
    match event["action"]:
        case "stage":
            return rules.stage(event["version"], event["report"])
        case "apply":
            return rules.apply(event["run"], event["version"], event["report"])
        case "withdraw":
            rules.withdraw(event["version"])
            return None
        case action:
            raise ValueError(f"unknown action {action!r}")


@functools.cache
def _rules() -> ProposedRules:
    settings = RulesSettings.read()
    return ProposedRules(
        Documents(clients.s3(), settings.artefacts_bucket),
        clients.ssm(),
        settings.rules_parameter,
        settings.apply_proposed_rules,
        settings.rules_cache_seconds,
    )
