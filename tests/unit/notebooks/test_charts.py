"""The notebook's charts: what is drawn is what was given, and nothing in it breaks a chart."""

from __future__ import annotations

import base64
import io
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest
from PIL import Image

import charts
import costs

HOSTILE = "$\\frac{<b>\n\u202e"
GREY = Image.new("L", (200, 100), 90)


@pytest.fixture(autouse=True)
def _no_warning() -> Any:
    """A warning would stand in the notebook."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def shown(chart: charts.Chart) -> Image.Image:
    """Return the chart as a notebook shows it."""
    data, meta = chart._repr_mimebundle_()
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    # Twice the pixels that it takes on the page.
    assert picture.width == 2 * meta["image/png"]["width"] == 1672
    assert meta["image/png"]["alt"] == chart.alt != ""
    return picture


def lines(chart: charts.Chart, panel: int) -> dict[str, list[tuple[float, float]]]:
    return {
        str(line.get_label()): [tuple(map(float, point)) for point in line.get_xydata()]
        for line in chart.axes[panel].get_lines()
    }


def point(metric: str, value: float, **when: float) -> dict[str, Any]:
    return {"metric_name": metric, "value": value, **when}


def test_curves_show_each_metric_by_epoch_in_order() -> None:
    rows = [point("val:map", 0.1, epoch=2), point("loss", 2, epoch=2), point("loss", 3, epoch=1)]
    chart = charts.curves({"SSD": rows, HOSTILE: [point("loss", 1, epoch=1)]})
    assert lines(chart, 0)["SSD"] == [(1, 3), (2, 2)]
    assert lines(chart, 1)["SSD"] == [(2, 0.1)]
    assert "SSD 0.100" in chart.alt
    shown(chart)


def test_a_model_has_the_same_colour_in_both_panels_also_without_points_in_one() -> None:
    chart = charts.curves({"a": [point("loss", 1, epoch=1)], "b": [point("val:map", 0.3, epoch=1)]})
    first, second = ([line.get_color() for line in axes.get_lines()] for axes in chart.axes)
    assert first == second
    assert len(set(first)) == 2


def test_without_epochs_curves_are_drawn_by_minutes() -> None:
    chart = charts.curves(
        {"SSD": [point("loss", 2, timestamp=60.0), point("loss", float("nan"), timestamp=120.0)]}
    )
    assert lines(chart, 0)["SSD"] == [(1, 2)]
    assert chart.axes[0].get_xlabel() == "minutes"
    shown(chart)


def test_a_data_frame_is_read_as_its_rows_are() -> None:
    class Frame:
        def to_dict(self, orient: str) -> Any:
            assert orient == "records"
            return [point("loss", 2, epoch=1)]

    assert lines(charts.curves({"SSD": Frame()}), 0)["SSD"] == [(1, 2)]


def trial(minute: int, objective: float | None, rate: str, **more: Any) -> dict[str, Any]:
    start = datetime(2026, 11, 29, 12, minute, tzinfo=UTC)
    status = {"TrainingJobName": f"job-{minute}", "TrainingJobStatus": "Failed", "TrainingStartTime": start}
    return {**status, "FinalObjectiveValue": objective, "learning_rate": rate, "epochs": "4", **more}


def test_tuning_shows_the_jobs_in_the_order_of_their_starts_and_what_differs_between_them() -> None:
    # The SDK's order is that of the objective.
    jobs = [trial(3, 0.3, "0.001"), trial(1, 0.2, "0.00001"), trial(2, None, "0.1")]
    chart = charts.tuning({"SSD": jobs})
    first, second = chart.axes
    assert [list(line.get_ydata()) for line in first.get_lines()[:2]] == [[0.2, 0.3], [0.2, 0.3]]
    assert [list(line.get_xdata()) for line in first.get_lines()[:2]] == [[1, 3], [1, 3]]
    assert list(first.get_lines()[-1].get_xdata()) == [2]  # the cross of the failed job
    assert (second.get_xlabel(), second.get_xscale()) == ("learning_rate", "log")
    assert "the best of 3 jobs has 0.300 with learning_rate 0.001" in chart.alt
    shown(chart)


def test_tunings_without_a_failed_job_fill_the_chart() -> None:
    jobs = [trial(1, 0.2, "0.1"), trial(2, 0.1, "0.2")]
    chart = charts.tuning({"SSD": jobs, "GFL": jobs})
    shown(chart)
    heights = [axes.get_position().height for axes in chart.axes]
    assert min(heights) > 0.25
    # The mark of the best one is inside.
    assert chart.axes[0].get_ylim()[1] > 0.22


def test_tuning_shows_choices_by_name() -> None:
    chart = charts.tuning({"a": [trial(1, 0.1, "0.1", kind=HOSTILE), trial(2, 0.2, "0.1", kind="b")]})
    assert [text.get_text() for text in chart.axes[1].get_xticklabels()] == ["$\\frac{<b>", "b"]
    shown(chart)


@pytest.mark.parametrize("jobs", [[], [trial(1, None, "0.1")], [{"TrainingJobStatus": "Stopped"}]])
def test_tuning_without_a_result_says_so(jobs: list[dict[str, Any]]) -> None:
    chart = charts.tuning({"SSD": jobs})
    assert f"no job of {len(jobs)} has a result" in chart.alt
    shown(chart)


def box(label: str, score: float | None = None) -> dict[str, Any]:
    return {"label": label, "box": [100, 20, 180, 60]} | ({} if score is None else {"score": score})


def test_the_same_pictures_have_the_labelled_boxes_first_and_the_same_colour_for_a_class() -> None:
    answers = {"SSD": [[box("b", 0.9), box("a", 0.2)]], "GFL": [[box("a", 0.31)]]}
    chart = charts.same_pictures([(GREY, [box("a")])], answers, least_score=0.3)
    assert [axes.get_title() for axes in chart.axes] == ["labelled", "SSD", "GFL"]
    colours = [[patch.get_edgecolor() for patch in axes.patches] for axes in chart.axes]
    assert [len(drawn) for drawn in colours] == [1, 1, 1]  # the one below the least score is not drawn
    assert colours[0] == colours[2] != colours[1]
    assert [axes.texts[0].get_text() for axes in chart.axes] == ["1", "2  0.90", "1  0.31"]
    shown(chart)


def test_a_missing_answer_is_an_error_and_no_picture_of_another_row() -> None:
    with pytest.raises(ValueError, match="SSD has 1 answers for 2 pictures"):
        charts.same_pictures([(GREY, []), (GREY, [])], {"SSD": [[]]})


def test_boxes_follow_the_picture_when_it_is_made_small() -> None:
    chart = charts.pictures([(Image.new("L", (960, 480)), [{"label": "a", "box": [480, 240, 960, 480]}])])
    [patch] = chart.axes[0].patches
    assert (patch.get_x(), patch.get_y(), patch.get_width()) == (239.5, 119.5, 240)


def test_six_pictures_stand_in_two_lines_of_three() -> None:
    chart = charts.pictures([(GREY, [])] * 6)
    places = [axes.get_subplotspec() for axes in chart.axes]
    assert {(place.get_gridspec().nrows, place.get_gridspec().ncols) for place in places if place} == {(2, 3)}


def test_a_picture_lying_on_its_side_is_upright_under_its_boxes() -> None:
    lying = Image.new("L", (200, 100))
    exif = lying.getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    lying.save(file, "JPEG", exif=exif)
    [drawn] = charts.pictures([(file.getvalue(), [])]).axes[0].get_images()
    assert drawn.get_size() == (200, 100)


def test_a_picture_of_16_bits_is_not_black() -> None:
    [drawn] = charts.pictures([(Image.new("I;16", (20, 10), 4000), [])]).axes[0].get_images()
    assert drawn.get_array().max() == 255


def test_many_models_are_drawn_in_as_few_lines_as_stay_readable() -> None:
    chart = charts.same_pictures([(GREY, [box(HOSTILE)])], {f"model {n}": [[]] for n in range(6)})
    titles = [axes.get_title() for axes in chart.axes if axes.get_images()]
    assert titles == ["labelled", *(f"model {n}" for n in range(6))]
    shown(chart)


def test_the_origins_models_stand_beside_ours_only_on_its_pictures() -> None:
    rows = [
        {"model": HOSTILE, "map": 0.3, "map50": 0.6, "map_interval": [0.2, 0.4], "jobs": []},
        {"model": "b", "jobs": []},
    ]
    names = [
        [text.get_text() for text in charts.comparison_bars(rows, data=data).axes[0].get_yticklabels()]
        for data in ("NEU-DET", "generated surfaces")
    ]
    assert [len(each) for each in names] == [5, 1]
    shown(charts.comparison_bars(rows, data="NEU-DET"))


@pytest.mark.parametrize(("local", "unit"), [(True, "billable hours"), (False, "US$")])
def test_other_pictures_have_a_panel_of_their_own(local: bool, unit: str) -> None:
    job = {"TrainingTimeInSeconds": 60, "BillableTimeInSeconds": 60, "InstanceType": "ml.g5.xlarge"}
    rows = [{"model": "SSD", "map": 0.3, "jobs": [job]}]
    compared = costs.comparison_table(rows, data="generated surfaces", region="us-east-1", local=local)
    chart = charts.cost_against_map(compared)
    assert [axes.get_title(loc="left") for axes in chart.axes] == ["NEU-DET", "generated surfaces"]
    assert {axes.get_xlabel() for axes in chart.axes} == {unit}
    shown(chart)
