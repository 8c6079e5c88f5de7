"""What an anomaly model says of an image: its record, its heat map beside it, its verdict and its picture."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import boto3
import pytest
from PIL import Image

from handlers import alert
from inspection import clients
from inspection.store import Inspections
from tests.inspection_support import anomaly, detection, heat_map, http, jpeg, message, prediction
from tests.integration.moto_cloud import RULES, Cloud

ANOMALY = detection("anomaly", 0.93)
REVIEW = RULES | {"classes": {"anomaly": {"verdict": "review"}}}
INDEXES = ("by_line_time", "by_verdict_time", "by_serial", "by_id")


@pytest.fixture
def broken(cloud: Cloud) -> dict[str, Any]:
    """Return the announcement of an image in which the anomaly model finds something."""
    cloud.endpoint = lambda _: http(200, prediction(ANOMALY, anomaly=anomaly()))
    return cloud.put("incoming/line-1/top/SN1.jpg", jpeg())


def kept(cloud: Cloud, record: dict[str, Any]) -> bytes | None:
    """Return the heat map of a record."""
    return Inspections(clients.dynamodb(), cloud.table.name).heat_map(record)


def test_the_record_says_how_unusual_the_image_is_and_to_which_model(
    cloud: Cloud, broken: dict[str, Any]
) -> None:
    record = cloud.inspect_record(broken)
    assert record["verdict"] == "fail"
    assert {name: record["anomaly"][name] for name in ("score", "distance", "model")} == {
        "score": Decimal("0.93"),
        "distance": Decimal("35.25"),
        "model": {"name": "good-parts", "version": "3"},
    }


def test_the_endpoint_is_asked_for_the_heat_map(cloud: Cloud) -> None:
    asked = []

    def answer(request: Any) -> Any:
        asked.append(request.headers["X-Amzn-SageMaker-Custom-Attributes"])
        return http(200, prediction())

    cloud.endpoint = answer
    record = cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.jpg", jpeg()))
    (attributes,) = (value.decode() if isinstance(value, bytes) else value for value in asked)
    assert "heat-map=1" in attributes.split("; ")
    # A detector has none.
    assert "anomaly" not in record
    assert kept(cloud, record) is None


def test_the_heat_map_is_kept_beside_the_record_where_no_list_reads_it(
    cloud: Cloud, broken: dict[str, Any]
) -> None:
    record = cloud.inspect_record(broken)
    assert kept(cloud, record) == heat_map()
    stored, *others = sorted(cloud.records(), key=lambda item: "verdict" in item)
    assert others == [record]
    assert stored["expires_at"] == record["expires_at"]
    for index in INDEXES:
        (listed,) = cloud.table.scan(IndexName=index)["Items"]
        assert listed["image"] == record["image"]


def test_a_pass_keeps_its_heat_map_too(cloud: Cloud) -> None:
    cloud.endpoint = lambda _: http(200, prediction(anomaly=anomaly(0.02)))
    record = cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.jpg", jpeg()))
    assert record["verdict"] == "pass"
    assert kept(cloud, record) == heat_map()


def test_each_detection_of_two_models_says_which_one_found_it(cloud: Cloud) -> None:
    found = (detection("scratches", 0.9) | {"model": "steel"}, ANOMALY | {"model": "good-parts"})
    cloud.endpoint = lambda _: http(200, prediction(*found, anomaly=anomaly()))
    record = cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.jpg", jpeg()))
    assert [item["model"] for item in record["detections"]] == ["steel", "good-parts"]
    assert [reason["label"] for reason in record["reasons"]] == ["anomaly", "scratches"]


@pytest.mark.parametrize(
    ("found", "verdict"),
    [([ANOMALY], "review"), ([ANOMALY, detection("scratches", 0.9)], "fail"), ([], "pass")],
)
def test_where_the_rules_say_review_an_anomaly_goes_to_a_person(
    cloud: Cloud, found: list[dict[str, Any]], verdict: str
) -> None:
    cloud.set_rules(REVIEW)
    cloud.endpoint = lambda _: http(200, prediction(*found, anomaly=anomaly()))
    record = cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.jpg", jpeg()))
    assert record["verdict"] == verdict
    assert [reason["code"] for reason in record["reasons"] if reason["label"] == "anomaly"] == (
        ["doubtful"] if found else []
    )


@pytest.mark.parametrize(("found", "verdict"), [([], "review"), ([detection("scratches", 0.9)], "fail")])
@pytest.mark.parametrize(
    "doubt", ["another product: its distance 91.0 is far beyond 60.0", "no product: empty"]
)
def test_another_product_or_none_is_never_a_pass_and_a_defect_beside_it_still_fails(
    cloud: Cloud, found: list[dict[str, Any]], verdict: str, doubt: str
) -> None:
    cloud.endpoint = lambda _: http(
        200, prediction(*found, anomaly=anomaly(None), warnings=[{"message": doubt}])
    )
    record = cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.jpg", jpeg()))
    assert record["verdict"] == verdict
    assert {"code": "bad_picture", "message": doubt} in record["reasons"]
    # A number would say that the model has judged it.
    assert record["anomaly"].keys() == {"distance", "model", "heat_map"}


def test_a_model_that_leaves_out_the_score_does_not_fit_the_contract(cloud: Cloud) -> None:
    answer = anomaly()
    del answer["score"]
    cloud.endpoint = lambda _: http(200, prediction(anomaly=answer))
    record = cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.jpg", jpeg()), receives=5)
    (reason,) = record["reasons"]
    assert (record["verdict"], reason["code"]) == ("review", "model_error")


def test_a_heat_map_that_does_not_fit_the_contract_ends_in_a_review(cloud: Cloud) -> None:
    cloud.endpoint = lambda _: http(200, prediction(anomaly=anomaly(png=b"GIF89a")))
    announced = cloud.put("incoming/line-1/top/SN1.jpg", jpeg())
    assert cloud.inspect(message(announced)) == ["message-1"]
    record = cloud.inspect_record(announced, receives=5)
    (reason,) = record["reasons"]
    assert (record["verdict"], reason["code"]) == ("review", "model_error")
    assert reason["message"] == "the model's answer does not fit the contract at `anomaly.heat_map`"


def test_a_second_delivery_leaves_record_and_heat_map_of_the_first(
    cloud: Cloud, broken: dict[str, Any]
) -> None:
    record = cloud.inspect_record(broken)
    cloud.endpoint = lambda _: http(200, prediction(anomaly=anomaly(0.2, heat_map(12, 90))))
    assert cloud.inspect(message(broken)) == []
    assert cloud.record(broken) == record
    assert kept(cloud, record) == heat_map()


def drawn(cloud: Cloud, announced: dict[str, Any]) -> Image.Image:
    """Return the picture that `alert` has stored."""
    key = cloud.record(announced)["picture"]
    body = cloud.s3.get_object(Bucket=cloud.artefacts, Key=key)["Body"].read()
    return Image.open(io.BytesIO(body)).convert("RGB")


def is_red(pixel: Any) -> bool:
    """Return whether a pixel of the grey image has become reddish."""
    return bool(pixel[0] > pixel[2] + 60)


@pytest.mark.parametrize("rules", [RULES, REVIEW], ids=["fail", "review"])
def test_the_picture_of_what_did_not_pass_shows_the_heat_map_over_the_part(
    cloud: Cloud, broken: dict[str, Any], rules: dict[str, Any]
) -> None:
    cloud.set_rules(rules)
    cloud.inspect_record(broken)
    assert cloud.alert()[0] == {"batchItemFailures": []}
    picture = drawn(cloud, broken)
    # The map is hot in the lower right corner, and cold in the upper left one. The part has 200 x 100 pixels.
    assert is_red(picture.getpixel((picture.width - 6, 310)))
    assert not is_red(picture.getpixel((5, 5)))
    assert len(cloud.alerts()) == (rules is RULES)


# A detector may have a class of this name, too.
@pytest.mark.parametrize("found", [[], [ANOMALY | {"box": [1, 1, 9, 9]}]], ids=["alone", "beside a detector"])
def test_the_picture_of_another_product_is_not_red_all_over(
    cloud: Cloud, found: list[dict[str, Any]]
) -> None:
    hot = anomaly(None)
    cloud.endpoint = lambda _: http(
        200, prediction(*found, anomaly=hot, warnings=[{"message": "another product"}])
    )
    announced = cloud.put("incoming/line-1/top/SN1.jpg", jpeg())
    assert cloud.inspect_record(announced)["verdict"] == ("fail" if found else "review")
    cloud.alert()
    picture = drawn(cloud, announced)
    assert not is_red(picture.getpixel((picture.width - 6, 310)))


def test_an_alert_is_sent_with_its_frames_if_the_heat_map_cannot_be_read(
    cloud: Cloud, broken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = cloud.inspect_record(broken)
    boto3.resource("dynamodb").Table(cloud.table.name).delete_item(
        Key={"image": f"heat-map#{record['id']}", "version_id": record["anomaly"]["heat_map"]}
    )
    alert._alerts.cache_clear()
    assert cloud.alert()[0] == {"batchItemFailures": []}
    assert len(cloud.alerts()) == 1
    picture = drawn(cloud, broken)
    assert not is_red(picture.getpixel((picture.width - 6, 310)))
