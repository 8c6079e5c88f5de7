"""`loupe cost`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target
from loupe.cost.choices import Choice, choices, shift_hours
from loupe.cost.estimate import Estimate, estimate
from loupe.cost.facts import Facts, read
from loupe.cost.prices import REFERENCE_REGION, Prices
from loupe.cost.training_costs import training_costs
from loupe.cost.workload import Workload
from loupe.views.console import print_json
from loupe.views.cost import notes, show_cost

app = commands()


def _number(help_: str, metavar: str = "N", **bounds: Any) -> Any:
    return typer.Option(metavar=metavar, help=help_, show_default=False, **bounds)


@app.command(
    epilog=epilog(
        "loupe cost --images-per-day 20000",
        "loupe cost --images-per-day 20000 --hours 16 --days 5 --shifts --region eu-central-1",
        "loupe cost --stack loupe --json | jq .dollars_a_month",
        "loupe cost --refresh prices.json --region eu-central-1",
    )
)
def cost(
    home: Home,
    images_per_day: Annotated[
        float | None, _number("Images on each working day; with --stack: those of the last 30 days.", min=0)
    ] = None,
    image_mb: Annotated[float | None, _number("Megabytes of an image: 1.", "MB", min=0.001)] = None,
    failing: Annotated[
        float | None, _number("Share of images that fail: 0.02.", "0..1", min=0, max=1)
    ] = None,
    review: Annotated[
        float | None, _number("Share of images that a person must judge: 0.03.", "0..1", min=0, max=1)
    ] = None,
    hours: Annotated[
        float | None, _number("Hours a day in which the line works: 24.", "H", min=0.1, max=24)
    ] = None,
    days: Annotated[
        float | None, _number("Days a week on which the line works: 7.", "D", min=0.1, max=7)
    ] = None,
    shifts: Annotated[
        bool, typer.Option("--shifts", help="The endpoint runs only in these hours (EndpointHours).")
    ] = False,
    stations: Annotated[int | None, _number("Stations that inspect: 1.", min=1)] = None,
    instance: Annotated[
        str | None, _number("The endpoint's instance type: the template's.", "ml.TYPE")
    ] = None,
    instances: Annotated[int | None, _number("Its instances: as many as the images need.", min=0)] = None,
    model_ms: Annotated[
        float | None, _number("Milliseconds of the model for an image: 100.", "MS", min=0)
    ] = None,
    image_days: Annotated[int | None, _number("ImageRetentionDays: the template's.", min=1)] = None,
    record_days: Annotated[int | None, _number("RecordRetentionDays: the template's.", min=1)] = None,
    dashboards: Annotated[
        float | None, _number("Dashboard pages that are open while the line works: 1.", min=0)
    ] = None,
    retrainings: Annotated[float | None, _number("Retrainings a month: 1.", min=0)] = None,
    families: Annotated[int | None, _number("Families that each trains: the template's.", min=0)] = None,
    tuning_jobs: Annotated[
        int | None, _number("Training jobs of the search for each family: 0, no tuning.", min=0)
    ] = None,
    training_minutes: Annotated[
        float | None, _number("Minutes of a training job: 60, an assumption.", "MIN", min=0)
    ] = None,
    training_instance: Annotated[
        str | None, _number("Instance type of training: the template's.", "ml.TYPE")
    ] = None,
    spot_saving: Annotated[
        float | None, _number("Share of the price that spot instances save: 0.", "0..1", min=0, max=1)
    ] = None,
    region: Annotated[str | None, _number("The AWS region: AWS_REGION, or us-east-1.", "REGION")] = None,
    prices: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Newer prices, in the form of loupe/cost/prices.json."),
    ] = None,
    refresh: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Read today's prices from AWS with your profile, into a file, and end."
        ),
    ] = None,
    details: Annotated[bool, typer.Option("--details", help="Print every part.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Estimate what Loupe costs on AWS, and what would be cheaper.

    The estimate is computed from what Loupe does for an image, and from dated list prices. With --stack, its
    parameters are taken, and what it really has is shown. docs/cost.md tells how it is computed.
    """
    if refresh:
        _refresh(refresh, region, json_)
        return
    facts = read(open_target(stack, home)) if stack else None
    daily = images_per_day
    if daily is None and facts:
        daily = facts.images_per_day
    if daily is None:
        raise typer.BadParameter("how many images?", param_hint="--images-per-day")
    where = region or (facts.region if facts else _region())
    given = {
        "image_mb": image_mb, "failing": failing, "review": review, "hours_per_day": hours, "days_per_week": days,
        "stations": stations, "instance_type": instance, "instances": instances, "model_ms": model_ms,
        "dashboards": dashboards, "retrainings": retrainings, "families": families, "tuning_jobs": tuning_jobs,
        "training_minutes": training_minutes, "training_type": training_instance, "spot_saving": spot_saving,
    }  # fmt: skip
    changes = {name: value for name, value in given.items() if value is not None}
    parameters = dict(facts.parameters if facts else {})
    parameters |= {
        name: str(value)
        for name, value in (("ImageRetentionDays", image_days), ("RecordRetentionDays", record_days))
        if value is not None
    }
    if shifts:
        changes["endpoint_hours"] = shift_hours(hours or 24.0, days or 7.0)
    elif facts:
        changes["endpoint_hours"] = facts.endpoint_hours
    if (failing or 0) + (review or 0) > 1:
        raise typer.BadParameter("they are more than all images", param_hint="--failing and --review")
    known = Prices.load(prices or ())
    found = estimate(Workload.of(daily, where, parameters, **changes), known)
    cheaper = choices(found, known)
    if json_:
        print_json(_document(found, cheaper, facts))
    else:
        show_cost(found, cheaper, facts, details)


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or REFERENCE_REGION


def _refresh(file: Path, region: str | None, json_: bool) -> None:
    from loupe.cost.refresh import refresh

    written = refresh(file, region or _region())
    if json_:
        print_json({"file": str(file), "prices": written})
    else:
        typer.echo(f"{written} prices are in {file}: loupe cost --prices {file} --images-per-day N")


def _document(found: Estimate, cheaper: list[Choice], facts: Facts | None) -> dict[str, Any]:
    thousand = found.per_thousand
    return {
        "dollars_a_month": round(found.dollars, 4),
        "dollars_per_1000_images": None if thousand is None else round(thousand, 6),
        "services": {name: round(dollars, 4) for name, dollars in found.services().items()},
        "lines": [
            {
                "service": line.price.service,
                "item": line.item,
                "what": line.what,
                "quantity": round(line.quantity, 4),
                "unit": line.price.unit,
                "basis": line.basis,
                "dollars_a_month": round(line.dollars, 4),
                "price": {
                    name: getattr(line.price, name)
                    for name in ("price", "per", "region", "as_of", "page", "note")
                },
            }
            for line in found.lines
        ],
        "choices": [asdict(choice) for choice in cheaper],
        "training": training_costs(),
        "workload": asdict(found.work),
        "stack": None if facts is None else asdict(facts),
        "notes": notes(found),
    }
