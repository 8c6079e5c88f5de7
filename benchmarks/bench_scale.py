"""How many images a second a stack takes on AWS, what bounds it first, and what it costs: `loupe bench scale [--json]`.

Without --rate for 1 to 10,000 images/s. Nothing is measured here, and no account is needed: AWS's quotas, the
template's settings and the keys of the tables give the limits (loupe/scale), and `loupe cost` the price
(docs/scale.md).
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from contract.instances import UnsuitableInstanceError
from loupe.cost.workload import defaults
from loupe.errors import LoupeError
from loupe.scale.capacity import DECADES, Plan, Reached, parallelization, plan
from loupe.scale.load import Load
from loupe.scale.quotas import assumptions, quota
from loupe.views.console import err, out, print_json, table

_MOST = 1e6  # images/s
_COSTLY = ("SageMaker", "S3")


def main(arguments: list[str] | None = None) -> int:
    """Print the limits, and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        plans = [_plan(rate, options) for rate in ([options.rate] if options.rate else DECADES)]
    except LoupeError as error:
        return _refuse(error.message, error.hint)
    except UnsuitableInstanceError as error:
        return _refuse(str(error), "loupe cost prints the prices of those that are known.")
    if options.json:
        print_json({"plans": [_document(one) for one in plans], "assumed": assumptions()})
    elif options.rate:
        show_one(plans[0])
    else:
        show_all(plans)
    return 0


def _plan(rate: float, options: argparse.Namespace) -> Plan:
    given = {"lines": options.lines, "stations": options.stations, "dashboards": options.dashboards}
    load = Load.of(
        rate,
        image_mb=options.size / 1000,
        failing=options.defects / 100,
        review=options.review / 100,
        region=options.region,
        **{name: value for name, value in given.items() if value is not None},
    )
    return plan(load, {"HostingInstanceType": options.instance}, options.per_instance)


def show_all(plans: list[Plan]) -> None:
    """Print a row for each rate, then what each exceeds."""
    first = plans[0]
    grid = table(
        f"{first.load.region}, {first.stack.instance_type} for {first.stack.per_instance:.4g} images/s each",
        figures=(
            *("images/s", "lines", "stacks", "instances", "at once"),
            *("US$ for 1,000", "endpoint", "storage", "US$ a month"),
        ),
        names=("then first, at images/s",),
    )  # fmt: skip
    for one in plans:
        endpoint, storage = (_for_a_thousand(one, name) for name in _COSTLY)
        grid.add_row(
            f"{one.load.rate:,.0f}", f"{one.load.lines:,}", _stacks(one), f"{one.instances:,}",
            f"{one.stack.batches(one.load):,.1f}", f"{one.dollars:.3f}", f"{endpoint:.3f}", f"{storage:.3f}",
            f"{_about(one.dollars_a_month):,}", _words(one.next),
        )  # fmt: skip
    out.print(grid)
    for one in plans:
        show_exceeded(one)
    out.print("loupe bench scale --rate N prints every limit.", soft_wrap=True)


def show_exceeded(one: Plan) -> None:
    """Print what a rate exceeds with the settings as they are, and what lifts it."""
    exceeded = [reached for reached in one.before if reached.exceeded]
    grid = table(
        f"{one.load.rate:,.0f} images/s", figures=("reached at", "lifted by"), names=("limit", "how")
    )
    for reached in exceeded:
        grid.add_row(_at(reached), lifted_by(reached, one), reached.limit.title, _how(reached, one))
    if exceeded:
        out.print(grid)
    else:
        out.print(f"{one.load.rate:,.0f} images/s: no limit is reached.")


def show_one(one: Plan) -> None:
    """Print every limit for one rate."""
    load, stack = one.load, one.stack
    grid = table(
        f"{load.rate:g} images/s of {load.image_mb:g} MB, {load.region}",
        figures=("reached at", "used", "part"),
        names=("limit", "quota or setting"),
    )
    for reached in one.before:
        grid.add_row(
            _at(reached), _share(reached.used), reached.limit.part, reached.limit.title, _bound(reached, one)
        )
    out.print(grid)
    show_exceeded(one)
    settings = " ".join(f"{name}={value}" for name, value in one.settings.items())
    each = f"{stack.per_instance:.4g} images/s each ({stack.rate_from})"
    for line in (
        f"Settings: {settings or 'as they are'}",
        f"Stacks: {_stacks(one)}",
        f"Endpoint: {one.instances:,} × {stack.instance_type}, {each}",
        f"From idle to {stack.batches(load):,.1f} batches at once: {one.ramp_minutes:.1f} min",
        f"Cost: US$ {one.dollars:.4f} for 1,000 images, {_about(one.dollars_a_month):,} a month if they never stop",
        f"Assumed: {'; '.join(assumptions().values())}.",
    ):
        out.print(line, soft_wrap=True)


def lifted_by(reached: Reached, one: Plan) -> str:
    """Return what lifts a limit, or that it is not enough."""
    limit = reached.limit
    if limit.by == "setting" and limit.name in {still.limit.name for still in one.remaining}:
        return "not enough"
    if "ParallelizationFactor" in limit.lift and parallelization(limit, one.load, one.stack) is None:
        return "not enough"
    return limit.by


def _how(reached: Reached, one: Plan) -> str:
    """Return what lifts a limit: the proposed setting if there is one."""
    if factor := parallelization(reached.limit, one.load, one.stack):
        return f"{reached.limit.lift.partition(',')[0]}={factor}"
    for name, value in one.settings.items():
        if name in reached.limit.lift:
            return f"{name}={value}; {reached.limit.lift.partition('; ')[2]}".rstrip("; ")
    return reached.limit.lift


def _bound(reached: Reached, one: Plan) -> str:
    limit = reached.limit
    if not limit.quota:
        return limit.lift
    found = quota(limit.quota, one.load.region)
    return f"{found.value:,.0f} {found.unit}"


def _words(reached: Reached) -> str:
    return f"{reached.limit.title}: {_at(reached)} ({_share(reached.used)})"


def _share(used: float) -> str:
    return f"{used:,.1f} times" if used > 1 else f"{used:.1%}"


def _at(reached: Reached) -> str:
    if reached.capacity is None:
        return "never"
    digits = 0 if reached.capacity >= 10 else 2
    return f"{reached.capacity:,.{digits}f}"


def _stacks(one: Plan) -> str:
    return "none" if one.stacks is None else f"{one.stacks:,}"


def _about(number: float) -> int:
    """Return a number with three digits that are not zero: the estimate is no more exact than that."""
    return int(float(f"{number:.2e}"))


def _for_a_thousand(one: Plan, service: str) -> float:
    return one.dollars * one.services.get(service, 0.0) / one.dollars_a_month


def _document(one: Plan) -> dict[str, Any]:
    load, stack = one.load, one.stack
    return {
        "images_per_s": load.rate, "image_mb": load.image_mb, "failing": load.failing, "review": load.review,
        "lines": load.lines, "stations": load.places, "dashboards": load.dashboards, "region": load.region,
        "endpoint": {
            "instance_type": stack.instance_type, "instances": one.instances,
            "images_per_s_of_an_instance": stack.per_instance, "from": stack.rate_from,
        },
        "stacks": one.stacks,
        "batches_at_once": round(stack.batches(load), 3),
        "ramp_minutes": round(one.ramp_minutes, 3),
        "settings": one.settings,
        "dollars_per_1000_images": round(one.dollars, 6),
        "dollars_a_month": round(one.dollars_a_month, 2),
        "services": {name: round(dollars, 2) for name, dollars in one.services.items()},
        "limits": [_limit(reached, load.region) for reached in one.before],
        "limits_with_the_settings": [_limit(reached, load.region) for reached in one.after],
    }  # fmt: skip


def _limit(reached: Reached, region: str) -> dict[str, Any]:
    limit = reached.limit
    found = quota(limit.quota, region) if limit.quota else None
    return {
        "name": limit.name,
        "part": limit.part,
        "title": limit.title,
        "used": round(reached.used, 6),
        "reached_at": None if reached.capacity is None else round(reached.capacity, 3),
        "lifted_by": limit.by,
        "how": limit.lift,
        "quota": found
        and {"value": found.value, "unit": found.unit, "page": found.page, "as_of": found.as_of},
    }


def _refuse(message: str, hint: str) -> int:
    err.print(f"loupe: {message}", soft_wrap=True)
    if hint:
        err.print(f"       {hint}", soft_wrap=True)
    return 1


def _number(low: float, high: float) -> Any:
    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return number


def _whole(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="loupe bench scale", description=__doc__)
    add = parser.add_argument
    add("--rate", type=_number(0.001, _MOST), metavar="N", help="images a second: every limit for this rate")
    add("--size", type=_number(1, 100_000), default=1000, metavar="KB", help="of an image: 1000")
    add("--defects", type=_number(0, 50), default=2, metavar="%", help="of the images that fail: 2")
    add("--review", type=_number(0, 50), default=3, metavar="%", help="of the images that a person judges: 3")
    add("--lines", type=_whole, metavar="N", help="production lines: one for each 10 images/s")
    add("--stations", type=_whole, metavar="N", help="stations of a line: 1")
    add("--dashboards", type=_number(0, _MOST), metavar="N", help="open dashboard pages: 1")
    add(
        "--instance",
        default=defaults()["HostingInstanceType"],
        metavar="ml.TYPE",
        help="the endpoint's instance type",
    )
    add(
        "--per-instance",
        type=_number(0.001, _MOST),
        metavar="N",
        help="images/s of an instance: what is known of it",
    )
    add("--region", default="us-east-1", help="the AWS region: us-east-1")
    add("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
