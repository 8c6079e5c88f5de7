"""The notebook's charts: in the style of the reports' pages, and each with a text for who does not see it.

Figures are made without pyplot, so a cell shows a chart if it is its last expression, and shows it once.
"""

from charts.boxes import pictures, same_pictures
from charts.comparison import comparison_bars, cost_against_map
from charts.figure import Chart
from charts.jobs import curves, tuning

__all__ = ["Chart", "comparison_bars", "cost_against_map", "curves", "pictures", "same_pictures", "tuning"]
