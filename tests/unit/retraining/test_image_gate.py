"""The gate for anomaly models: whole images decide, a half of the champion is never lost, and no figure is guessed."""

import math
from typing import Any

import pytest

from retraining.assessment import Assessment, assess
from retraining.evaluation import Evaluation
from retraining.families import Kind
from retraining.findings import Bounds
from retraining.gate import Gate
from tests.unit.retraining.evaluations import GOOD_ONLY, evaluation, resamples, with_images
from tests.unit.retraining.memory import MemoryDocuments

FAMILY = "patchcore_efficientnet_lite0"
BOUNDS = Bounds(
    margin=0.0, class_bound=0.05, escape_bound=0.01, overkill_bound=0.05, latency_budget_ms=1000.0
)


def assessment_of(
    candidate: dict[str, Any], champion: dict[str, Any] | None = None, kind: Kind = "anomaly"
) -> Assessment:
    return assess(Evaluation.read(candidate), Evaluation.read(champion) if champion else None, BOUNDS, kind)


def against(assessment: Assessment) -> str:
    assert not assessment.promotable
    return "; ".join(assessment.reasons_against)


# ---------------------------------------------------------------- better than the champion


def test_the_first_anomaly_model_is_promoted_by_its_image_auroc() -> None:
    assessment = assessment_of(with_images("anomaly", 0.98))
    assert (assessment.promotable, assessment.reasons_against, assessment.asks) == (True, [], False)
    assert (
        assessment.reasons_for[0] == "image AUROC 0.980, 90.0% caught at zero overkill; no model serves yet"
    )


def test_a_first_anomaly_model_that_tells_nothing_apart_is_not_promoted() -> None:
    assert "image AUROC 0.500" in against(assessment_of(with_images("anomaly", 0.5)))


def test_a_lead_in_image_auroc_whose_whole_interval_is_above_the_margin_promotes() -> None:
    assessment = assessment_of(with_images("anomaly", 0.95), with_images("anomaly", 0.9))
    assert assessment.reasons_against == []
    assert "the champion's 0.900: +0.050 [+0.050, +0.050]" in assessment.reasons_for[0]


@pytest.mark.parametrize("figure", [0.9, 1.0])
def test_the_same_image_auroc_does_not_promote(figure: float) -> None:
    tied = assessment_of(with_images("anomaly", figure), with_images("anomaly", figure))
    assert "more than +0.000 is not shown" in against(tied)


def test_a_lead_within_the_noise_of_the_test_images_does_not_promote() -> None:
    noisy = with_images("anomaly", 0.91, confidence={"image_auroc_resamples": resamples(0.91, spread=-0.04)})
    assert "is not shown" in against(assessment_of(noisy, with_images("anomaly", 0.9)))


@pytest.mark.parametrize("side", ["candidate", "champion"])
def test_a_missing_image_auroc_never_promotes(side: str) -> None:
    known, missing = with_images("anomaly", 0.9), with_images("anomaly", 0.9, image_auroc=None)
    pair = (missing, known) if side == "candidate" else (known, missing)
    assert "has no image AUROC" in against(assessment_of(*pair))


def test_an_image_auroc_of_other_images_never_promotes() -> None:
    others = with_images("anomaly", 0.9, images=41)
    assert "not evaluated on the champion's images" in against(
        assessment_of(with_images("anomaly", 0.95), others)
    )


def test_an_image_auroc_that_is_no_number_is_refused() -> None:
    report = with_images("anomaly", 0.9, image_auroc=math.nan)
    result = Gate(MemoryDocuments({"reports/c0": report}), BOUNDS).decide([listed(0)], None)
    assert (result["decision"], result["approval"]) == ("keep", False)
    assert "not valid at image_auroc" in result["reasons"][0]


# ---------------------------------------------------------------- the rates


def test_an_overkill_rate_that_rises_by_more_than_the_bound_does_not_promote() -> None:
    worse = with_images("both", 0.95, verdicts={"overkill_rate": {"value": 0.11}})
    champion = with_images("detector", 0.8)
    assert "overkill rate 11.0%, the champion's 5.0%" in against(assessment_of(worse, champion))
    within = with_images("both", 0.95, verdicts={"overkill_rate": {"value": 0.1}})
    assert assessment_of(within, champion).promotable


def test_an_escape_rate_that_rises_by_more_than_the_bound_does_not_promote() -> None:
    worse = with_images("anomaly", 0.95, verdicts={"escape_rate": {"value": 0.2}})
    assert "escape rate 20.0%" in against(assessment_of(worse, with_images("anomaly", 0.8)))


@pytest.mark.parametrize("rate", ["escape_rate", "overkill_rate"])
def test_an_unknown_rate_does_not_promote(rate: str) -> None:
    unknown = with_images("anomaly", 0.95, verdicts={rate: None})
    assert f"its {rate.replace('_', ' ')} is not known" in against(assessment_of(unknown))


# ---------------------------------------------------------------- without defective test images


@pytest.mark.parametrize("champion", [None, with_images("anomaly", 0.9, **GOOD_ONLY)])
def test_without_defective_test_images_a_person_decides(champion: dict[str, Any] | None) -> None:
    assessment = assessment_of(with_images("anomaly", 0.9, **GOOD_ONLY), champion)
    assert (assessment.promotable, assessment.asks) == (True, True)
    assert "nobody knows what it finds: a person must decide" in assessment.reasons_for[0]
    assert "overkill rate 5.0%" in assessment.reasons_for[1]


def test_without_defective_test_images_more_overkill_is_a_reason_against() -> None:
    changes = GOOD_ONLY | {"verdicts": {"escape_rate": None, "overkill_rate": {"value": 0.2}}}
    champion = with_images("anomaly", 0.9, **GOOD_ONLY)
    assert "overkill rate 20.0%" in against(assessment_of(with_images("anomaly", 0.9, **changes), champion))


def test_the_decision_says_that_a_person_must_approve() -> None:
    report = with_images("anomaly", 0.9, **GOOD_ONLY)
    result = Gate(MemoryDocuments({"reports/c0": report}), BOUNDS).decide([listed(0)], None)
    assert (result["decision"], result["approval"]) == ("promote", True)
    assert "a person must decide" in result["reasons"][0]


# ---------------------------------------------------------------- both kinds


def test_an_anomaly_model_beside_the_champion_s_detector_is_compared_by_whole_images() -> None:
    assessment = assessment_of(with_images("both", 0.97), with_images("detector", 0.8))
    assert assessment.reasons_against == []
    assert assessment.reasons_for[0].startswith("image AUROC 0.970")
    assert "no class is worse" in assessment.reasons_for


def test_a_detector_beside_the_champion_s_anomaly_model_is_compared_by_whole_images() -> None:
    champion = with_images("anomaly", 0.8)
    assert assessment_of(with_images("both", 0.97), champion, "detector").promotable
    without_map = with_images("both", 0.97, map=None)
    assert "it has no mAP" in against(assessment_of(without_map, champion, "detector"))
    unaware = with_images("both", 0.97, unknown_classes=["dent"])
    assert "it does not know dent" in against(assessment_of(unaware, champion, "detector"))


def test_a_new_detector_of_both_is_compared_by_its_boxes() -> None:
    champion = with_images("both", 0.9)
    better = with_images("both", 0.9, map=0.6, confidence={"map_resamples": resamples(0.6)})
    assessment = assessment_of(better, champion, "detector")
    assert assessment.reasons_against == []
    assert assessment.reasons_for[0].startswith("mAP 0.600")


@pytest.mark.parametrize(
    ("champion", "candidate", "half"),
    [
        ("detector", "anomaly", "detector"),
        ("both", "anomaly", "detector"),
        ("both", "detector", "anomaly model"),
        ("anomaly", "detector", "anomaly model"),
    ],
)
def test_a_candidate_that_lacks_a_half_of_the_champion_is_never_promoted(
    champion: Any, candidate: Any, half: str
) -> None:
    kind: Kind = "anomaly" if candidate == "anomaly" else "detector"
    assessment = assessment_of(with_images(candidate, 1.0), with_images(champion, 0.5), kind)
    assert f"it lacks the champion's {half}" in against(assessment)


def listed(index: int, family: str = FAMILY) -> dict[str, Any]:
    report = f"s3://artefacts/reports/c{index}"
    return {"id": f"c{index}", "family": family, "report": report, "error": None}


def test_of_candidates_of_both_kinds_the_one_that_tells_images_apart_best_wins() -> None:
    reports = {
        "reports/c0": with_images("detector", 0.9, map=0.9),
        "reports/c1": with_images("anomaly", 0.95),
        "reports/c2": with_images("anomaly", 0.93),
    }
    candidates = [listed(0, "ssdlite"), listed(1), listed(2)]
    result = Gate(MemoryDocuments(reports), BOUNDS).decide(candidates, None)
    assert (result["winner"], result["reasons"][0][:23]) == (1, "c1: image AUROC 0.950, ")


def test_a_candidate_that_a_person_must_decide_about_is_behind_one_that_is_proven() -> None:
    reports = {
        "reports/c0": with_images("anomaly", 0.9, **GOOD_ONLY),
        "reports/c1": with_images("anomaly", 0.6),
    }
    result = Gate(MemoryDocuments(reports), BOUNDS).decide([listed(0), listed(1)], None)
    assert (result["winner"], result["approval"]) == (1, False)


def test_a_report_from_before_anomaly_models_is_a_detector_s() -> None:
    assert Evaluation.read(evaluation()).kind == "detector"
