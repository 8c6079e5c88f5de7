"""`loupe bench scale`: the limits, the keys that they come from, and the page that shows them."""

import json
import math
import re
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import bench_scale
from docs import scale as page
from localcloud.sources import REPOSITORY
from loupe.cost.estimate import estimate
from loupe.cost.usage import usages
from loupe.cost.workload import Workload, template
from loupe.scale import quotas
from loupe.scale.capacity import DECADES, capacity, limits, parallelization, plan
from loupe.scale.limits import LIMITS, Limit
from loupe.scale.load import Load, Stack
from loupe.scale.partitions import FEED_OVERLAP_SECONDS, Batches
from review.lists import open_queue
from tracking import feed, tracker
from tracking.cells import Cell, item_keys
from tracking.counters import Counts
from tracking.summaries import feed_partition
from tracking.transactions import MOST_ACTIONS

rates = st.floats(0.01, 100_000)


def limit(name: str) -> Limit:
    return next(one for one in LIMITS if one.name == name)


# ---------------------------------------------------------------- the figures


def test_every_quota_says_which_page_states_it_and_when_that_was_looked_up() -> None:
    for name in quotas.names():
        found = quotas.quota(name)
        assert found.page.startswith("https://"), name
        assert date(2026, 1, 1) <= date.fromisoformat(found.as_of), name
        assert found.value > 0, name
        assert found.unit, name


def test_every_limit_names_a_quota_that_is_recorded() -> None:
    assert {one.quota for one in LIMITS} - {""} <= set(quotas.names())
    assert len({one.name for one in LIMITS}) == len(LIMITS)


def test_what_was_measured_stands_in_the_page_that_it_is_from() -> None:
    measured = quotas.measured()
    figures = [(measured["inspect_cpu_ms"]["value"], measured["inspect_cpu_ms"]["from"])]
    figures += [(row["images_per_s"], row["from"]) for row in measured["models"]]
    for figure, origin in figures:
        text = (REPOSITORY / origin.partition(":")[0]).read_text()
        assert re.search(rf"(?<![\d.]){figure}(?![\d.])", text), (figure, origin)


# ---------------------------------------------------------------- the keys of the functions


def test_the_stations_of_a_day_share_a_partition_and_each_line_has_its_own_feed_and_queue() -> None:
    cells = [Cell("2026-01-31T08", f"line-{n}", "top", "7") for n in range(3)]
    assert {keys[0] for cell in cells for keys in item_keys(cell)} == {"hour#2026-01-31", "day#2026-01"}
    assert feed_partition("a") != feed_partition("b")
    assert open_queue("a") != open_queue("b")


def test_a_page_reads_the_seconds_of_the_feed_that_the_model_counts() -> None:
    assert timedelta(seconds=FEED_OVERLAP_SECONDS) == feed._OVERLAP
    assert MOST_ACTIONS == 100
    assert tracker._ITEMS_OF_A_RECORD == 2


@pytest.mark.parametrize("records", [1, 10, 49, 50, 100])
@pytest.mark.parametrize("places", [1, 5, 100])
def test_a_batch_makes_as_many_transactions_as_the_model_counts(records: int, places: int) -> None:
    entries = [
        tracker._Entry({}, Cell("2026-01-31T08", f"line-{n % places}", "top", "7"), Counts())
        for n in range(records)
    ]
    chunks = list(tracker._chunks(entries))
    written = sum(len({key for one in chunk for key in item_keys(one.cell)}) for chunk in chunks)
    cells = min(records, places)
    found = Batches(1.0, records, cells, math.ceil((2 * records + 2 * cells) / 100))
    assert abs(len(chunks) - found.transactions) <= 1
    # Two counters of each station; half of them, those by the hour, are in one partition.
    assert written / 2 * 2 == pytest.approx(found.counter_writes, abs=2 * len(chunks))


def test_the_stream_has_no_more_readers_than_dynamodb_allows() -> None:
    events = [
        event["Properties"]
        for resource in template()["Resources"].values()
        for event in (resource.get("Properties", {}).get("Events") or {}).values()
        if event["Type"] == "DynamoDB"
    ]
    assert 0 < len(events) <= quotas.value("dynamodb.stream-readers")


# ---------------------------------------------------------------- capacities


@pytest.mark.parametrize("one", LIMITS, ids=lambda one: one.name)
def test_a_limit_is_reached_at_its_capacity_and_not_before(one: Limit) -> None:
    load, stack = Load.of(1000.0), Stack.of()
    found = capacity(one, load, stack)
    if found is None:
        assert one.use(load.at(1e6), stack) <= 1
    else:
        assert one.use(load.at(found), stack) <= 1 < one.use(load.at(found * 1.001), stack)


@given(rates, st.integers(1, 2000), st.sampled_from([one.name for one in LIMITS]))
def test_no_limit_is_used_less_by_more_images(rate: float, lines: int, name: str) -> None:
    stack, load = Stack.of(), Load(rate, lines=lines)
    # The stream gets more shards with the load, by steps, and each takes its share.
    steps = (
        2.0
        if name in ("alert_shards", "track_shards", "counters", "counter_conflicts", "lambda_account", "logs")
        else 1.0
    )
    assert limit(name).use(load.at(rate * 10), stack) * steps >= limit(name).use(load, stack) * (1 - 1e-9)


def test_known_limits_are_reached_where_a_person_computes_them() -> None:
    load, stack = Load(100.0, lines=10), Stack.of()
    # 1,000 write units; a record in a line's feed is one, twice in a transaction; ten lines.
    assert capacity(limit("feed"), load, stack) == pytest.approx(5000, rel=1e-4)
    # 10 e-mails a second, 2 % defects.
    assert capacity(limit("sns_email"), load, stack) == pytest.approx(500, rel=1e-4)
    # Two instances of 600 images a minute.
    assert capacity(limit("endpoint_instances"), load, stack) == pytest.approx(20, rel=1e-4)
    # Four shards, so many alerts of half a second at a time, 5 % of the images.
    at_once = 4 * stack.alert_parallel
    assert capacity(limit("alert_shards"), load, stack) == pytest.approx(at_once / 0.5 / 0.05, rel=1e-4)
    # Ten batches of ten at a time.
    assert capacity(limit("inspect_concurrency"), load, stack) == pytest.approx(
        100 / stack.batch_seconds, rel=1e-4
    )


def test_a_region_s_own_quota_counts() -> None:
    few, many = Load.of(1.0, region="eu-central-1"), Load.of(1.0, region="us-east-1")
    assert capacity(limit("sns_publish"), few, Stack.of()) == pytest.approx(1500 / 0.02, rel=1e-4)
    assert capacity(limit("sns_publish"), many, Stack.of()) == pytest.approx(30000 / 0.02, rel=1e-4)


# ---------------------------------------------------------------- plans


@given(
    rates, st.sampled_from(["ml.g5.xlarge", "ml.m5.large", "ml.c5.9xlarge"]), st.floats(1, 1000) | st.none()
)
def test_the_template_accepts_what_is_proposed_and_nothing_that_a_setting_lifts_remains(
    rate: float, instance: str, measured: float | None
) -> None:
    found = plan(Load.of(rate), {"HostingInstanceType": instance}, measured)
    bounds = template()["Parameters"]
    for name, value in found.settings.items():
        if "MaxValue" in bounds[name]:
            assert int(bounds[name].get("MinValue", 0)) <= int(value) <= int(bounds[name]["MaxValue"])
        else:
            assert re.match(bounds[name]["AllowedPattern"], value)
    at_bound = {name for name, value in found.settings.items() if value == str(bounds[name].get("MaxValue"))}
    for one in found.remaining:
        if one.limit.by == "setting" and one.limit.name != "comparison":
            assert any(name in one.limit.lift for name in at_bound), one


@pytest.mark.parametrize("rate", DECADES)
def test_the_price_is_that_of_loupe_cost_for_the_same_work(rate: float) -> None:
    load = Load.of(rate)
    found = plan(load)
    work = Workload.of(
        rate * 86_400, "us-east-1", found.settings, stations=load.places, instances=found.instances
    )
    assert found.dollars == pytest.approx(estimate(work).per_thousand)


def test_ten_thousand_images_a_second_need_several_stacks_and_a_hundred_one() -> None:
    assert plan(Load.of(100.0)).stacks == 1
    many = plan(Load.of(10_000.0))
    assert many.stacks is not None
    assert many.stacks > 1
    part = plan(Load.of(10_000.0 / many.stacks, lines=math.ceil(1000 / many.stacks)))
    left = {
        one.limit.name for one in part.remaining if parallelization(one.limit, part.load, part.stack) is None
    }
    assert left <= {"sns_email", "new_table_writes", "comparison"}


def test_one_line_that_is_too_fast_cannot_be_divided() -> None:
    assert plan(Load(10_000.0, lines=1)).stacks is None


@settings(max_examples=20)
@given(rates)
def test_more_images_cost_no_less_altogether(rate: float) -> None:
    assert plan(Load.of(rate * 2)).dollars_a_month >= plan(Load.of(rate)).dollars_a_month


def test_the_bill_counts_the_counters_of_each_station_and_no_batch_above_its_size() -> None:
    def units(rate: float, stations: int) -> float:
        work = Workload.of(rate * 86_400, "us-east-1", stations=stations)
        return next(one.quantity for one in usages(work) if one.item == "dynamodb.write")

    def more(rate: float, stations: int) -> float:
        # What stations add besides the minute's note of when each was seen.
        return units(rate, stations) - units(rate, 1) - (stations - 1) * 730 * 60

    assert more(0.1, 100) / (0.1 * 86_400 * 365 / 12) < 4
    # At 1,000 images/s, ten batches of a hundred a second: each of 63 of a hundred stations, 4 units each.
    assert more(1000.0, 100) / (365 / 12 * 86_400) == pytest.approx(
        10 * 4 * (100 * (1 - 0.99**100) - 1), rel=1e-6
    )


# ---------------------------------------------------------------- the command


def test_the_command_prints_a_row_for_each_decade_and_what_lifts_each_limit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert bench_scale.main([]) == 0
    shown = capsys.readouterr().out
    for text in ("1 images/s", "10,000 images/s", "EndpointMaxInstances=100", "InspectConcurrency=32"):
        assert text in shown


def test_the_command_prints_every_limit_for_one_rate(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_scale.main(["--rate", "250", "--size", "400", "--defects", "1", "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    (found,) = document["plans"]
    assert {row["name"] for row in found["limits"]} == {one.name for one in LIMITS}
    assert (found["image_mb"], found["failing"]) == (0.4, 0.01)
    assert all(row["quota"]["page"].startswith("https://") for row in found["limits"] if row["quota"])


@pytest.mark.parametrize("instance", ["ml.none.large", "ml.m5.24xlarge", "m5", "ml.p3.2xlarge"])
def test_an_instance_without_a_price_or_support_is_refused_with_a_hint(
    instance: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench_scale.main(["--instance", instance]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("loupe: ")
    assert second.startswith(" " * 7)


@pytest.mark.parametrize(
    "options",
    [["--rate", "0"], ["--defects", "120"], ["--lines", "0"], ["--rate", "many"], ["--rate", "nan"]],
)
def test_a_figure_that_cannot_be_is_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench_scale.main(options)
    assert stopped.value.code == 2


# ---------------------------------------------------------------- the page


@pytest.mark.parametrize(
    ("command", "printed"),
    re.findall(r"```\n\$ loupe bench scale ?([^\n]*)\n(.*?)```", page.PAGE.read_text(), re.S),
)
def test_the_page_shows_what_the_command_prints(
    command: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Write it anew: python -m docs.scale"""
    assert bench_scale.main(command.split()) == 0
    shown = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()).strip()
    assert shown == printed.strip()


def test_the_tables_and_the_chart_of_the_page_are_current() -> None:
    """Write them anew: python -m docs.scale"""
    text = page.PAGE.read_text("utf-8")
    assert page.with_tables(text) == text
    assert page.CHART.read_text("utf-8") == page.chart()


def test_the_figures_in_the_page_s_sentences_are_those_of_the_model() -> None:
    text = page.PAGE.read_text("utf-8")
    found = {one.limit.name: one.capacity for one in limits(Load.of(1000.0), Stack.of())}
    assert f"enough for {found['comparison']:.2f} images/s" in text
    quarter = Stack.of({"ReconcileSchedule": "rate(15 minutes)"})
    assert f"goes to {capacity(limit('comparison'), Load.of(1.0), quarter):.0f} images/s" in text
    assert f"From {found['sns_email']:.0f} images/s on" in text
    assert "Begin with less than 1,900 images/s" in text
    assert 1900 < (found["new_table_writes"] or 0) < 2000
    assert "are twelve stacks" in text
    assert plan(Load.of(10_000.0)).stacks == 12
    assert "two stacks" in text
    assert plan(Load.of(1000.0)).stacks == 2
