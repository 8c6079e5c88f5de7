"""What a stack costs: one table, then what would be cheaper, then training and tuning."""

from __future__ import annotations

from typing import Any

from contract.text import counted
from loupe.cost.choices import Choice
from loupe.cost.estimate import Estimate, Line
from loupe.cost.facts import Facts
from loupe.cost.prices import REFERENCE_REGION, Price
from loupe.cost.training_costs import training_costs
from loupe.cost.workload import Workload
from loupe.views.console import out, table

_LITTLE = 0.005
_UNCERTAIN = 1.0  # dollars a month, from which on the note of a price is shown
_NOT_COUNTED = (
    "Not counted: free tiers, taxes, discounts, support, building the images, what people decide in the review, "
    "and data that programs download."
)


def show_cost(found: Estimate, cheaper: list[Choice], facts: Facts | None, details: bool) -> None:
    """Print an estimate.

    Args:
        found: The estimate.
        cheaper: What would be cheaper.
        facts: What the stack has; None without a stack.
        details: Whether to print every part instead of one row for each service.
    """
    work = found.work
    grid = table(
        _title(work),
        figures=("US$ a month", *(("for 1,000 images",) if work.images else ()), "service"),
        names=("what for",),
    )
    for service, dollars in found.services().items():
        lines = sorted(
            (line for line in found.lines if line.price.service == service), key=lambda line: -line.dollars
        )
        if details:
            for line in lines:
                grid.add_row(*_figures(line.dollars, work), service, f"{line.what}{_quantity(line)}")
        else:
            grid.add_row(*_figures(dollars, work), service, "; ".join(_parts(lines)))
    grid.add_section()
    grid.add_row(*_figures(found.dollars, work), "together", "")
    out.print(grid)
    for note in notes(found):
        out.print(note, soft_wrap=True)
    if facts:
        _show_facts(facts)
    _show_choices(cheaper)
    _show_training()


def notes(found: Estimate) -> list[str]:
    """Return what one must know about the figures."""
    work = found.work
    dates = sorted({line.price.as_of for line in found.lines})
    texts = [
        f"Prices of {work.region} in US dollars, looked up between {dates[0]} and {dates[-1]}; they change."
    ]
    if foreign := found.foreign():
        names = ", ".join(_price_name(price) for price in foreign)
        texts.append(
            f"No price of {work.region} is recorded for {names}: those of {REFERENCE_REGION} are taken."
        )
    uncertain: dict[str, dict[str, None]] = {}
    for line in found.lines:
        if line.price.note and line.dollars >= _UNCERTAIN:
            uncertain.setdefault(line.price.note, {})[_price_name(line.price)] = None
    texts += [f"{', '.join(names)}: {note}." for note, names in uncertain.items()]
    texts.append(
        f"Assumed, not measured: images of {work.image_mb:g} MB, of which {work.failing:.0%} fail and "
        f"{work.review:.0%} go to a person; {work.model_ms:g} ms in the model; training jobs of "
        f"{work.training_minutes:g} min."
    )
    if found.work.image_days > 0:
        texts.append(
            f"Stored is what is there once the first image is deleted, after {work.image_days:g} days; before that, "
            "storage costs less."
        )
    if work.overloaded:
        texts.append("The images need more instances than EndpointMaxInstances allows, so they would wait.")
    return [*texts, _NOT_COUNTED]


def _title(work: Workload) -> str:
    always = work.hours_per_day >= 24 and work.days_per_week >= 7
    when = "always" if always else f"{work.hours_per_day:g} hours on {work.days_per_week:g} days a week"
    return f"{counted(round(work.images_per_day), 'image')} a day, {when}, {work.region}"


def _figures(dollars: float, work: Workload) -> list[str]:
    figures = [f"{dollars:,.2f}"]
    if work.images:
        figures.append(f"{dollars / work.images * 1000:.4f}")
    return figures


def _parts(lines: list[Line]) -> list[str]:
    """Return what the most of a service's cost is for."""
    most = [line.what for line in lines if line.dollars >= max(lines[0].dollars * 0.05, _LITTLE)]
    return list(dict.fromkeys(most or [lines[0].what]))[:3]


def _quantity(line: Line) -> str:
    return f": {line.quantity:,.{0 if line.quantity >= 100 else 2}f} {line.price.unit}"


def _price_name(price: Price) -> str:
    return f"{price.service} ({price.item})"


def _show_facts(facts: Facts) -> None:
    rows = []
    if facts.images_per_day is not None:
        rows.append(f"{facts.images_per_day:,.0f} images a day were inspected in the last 30 days")
    if facts.instances:
        rows.append(f"the endpoint is {facts.status}, {facts.instances} × {facts.instance_type}")
    else:
        rows.append(f"the endpoint is {facts.status}")
    if facts.images_gb is not None:
        rows.append(f"{facts.images_gb:,.1f} GB of images are stored")
    if facts.records is not None:
        rows.append(f"{facts.records:,} records are stored ({facts.records_gb:.2f} GB)")
    out.print("\nThe stack now: " + "; ".join(rows) + ".", soft_wrap=True)


def _show_choices(cheaper: list[Choice]) -> None:
    grid = table(
        "\nCheaper, each for itself", figures=("saves", "remains"), names=("what", "what it trades", "how")
    )
    for choice in cheaper:
        most = "≤ " if choice.at_most else ""
        grid.add_row(
            f"{most}{choice.saves:,.2f}", f"{choice.dollars:,.2f}", choice.title, choice.trade, choice.how
        )
    out.print(grid)


def _show_training() -> None:
    costs: Any = training_costs()
    grid = table(
        "\nTraining and tuning on NEU-DET", figures=("mAP", "hours", "US$"), names=("model", "machine")
    )
    for row in costs["origin"]["rows"]:
        figures = (f"{row['map']:.3f}", f"{row['hours']:g}", f"{row['dollars']:g}")
        grid.add_row(*figures, f"origin: {row['model']}", costs["origin"]["machine"])
    for row in costs["ours"]["rows"]:
        low, high = (minutes / 60 for minutes in row["minutes"])
        hours = f"{low:.1f}" if low == high else f"{low:.1f}–{high:.1f}"
        grid.add_row(f"{row['map']:.3f}", hours, "-", row["model"], costs["ours"]["machine"])
    out.print(grid)
    out.print(costs["ours"]["note"], soft_wrap=True)
