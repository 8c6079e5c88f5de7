"""The report of a run: JSON, page and notice, and the note about the last run."""

import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from contract.keys import last_run
from retraining.documents import Documents
from retraining.report import Reporter, notice, page
from tests.unit.retraining.account import ENDPOINT, Account
from tests.unit.retraining.evaluations import evaluation, with_images
from tests.unit.retraining.memory import MemoryDocuments
from tests.unit.retraining.runs import DECISIONS, RUN, SNAPSHOT, candidate, failed, run

SERVING = f"{ENDPOINT}-{RUN}-abcdef"
BOTH = {"ssdlite": evaluation(0.6123), "dfine_nano-tuned": evaluation(0.5456)}


@pytest.fixture
def reporter(documents: Documents, account: Account) -> Reporter:
    account.deployed(SERVING)
    account.serve(SERVING)
    return Reporter(documents, documents.s3, account.sagemaker, ENDPOINT, "press-models", 3)


def result(reporter: Reporter, evaluations: dict[str, Any] = BOTH, **options: Any) -> dict[str, Any]:
    return reporter.finish(run(reporter.documents, evaluations, **options))


class Text(HTMLParser):
    """The visible text of a page, and its elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.visible, self.elements = "", list[str]()
        self.feed(html)
        self.visible = re.sub(r"\s+", " ", self.visible)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append(tag)

    def handle_data(self, data: str) -> None:
        self.visible += data


# ---------------------------------------------------------------- the result


def test_the_result_is_the_execution_s_output_and_is_stored_in_the_bucket(reporter: Reporter) -> None:
    report = result(reporter, champion=evaluation(0.5))
    assert report["status"] == "SUCCEEDED"
    assert (report["decision"], report["run"]) == ("promoted", RUN)
    assert report["reasons"][0].startswith("ssdlite: mAP 0.612, the champion's 0.500")
    assert (report["champion_before"], report["endpoint_model"]) == ("press-detector-before", SERVING)
    assert report["champion"]["map"] == 0.5
    assert report["report"] == f"s3://artefacts/reports/{RUN}/report.html"
    assert report["package"].endswith("/4")
    stored = reporter.documents.find(f"reports/{RUN}/report.json")
    assert stored is not None
    assert stored[0] == json.loads(json.dumps(report))


def test_the_report_contains_each_candidate_s_job_figures_cost_and_reasons(reporter: Reporter) -> None:
    first, second = result(reporter)["candidates"]
    assert first == {
        "id": "ssdlite",
        "family": "ssdlite",
        "tuned": False,
        "job": f"{RUN}-ssdlite",
        "artefact": f"s3://artefacts/models/{RUN}/ssdlite/output/model.tar.gz",
        "error": None,
        "kind": "detector",
        "image_auroc": None,
        "image_auroc_interval": None,
        "caught_at_zero_overkill": None,
        "map": 0.6123,
        "map_interval": pytest.approx((0.5923, 0.6323)),
        "map50": pytest.approx(0.8123),
        "escape_rate": {"value": 0.02, "interval": None, "count": None, "of": None},
        "overkill_rate": {"value": 0.05, "interval": None, "count": None, "of": None},
        "seconds": 4020,
        "instance_type": "ml.g5.xlarge",
        "cost_usd": 1.5723,
        "promotable": True,
        "for": first["for"],
        "against": [],
    }
    assert (second["family"], second["tuned"], second["promotable"]) == ("dfine_nano", True, True)


def test_the_run_costs_what_its_candidates_cost(reporter: Reporter) -> None:
    report = result(reporter)
    assert report["cost_usd"] == pytest.approx(2 * 4020 / 3600 * 1.408, abs=1e-3)
    assert report["prices_of"] == "2026-11-23"


def test_the_report_stores_what_the_next_run_compares_itself_with(reporter: Reporter) -> None:
    report = result(reporter)
    last = reporter.documents.find(last_run("default"))
    assert last is not None
    assert last[0] == {
        "run": RUN,
        "report": report["report"],
        "finished_at": report["finished_at"],
        "snapshot": SNAPSHOT,
        "settings": "fedcba987654",
    }


def test_the_report_names_its_data_set(reporter: Reporter) -> None:
    run = result(reporter)
    assert "\nData set: default\n" in notice(run)["message"]
    assert "Data set default, 200 images" in Text(page(run)).visible


def test_the_report_names_both_data_sets_if_the_champion_was_trained_on_another(reporter: Reporter) -> None:
    champion = evaluation(0.0, per_class={"bottle": 0.0})
    run = result(reporter, champion=champion, champion_dataset="bottles")
    note = (
        "the champion was trained on the data set bottles, this model on default: both were tested on the test "
        "images of default"
    )
    for text in (notice(run)["message"], Text(page(run)).visible):
        assert note in text
    same = result(reporter, champion=champion)
    assert "was trained on the data set" not in notice(same)["message"]


def test_a_failed_candidate_has_no_figures_and_no_cost(reporter: Reporter) -> None:
    candidates = [failed("ssdlite", "NonFiniteLossError: [epoch 2]"), candidate("dfine_nano-tuned")]
    report = result(reporter, {"dfine_nano-tuned": BOTH["dfine_nano-tuned"]}, candidates=candidates)
    first, second = report["candidates"]
    for figure in ("map", "map_interval", "map50", "seconds", "instance_type", "cost_usd", "artefact"):
        assert first[figure] is None
    assert (first["error"], first["against"]) == (
        "NonFiniteLossError: [epoch 2]",
        ["NonFiniteLossError: [epoch 2]"],
    )
    assert report["cost_usd"] == second["cost_usd"]
    assert "on ml.g5.xlarge by the price list" in Text(page(report)).visible


def test_a_run_in_which_every_candidate_failed_is_reported(reporter: Reporter) -> None:
    report = result(reporter, {}, decision="kept", candidates=[failed("ssdlite", "CapacityError")])
    assert (report["cost_usd"], report["prices_of"]) == (None, None)
    assert "No price is known" in Text(page(report)).visible
    assert "ssdlite: no figures" in notice(report)["message"]


@pytest.mark.parametrize("prices", [{"instances": {}}, {"instances": {"ml.p5.48xlarge": 98.0}}, None])
def test_without_a_price_there_is_no_cost(reporter: Reporter, prices: Any) -> None:
    document = evaluation(0.6)
    document["prices"] = prices
    if prices is None:
        del document["prices"]
    report = result(reporter, {"ssdlite": document})
    assert (report["cost_usd"], report["candidates"][0]["cost_usd"]) == (None, None)
    assert "No price is known" in Text(page(report)).visible


@pytest.mark.parametrize("text", ["{", "[]", None], ids=["damaged", "another document", "missing"])
def test_an_evaluation_that_the_gate_could_not_read_does_not_stop_the_report(
    account: Account, documents: Documents, text: str | None
) -> None:
    stored = MemoryDocuments({} if text is None else {f"reports/{RUN}/ssdlite/evaluation.json": text})
    finished_run = run(
        stored,
        {"dfine_nano": evaluation(0.6)},
        candidates=[candidate("ssdlite"), candidate("dfine_nano")],
        decision="kept",
    )
    report = Reporter(stored, documents.s3, account.sagemaker, ENDPOINT, "press-models", 3).finish(
        finished_run
    )
    assert [item["map"] for item in report["candidates"]] == [None, 0.6]
    assert report["candidates"][1]["cost_usd"]


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("champion", [None, evaluation(0.5)], ids=["first model", "champion"])
def test_every_decision_has_a_result_a_page_and_a_notice(
    reporter: Reporter, decision: str, champion: Any
) -> None:
    report = result(reporter, decision=decision, champion=champion)
    json.dumps(report, allow_nan=False)
    notified, visible = notice(report), Text(page(report)).visible
    headline = notified["message"].split(".")[0]
    assert headline in visible
    assert notified["subject"] == f"Loupe retraining {RUN}: {decision.replace('_', ' ')}"
    assert ("champion" in headline.lower()) == (champion is not None and decision != "promoted")


def test_only_a_promotion_deletes_former_models(reporter: Reporter, account: Account) -> None:
    for number in range(5):
        account.deployed(f"{ENDPOINT}-{number:012x}-{number:06x}", day=number - 10)
    for decision in ("kept", "rejected", "rolled_back"):
        result(reporter, decision=decision)
        assert len(account.models) == 6
    result(reporter, decision="promoted")
    assert len(account.models) == 4
    assert SERVING in account.models


def test_the_report_of_a_run_after_which_no_model_serves_says_so(
    reporter: Reporter, account: Account
) -> None:
    account.endpoints.clear()
    report = result(reporter, decision="kept")
    assert report["endpoint_model"] is None
    assert "Serving: no model" in notice(report)["message"]
    assert "Now serving: no model" in Text(page(report)).visible


# ---------------------------------------------------------------- the page


def test_the_page_is_stored_next_to_the_result_as_html(reporter: Reporter) -> None:
    report = result(reporter)
    stored = reporter.documents.s3.get_object(Bucket="artefacts", Key=f"reports/{RUN}/report.html")
    assert stored["ContentType"] == "text/html; charset=utf-8"
    assert stored["Body"].read().decode() == page(report)


def test_every_figure_of_the_result_is_on_the_page(reporter: Reporter) -> None:
    report = result(reporter, champion=evaluation(0.5321))
    visible = Text(page(report)).visible
    for model in (report["champion"], *report["candidates"]):
        low, high = model["map_interval"]
        assert f"{model['map']:.3f} [{low:.3f}, {high:.3f}]" in visible
        assert f"{model['map50']:.3f}" in visible
    for item in report["candidates"]:
        assert item["id"] in visible
        assert f"{item['seconds'] / 60:.1f} min" in visible
        assert f"${item['cost_usd']:.2f}" in visible
        for reason in (*item["for"], *item["against"]):
            assert reason in visible
    for name in ("images", "train", "validation", "test", "new_labels", "uri"):
        assert str(report["snapshot"][name]) in visible
    for name in ("run", "finished_at", "prices_of", "champion_before", "endpoint_model", "package"):
        assert report[name] in visible
    assert f"${report['cost_usd']:.2f}" in visible
    assert "dent, scratch" in visible


def test_the_report_of_an_anomaly_model_has_the_figures_of_whole_images(reporter: Reporter) -> None:
    family = "patchcore_efficientnet_lite0"
    report = result(reporter, {family: with_images("anomaly", 0.9812)}, champion=with_images("anomaly", 0.9))
    (model,) = report["candidates"]
    assert (model["kind"], model["map"], model["image_auroc"]) == ("anomaly", None, 0.9812)
    html = page(report)
    assert re.findall(r'href="([^"]*)"', html) == [f"{family}/evaluation.html"]
    visible = Text(html).visible
    assert "image AUROC on the test set" in visible
    assert "0.981 [0.961, 1.000]" in visible
    assert "90.1 %" in visible
    assert len(re.findall(r'<span style="width:[\d.]+%', html)) == 2
    assert f"{family}: image AUROC 0.981\n" in notice(report)["message"]
    assert report["cost_usd"], "the price list is that of an evaluation, whatever its kind"


def test_the_report_of_detectors_alone_has_no_column_of_whole_images(reporter: Reporter) -> None:
    assert "AUROC" not in page(result(reporter))


def test_the_page_links_each_evaluation_that_exists(reporter: Reporter) -> None:
    candidates = [candidate("ssdlite"), failed("dfine_nano", "CapacityError")]
    html = page(result(reporter, {"ssdlite": evaluation(0.6)}, candidates=candidates))
    assert re.findall(r'href="([^"]*)"', html) == ["ssdlite/evaluation.html"]


def test_bars_stay_within_their_column(reporter: Reporter) -> None:
    wide = evaluation(0.3, confidence={"map": [0.0, 0.9]})
    html = page(
        result(reporter, {"ssdlite": wide, "dfine_nano": evaluation(0.02)}, champion=evaluation(0.99))
    )
    places = re.findall(r"left:([\d.]+)%;width:([\d.]+)%", html)
    assert len(places) == 3
    assert all(float(left) + float(width) <= 100.05 for left, width in places)
    assert all(float(width) <= 100 for width in re.findall(r'span style="width:([\d.]+)%', html))


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_labels_and_errors_are_escaped_on_the_page(reporter: Reporter) -> None:
    plain = Text(page(result(reporter, champion=evaluation(0.5))))
    hostile = evaluation(0.6, unknown_classes=[HOSTILE])
    candidates = [candidate("ssdlite"), failed("dfine_nano", f"Error: {HOSTILE}")]
    given = run(reporter.documents, {"ssdlite": hostile}, candidates=candidates, decision="rejected")
    given["reasons"] = [f"not approved: {HOSTILE}"]
    given["plan"]["snapshot"]["labels"] = [HOSTILE]
    given["package"] = HOSTILE
    html = page(reporter.finish(given))
    shown = Text(html)
    assert set(shown.elements) <= set(plain.elements)
    assert "script" not in shown.elements
    assert shown.visible.count(HOSTILE) == 5


def test_the_page_shows_how_sure_the_escape_rate_is(reporter: Reporter) -> None:
    rates = {
        "escape_rate": {"value": 0.0, "interval": [0.0, 0.3363], "count": 0, "of": 9},
        "overkill_rate": {"value": 1.0, "interval": [0.7, 1.0], "count": 8, "of": 8},
    }
    report = result(reporter, {"ssdlite": evaluation(0.6, verdicts=rates)}, decision="kept")
    visible = Text(page(report)).visible
    assert "0.0 %[0.0, 33.6] of 9" in visible
    assert "100.0 %[70.0, 100.0] of 8" in visible
    assert "it fails every good image" in visible


def test_a_run_on_a_laptop_has_no_price(account: Account, documents: Documents) -> None:
    account.deployed(SERVING)
    account.serve(SERVING)
    local: Any = SimpleNamespace(
        meta=SimpleNamespace(endpoint_url="http://127.0.0.1:4566"),
        **{name: getattr(account.sagemaker, name) for name in ("describe_endpoint", "describe_model")},
        describe_endpoint_config=account.sagemaker.describe_endpoint_config,
        get_paginator=account.sagemaker.get_paginator,
    )
    report = result(Reporter(documents, documents.s3, local, ENDPOINT, "press-models", 3), decision="kept")
    assert (report["cost_usd"], report["candidates"][0]["cost_usd"]) == (None, None)
    assert "$" not in Text(page(report)).visible


# ---------------------------------------------------------------- the rules

APPLIED = {
    "applied": True,
    "reason": None,
    "before": {"version": "2026-03-02", "parameter_version": 3, "uri": "s3://artefacts/before"},
    "after": {"version": f"{RUN}-abcdef", "parameter_version": 5, "uri": "s3://artefacts/after"},
    "notes": ["line-2 keeps its own fail_score 0.7 for scratch"],
    "proposal": f"s3://artefacts/reports/{RUN}/ssdlite/rules.json",
}
NOT_APPLIED = APPLIED | {"applied": False, "reason": "the stack's parameter ApplyProposedRules is false"}


def test_the_report_names_the_rules_that_went_into_force_with_the_model(reporter: Reporter) -> None:
    report = result(reporter, rules=APPLIED)
    assert report["rules"] == APPLIED
    for text in (notice(report)["message"], Text(page(report)).visible):
        assert f"version {RUN}-abcdef with the model's operating points is in force" in text
        assert "before: 2026-03-02" in text
        assert "line-2 keeps its own fail_score 0.7" in text
        assert "loupe rules set" not in text


@pytest.mark.parametrize("failed", [False, True], ids=["not wanted", "failed"])
def test_if_the_operating_points_are_not_in_force_the_command_is_shown(
    reporter: Reporter, failed: bool
) -> None:
    rules = NOT_APPLIED | ({"reason": "AccessDenied", "before": None, "after": None} if failed else {})
    report = result(reporter, rules=rules)
    for text in (notice(report)["message"], Text(page(report)).visible):
        assert f"the model's operating points are not in force: {rules['reason']}" in text
        assert f"loupe rules set --scores s3://artefacts/reports/{RUN}/ssdlite/rules.json" in text


# ---------------------------------------------------------------- the notice


@pytest.mark.parametrize("decision", DECISIONS)
def test_sns_accepts_the_subject(reporter: Reporter, decision: str) -> None:
    """https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
    subject = notice(result(reporter, decision=decision))["subject"]
    assert re.fullmatch(r"[\x21-\x7e][\x20-\x7e]{0,98}", subject)


def test_the_notice_contains_each_candidate_s_reasons_the_serving_model_and_the_report(
    reporter: Reporter,
) -> None:
    slow = evaluation(0.6, latency={"p95_ms": 5000.0})
    report = result(reporter, {"ssdlite": evaluation(0.6), "dfine_nano": slow}, champion=evaluation(0.5))
    message = notice(report)["message"]
    assert "ssdlite: mAP 0.600" in message
    assert "  + mAP 0.600, the champion's 0.500: +0.100" in message
    assert "  - latency p95 5000 ms, the budget is 1000 ms" in message
    assert f"Serving: {SERVING}" in message
    assert report["report"] in message


def test_the_longest_notice_fits_into_a_message_of_sns(reporter: Reporter) -> None:
    candidates = [failed(f"family_{number}", "x" * 1024) for number in range(20)]
    report = result(reporter, {}, decision="kept", candidates=candidates)
    assert len(notice(report)["message"].encode()) < 256 * 1024
    assert len(json.dumps(report)) < 256 * 1024  # the limit of Step Functions, too
