"""At how many images a second each limit is reached, which comes first, and which settings lift it."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from loupe.cost.estimate import estimate
from loupe.cost.prices import Prices
from loupe.cost.workload import Workload, defaults, template
from loupe.scale.limits import LIMITS, Limit, compare_seconds
from loupe.scale.load import Load, Stack
from loupe.scale.quotas import assumed, value

DECADES = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)
_SEARCHED = 1e7  # images/s; a limit above it bounds nothing
_STEPS = 8  # in each decade, before a limit is searched for between two of them
_SECONDS_OF_A_DAY = 86_400
# An e-mail for each defect helps nobody long before this limit; a new table gets warm; the search takes longer.
_NO_MATTER_OF_SIZE = ("sns_email", "new_table_writes", "comparison")
_LEAST_MINUTES = 15  # between two comparisons: one runs so long at most


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit, as a load meets it.

    Attributes:
        limit: The limit.
        used: The share that the load uses.
        capacity: Images a second at which it is reached; None if no load reaches it.
    """

    limit: Limit
    used: float
    capacity: float | None

    @property
    def exceeded(self) -> bool:
        """Whether the load is more than the limit allows."""
        return self.used > 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load needs.

    Attributes:
        load: The load.
        stack: The stack with the settings.
        settings: Template parameters that differ from the given ones.
        before: All limits with the given settings, the lowest first.
        after: The same with the proposed ones.
        stacks: How many stacks the load needs, each with as many of the lines; None if a line alone is too much.
        instances: Instances of the endpoint, of all stacks.
        ramp_minutes: Minutes in which an idle stack gets to its concurrency.
        dollars: US dollars for 1,000 images.
        dollars_a_month: US dollars a month.
        services: US dollars a month by service.
    """

    load: Load
    stack: Stack
    settings: dict[str, str]
    before: list[Reached]
    after: list[Reached]
    stacks: int | None
    instances: int
    ramp_minutes: float
    dollars: float
    dollars_a_month: float
    services: dict[str, float] = field(default_factory=dict)

    @property
    def remaining(self) -> list[Reached]:
        """What the settings do not lift."""
        return [reached for reached in self.after if reached.exceeded]

    @property
    def next(self) -> Reached:
        """The limit of an image's way that comes first with the proposed settings."""
        return next(reached for reached in self.after if reached.limit.part != "lost images")


def capacity(limit: Limit, load: Load, stack: Stack) -> float | None:
    """Return at how many images a second a limit is reached, with the same lines, stations and pages.

    Returns:
        The smallest such rate; None if there is none below ten million.
    """
    steps = _steps(load.at(1.0))
    reached = next((number for number, step in enumerate(steps) if limit.use(step, stack) > 1), None)
    if reached is None:
        return None
    if reached == 0:
        return 0.0
    low, high = steps[reached - 1].rate, steps[reached].rate
    while high - low > low * 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if limit.use(load.at(middle), stack) > 1 else (middle, high)
    return low


@functools.lru_cache
def _steps(load: Load) -> tuple[Load, ...]:
    """Return a load at the rates between which a limit is searched. All limits have the same ones."""
    rates = [10.0 ** (-3)]
    while (rate := rates[-1] * 10 ** (1 / _STEPS)) <= _SEARCHED:
        rates.append(rate)
    return tuple(map(load.at, rates))


def parallelization(limit: Limit, load: Load, stack: Stack) -> int | None:
    """Return the ParallelizationFactor that lifts a limit; None if none does, or if it is not about a stream."""
    now = {"alert_shards": stack.alert_parallel, "track_shards": stack.track_parallel}.get(limit.name)
    most = int(value("lambda.parallelization"))
    if now is None or limit.use(load, stack) * now > most:
        return None
    return min(most, math.ceil(limit.use(load, stack) * now / assumed("headroom")))


def limits(load: Load, stack: Stack) -> list[Reached]:
    """Return all limits, that which is reached first at the beginning."""
    reached = [Reached(limit, limit.use(load, stack), capacity(limit, load, stack)) for limit in LIMITS]
    return sorted(reached, key=lambda one: math.inf if one.capacity is None else one.capacity)


def plan(
    load: Load,
    parameters: Mapping[str, str] | None = None,
    per_instance: float | None = None,
    prices: Prices | None = None,
) -> Plan:
    """Return what a load needs: settings, and what it costs with them.

    Args:
        load: The load.
        parameters: Template parameters that are set.
        per_instance: Images a second that an instance was measured to take; None for what is known of the type.
        prices: The prices; None for the recorded ones.

    Raises:
        UnsuitableInstanceError: The endpoint cannot run on the instance type.
        LoupeError: The type has no recorded price.
    """
    given = Stack.of(parameters, per_instance)
    settings = dict(_proposed(load, given, parameters or {}))
    chosen = dict(parameters or {}) | settings
    stack = Stack.of(chosen, per_instance)
    needed = stack.instances(load)
    cost = _cost(load, chosen, max(needed, int((defaults() | chosen)["EndpointMinInstances"])), prices)
    batches = min(stack.batches(load), stack.concurrency)
    before = limits(load, given)
    ramp = max(
        (batches - 5) / value("lambda.sqs-growth"), batches / value("lambda.growth") / 60, 0.0
    )  # Lambda begins with five batches
    return Plan(
        load, stack, settings, before, before if stack == given else limits(load, stack),
        _stacks(load, parameters, per_instance), needed, ramp,
        cost.per_thousand or 0.0, cost.dollars, cost.services(),
    )  # fmt: skip


def _stacks(load: Load, parameters: Mapping[str, str] | None, per_instance: float | None) -> int | None:
    """Return the least number of stacks among which the lines can be divided so that settings are enough."""
    most = load.lines
    if _divided(load, most, parameters, per_instance):
        return None
    few, many = 0, most
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if _divided(load, middle, parameters, per_instance) else (few, middle)
    return many


def _divided(
    load: Load, stacks: int, parameters: Mapping[str, str] | None, per_instance: float | None
) -> list[Limit]:
    """Return what one of so many stacks would still exceed, apart from what is no matter of its size."""
    lines = math.ceil(load.lines / stacks)
    part = replace(load, rate=load.rate * lines / load.lines, lines=lines)
    settings = dict(_proposed(part, Stack.of(parameters, per_instance), parameters or {}))
    stack = Stack.of(dict(parameters or {}) | settings, per_instance)
    return [limit for limit in LIMITS if limit.use(part, stack) > 1 and not _liftable(limit, part, stack)]


def _liftable(limit: Limit, load: Load, stack: Stack) -> bool:
    """Return whether something else than a division of the lines lifts a limit, or nothing need to."""
    if limit.name in _NO_MATTER_OF_SIZE or limit.by == "quota":
        return True
    return parallelization(limit, load, stack) is not None


def _cost(load: Load, parameters: Mapping[str, str], instances: int, prices: Prices | None) -> Any:
    """Return the estimate of a month in which such a load never stops (loupe/cost)."""
    work = Workload.of(
        load.rate * _SECONDS_OF_A_DAY,
        load.region,
        parameters,
        image_mb=load.image_mb,
        failing=load.failing,
        review=load.review,
        stations=load.places,
        dashboards=load.dashboards,
        instances=instances,
    )
    return estimate(work, prices)


def _proposed(load: Load, stack: Stack, parameters: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the template parameters that a load needs raised, with values that leave some room."""
    room = assumed("headroom")
    batches = math.ceil(stack.batches(load) / room)
    if batches > stack.concurrency:
        yield "InspectConcurrency", _bounded("InspectConcurrency", batches)
    if stack.instances(load) > stack.max_instances:
        yield "EndpointMaxInstances", _bounded("EndpointMaxInstances", stack.instances(load))
    if stack.target != int((defaults() | dict(parameters))["InvocationsPerInstance"]):
        yield "InvocationsPerInstance", _bounded("InvocationsPerInstance", stack.target)
    for limit in LIMITS:
        if limit.use(load, stack) <= 1:
            continue
        if limit.lift == "IndexShards":
            yield (
                "IndexShards",
                _bounded("IndexShards", math.ceil(stack.shards * limit.use(load, stack) / room)),
            )
        if limit.name == "rules_reads":
            seconds = math.ceil(stack.rules_seconds * limit.use(load, stack) / room)
            yield "RulesCacheSeconds", _bounded("RulesCacheSeconds", seconds)
        if limit.name == "comparison":
            yield "ReconcileSchedule", _schedule(load, stack)


def _schedule(load: Load, stack: Stack) -> str:
    """Return a schedule by which all images are compared once a day, if there is one."""
    runs = compare_seconds(load, stack) / (_LEAST_MINUTES * 60)
    minutes = max(_LEAST_MINUTES, math.floor(1440 / runs))
    if minutes < 60:
        return f"rate({minutes} minutes)"
    return "rate(1 hour)" if minutes < 120 else f"rate({minutes // 60} hours)"


def _bounded(parameter: str, wanted: int) -> str:
    """Return a value that the template accepts for a parameter."""
    return str(min(wanted, int(template()["Parameters"][parameter]["MaxValue"])))
