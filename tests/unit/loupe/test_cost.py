"""`loupe cost`: the estimate, its prices, the choices, and the page that shows it."""

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from contract.instances import instance
from localcloud.sources import REPOSITORY
from loupe import cli
from loupe.cost.choices import choices, shift_hours
from loupe.cost.estimate import Estimate, estimate, hourly
from loupe.cost.prices import REFERENCE_REGION, Prices
from loupe.cost.refresh import refresh
from loupe.cost.training_costs import training_costs
from loupe.cost.usage import usages
from loupe.cost.workload import Workload, defaults, memory_gb, template

PAGE = REPOSITORY / "docs/cost.md"
REGIONS = ("us-east-1", "eu-central-1")


def work(images: float = 20_000, region: str = "us-east-1", **changes: Any) -> Workload:
    parameters = changes.pop("parameters", {})
    return Workload.of(images, region, parameters, **changes)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.run(["cost", *arguments])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


# ---------------------------------------------------------------- prices


def test_every_price_says_where_when_and_of_which_region_it_is() -> None:
    for price in Prices.recorded().by_item.values():
        assert price.page.startswith("https://"), price
        assert date(2023, 1, 1) <= date.fromisoformat(price.as_of) <= date(2026, 12, 31), price
        assert price.region in REGIONS
        assert price.price > 0


@pytest.mark.parametrize("region", REGIONS)
def test_whatever_the_estimate_counts_has_a_price(region: str) -> None:
    whole = work(region=region, tuning_jobs=8, training_type="ml.c5.4xlarge", image_mb=8.0)
    assert {line.item for line in estimate(whole).lines} == {usage.item for usage in usages(whole)}


def test_the_template_s_instances_have_a_recorded_price() -> None:
    chosen = defaults()
    prices = Prices.recorded()
    for use, parameter in (
        ("endpoint", "HostingInstanceType"),
        ("training", "TrainingInstanceType"),
        ("processing", "EvaluationInstanceType"),
    ):
        assert prices.instance(use, chosen[parameter], REFERENCE_REGION).price > 0


def test_instances_with_a_price_are_those_that_can_run_the_images() -> None:
    for name in Prices.recorded().instance_types(REFERENCE_REGION):
        assert instance(name)


def test_a_region_without_a_price_takes_another_s_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    found = estimate(work(region="ap-southeast-2"))
    assert found.dollars == pytest.approx(estimate(work()).dollars)
    assert {price.region for price in found.foreign()} == {REFERENCE_REGION}
    _, out, _ = run(capsys, "--images-per-day", "10", "--region", "ap-southeast-2")
    assert "No price of ap-southeast-2 is recorded for SageMaker (instance.ml.g5.xlarge)" in out


def test_newer_prices_of_a_file_replace_the_recorded_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {
        "service": "SageMaker",
        "item": "endpoint.ml.g5.xlarge",
        "region": "us-east-1",
        "price": 2.816,
        "per": 1,
    }
    document = {
        "sources": {"mine": {"page": "https://example.com/list", "as_of": "2027-01-01"}},
        "prices": [row | {"unit": "hours", "source": "mine"}],
    }
    (tmp_path / "newer.json").write_text(json.dumps(document))
    arguments = ("--images-per-day", "10", "--region", "us-east-1", "--json")
    _, before, _ = run(capsys, *arguments)
    _, after, _ = run(capsys, *arguments, "--prices", str(tmp_path / "newer.json"))
    services = json.loads(after)["services"]["SageMaker"], json.loads(before)["services"]["SageMaker"]
    assert services[0] - services[1] == pytest.approx(730 * 1.408)
    (line,) = [line for line in json.loads(after)["lines"] if line["item"] == "endpoint.ml.g5.xlarge"]
    assert (line["price"]["as_of"], line["price"]["page"]) == ("2027-01-01", "https://example.com/list")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"prices": []}',
        '{"sources": {}, "prices": [{"item": "s3.put"}]}',
        '{"sources": {}, "prices": 3}',
        '{"sources": {"s": {"page": "p", "as_of": "d"}}, "prices": [{"service": "S3", "item": "s3.put", '
        '"region": "r", "price": -1, "per": 1, "unit": "u", "source": "s"}]}',
        '{"sources": {"s": {"page": "p", "as_of": "d"}}, "prices": [{"service": "S3", "item": "s3.put", '
        '"region": "r", "price": NaN, "per": 1, "unit": "u", "source": "s"}]}',
    ],
)
def test_a_file_that_has_no_prices_is_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text(text)
    status, out, err = run(capsys, "--images-per-day", "10", "--prices", str(tmp_path / "bad.json"))
    assert (status, out) == (1, "")
    assert re.match(r"loupe: .*bad\.json.*\n {7}\S", err)


def test_an_instance_without_a_price_is_named_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "--images-per-day", "10", "--instance", "ml.p5.48xlarge")
    assert status == 1
    assert "no price of ml.p5.48xlarge for endpoint is recorded" in err
    assert "--refresh" in err


class PriceList:
    """The Price List API, with one page of products for each service."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def get_paginator(self, operation: str) -> "PriceList":
        assert operation == "get_products"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        self.asked.append(request)
        filters = {entry["Field"]: entry["Value"] for entry in request["Filters"]}
        products = {
            "AmazonSageMaker": [
                self.product({"instanceName": "ml.g5.xlarge", "component": "Hosting"}, ("0", "1.9")),
                self.product({"instanceType": "ml.g5.2xlarge-Hosting", "component": "Hosting"}, ("0", "2.1")),
            ]
            if filters.get("component") == "Hosting"
            else [],
            "AmazonS3": [
                self.product({"usagetype": "EUC1-Requests-Tier1"}, ("0", "0.0000055")),
                self.product({"usagetype": "EUC1-EUW1-Requests-Tier1"}, ("0", "9")),
            ],
            "AmazonDynamoDB": [
                self.product({"usagetype": "EUC1-TimedStorage-ByteHrs"}, ("25", "0.31"), ("0", "0.0"))
            ],
        }
        return [{"PriceList": [json.dumps(product) for product in products.get(request["ServiceCode"], [])]}]

    def product(self, attributes: dict[str, str], *tiers: tuple[str, str]) -> dict[str, Any]:
        dimensions = {
            str(number): {"beginRange": begin, "pricePerUnit": {"USD": usd}}
            for number, (begin, usd) in enumerate(tiers)
        }
        terms = {"OnDemand": {"term": {"priceDimensions": dimensions}}}
        return {"product": {"attributes": attributes}, "terms": terms}


def test_prices_of_today_are_read_into_a_file_that_the_estimate_takes(tmp_path: Path) -> None:
    api, file = PriceList(), tmp_path / "today.json"
    assert refresh(file, "eu-central-1", api) == 4
    prices = Prices.load([file])
    assert prices.instance("endpoint", "ml.g5.xlarge", "eu-central-1").price == 1.9
    assert prices.instance("endpoint", "ml.g5.2xlarge", "eu-central-1").price == 2.1
    assert prices.need("s3.put", "eu-central-1").of(1000) == pytest.approx(0.0055)
    assert prices.need("dynamodb.storage", "eu-central-1").price == 0.31
    assert all({"regionCode"} <= {entry["Field"] for entry in request["Filters"]} for request in api.asked)


# ---------------------------------------------------------------- the estimate


def test_the_parts_are_the_whole() -> None:
    found = estimate(work())
    assert sum(found.services().values()) == pytest.approx(found.dollars)
    assert found.per_thousand == pytest.approx(found.dollars / found.work.images * 1000)


def test_an_endpoint_costs_its_hours_times_its_instances() -> None:
    found = estimate(work(instances=3, endpoint_hours=84.0, region="us-east-1"))
    assert found.part("endpoint.ml.") == pytest.approx(3 * 365 * 1.408)


def test_what_an_image_costs_does_not_depend_on_how_many_come() -> None:
    def variable(images: float) -> float:
        idle = estimate(work(0, dashboards=0)).dollars
        return estimate(work(images, dashboards=0)).dollars - idle

    # But for batches: the more images a second, the fewer batches.
    assert variable(20_000) / 20_000 == pytest.approx(variable(2_000) / 2_000, rel=0.1)


def test_more_images_need_more_instances_up_to_the_limit() -> None:
    assert work(20_000).running_instances == 1
    assert work(1_000_000, parameters={"EndpointMaxInstances": "4"}).running_instances == 2
    heavy = work(10_000_000, parameters={"EndpointMaxInstances": "4"})
    assert (heavy.running_instances, heavy.overloaded) == (4, True)


def test_an_image_stays_in_the_bucket_after_its_expiry_as_a_former_version() -> None:
    """As long as the template's rule for former versions says."""
    rules = template()["Resources"]["ImagesBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (kept,) = [
        rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        for rule in rules
        if "NoncurrentVersionExpiration" in rule
    ]
    days = 100 if isinstance(kept, dict) else kept
    assert work(parameters={"ImageRetentionDays": "100"}).image_days == 100 + days


def test_an_image_that_is_too_large_for_a_request_is_read_by_the_container() -> None:
    small, large = ({usage.item: usage.quantity for usage in usages(work(image_mb=mb))} for mb in (6.0, 6.5))
    assert large["s3.get"] - small["s3.get"] == pytest.approx(work().images)
    assert large["endpoint.data"] < small["endpoint.data"] / 1000


def test_memory_is_that_of_the_template() -> None:
    assert (memory_gb("InspectFunction"), memory_gb("TrackFunction")) == (1.0, 0.5)


def test_an_hour_without_images_costs_the_endpoint_and_little_more() -> None:
    idle = hourly({"HostingInstanceType": "ml.g5.xlarge", "EndpointMinInstances": "2"}, "us-east-1")
    assert idle.endpoint == pytest.approx(2 * 1.408)
    assert idle.endpoint < idle.dollars < idle.endpoint + 0.05
    assert idle.dollars == pytest.approx(idle.endpoint + idle.rest)


# ---------------------------------------------------------------- choices


def found_choices(found: Estimate) -> dict[str, Any]:
    return {choice.name: choice for choice in choices(found, Prices.recorded())}


def test_each_choice_saves_what_the_estimate_with_it_is_less() -> None:
    found = estimate(work(hours_per_day=16.0, days_per_week=5.0, parameters={"EndpointMinInstances": "2"}))
    chosen = found_choices(found)
    assert set(chosen) == {
        "shifts",
        "one_instance",
        "smaller_instance",
        "cpu_instance",
        "spot_training",
        "fewer_days",
        "smaller_images",
    }
    for choice in chosen.values():
        assert choice.saves > 0
        assert choice.dollars == pytest.approx(found.dollars - choice.saves)
        assert choice.trade
        assert choice.how
    shifts = estimate(replace(found.work, endpoint_hours=shift_hours(16, 5)))
    assert chosen["shifts"].dollars == pytest.approx(shifts.dollars)


def test_who_already_stops_at_night_is_not_told_to() -> None:
    found = estimate(work(hours_per_day=16.0, days_per_week=5.0, endpoint_hours=shift_hours(16, 5)))
    assert "shifts" not in found_choices(found)


def test_a_cheap_instance_has_no_cheaper_one() -> None:
    assert not {"smaller_instance", "cpu_instance"} & set(
        found_choices(estimate(work(instance_type="ml.m5.large")))
    )


def test_the_endpoint_starts_before_each_shift_unless_there_is_one_only() -> None:
    assert (shift_hours(16, 5), shift_hours(24, 7)) == (81.25, 168)


# ---------------------------------------------------------------- training


def test_our_training_times_are_those_of_the_benchmarks() -> None:
    page = (REPOSITORY / "docs/benchmarks.md").read_text()
    for row in training_costs()["ours"]["rows"]:
        low, high = row["minutes"]
        lines = [line for line in page.splitlines() if row["model"] in line.replace("`", "")]
        assert any(
            f"{row['map']:.3f}" in line and f"{high} min" in line and str(low) in line for line in lines
        ), row
        assert "dollars" not in row  # measured on a CPU only


# ---------------------------------------------------------------- the command


def test_how_many_images_must_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys)
    assert status == 2
    assert "--images-per-day" in err


def test_shares_above_the_whole_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "--images-per-day", "9", "--failing", "0.7", "--review", "0.4")
    assert status == 2
    assert "more than all images" in err


def test_json_has_every_line_with_its_dated_price(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--images-per-day", "20000", "--region", "eu-central-1", "--json")
    document = json.loads(out)
    assert document["dollars_a_month"] == pytest.approx(
        sum(line["dollars_a_month"] for line in document["lines"]), abs=0.01
    )
    assert all(
        {"price", "per", "region", "as_of", "page", "note"} == set(line["price"])
        for line in document["lines"]
    )
    assert [row["dollars"] for row in document["training"]["origin"]["rows"]] == [1.5, 30.6, 4.6, 92]
    assert document["stack"] is None
    assert document["choices"]


@pytest.mark.parametrize("images", ["0", "1", "100000000"])
def test_any_number_of_images_has_an_estimate(images: str, capsys: pytest.CaptureFixture[str]) -> None:
    for options in ((), ("--json",), ("--details",)):
        status, out, _ = run(capsys, "--images-per-day", images, "--dashboards", "0", *options)
        assert status == 0
        assert "nan" not in out.lower().replace("finance", "")


@pytest.mark.parametrize(
    ("command", "printed"),
    re.findall(r"```\n\$ loupe ([^\n]+)\n(.*?)```", PAGE.read_text(), re.S) if PAGE.is_file() else [],
)
def test_the_page_shows_what_the_command_prints(
    command: str, printed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Write it anew: python -m docs.cost"""
    monkeypatch.delenv("AWS_REGION", raising=False)
    assert cli.run(command.split()) == 0
    shown = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()).strip()
    assert shown == printed.strip()
