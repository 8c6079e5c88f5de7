"""Metrics in log lines."""

import json

from localcloud.ministack import metrics


def test_each_dimension_set_gets_each_value() -> None:
    document = json.loads(
        """{"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "Loupe", "Dimensions": [["line"], []],
        "Metrics": [{"Name": "Inspected", "Unit": "Count"}, {"Name": "Latency"}]}]},
        "line": "line-1", "Inspected": [1.0, 1.0], "Latency": 7}"""
    )
    assert list(metrics.embedded(document)) == [
        ("Loupe", "Inspected", 1.0, "Count", {"line": "line-1"}),
        ("Loupe", "Inspected", 1.0, "Count", {"line": "line-1"}),
        ("Loupe", "Latency", 7.0, "None", {"line": "line-1"}),
        ("Loupe", "Inspected", 1.0, "Count", {}),
        ("Loupe", "Inspected", 1.0, "Count", {}),
        ("Loupe", "Latency", 7.0, "None", {}),
    ]
