"""A line with a detector gets an anomaly model beside it: trained, gated, swapped, finding what nobody labelled."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.anomalies import bad_pictures, good_pictures
from tests.system.factory import STARTER, Factory
from training.model.artefact import unpack

# A run takes a minute on a busy machine.
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600)]
FAMILY = "patchcore_efficientnet_lite0"
SMALL = ("--families", FAMILY, "--set", "input_size=96", "--set", "memory=300")


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    factory = Factory(tmp_path_factory.mktemp("factory"))
    yield factory
    assert factory.process.stop() == 0


@pytest.fixture(scope="module")
def promoted(factory: Factory, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of a run with a family of anomaly models, where a detector serves that knows none of the defects."""
    parts = tmp_path_factory.mktemp("parts")
    good_pictures(parts / "train" / "normal", 24)
    good_pictures(parts / "test" / "normal", 10, seed=1)
    bad_pictures(parts / "test" / "anomaly", 10, seed=1)
    for arguments in (("deploy", str(STARTER)), ("import", str(parts), "--yes")):
        done = factory.loupe(*arguments)
        assert done.returncode == 0, done.stderr
    return factory.run(*SMALL)


def test_an_anomaly_model_goes_live_beside_the_detector_that_serves(
    factory: Factory, promoted: dict[str, Any], tmp_path: Path
):
    assert promoted["decision"] == "promoted", promoted["reasons"]
    (candidate,) = promoted["candidates"]
    assert (candidate["kind"], candidate["map"]) == ("both", None)
    assert candidate["image_auroc"] > promoted["champion"]["image_auroc"]
    assert "image AUROC" in promoted["reasons"][0]
    (tmp_path / "model.tar.gz").write_bytes(factory.document(candidate["artefact"]))
    card = unpack(tmp_path / "model.tar.gz", tmp_path / "both")
    assert card.onnx_sha256 == unpack(STARTER, tmp_path / "starter").onnx_sha256
    assert card.anomaly_model
    (version,) = json.loads(factory.loupe("models", "--json").stdout)["versions"]
    assert (version["serving"], version["kind"], version["family"]) == (True, "both", "ssdlite")
    assert version["image_auroc"] == pytest.approx(candidate["image_auroc"])


def test_its_operating_point_is_in_force_and_an_unknown_defect_is_found(
    factory: Factory, promoted: dict[str, Any], tmp_path: Path
):
    assert "anomaly" in factory.rules["classes"]
    bad_pictures(tmp_path / "unknown", 1, seed=5)
    done = factory.loupe("drop", str(tmp_path / "unknown"), "--wait", "--json")
    assert done.returncode == 0, done.stderr
    (inspection,) = json.loads(done.stdout)["records"]
    assert "anomaly" in [found["label"] for found in inspection["detections"]], inspection
    assert inspection["verdict"] == "fail"
