"""Before a model goes live, it is asked about pictures that show its defects."""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from localcloud.sources import REPOSITORY
from loupe import cli
from loupe.commands import models
from loupe.errors import LoupeError
from loupe.stack import deployment, trial
from loupe.stack.deployment import STARTER, Hosting
from loupe.stack.target import Target
from tests.unit.loupe.serving_stack import Stack

DEFECT = REPOSITORY / "samples" / "line-2" / "bottom" / "SN1003.jpg"
INSTANCE = "ml.g4dn.xlarge"  # moto does not know the newer ones
BLIND = {"postprocess": {"score_threshold": 0.9999}}
POISON: list[dict[str, Any]] = [
    {"postprocess": {"score_threshold": float("nan")}},
    {"postprocess": {"nms_iou": float("inf")}},
    {"postprocess": {"detections": -1}},
    {"labels": ["dent"], "operating_points": {}},
    {"input_size": "256"},
    {"tiles": {"size": 640, "overlap": float("nan")}},
    {"scale": {"across": [1, 2]}},
    {"no such field": 1},
]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starter")
    with tarfile.open(STARTER) as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.fixture
def starter(members: Path, tmp_path: Path) -> Any:
    """Return a function that packs the starter model with changes in its card."""

    def pack(**changes: Any) -> Path:
        card = json.loads((members / "model.json").read_text()) | changes
        (tmp_path / "model.json").write_text(json.dumps(card))
        archive = tmp_path / "model.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=0) as tar:
            tar.add(tmp_path / "model.json", "model.json")
            tar.add(members / "model.onnx", "model.onnx")
        return archive

    return pack


def golden(*labels: str) -> list[dict[str, Any]]:
    return [{"picture": base64.b64encode(DEFECT.read_bytes()).decode(), "labels": list(labels)}]


@pytest.mark.parametrize("changes", POISON, ids=str)
def test_a_model_that_cannot_judge_is_refused_even_by_force(starter: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(LoupeError, match=r"not a model that can judge|does not go live") as caught:
        trial.run(starter(**changes), [], force=True)
    assert caught.value.hint


def test_the_starter_model_finds_defects_on_the_samples() -> None:
    tried = trial.run(STARTER, [], force=False)
    assert tried.passed
    assert tried.found >= 2


def test_a_model_that_finds_nothing_goes_live_only_by_force(starter: Any) -> None:
    blind = starter(**BLIND)
    with pytest.raises(LoupeError, match=r"finds nothing on \d+ golden pictures") as caught:
        trial.run(blind, [], force=False)
    assert "--force" in caught.value.hint
    tried = trial.run(blind, [], force=True)
    assert not tried.passed
    assert tried.text.startswith("deployed by force: found defects on 0 of ")


@pytest.mark.parametrize(("label", "passes"), [("patches", True), ("crazing", False)])
def test_the_pictures_of_the_card_must_be_found_with_their_labels(
    starter: Any, label: str, passes: bool
) -> None:
    assert trial.run(starter(golden=golden(label)), [], force=True).passed == passes


def test_damaged_golden_pictures_are_not_found(starter: Any) -> None:
    picture = [{"picture": base64.b64encode(b"no picture").decode(), "labels": ["patches"]}]
    assert not trial.run(starter(golden=picture), [], force=True).passed


def test_given_pictures_replace_those_of_the_card(starter: Any) -> None:
    unfit = starter(golden=golden("crazing"))
    assert trial.run(unfit, [DEFECT], force=False).text == "found defects on 1 of 1 golden pictures"
    with pytest.raises(LoupeError, match="no image"):
        trial.run(unfit, [unfit], force=False)


def test_a_model_without_pictures_that_it_should_know_is_not_tried_and_that_is_told(starter: Any) -> None:
    tried = trial.run(starter(dataset={"snapshot": "0" * 64}), [], force=False)
    assert (tried.passed, tried.text) == (True, "not tried: no golden pictures")


@pytest.fixture
def deploy(press: Stack, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs `loupe deploy` on a stack whose endpoint serves a model."""
    press.register("a")
    press.serve("press-a")
    monkeypatch.setattr(models, "open_target", lambda *_: press.target)

    def run(archive: Path, *options: str) -> Any:
        hosting = ["--instance-type", INSTANCE, "--image-uri", deployment.LOCAL_IMAGE_URI]
        return CliRunner().invoke(cli.app, ["deploy", str(archive), *hosting, *options])

    return run


def model_names(target: Target) -> set[str]:
    return {model["ModelName"] for model in target.sagemaker.list_models()["Models"]}


@pytest.mark.parametrize("changes", [POISON[0], BLIND], ids=["cannot judge", "finds nothing"])
def test_a_refused_model_changes_nothing(
    press: Stack, deploy: Any, starter: Any, changes: dict[str, Any]
) -> None:
    stored = press.target.s3.list_objects_v2(Bucket="artefacts")["KeyCount"]
    before = model_names(press.target)
    assert isinstance(deploy(starter(**changes)).exception, LoupeError)
    assert press.updates == []
    assert model_names(press.target) == before
    assert press.target.s3.list_objects_v2(Bucket="artefacts")["KeyCount"] == stored


def test_the_record_says_that_a_model_was_deployed_by_force(press: Stack, deploy: Any, starter: Any) -> None:
    blind = starter(**BLIND)
    forced = deploy(blind, "--force")
    assert forced.exit_code == 0, forced.output
    assert "deployed by force" in forced.stdout
    shown = CliRunner().invoke(cli.app, ["models", "--json"])
    assert json.loads(shown.stdout)["endpoint_trial"].startswith("deployed by force: found defects on 0 of")
    assert "deployed by force" in CliRunner().invoke(cli.app, ["models"]).stdout


def test_a_model_that_is_deployed_again_gets_the_outcome_of_its_new_trial(press: Stack) -> None:
    press.register("a")
    press.serve("press-a")
    for outcome in ("not tried: no golden pictures", "found defects on 4 of 4 golden pictures"):
        name = deployment.deploy(
            press.target, STARTER, Hosting(instance_type=INSTANCE), lambda _: None, trial=outcome
        )
        model = press.target.sagemaker.describe_model(ModelName=name)
        tags = press.target.sagemaker.list_tags(ResourceArn=model["ModelArn"])["Tags"]
        # moto keeps the former tag of the same key, too.
        assert tags[-1] == {"Key": deployment.TRIAL_TAG, "Value": outcome}
