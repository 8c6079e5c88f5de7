"""The metrics in the output of a training job: in a file, and in CloudWatch."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

from localcloud.sagemaker.services import RecordMetric

METRICS_NAMESPACE = "/aws/sagemaker/TrainingJobs"


class MetricReader:
    """Finds the values of a training job's MetricDefinitions in its lines."""

    def __init__(
        self, job: str, definitions: list[dict[str, str]], series_file: Path, record_metric: RecordMetric
    ) -> None:
        """Initialize the reader for one job.

        Args:
            job: The job's name.
            definitions: The MetricDefinitions.
            series_file: Receives every value, one JSON line each; it is kept across restarts of the job.
            record_metric: Receives every value for CloudWatch.
        """
        self._job, self._record_metric, self._series_file = job, record_metric, series_file
        self._patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]

    def read(self, line: str) -> None:
        """Record the metrics in a line."""
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                try:
                    value = float(match[1])
                except (ValueError, IndexError):
                    continue
                with self._series_file.open("a") as file:
                    file.write(json.dumps([time.time(), name, value]) + "\n")
                self._record_metric(METRICS_NAMESPACE, name, value, "None", {"TrainingJobName": self._job})


def read_series(file: Path) -> Iterator[tuple[float, str, float]]:
    """Yield time, name and value of every metric of a job so far, in order."""
    if file.exists():
        for line in file.read_text().splitlines():
            timestamp, name, value = json.loads(line)
            yield timestamp, name, value
