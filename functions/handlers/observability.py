"""Logger and metrics; the one place that knows their names."""

from urllib.parse import quote

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from contract.keys import UNKNOWN
from inspection.inspector import Outcome

logger = Logger()
_PLAIN = "".join(map(chr, range(32, 127)))


def publish(outcome: Outcome) -> None:
    """One EMF line for the batch's totals and one for each line and station, not one for each image.

    CloudWatch keeps each set of dimensions as a metric of its own, so alarms read the totals and dashboards the
    lines: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format.html
    """
    for dimensions, counts in outcome.counts.items():
        metrics = EphemeralMetrics()
        for name, value in dimensions:
            metrics.add_dimension(name, _dimension(value))
        for name, count in counts.items():
            metrics.add_metric(name, MetricUnit.Count, count)
        if not dimensions and counts["Inspected"]:
            metrics.add_metric("DefectRate", MetricUnit.Percent, 100 * counts["Failed"] / counts["Inspected"])
        for name, taken in outcome.timings_ms[dimensions].items():
            for milliseconds in taken:
                metrics.add_metric(name, MetricUnit.Milliseconds, milliseconds)
        metrics.flush_metrics()
    for problem in outcome.problems:
        logger.warning(
            problem.message,
            extra={"code": problem.code, "message_id": problem.message_id},
            exc_info=problem.error,
        )


def _dimension(value: str) -> str:
    """A name as CloudWatch takes it: ASCII, at most 255 characters, no colon in front."""
    return quote(value, safe=_PLAIN).lstrip(":")[:255].strip() or UNKNOWN
