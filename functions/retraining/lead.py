"""Whether a candidate is shown to be better than the champion, by the measure that both have.

- **By boxes**, two detectors: mAP, and the AP of each class.
- **By whole images**, as soon as one of them knows no classes: the AUROC of the images' scores, each image by the
  highest score that the whole answer gives it. A detector has this figure, too, so the two kinds can be compared.

In both cases the lower end of the 95 % interval of the difference, from a paired bootstrap over the images of the
frozen test set, must be above the margin.
"""

from __future__ import annotations

from collections.abc import Iterator

from retraining.evaluation import DIGITS, Evaluation, paired_interval
from retraining.families import Kind
from retraining.findings import Bounds, Finding

_CHANCE = 0.5  # the AUROC of scores that say nothing


def lead(candidate: Evaluation, champion: Evaluation | None, bounds: Bounds, kind: Kind) -> Iterator[Finding]:
    """Yield whether a candidate is better.

    Args:
        candidate: Its evaluation.
        champion: The champion's; None if no model serves yet.
        bounds: The bounds of the gate.
        kind: Of the family that was trained. The other half of the candidate, if it has one, is the champion's.
    """
    if champion and (lost := _lost_half(candidate, champion)):
        yield Finding(False, lost)
        return
    by_images = kind == "anomaly" or (champion is not None and champion.kind == "anomaly")
    if by_images:
        yield from _compare_images(candidate, champion, bounds)
    else:
        yield _compare_map(candidate, champion, bounds.margin)
    if candidate.kind == "anomaly":
        return
    if candidate.map is None:
        # Of a detector that was trained; one that was kept has had its own gate.
        if kind == "detector" and by_images:
            yield Finding(False, "it has no mAP")
        return
    if kind == "detector":
        yield from _check_classes(candidate)
    if champion and champion.kind != "anomaly":
        yield _compare_classes(candidate, champion, bounds.class_bound)


def _lost_half(candidate: Evaluation, champion: Evaluation) -> str | None:
    """Return which half of the champion a candidate lacks: then it would find less, whatever its figures are."""
    halves = {"detector": {"detector"}, "anomaly": {"anomaly model"}, "both": {"detector", "anomaly model"}}
    missing = sorted(halves[champion.kind] - halves[candidate.kind])
    if not missing:
        return None
    return f"it lacks the champion's {missing[0]}: its training container may be older than this stack"


def _compare_map(candidate: Evaluation, champion: Evaluation | None, margin: float) -> Finding:
    if candidate.map is None:
        return Finding(False, "it has no mAP")
    if champion is None:
        return Finding(candidate.map > 0, f"mAP {candidate.map:.3f}; no model serves yet")
    if champion.map is None:
        return Finding(False, "the champion has no mAP, so nothing can be shown to be better")
    return _compare(
        "mAP",
        (candidate.map, champion.map),
        _paired(candidate, champion, candidate.confidence.map_resamples, champion.confidence.map_resamples),
        margin,
    )


def _compare_images(candidate: Evaluation, champion: Evaluation | None, bounds: Bounds) -> Iterator[Finding]:
    """Yield whether a candidate separates good and defective images better, and how many good ones it fails."""
    if candidate.defective_images == 0:
        yield Finding(
            True,
            "no test image shows a defect, so nobody knows what it finds: a person must decide",
            asks=True,
        )
    else:
        yield _compare_auroc(candidate, champion, bounds.margin)
    yield _compare_overkill(candidate, champion, bounds.overkill_bound)


def _compare_auroc(candidate: Evaluation, champion: Evaluation | None, margin: float) -> Finding:
    now = candidate.image_auroc
    if now is None:
        return Finding(False, "it has no image AUROC")
    if champion is None:
        return Finding(now > _CHANCE, f"image AUROC {now:.3f}{_caught(candidate)}; no model serves yet")
    if champion.image_auroc is None:
        return Finding(False, "the champion has no image AUROC, so nothing can be shown to be better")
    drawn, before = candidate.confidence, champion.confidence
    return _compare(
        "image AUROC",
        (now, champion.image_auroc),
        _paired(candidate, champion, drawn.image_auroc_resamples, before.image_auroc_resamples),
        margin,
        _caught(candidate),
    )


def _caught(evaluation: Evaluation) -> str:
    share = evaluation.caught_at_zero_overkill
    return "" if share is None else f", {share:.1%} caught at zero overkill"


def _paired(
    candidate: Evaluation,
    champion: Evaluation,
    drawn: list[float | None],
    before: list[float | None],
) -> tuple[float, float] | str:
    """Return the interval of the difference to the champion, or why there is none."""
    if not candidate.same_images(champion):
        return "it was not evaluated on the champion's images"
    return paired_interval(drawn, before) or (
        "the confidence interval of the difference to the champion cannot be computed"
    )


def _compare(
    name: str,
    values: tuple[float, float],
    interval: tuple[float, float] | str,
    margin: float,
    more: str = "",
) -> Finding:
    """Return whether the whole interval of a lead is above the margin. more: about the candidate."""
    if isinstance(interval, str):
        return Finding(False, interval)
    (now, before), (low, high) = values, interval
    figures = (
        f"{name} {now:.3f}{more}, the champion's {before:.3f}: {now - before:+.3f} [{low:+.3f}, {high:+.3f}]"
    )
    if low > round(margin, DIGITS):
        return Finding(True, figures)
    return Finding(False, f"{figures}; more than {margin:+.3f} is not shown")


def _compare_overkill(candidate: Evaluation, champion: Evaluation | None, bound: float) -> Finding:
    now = candidate.verdicts.overkill_rate
    if now is None:
        return Finding(False, "its overkill rate is not known")
    text = f"overkill rate {now.value:.1%}"
    if now.interval is not None and now.of is not None:
        text += f" ({now.count} of {now.of} good images, 95 % interval {now.interval[0]:.1%} to {now.interval[1]:.1%})"
    before = champion.verdicts.overkill_rate if champion else None
    if before is None:
        return Finding(True, text)
    passed = round(now.value - before.value, DIGITS) <= bound
    return Finding(passed, f"{text}, the champion's {before.value:.1%}")


def _check_classes(candidate: Evaluation) -> Iterator[Finding]:
    if candidate.unknown_classes:
        yield Finding(False, f"it does not know {', '.join(candidate.unknown_classes)}")
    if unmeasured := [label for label, ap in candidate.per_class.items() if ap is None]:
        yield Finding(False, f"the test set cannot show how well it finds {', '.join(unmeasured)}")


def _compare_classes(candidate: Evaluation, champion: Evaluation, bound: float) -> Finding:
    worse = []
    for label, before in champion.per_class.items():
        now = candidate.per_class.get(label)
        if before is not None and (now is None or round(before - now, DIGITS) > bound):
            worse.append(f"{label} {before:.3f} → {'unknown' if now is None else f'{now:.3f}'}")
    if worse:
        return Finding(False, f"worse by more than {bound:.3f} AP: {', '.join(worse)}")
    return Finding(True, "no class is worse")
