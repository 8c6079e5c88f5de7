"""What AWS bills for jobs, from their descriptions and the dated prices of `loupe cost`. No price is invented."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

_PRICES = Path(__file__).parents[1] / "loupe" / "cost" / "prices.json"
# The region whose price stands in where none is recorded for another one, as in `loupe cost`.
_REFERENCE_REGION = "us-east-1"
Use = Literal["training", "processing", "endpoint"]


@dataclass(frozen=True, slots=True)
class Price:
    """What an instance costs.

    Attributes:
        dollars: For an hour.
        region: Where.
        as_of: The date of the record, YYYY-MM-DD.
    """

    dollars: float
    region: str
    as_of: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job, as AWS bills it.

    Attributes:
        start: When its training began; None if it is not known.
        end: When its training ended.
        seconds: Between the two.
        billable: Seconds that one instance is billed for. With managed spot training they are fewer.
        instance_type: Such as ml.g5.xlarge.
        instances: Their number.
    """

    start: datetime | None
    end: datetime | None
    seconds: float
    billable: float
    instance_type: str
    instances: int = 1


def price(use: Use, instance_type: str, region: str) -> Price | None:
    """Return the recorded price of an instance.

    Args:
        use: What it is used for.
        instance_type: Such as ml.g5.xlarge.
        region: Where; if no price is recorded there, it is that of us-east-1.

    Returns:
        None if no price is recorded.
    """
    document = json.loads(_PRICES.read_text("utf-8"))
    prices = {(row["item"], row["region"]): row for row in document["prices"]}
    for where in (region, _REFERENCE_REGION):
        for item in (f"{use}.{instance_type}", f"instance.{instance_type}"):
            if row := prices.get((item, where)):
                as_of = document["sources"][row["source"]]["as_of"]
                return Price(row["price"] / row["per"], where, as_of)
    return None


def job(description: Mapping[str, Any]) -> Job:
    """Read what a job was billed for.

    Args:
        description: The answer of DescribeTrainingJob or DescribeProcessingJob, or a dictionary with
            TrainingTimeInSeconds, BillableTimeInSeconds, InstanceType and InstanceCount.

    Returns:
        The job. One that did not start is billed for nothing. BillableTimeInSeconds is of one instance, and without
        what a spot instance does not bill:
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html
    """
    start, end = (
        description.get(f"Training{edge}Time") or description.get(f"Processing{edge}Time")
        for edge in ("Start", "End")
    )
    lasted = (end - start).total_seconds() if start and end else 0.0
    seconds = float(description.get("TrainingTimeInSeconds") or lasted)
    billable = description.get("BillableTimeInSeconds")
    cluster = (
        description.get("ResourceConfig")
        or description.get("ProcessingResources", {}).get("ClusterConfig")
        or description
    )
    return Job(
        start=start,
        end=end,
        seconds=seconds,
        billable=seconds if billable is None else float(billable),
        instance_type=cluster.get("InstanceType") or "",
        instances=cluster.get("InstanceCount") or 1,
    )


def run_seconds(jobs: Sequence[Job]) -> float:
    """Return the time from the first start to the last end: jobs of a tuning run at the same time."""
    started = [each for each in jobs if each.seconds]
    starts = [each.start for each in started if each.start]
    ends = [each.end for each in started if each.end]
    if not started or len(starts) < len(started) or len(ends) < len(started):
        return sum(each.seconds for each in started)
    return (max(ends) - min(starts)).total_seconds()


def price_of(jobs: Iterable[Job], use: Use, region: str) -> tuple[float | None, str]:
    """Return what jobs cost, and on what they ran, with the price and its date."""
    machines: dict[str, Price | None] = {}
    dollars: float | None = 0.0
    for each in jobs:
        if each.instance_type not in machines:
            machines[each.instance_type] = price(use, each.instance_type, region)
        found = machines[each.instance_type]
        cost = each.billable * each.instances / 3600 * found.dollars if found else None
        dollars = None if dollars is None or cost is None else dollars + cost
    return dollars, "; ".join(
        f"{name.removeprefix('ml.')}, ${found.dollars:g} an hour ({found.region}, {found.as_of})"
        if found
        else f"{name.removeprefix('ml.') or 'unknown instance'}, no price recorded"
        for name, found in machines.items()
    )
