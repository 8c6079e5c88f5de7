"""What a stack costs in a month, and in an hour in which it only waits.

>>> idle = hourly({"HostingInstanceType": "ml.g5.xlarge"}, "us-east-1")
>>> round(idle.endpoint, 3), idle.endpoint < idle.dollars
(1.408, True)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loupe.cost.prices import Price, Prices
from loupe.cost.usage import Basis, usages
from loupe.cost.workload import HOURS_PER_MONTH, Workload

_INSTANCES = ("endpoint", "training", "processing")


@dataclass(frozen=True, slots=True)
class Line:
    """What one thing costs in a month.

    Attributes:
        item: The item of the price.
        what: For people.
        quantity: How much, in the price's units.
        basis: Whether the quantity is counted from the code, or rests on an assumed figure.
        price: The price.
        dollars: US dollars a month.
    """

    item: str
    what: str
    quantity: float
    basis: Basis
    price: Price
    dollars: float


@dataclass(frozen=True)
class Estimate:
    """What a stack costs in a month.

    Attributes:
        work: What it has to do.
        lines: Its parts.
    """

    work: Workload
    lines: list[Line]

    @property
    def dollars(self) -> float:
        """US dollars a month."""
        return sum(line.dollars for line in self.lines)

    @property
    def per_thousand(self) -> float | None:
        """US dollars for 1,000 images; None without images."""
        return self.dollars / self.work.images * 1000 if self.work.images else None

    def services(self) -> dict[str, float]:
        """Return US dollars a month by service, the dearest first."""
        sums: dict[str, float] = {}
        for line in self.lines:
            sums[line.price.service] = sums.get(line.price.service, 0.0) + line.dollars
        return dict(sorted(sums.items(), key=lambda entry: -entry[1]))

    def part(self, *prefixes: str) -> float:
        """Return US dollars a month for the items that begin so, such as `endpoint.`."""
        return sum(line.dollars for line in self.lines if line.item.startswith(prefixes))

    def foreign(self) -> list[Price]:
        """Return the prices of another region that stand in for this one's."""
        found = {line.price.item: line.price for line in self.lines if line.price.region != self.work.region}
        return list(found.values())


@dataclass(frozen=True, slots=True)
class Hourly:
    """What a stack costs in an hour in which no image comes.

    Attributes:
        dollars: US dollars.
        endpoint: Of those, the endpoint's instances.
        rest: The other parts, such as alarms.
        price: The price of the endpoint's instance, with its date.
    """

    dollars: float
    endpoint: float
    rest: float
    price: Price


def estimate(work: Workload, prices: Prices | None = None) -> Estimate:
    """Return what a stack costs in a month.

    Args:
        work: What it has to do.
        prices: The prices; None for the recorded ones.

    Raises:
        LoupeError: No price of an instance type is recorded.
    """
    prices = prices or Prices.recorded()
    lines = []
    for usage in usages(work):
        use, _, rest = usage.item.partition(".")
        if use in _INSTANCES and rest.startswith("ml."):
            price = prices.instance(use, rest, work.region)
        else:
            price = prices.need(usage.item, work.region)
        lines.append(
            Line(usage.item, usage.what, usage.quantity, usage.basis, price, price.of(usage.quantity))
        )
    return Estimate(work, lines)


def hourly(parameters: Mapping[str, str], region: str, prices: Prices | None = None) -> Hourly:
    """Return what a stack costs in each hour, from its creation on, while no image comes.

    Args:
        parameters: Template parameters; the template's defaults fill the rest.
        region: The AWS region.
        prices: The prices; None for the recorded ones.

    Raises:
        LoupeError: No price of the instance type is recorded.
    """
    work = Workload.of(
        0, region, parameters, dashboards=0, users=0, retrainings=0, registry_gb=0, artefacts_gb=0
    )
    idle = estimate(work, prices)
    total, endpoint = idle.dollars / HOURS_PER_MONTH, idle.part("endpoint.") / HOURS_PER_MONTH
    price = next(line.price for line in idle.lines if line.item.startswith("endpoint.ml."))
    return Hourly(total, endpoint, total - endpoint, price)
