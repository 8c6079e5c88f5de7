"""A client that was written for Amazon Lookout for Vision, against a served model: only its endpoint_url is another."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import numpy as np
import pytest
from botocore.config import Config
from botocore.loaders import Loader
from PIL import Image

from tests.unit.training.model.anomaly_models import SIZE, anomaly_folder, grey
from training.model.artefact import pack

ROOT = Path(__file__).parents[2]
# The service model that botocore had until the service ended.
MODELS = Path(__file__).parent / "lookoutvision_client"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a served anomaly model, to which grey is good."""
    folder = tmp_path_factory.mktemp("model")
    model = pack(anomaly_folder(folder / "unpacked"), folder / "model.tar.gz")
    command = [sys.executable, "-m", "training.serve", "--model", str(model), "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture
def client(url: str) -> Any:
    session = botocore.session.get_session()
    # A loader of its own: that of the other tests has already listed the services.
    session.register_component("data_loader", Loader(extra_search_paths=[str(MODELS)]))
    # Its type knows the services of today only.
    make_client: Any = boto3.Session(botocore_session=session).client
    return make_client(
        "lookoutvision",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )


def picture(*spots: tuple[int, int]) -> io.BytesIO:
    stream = io.BytesIO()
    Image.fromarray(grey(SIZE, *spots)).save(stream, "PNG")
    stream.seek(0)
    return stream


def detect(client: Any, body: Any, content_type: str = "image/png") -> dict[str, Any]:
    answer = client.detect_anomalies(
        ProjectName="bottles", ModelVersion="1", Body=body, ContentType=content_type
    )
    assert answer["ResponseMetadata"]["RequestId"]
    result: dict[str, Any] = answer["DetectAnomalyResult"]
    return result


def test_the_client_gets_verdict_areas_and_mask(client: Any) -> None:
    good, bad = detect(client, picture()), detect(client, picture((2, 3), (6, 0)))
    assert (good["IsAnomalous"], bad["IsAnomalous"]) == (False, True)
    assert [item["Name"] for item in good["Anomalies"]] == ["background"]
    background, anomaly = bad["Anomalies"]
    mask = np.asarray(Image.open(io.BytesIO(bad["AnomalyMask"])).convert("RGB"))
    is_anomaly = (mask != 255).any(axis=2)
    assert anomaly["PixelAnomaly"]["TotalPercentageArea"] == pytest.approx(is_anomaly.mean())
    assert background["PixelAnomaly"]["TotalPercentageArea"] == pytest.approx(1 - is_anomaly.mean())
    assert 0.5 <= bad["Confidence"] <= 1


def test_the_client_raises_the_errors_of_the_api(client: Any) -> None:
    with pytest.raises(client.exceptions.ValidationException) as invalid:
        detect(client, b"no image")
    assert invalid.value.response["Error"]["Message"]
    with pytest.raises(client.exceptions.ResourceNotFoundException) as missing:
        client.describe_model(ProjectName="bottles", ModelVersion="1")
    assert "DetectAnomalies only" in missing.value.response["Message"]
