"""Step Functions → the rules: the winner's operating points go into force with its model, or are taken back."""

import functools
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.shifts import Shifts
from hours.waiting import seconds_until_shift
from inspection import clients
from inspection.resting import shifts_of
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
            staged = rules.stage(event["version"], event["report"])
            # The swap follows the pause, and its canary needs images: outside the endpoint's hours it waits for them.
            return staged | {"pause": max(staged["pause"], seconds_until_shift(_shifts(), datetime.now(UTC)))}
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


@functools.cache
def _shifts() -> Shifts | None:
    settings = RulesSettings.read()
    return shifts_of(settings.endpoint_hours, settings.endpoint_timezone)
