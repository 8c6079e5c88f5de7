"""Logger and metrics."""

from typing import Any
from urllib.parse import quote

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from contract.keys import UNKNOWN
from inspection.inspector import Outcome

logger = Logger()
_PLAIN = "".join(map(chr, range(32, 127)))


def publish(outcome: Outcome) -> None:
    """Write one EMF line for the batch's totals, and one for each production line and station; log the problems.

    With one id, `inspection`, the lines here and in the container's log are found (training/serving/request_log.py).
    For CloudWatch each set of dimensions is a separate metric: alarms read the totals, dashboards the lines and
    stations. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format.html
    """
    for dimensions, counts in outcome.counts.items():
        metrics = EphemeralMetrics()
        for name, value in dimensions:
            metrics.add_dimension(name, _dimension(value))
        for name, count in counts.items():
            metrics.add_metric(name, MetricUnit.Count, count)
        if not dimensions and counts["Inspected"]:
            metrics.add_metric("DefectRate", MetricUnit.Percent, 100 * counts["Failed"] / counts["Inspected"])
        for name, timings in outcome.timings_ms[dimensions].items():
            for milliseconds in timings:
                metrics.add_metric(name, MetricUnit.Milliseconds, milliseconds)
        metrics.flush_metrics()
    for problem in outcome.problems:
        logger.warning(
            problem.message,
            extra={"code": problem.code, "message_id": problem.message_id, "inspection": problem.inspection},
            exc_info=problem.error,
        )

    for record in outcome.records:
        # Only on the level DEBUG: a line for each image costs more than everything else that the function does.
        logger.debug(
            "inspected",
            extra={
                "inspection": record["id"],
                "image": record["image"],
                "verdict": record["verdict"],
                "milliseconds": float(record["timings_ms"]["total"]),
            },
        )


def publish_reconciliation(answer: dict[str, Any]) -> None:
    """Log what was compared; write a metric only if images were announced again, because a metric costs by the hour."""
    logger.info("compared the bucket with the table", extra={"reconciliation": answer})
    if answer["announced"]:
        metrics = EphemeralMetrics()
        metrics.add_metric("Reannounced", MetricUnit.Count, answer["announced"])
        metrics.flush_metrics()


def _dimension(value: str) -> str:
    """Return a dimension's value as CloudWatch accepts it: ASCII, at most 255 characters, no leading colon."""
    return quote(value, safe=_PLAIN).lstrip(":")[:255].strip() or UNKNOWN
