"""Reads today's prices from AWS's Price List API into a file for `--prices`.

https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from loupe.cost.prices import Price, Prices
from loupe.errors import LoupeError

# The API is in few regions, and answers for all.
_API_REGION = "us-east-1"
_PAGE = "https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html"
_USES = {"Hosting": "endpoint", "Training": "training", "Processing": "processing"}


@dataclass(frozen=True)
class _Query:
    """How an item is found. usage: the end of its usage type. per: the units of our price for one of AWS's."""

    item: str
    code: str
    usage: str


# What AWS calls the units that the estimate counts. A usage type begins with the region, as in EUC1-Requests-Tier1.
_QUERIES = (
    _Query("s3.put", "AmazonS3", "Requests-Tier1"),
    _Query("s3.get", "AmazonS3", "Requests-Tier2"),
    _Query("s3.storage", "AmazonS3", "TimedStorage-ByteHrs"),
    _Query("dynamodb.write", "AmazonDynamoDB", "WriteRequestUnits"),
    _Query("dynamodb.read", "AmazonDynamoDB", "ReadRequestUnits"),
    _Query("dynamodb.storage", "AmazonDynamoDB", "TimedStorage-ByteHrs"),
    _Query("dynamodb.recovery", "AmazonDynamoDB", "TimedPITRStorage-ByteHrs"),
    _Query("lambda.request", "AWSLambda", "Request"),
    _Query("lambda.time", "AWSLambda", "Lambda-GB-Second"),
    _Query("cloudwatch.metric", "AmazonCloudWatch", "CW:MetricMonitorUsage"),
    _Query("cloudwatch.alarm", "AmazonCloudWatch", "CW:AlarmMonitorUsage"),
    _Query("cloudwatch.logs", "AmazonCloudWatch", "DataProcessing-Bytes"),
    _Query("cloudwatch.log-storage", "AmazonCloudWatch", "TimedStorage-ByteHrs"),
    _Query("api.request", "AmazonApiGateway", "ApiGatewayHttpRequest"),
    _Query("states.transition", "AmazonStates", "StateTransition"),
    _Query("ecr.storage", "AmazonECR", "TimedStorage-ByteHrs"),
)


def refresh(file: Path, region: str, client: Any = None) -> int:
    """Write the prices of a region into a file.

    Args:
        file: Where to.
        region: The region.
        client: Of the Price List API; None for one with the user's AWS profile.

    Returns:
        How many prices were found.

    Raises:
        LoupeError: AWS does not answer, or the file cannot be written.
    """
    today = datetime.now(UTC).date().isoformat()
    try:
        client = client or boto3.Session().client("pricing", region_name=_API_REGION)
        found = [*_instances(client, region, today), *_others(client, region, today)]
    except (BotoCoreError, ClientError) as error:
        raise LoupeError(
            f"AWS gives no prices: {error}",
            "The profile needs pricing:GetProducts. Check: aws sts get-caller-identity",
        ) from error
    rows = [
        {name: value for name, value in asdict(price).items() if name not in ("as_of", "page", "note")}
        | {"source": "price-list"}
        for price in found
    ]
    document = {
        "about": f"Prices of {region}, read from AWS's Price List API.",
        "currency": "USD",
        "sources": {"price-list": {"page": _PAGE, "as_of": today}},
        "prices": rows,
    }
    try:
        file.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise LoupeError(f"cannot write {file}: {error}", "Choose another file.") from error
    return len(rows)


def _instances(client: Any, region: str, today: str) -> Iterator[Price]:
    for component, use in _USES.items():
        for product in _products(client, "AmazonSageMaker", region, component=component):
            attributes = product["product"]["attributes"]
            # An instance's name has the component behind it: ml.g5.xlarge-Hosting.
            name = attributes.get("instanceName") or attributes.get("instanceType", "").rpartition("-")[0]
            dollars = _dollars(product)
            if name.startswith("ml.") and dollars is not None:
                yield Price("SageMaker", f"{use}.{name}", region, dollars, 1, "hours", today, _PAGE)


def _others(client: Any, region: str, today: str) -> Iterator[Price]:
    recorded = Prices.recorded()
    for query in _QUERIES:
        known = recorded.need(query.item, region)
        for product in _products(client, query.code, region):
            usage = product["product"]["attributes"].get("usagetype", "")
            dollars = _dollars(product)
            if dollars is not None and usage in (query.usage, f"{_prefix(usage)}-{query.usage}"):
                price = Price(known.service, query.item, region, dollars, 1, known.unit, today, _PAGE)
                yield price
                break


def _prefix(usage: str) -> str:
    """Return the region in a usage type, such as EUC1."""
    head, dash, _ = usage.partition("-")
    return head if dash and head.isupper() else ""


def _products(client: Any, code: str, region: str, **attributes: str) -> Iterator[Mapping[str, Any]]:
    filters = [
        {"Type": "TERM_MATCH", "Field": name, "Value": value}
        for name, value in {"regionCode": region, **attributes}.items()
    ]
    for page in client.get_paginator("get_products").paginate(ServiceCode=code, Filters=filters):
        for text in page["PriceList"]:
            yield json.loads(text) if isinstance(text, str) else text


def _dollars(product: Mapping[str, Any]) -> float | None:
    """Return the first price on demand that is not zero; None if there is none."""
    tiers = [
        (float(dimension["beginRange"]), float(dimension["pricePerUnit"]["USD"]))
        for term in product.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
        if "USD" in dimension["pricePerUnit"]
    ]
    return next((price for _, price in sorted(tiers) if price > 0), None)
