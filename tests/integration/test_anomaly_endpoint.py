"""The container of an anomaly model and `inspect` understand each other: from a picture to its record and alert."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inspection import clients
from inspection.store import Inspections
from tests.inspection_support import http
from tests.integration.moto_cloud import RULES, Cloud
from tests.unit.training.model.anomaly_models import (
    SIZE,
    anomaly_folder,
    both_folder,
    detector_folder,
    grey,
)
from tests.unit.training.serving.serving_support import ask
from training.model.models import load

WHITE = np.full((SIZE, SIZE, 3), 255, np.uint8)


@pytest.fixture(scope="module", params=["alone", "both"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a model to which grey is good, alone or beside a detector of brightness."""
    folder: Path = tmp_path_factory.mktemp("models")
    anomaly = anomaly_folder(folder / "anomaly")
    if request.param == "alone":
        return load(anomaly, threads=1)
    return load(both_folder(folder / "both", detector_folder(folder / "detector"), anomaly), threads=1)


def serve(cloud: Cloud, model: Any) -> None:
    """Let the container of a model answer the cloud's endpoint."""

    def answer(request: Any) -> Any:
        asked = request.headers["X-Amzn-SageMaker-Custom-Attributes"]
        text = asked.decode() if isinstance(asked, bytes) else asked
        (given,) = ask(model, request.body, content_type="image/png", attributes=text)
        return http(given.status, given.body)

    cloud.endpoint = answer
    cloud.set_rules(RULES | {"classes": {"bright": {"fail_score": 0.9, "review_score": 0.9}}})


def inspected(cloud: Cloud, pixels: np.ndarray) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.png", buffer.getvalue()))


def test_a_good_part_passes_and_its_heat_map_is_kept(cloud: Cloud, model: Any) -> None:
    serve(cloud, model)
    record = inspected(cloud, grey())
    assert (record["verdict"], record["reasons"]) == ("pass", [])
    heat_map = Inspections(clients.dynamodb(), cloud.table.name).heat_map(record)
    assert heat_map is not None
    assert np.asarray(Image.open(io.BytesIO(heat_map))).max() == 0


def test_a_bad_part_fails_where_it_is_unusual(cloud: Cloud, model: Any) -> None:
    serve(cloud, model)
    record = inspected(cloud, grey(SIZE, (2, 3), (6, 0)))
    assert record["verdict"] == "fail"
    first = record["reasons"][0]
    assert (first["code"], first["label"]) == ("defect", "anomaly")
    found = record["detections"][int(first["detection"])]
    assert found["box"] == [24, 16, 32, 24]
    assert found["score"] == record["anomaly"]["score"]
    assert record["anomaly"]["model"]["name"] == "grey"
    # With two models, each detection names its own.
    assert found.get("model") == ("grey" if record["model"]["name"] == "brightness" else None)
    cloud.alert()
    assert cloud.alerts()[0]["defects"][0]["label"] == "anomaly"


def test_another_product_goes_to_a_person_or_fails_for_what_the_detector_knows(
    cloud: Cloud, model: Any
) -> None:
    serve(cloud, model)
    record = inspected(cloud, WHITE)
    assert record["verdict"] == ("review" if record["model"]["name"] == "grey" else "fail")
    assert "anomaly" not in {found["label"] for found in record["detections"]}
    messages = [reason["message"] for reason in record["reasons"] if reason["code"] == "bad_picture"]
    assert any(message.startswith("another product") for message in messages)
    assert "score" not in record["anomaly"]
