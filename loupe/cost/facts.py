"""What a stack really has: its parameters, its instances, the images of the last days, and what it stores."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from botocore.exceptions import ClientError

from contract.shifts import Shifts, ShiftsError
from loupe.cost.choices import shift_hours
from loupe.cost.workload import HOURS_PER_WEEK
from loupe.stack import endpoint
from loupe.stack.target import Target

_DAYS = 30


@dataclass
class Facts:
    """What a stack has. What could not be found out is None.

    Attributes:
        parameters: The template parameters.
        region: The region.
        images_per_day: Images inspected a day, of the days on which any were, in the last 30 days.
        instance_type: What the endpoint runs on now.
        instances: On how many.
        status: SageMaker's status of the endpoint; Missing if there is none.
        images_gb: Size of the images bucket.
        records: Number of inspection records.
        records_gb: Size of their table.
    """

    parameters: dict[str, str] = field(default_factory=dict)
    region: str = ""
    images_per_day: float | None = None
    instance_type: str | None = None
    instances: int | None = None
    status: str = "Missing"
    images_gb: float | None = None
    records: int | None = None
    records_gb: float | None = None

    @property
    def endpoint_hours(self) -> float:
        """Hours a week in which the endpoint runs."""
        try:
            shifts = Shifts.parse(
                self.parameters.get("EndpointHours", ""), self.parameters.get("EndpointTimezone", "UTC")
            )
        except ShiftsError:
            return HOURS_PER_WEEK
        return min(shifts.hours_a_week + len(shifts.windows) * (shift_hours(1, 1) - 1), HOURS_PER_WEEK)


def read(target: Target) -> Facts:
    """Return what a stack has. Who may read the stack need not be allowed to read all of it."""
    facts = Facts(region=target.session.region_name)
    client = target.session.client("cloudformation", endpoint_url=target.endpoint_url)
    stack = client.describe_stacks(StackName=target.name)["Stacks"][0]
    facts.parameters = {
        parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack.get("Parameters", [])
    }
    for part in (_endpoint, _inspected, _stored_images, _stored_records):
        with contextlib.suppress(ClientError):
            part(target, facts)
    return facts


def _endpoint(target: Target, facts: Facts) -> None:
    described = endpoint.describe(target)
    if described is None:
        return
    facts.status = described.status
    facts.instance_type = described.config["ProductionVariants"][0].get("InstanceType")
    variants = described.endpoint.get("ProductionVariants") or [{}]
    facts.instances = variants[0].get("CurrentInstanceCount")


def _inspected(target: Target, facts: Facts) -> None:
    days = _points(target, "Loupe", "Inspected", {"service": target.name}, "Sum", _DAYS)
    busy = [value for value in days if value > 0]
    facts.images_per_day = sum(busy) / len(busy) if busy else None


def _stored_images(target: Target, facts: Facts) -> None:
    # CloudWatch reports a bucket's size once a day.
    sizes = _points(
        target,
        "AWS/S3",
        "BucketSizeBytes",
        {"BucketName": target.output("ImagesBucketName"), "StorageType": "StandardStorage"},
        "Average",
        3,
    )
    facts.images_gb = sizes[-1] / 1e9 if sizes else None


def _stored_records(target: Target, facts: Facts) -> None:
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    facts.records, facts.records_gb = table.item_count, table.table_size_bytes / 1e9


def _points(
    target: Target,
    namespace: str,
    metric: str,
    dimensions: dict[str, str],
    statistic: Literal["Average", "Sum"],
    days: int,
) -> list[float]:
    """Return the statistic of each of the last days that has one, without today, which is not whole."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    points = target.cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=today - timedelta(days=days),
        EndTime=today,
        Period=86_400,
        Statistics=[statistic],
    )["Datapoints"]
    return [float(point[statistic]) for point in sorted(points, key=lambda point: point["Timestamp"])]
