"""Puts data points into MiniStack's CloudWatch, also those that are contained in log lines."""

import json
from collections.abc import Iterator
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from localcloud.ministack.environment import ACCOUNT, REGION


def record(namespace: str, name: str, value: float, unit: str, dimensions: dict[str, str]) -> None:
    """Record one data point of the local account; from any thread."""
    with request_scope(ACCOUNT, REGION):
        cloudwatch.record_metric(namespace, name, value, unit, dimensions)


def record_embedded(text: str) -> None:
    """Record the metrics in log lines in embedded metric format.

    CloudWatch extracts them from the logs; MiniStack does not. Lines that cannot be read are skipped, as on AWS.
    """
    for line in text.splitlines():
        if '"_aws"' not in line:
            continue
        try:
            points = list(embedded(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        for point in points:
            record(*point)


def embedded(document: dict[str, Any]) -> Iterator[tuple[str, str, float, str, dict[str, str]]]:
    """Yield the data points in a document in embedded metric format: namespace, name, value, unit, dimensions.

    >>> list(embedded({"_aws": {"CloudWatchMetrics": [{"Namespace": "Loupe", "Dimensions": [["line"]],
    ...     "Metrics": [{"Name": "Inspected", "Unit": "Count"}]}]}, "line": "a", "Inspected": [1, 1]}))
    [('Loupe', 'Inspected', 1.0, 'Count', {'line': 'a'}), ('Loupe', 'Inspected', 1.0, 'Count', {'line': 'a'})]
    """
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive["Metrics"]:
                values = document[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    yield (
                        directive["Namespace"],
                        metric["Name"],
                        float(value),
                        metric.get("Unit", "None"),
                        dimensions,
                    )
