"""Rates in words: with their counts, and with a warning where a low rate alone would deceive.

A model that fails everything lets nothing escape, and one that passes everything fails nothing for nothing. So the
escape rate and the overkill rate belong together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# From this share on, a rate is "nearly every image".
_NEARLY_ALL = 0.9
# The figures of all kinds, as tables and pages name them.
FIGURE_NAMES = {
    "map": "mAP",
    "map50": "mAP50",
    "image_auroc": "image AUROC",
    "caught_at_zero_overkill": "caught at zero overkill",
    "f1_max": "F1-max",
    "pixel_ap": "pixel AP",
    "pro": "PRO",
}
NO_GOOD = "not measurable: no good images"
NO_DEFECTIVE = "not measurable: no images with a defect"


def counts(rate: Mapping[str, Any] | None, otherwise: str) -> str:
    """Return a rate with its counts.

    Args:
        rate: As `bootstrap.Rate.document` returns it.
        otherwise: The text if there is no rate.

    >>> counts({"value": 0.0, "count": 0, "of": 9}, NO_GOOD), counts(None, NO_GOOD)
    ('0.0 % (0 of 9)', 'not measurable: no good images')
    """
    if rate is None:
        return otherwise
    return f"{rate['value'] * 100:.1f} % ({count_of(rate)})"


def verdict_warnings(verdicts: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with rules that decide alike for nearly every image.

    Args:
        verdicts: The rates of these rules, as `operating_points.verdict_rates` returns them.
    """
    texts = []
    if _nearly_all(overkill := verdicts["overkill_rate"]):
        texts.append(
            f"Rules made of these operating points fail nearly every good product ({count_of(overkill)}): "
            "the escape rate says nothing about this model."
        )
    if _nearly_all(escape := verdicts["escape_rate"]):
        texts.append(
            f"Rules made of these operating points pass nearly every defective product ({count_of(escape)}): "
            "the overkill rate says nothing about this model."
        )
    if _nearly_all(review := verdicts["review_rate"]):
        texts.append(
            f"Rules made of these operating points send nearly every image to review ({count_of(review)}): "
            "people would decide, not the model."
        )
    return texts


def point_warning(point: Mapping[str, Any]) -> str:
    """Return what is wrong with an operating point that decides alike for nearly every image; "" if nothing is."""
    if _nearly_all(overkill := point["overkill_rate"]):
        return f"fails nearly every good image ({count_of(overkill)})"
    if _nearly_all(alarm := point["false_alarm_rate"]):
        return f"fails nearly every image without this defect ({count_of(alarm)})"
    if _nearly_all(escape := point["escape_rate"]):
        return f"passes nearly every image with this defect ({count_of(escape)})"
    return ""


def cost(training: Mapping[str, Any]) -> str:
    """Return what a training cost, or would cost on AWS; "" if that is unknown.

    Args:
        training: As `cost.TrainingCost` has it.
    """
    if training["cost"] is not None:
        return f"about ${training['cost']:.2f} on {training['instance']}"
    if training["aws_cost"] is not None:
        return f"on AWS this would cost about ${training['aws_cost']:.2f} ({training['aws_instance']})"
    return ""


def spread(repeated: Mapping[str, Any]) -> str:
    """Return mean and standard deviation of each figure that the models of several seeds have.

    Args:
        repeated: As `seeds.seed_statistics` returns it.
    """
    return ", ".join(
        f"{title} {repeated[name]['mean']:.3f} ± {repeated[name]['sd']:.3f}"
        for name, title in FIGURE_NAMES.items()
        if name in repeated
    )


def _nearly_all(rate: Mapping[str, Any] | None) -> bool:
    return rate is not None and rate["value"] >= _NEARLY_ALL


def count_of(rate: Mapping[str, Any]) -> str:
    """Return the counts of a rate, such as "0 of 9"."""
    return f"{rate['count']} of {rate['of']}"
