"""A part that fails must fail in whatever form its picture comes, and what the model may be blind on never passes."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest

from contract.endpoint import attributes
from inspection.detector import Prediction
from inspection.rules import Judgement, Rules, judge
from tests.camera_pictures import case, forms, strip, twelve_in_sixteen
from tests.unit.training.serving.serving_support import ask
from training.model.onnx_model import OnnxModel
from training.model.scale import ACCEPT, Scale, ScaleError, measure
from training.model.tiling import Tiles

SAMPLES = Path(__file__).parents[4] / "samples"
FAILING = {
    name: (SAMPLES / name).read_bytes() for name in ("line-1/top/SN1002.jpg", "line-2/bottom/SN1003.jpg")
}
GOOD = (SAMPLES / "line-1/top/SN1004.jpg").read_bytes()


@pytest.fixture
def other(starter: OnnxModel) -> OnnxModel:
    """The starter model with a card of its own, which a test may change."""
    return copy(starter)


def judged(model: OnnxModel, *pictures: bytes, **options: str) -> list[Judgement]:
    answers = [Prediction.model_validate(answer.document) for answer in ask(model, *pictures, **options)]
    return [
        judge(
            Rules(version="1"),
            "line",
            answer.detections,
            answer.quality,
            [w.message for w in answer.warnings],
        )
        for answer in answers
    ]


@pytest.mark.promise(33)
@pytest.mark.parametrize("data", FAILING.values(), ids=FAILING)
def test_a_defect_is_found_in_every_form_of_its_picture(starter: OnnxModel, data: bytes) -> None:
    names, pictures = zip(*forms(data), strict=True)
    verdicts = [judgement.verdict.value for judgement in judged(starter, *pictures)]
    assert dict(zip(names, verdicts, strict=True)) == dict.fromkeys(names, "fail")


def test_a_good_part_passes_in_every_form_of_its_picture(starter: OnnxModel) -> None:
    names, pictures = zip(*forms(GOOD), strict=True)
    verdicts = [judgement.verdict.value for judgement in judged(starter, *pictures)]
    assert dict(zip(names, verdicts, strict=True)) == dict.fromkeys(names, "pass")


@pytest.mark.promise(33)
def test_a_picture_of_unstated_depth_never_passes_and_is_judged_once_its_depth_is_set(
    starter: OnnxModel,
) -> None:
    pictures = [twelve_in_sixteen(data) for data in (*FAILING.values(), GOOD)]
    for judgement in judged(starter, *pictures):
        assert judgement.verdict == "review"
        assert "bit depth not known: the file has 16 bits and uses 12" in judgement.reasons[0].message
    verdicts = [judgement.verdict for judgement in judged(starter, *pictures, attributes=attributes(12))]
    assert verdicts == ["fail", "fail", "pass"]


def test_a_model_that_has_learned_a_depth_expects_it(other: OnnxModel) -> None:
    version = other.card.version
    other.card = replace(other.card, bit_depth=12)
    assert other.card.version != version
    (judgement,) = judged(other, twelve_in_sixteen(FAILING["line-2/bottom/SN1003.jpg"]))
    assert judgement.verdict == "fail"


STRIPS = [(16000, 200), (200, 16000), (16000, 64), (3000, 200), (1000, 1000), (64, 64)]


@pytest.mark.promise(33)
@pytest.mark.parametrize("size", STRIPS, ids=str)
def test_a_picture_at_another_scale_than_learned_never_passes(
    starter: OnnxModel, size: tuple[int, int]
) -> None:
    (judgement,) = judged(starter, strip(GOOD, size, 0))
    assert judgement.verdict in ("review", "fail")
    assert any(reason.message.startswith("wrong scale: ") for reason in judgement.reasons)
    assert any("for each 0.78 x 0.78" in reason.message for reason in judgement.reasons)


@pytest.mark.parametrize("size", [(200, 200), (240, 170), (380, 390)], ids=str)
def test_a_picture_near_the_learned_scale_is_not_doubted(starter: OnnxModel, size: tuple[int, int]) -> None:
    (answer,) = ask(starter, strip(GOOD, size, 0))
    assert answer.document["warnings"] == []


@pytest.mark.parametrize("size", [(3000, 200), (200, 3000)], ids=str)
def test_tiles_of_the_learned_scale_find_the_defect_of_a_strip(
    other: OnnxModel, size: tuple[int, int]
) -> None:
    other.card = replace(other.card, tiles=Tiles(200))
    (judgement,) = judged(other, strip(FAILING["line-2/bottom/SN1003.jpg"], size, 1600))
    assert judgement.verdict == "fail"
    assert not any("scale" in reason.message for reason in judgement.reasons)


def test_tiles_that_had_to_grow_are_at_another_scale(other: OnnxModel) -> None:
    other.card = replace(other.card, tiles=Tiles(200, max_tiles=4))
    (judgement,) = judged(other, strip(GOOD, (6000, 200), 0))
    assert judgement.reasons[-1].message.startswith("wrong scale: ")


def test_a_model_may_accept_any_scale_and_one_without_a_scale_does(other: OnnxModel) -> None:
    assert other.card.scale is not None
    for scale in (replace(other.card.scale, outside=ACCEPT), None):
        other.card = replace(other.card, scale=scale)
        (answer,) = ask(other, strip(GOOD, (3000, 200), 0))
        assert answer.document["warnings"] == []


def test_the_scale_leaves_out_the_rarest_sizes() -> None:
    scale = measure([(200, 100)] * 98 + [(4000, 4000), (10, 10)], 100)
    assert (scale.across, scale.down, scale.aspect) == ((2.0, 2.0), (1.0, 1.0), (2.0, 2.0))


@pytest.mark.parametrize(
    ("across", "outside", "problem"),
    [
        ((2, 1), "review", "range above 0"),
        ((0, 1), "review", "range"),
        ("x", "review", "two numbers"),
        ((1, 1), "stop", "outside"),
    ],
)
def test_a_scale_that_is_none_is_refused(across: object, outside: str, problem: str) -> None:
    with pytest.raises(ScaleError, match=problem):
        Scale(across, (1, 1), (1, 1), outside)  # type: ignore[arg-type]


@pytest.mark.promise(33)
@pytest.mark.parametrize("serial", ["SN1002", "SN1003", "SN1004"])
def test_the_demo_s_parts_get_one_verdict_in_all_encodings(starter: OnnxModel, serial: str) -> None:
    files = sorted((case("40-chain-images") / "cam" / serial).iterdir())
    verdicts = {file.name: judgement.verdict.value for file, judgement in
                zip(files, judged(starter, *(file.read_bytes() for file in files)), strict=True)}  # fmt: skip
    assert verdicts.pop("c-12-in-16.png") in ("fail", "review")
    assert set(verdicts.values()) == {"pass" if serial == "SN1004" else "fail"}


@pytest.mark.promise(33)
@pytest.mark.parametrize("name", ["a-16000x200.png", "b-200x16000.png", "c-16000x64.png"])
def test_a_line_scan_strip_with_a_defect_never_passes(starter: OnnxModel, name: str) -> None:
    (judgement,) = judged(starter, (case("60-line-scan") / name).read_bytes())
    assert judgement.verdict in ("fail", "review")
    assert any("scale" in reason.message for reason in judgement.reasons)
