"""The colours of charts can be told apart, also by people who do not see all colours."""

from __future__ import annotations

import itertools
import re
from importlib import resources

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

REPORTS = resources.files("training.evaluation.reports")
# What the linear red, green and blue of a screen become (Machado, Oliveira and Fernandes 2009, severity 1).
SIGHT = {
    "all colours": np.eye(3),
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
sight = pytest.mark.parametrize("seen", SIGHT.values(), ids=SIGHT)


def test_the_page_of_a_user_with_a_style_of_his_own_has_the_style_of_the_pages() -> None:
    with mpl.rc_context():
        first = plots_of_a_page()
        mpl.rcParams.update({"font.size": 30, "axes.grid": False, "lines.marker": "x"})
        assert plots_of_a_page() == first


def plots_of_a_page() -> str:
    from training.evaluation.reports import plots

    return plots.sweep([0, 1], {"escape": [0, 1], "overkill": [1, 0], "false_alarm": None}, 0.5, None)


@sight
def test_the_lines_of_a_chart_differ_in_colour_and_in_mark(seen: object) -> None:
    with resources.as_file(REPORTS / "loupe.mplstyle") as file:
        lines = mpl.rc_params_from_file(file)["axes.prop_cycle"].by_key()
    assert nearest(lines["color"], seen) > 14
    assert len(set(lines["marker"])) == len(lines["marker"]) == 7


@sight
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_good_and_bad_of_a_page_differ(seen: object, theme: int) -> None:
    css = (REPORTS / "templates" / "style.css").read_text()
    colours = [re.findall(rf"--{name}: (#\w+);", css)[theme] for name in ("good", "bad")]
    assert nearest(colours, seen) > 40


def nearest(colours: list[str], seen: object) -> float:
    """Return the smallest distance of two colours in CIELAB; 2 is the smallest that a trained eye sees."""
    places = [lab(np.asarray(seen) @ linear(colour)) for colour in colours]
    return min(float(np.linalg.norm(one - other)) for one, other in itertools.combinations(places, 2))


def linear(colour: str) -> np.ndarray:
    shares = np.array(to_rgb(colour))
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    to_xyz = [[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0178, 0.1095, 0.8727]]
    share = np.array(to_xyz) @ np.clip(light, 0, 1)
    x, y, z = np.where(share > 0.008856, np.cbrt(share), 7.787 * share + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
