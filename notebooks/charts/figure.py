"""A chart: how it looks, and how a notebook shows it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

STYLE = Path(__file__).parents[2] / "training" / "evaluation" / "reports" / "loupe.mplstyle"
WIDTH = 7.6  # inches: as wide as the text of a page on GitHub
GREY, INK, BLUE = "#5d6b7a", "#16202c", "#0072b2"
_Arguments = ParamSpec("_Arguments")


class Chart(Figure):
    """A figure that a notebook shows with twice the pixels that it takes on the page.

    Attributes:
        alt: What it shows, in words.
    """

    alt = ""

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        png = io.BytesIO()
        with mpl.rc_context(fname=STYLE):
            self.savefig(png, format="png", dpi=2 * self.dpi, metadata={"Software": None})
        width, height = (round(float(edge)) for edge in self.get_size_inches() * self.dpi)
        return (
            {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": self.alt},
            {"image/png": {"width": width, "height": height, "alt": self.alt}},
        )


def styled(draw: Callable[_Arguments, Chart]) -> Callable[_Arguments, Chart]:
    """Let a function draw in the style of the reports, whatever the notebook's settings are."""

    @wraps(draw)
    def in_style(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> Chart:
        with mpl.rc_context(fname=STYLE):
            return draw(*arguments, **options)

    return in_style


def look(number: int) -> dict[str, Any]:
    """Return the colour and the mark of the n-th line."""
    cycle = list(mpl.rcParams["axes.prop_cycle"])
    return dict(cycle[number % len(cycle)])


def one_line(text: str) -> str:
    """Return a name on one line, without control characters, for which a font has no letters."""
    return " ".join(
        "".join(letter for letter in str(text) if letter.isprintable() or letter.isspace()).split()
    )


def logarithmic(axes: Axes, least: float, most: float) -> None:
    """Make the x axis logarithmic, with figures that are no formulas (the style has none).

    Args:
        axes: Of the chart.
        least: The smallest value that is drawn, above 0.
        most: The largest one.
    """
    axes.set_xscale("log")
    axes.set_xlim(least / 1.6, most * 1.6)
    # Little more than a decade may contain one power of ten only.
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if most > 20 * least else (1.0, 3.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
