"""What would be cheaper: each choice is an estimate of the same work with another figure, and what that trades."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from contract.instances import UnsuitableInstanceError, instance
from contract.shifts import LEAD
from loupe.cost.estimate import Estimate, estimate
from loupe.cost.prices import Prices
from loupe.cost.workload import HOURS_PER_WEEK, Workload

# AWS: "up to 90 %" (https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html).
_SPOT_AT_MOST = 0.9
_FEWEST_DAYS = 90
_LEAST = 0.005  # dollars; what saves less is no choice
_SHIFTS = (16, 5)  # hours and days that are taken for an example where the line never stops


@dataclass(frozen=True, slots=True)
class Choice:
    """Something cheaper.

    Attributes:
        name: Stable, for programs.
        title: For people.
        saves: US dollars a month.
        dollars: US dollars a month that remain.
        trade: What one gives up.
        how: What to set.
        at_most: Whether it saves so much at the most.
    """

    name: str
    title: str
    saves: float
    dollars: float
    trade: str
    how: str
    at_most: bool = False


@dataclass(frozen=True)
class _Idea:
    name: str
    title: str
    trade: str
    how: str
    changes: dict[str, Any]
    at_most: bool = False


def choices(now: Estimate, prices: Prices) -> list[Choice]:
    """Return what would be cheaper, the largest saving first. Savings do not add up: each is for itself."""
    found = []
    for idea in _ideas(now.work, prices):
        other = estimate(replace(now.work, **idea.changes), prices)
        if (saves := now.dollars - other.dollars) > _LEAST:
            found.append(
                Choice(idea.name, idea.title, saves, other.dollars, idea.trade, idea.how, idea.at_most)
            )
    return sorted(found, key=lambda choice: -choice.saves)


def shift_hours(hours_per_day: float, days_per_week: float) -> float:
    """Return for how many hours a week an endpoint runs that is started before each shift and ends with it."""
    lead = LEAD.total_seconds() / 3600 if hours_per_day < 24 else 0.0
    return min((hours_per_day + lead) * days_per_week, HOURS_PER_WEEK)


def _ideas(work: Workload, prices: Prices) -> Iterator[_Idea]:
    yield from _resting(work)
    yield from _instances(work, prices)
    if work.instances is None and work.min_instances > 1:
        yield _Idea(
            "one_instance",
            "one instance instead of a pair",
            "no canary: a new model gets all images at once; images wait while an instance is replaced",
            "EndpointMinInstances=1",
            {"min_instances": 1},
        )
    if work.retrainings:
        yield _Idea(
            "spot_training",
            "training on spot instances",
            "a job may be interrupted, wait for an instance, and go on from its checkpoint; AWS says up to 90 %",
            "UseSpotTraining=true, as it is by default" if work.spot else "UseSpotTraining=true",
            {"spot": True, "spot_saving": max(work.spot_saving, _SPOT_AT_MOST)},
            at_most=True,
        )
    if work.tuning_jobs > 1 and work.retrainings:
        yield _Idea(
            "no_tuning",
            "training without tuning",
            "the recipe's own settings instead of the best of a search",
            "loupe retrain without --tune",
            {"tuning_jobs": 0},
        )
    if work.image_days > _FEWEST_DAYS:
        kept = work.picture_days - work.image_days
        yield _Idea(
            "fewer_days",
            f"images for {_FEWEST_DAYS} days instead of {work.image_days:g}",
            "older images cannot be looked at, nor train a model, unless they were imported",
            f"ImageRetentionDays={_FEWEST_DAYS // 2}: a deleted image stays as long again as a former version",
            {"image_days": _FEWEST_DAYS, "picture_days": max(_FEWEST_DAYS / 2 + kept, _FEWEST_DAYS / 2)},
        )
    yield _Idea(
        "smaller_images",
        f"images of {work.image_mb / 2:g} MB instead of {work.image_mb:g}",
        "stronger compression or fewer pixels: measure first whether the model still finds small defects",
        "the camera",
        {"image_mb": work.image_mb / 2},
    )


def _resting(work: Workload) -> Iterator[_Idea]:
    trade = "images that come between the shifts wait for the next one; a retraining's swap does, too"
    how = "EndpointHours (docs/shifts.md)"
    hours = shift_hours(work.hours_per_day, work.days_per_week)
    if hours < work.endpoint_hours:
        title = f"the endpoint only in the shifts, {hours:g} hours a week"
        yield _Idea("shifts", title, trade, how, {"endpoint_hours": hours})
    elif work.endpoint_hours == HOURS_PER_WEEK:
        daily, days = _SHIFTS
        title = f"if the line works {daily} hours on {days} days: the endpoint only then"
        changes = {
            "hours_per_day": float(daily),
            "days_per_week": float(days),
            "endpoint_hours": shift_hours(daily, days),
            # The same images in fewer hours.
            "images_per_day": work.images_per_day * work.days_per_week / days,
        }
        yield _Idea("shifts", title, trade, how, changes)


def _instances(work: Workload, prices: Prices) -> Iterator[_Idea]:
    """Yield the cheapest other instance with a GPU, and the cheapest without one."""
    now = prices.instance("endpoint", work.instance_type, work.region).price
    cheapest: dict[bool, tuple[float, str, str]] = {}
    for name in prices.instance_types(work.region):
        try:
            kind = instance(name, "endpoint")
        except UnsuitableInstanceError:
            continue
        price = prices.instance("endpoint", name, work.region).price
        if price < now:
            entry = (price, name, kind.gpu or "")
            cheapest[kind.gpu is not None] = min(entry, cheapest.get(kind.gpu is not None, entry))
    if True in cheapest:
        _, name, gpu = cheapest[True]
        other = _of_another_region(name, work, prices)
        yield _Idea(
            "smaller_instance",
            f"{name} instead of {work.instance_type}{other}",
            f"a smaller GPU ({gpu}): measure how long an image takes there (loupe bench serve)",
            f"HostingInstanceType={name}",
            {"instance_type": name},
        )
    if False in cheapest:
        _, name, _ = cheapest[False]
        other = _of_another_region(name, work, prices)
        yield _Idea(
            "cpu_instance",
            f"{name}, without a GPU{other}",
            "slower: on two cores an image took 20 ms (gfl_efficientnet_lite0) to 166 ms (gfl_efficientnet_lite2 "
            "with 8 views; docs/benchmarks.md)",
            f"HostingInstanceType={name}, and the image serve (not serve-gpu)",
            {"instance_type": name},
        )


def _of_another_region(name: str, work: Workload, prices: Prices) -> str:
    """Return a remark if the price of an instance is that of another region."""
    region = prices.instance("endpoint", name, work.region).region
    return "" if region == work.region else f" (at the price of {region})"
