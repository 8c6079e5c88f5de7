"""The origin's table: time as SageMaker bills it, dated prices, and no comparison of what cannot be compared."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import billing
import costs

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOSTILE = '<img src=x onerror="alert(1)">|*\n\u202e'


def described(start: float, minutes: float, billed: float | None = None, **cluster: Any) -> dict[str, Any]:
    """Return what DescribeTrainingJob answers for a job that began `start` minutes after noon."""
    began = NOON + timedelta(minutes=start)
    return {
        "TrainingStartTime": began,
        "TrainingEndTime": began + timedelta(minutes=minutes),
        "TrainingTimeInSeconds": int(minutes * 60),
        "BillableTimeInSeconds": int((minutes if billed is None else billed) * 60),
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, **cluster},
    }


def table(jobs: list[dict[str, Any]], *, local: bool = False, **options: Any) -> costs.Table:
    model = {
        "model": "SSD",
        "map": 0.2,
        "map_interval": [0.18, 0.23],
        "jobs": jobs,
        **options.pop("model", {}),
    }
    return costs.comparison_table(
        [model], **{"data": "NEU-DET, test part", "region": "us-east-1", "local": local} | options
    )


def test_the_origins_rows_are_those_that_it_published() -> None:
    rows = [(row.map, row.run_hours, row.billable_hours, row.dollars) for row in costs.origin()]
    assert rows == [(0.067, 0.5, 0.5, 1.5), (0.226, 1, 10, 30.6), (0.371, 1.5, 1.5, 4.6), (0.375, 3, 30, 92)]


def test_an_hour_costs_what_the_price_list_says() -> None:
    [row] = table([described(0, 60)]).ours
    assert (row.run_hours, row.billable_hours, row.dollars) == (1, 1, pytest.approx(1.408))
    assert "2026-09-25" in row.machine


def test_of_a_spot_job_only_the_billed_time_is_paid() -> None:
    [row] = table([described(0, 60, billed=15)]).ours
    assert (row.run_hours, row.billable_hours, row.saved) == (1, 0.25, 0.75)
    assert row.dollars == pytest.approx(1.408 / 4)
    assert "spot saved 75%" in table([described(0, 60, billed=15)])._repr_markdown_()


def test_each_instance_of_a_job_is_paid() -> None:
    [row] = table([described(0, 60, InstanceCount=3)]).ours
    assert (row.run_hours, row.billable_hours) == (1, 3)
    assert row.dollars == pytest.approx(3 * 1.408)


def test_jobs_of_a_tuning_run_at_the_same_time_and_are_paid_one_by_one() -> None:
    [row] = table([described(0, 30), described(0, 30), described(30, 30), described(30, 15)]).ours
    assert (row.run_hours, row.billable_hours) == (1, 1.75)


def test_a_job_that_never_started_costs_nothing() -> None:
    stopped = {"ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1}}
    [row] = table([described(0, 30), stopped]).ours
    assert (row.run_hours, row.billable_hours) == (0.5, 0.5)


def test_a_processing_job_is_paid_from_its_start_to_its_end() -> None:
    job = {
        "ProcessingStartTime": NOON,
        "ProcessingEndTime": NOON + timedelta(minutes=30),
        "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2}},
    }
    [row] = table([job], model={"map": None, "map_interval": None, "use": "processing"}).ours
    assert (row.run_hours, row.billable_hours, row.dollars) == (0.5, 1, pytest.approx(0.23))


def test_a_laptop_costs_nothing_and_no_price_of_aws_stands_beside_it() -> None:
    shown = table([described(0, 60)], local=True, with_origin=False)
    [row] = shown.ours
    assert (row.dollars, row.machine, row.saved) == (0, "this laptop", 0)
    assert "an hour" not in shown._repr_html_() + shown._repr_markdown_()


def test_a_price_is_that_of_the_region_or_says_whose_it_is() -> None:
    assert billing.price("training", "ml.g5.xlarge", "eu-central-1") == billing.Price(
        1.76, "eu-central-1", "2026-08-13"
    )
    elsewhere = billing.price("training", "ml.g5.xlarge", "eu-west-1")
    assert elsewhere == billing.Price(1.408, "us-east-1", "2026-09-25")
    assert "us-east-1" in table([described(0, 60)], region="eu-west-1").ours[0].machine


def test_an_unknown_price_is_not_invented() -> None:
    shown = table([described(0, 60, InstanceType="ml.p9.huge"), described(0, 60)])
    [row] = shown.ours
    assert (row.dollars, shown.dollars) == (None, None)
    assert "no price recorded" in row.machine
    assert "–" in costs._cells(row, ["cost, US$"])


def test_maps_of_other_pictures_are_not_compared_with_the_origins() -> None:
    assert "cannot be compared" not in table([described(0, 60)])._repr_html_()
    assert "generated surfaces: their mAPs cannot be compared" in table(
        [described(0, 60)], data="generated surfaces"
    )._repr_html_().replace("&#x27;", "'")


class Elements(HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)


def test_names_are_text_and_never_markup() -> None:
    shown = table([described(0, 60)], model={"model": HOSTILE})
    assert Elements(shown._repr_html_()).tags == {"table", "thead", "tbody", "tr", "th", "td", "p"}
    [line] = [line for line in shown._repr_markdown_().splitlines() if "onerror" in line]
    assert "<" not in line
    assert "\u202e" not in line
    # As many cells as in the other rows.
    assert line.replace("\\|", "").count("|") == shown._repr_markdown_().splitlines()[0].count("|")


def test_the_rows_are_data_too() -> None:
    rows = json.loads(json.dumps(table([described(0, 60)]).data))
    assert [row["is_origin"] for row in rows] == [True] * 4 + [False]
    assert rows[-1]["interval"] == [0.18, 0.23]


def test_the_prices_are_those_of_loupe_cost() -> None:
    assert Path(billing.__file__).parents[1].joinpath("loupe/cost/prices.json").samefile(billing._PRICES)
