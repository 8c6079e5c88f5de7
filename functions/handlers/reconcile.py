"""Schedule, or `loupe reconcile` → images without a record: they are announced again."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers import observability
from handlers.environment import ReconcileEnvironment
from inspection import clients
from inspection.store import Inspections
from reconciliation.passes import Passes
from reconciliation.queues import Queues
from reconciliation.reconciler import Reconciler
from reconciliation.requests import Request, report
from reconciliation.versions import Versions


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Compare the bucket with the table as the event asks. The answer says what was found."""
    found = Request.of(event).run(_passes(), context.get_remaining_time_in_millis() / 1000)
    answer = report(found)
    observability.publish_reconciliation(answer)
    return answer


@functools.cache
def _passes() -> Passes:
    environment = ReconcileEnvironment.read()
    reconciler = Reconciler(
        Versions(clients.s3(), environment.images_bucket),
        Inspections(clients.dynamodb(), environment.table_name),
        Queues(
            clients.sqs(), environment.queue_url, environment.dead_letter_queue_url, environment.aws_region
        ),
    )
    memory = clients.ssm(), environment.reconcile_parameter
    return Passes(reconciler, *memory, environment.record_retention_days)
