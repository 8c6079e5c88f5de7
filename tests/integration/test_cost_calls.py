"""The calls that the cost model counts are those that the functions make."""

import json
from collections import Counter
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer

from loupe.cost.usage import calls
from tests.inspection_support import detection, http, jpeg, message, prediction
from tests.integration.moto_cloud import DEFECT, DOUBTFUL, GOOD, Cloud

GREY = {"pass": GOOD, "fail": DEFECT, "review": DOUBTFUL}
_KB = 1024


@pytest.mark.parametrize("verdict", GREY)
def test_an_image_needs_the_counted_calls(cloud: Cloud, verdict: str) -> None:
    # The rules are read once in a while, whatever the number of images.
    cloud.inspect_record(cloud.put("incoming/line-1/top/first.jpg", jpeg(shade=GOOD)))
    announced = cloud.put("incoming/line-1/top/SN1.jpg", jpeg(shade=GREY[verdict]))
    assert cloud.inspect(message(announced)) == []
    made = Counter(cloud.calls)
    made.pop("GetParameter", None)
    assert made == calls()["inspect"][verdict]


@pytest.mark.parametrize("verdict", GREY)
def test_a_picture_and_an_alert_need_the_counted_calls(cloud: Cloud, verdict: str) -> None:
    cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.jpg", jpeg(shade=GREY[verdict])))
    cloud.alert()
    # Nothing of an image that passed reaches the function: the stream's filter holds it back.
    made = Counter(cloud.calls) if verdict != "pass" else Counter()
    assert made == calls()["alert"].get(verdict, {})


@pytest.mark.parametrize("verdict", GREY)
def test_a_record_takes_the_counted_write_units(cloud: Cloud, verdict: str) -> None:
    """Of 1 KB, in the table and in each of its indexes."""
    found = detection("scratches", {"pass": 0.1, "fail": 0.9, "review": 0.4}[verdict])
    weak = [detection(label, 0.1) for label in ("scratches", "inclusion", "patches", "crazing", "dent")]
    cloud.endpoint = lambda _: http(200, prediction(found, *weak))
    # A name as cameras give it.
    key = "incoming/press-line-1/camera-top/20260105-093015250_SN-0012345_OK2.jpg"
    stored = cloud.inspect_record(cloud.put(key, jpeg()))
    size = _size(stored)
    assert size == pytest.approx(calls()["bytes"]["record"], rel=0.15)
    units = 0
    for index in [None, *cloud.table.global_secondary_indexes]:
        names = {key["AttributeName"] for key in index["KeySchema"]} if index else set()
        if names <= stored.keys():
            keys_only = index is not None and index["Projection"]["ProjectionType"] == "KEYS_ONLY"
            units += 1 if keys_only else -(-size // _KB)
    assert units == calls()["writes"]["record"][verdict]


def test_metrics_are_as_many_as_counted(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[tuple[str, ...], set[str]] = {}
    lengths = []
    for verdict, grey in GREY.items():
        capsys.readouterr()
        cloud.inspect_record(cloud.put(f"incoming/line-1/top/{verdict}.jpg", jpeg(shade=grey)))
        for line in capsys.readouterr().out.splitlines():
            document = json.loads(line)
            if "_aws" in document:
                (directive,) = document["_aws"]["CloudWatchMetrics"]
                found = names.setdefault(tuple(sorted(directive["Dimensions"][0])), set())
                found |= {metric["Name"] for metric in directive["Metrics"]}
                lengths.append(len(line))
    counted = calls()["metrics"]
    assert len(names["service",]) == counted["totals"]
    assert len(names["line", "service", "station"]) == counted["station"]
    # Two lines an image, and Lambda's own three lines.
    assert 2 * max(lengths) + 500 == pytest.approx(calls()["log_bytes"]["inspect"], rel=0.2)


def _size(item: dict[str, Any]) -> int:
    """Return the size of an item as DynamoDB counts it.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + _value(TypeSerializer().serialize(value)) for name, value in item.items())


def _value(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return (len(content.strip("-0.").replace(".", "")) + 1) // 2 + 1
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value(inner) for name, inner in content.items())
        case "L":
            return 3 + sum(1 + _value(inner) for inner in content)
        case _:
            return 1
