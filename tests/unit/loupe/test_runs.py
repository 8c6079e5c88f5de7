"""The list of retraining runs, and what can be looked at before an approval."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loupe.stack import retraining
from loupe.stack.runs import runs
from loupe.stack.target import Target
from tests.unit.loupe.account import answering

BEGAN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PROMOTED = {
    "status": "SUCCEEDED",
    "decision": "promoted",
    "run": "0123456789ab",
    "reasons": ["ssdlite: mAP 0.600", "ssdlite: no class is worse"],
    "candidates": [{"map": 0.6, "image_auroc": 0.9}, {"map": None, "image_auroc": 0.98}, {"map": 0.4}],
    "package": "arn:aws:sagemaker:eu-central-1:123456789012:model-package/press/4",
    "rules": {"applied": True, "after": {"version": "0123456789ab-abcdef"}},
    "report": "s3://artefacts/reports/0123456789ab/report.html",
}
EXECUTIONS: dict[str, dict[str, Any]] = {
    "running": {"status": "RUNNING", "input": '{"trigger":"labels"}'},
    "failed": {"status": "FAILED", "input": "{}", "error": "LabelledDataError", "cause": "no labels yet"},
    "promoted": {"status": "SUCCEEDED", "input": '{"trigger":"schedule"}', "output": json.dumps(PROMOTED)},
    "odd": {"status": "SUCCEEDED", "input": "[]", "output": "3"},
}


def _described(request: dict[str, Any]) -> dict[str, Any]:
    name = request["executionArn"]
    number = list(EXECUTIONS).index(name)
    description = {"executionArn": name, "startDate": BEGAN - timedelta(days=number), **EXECUTIONS[name]}
    ended = {} if name == "running" else {"stopDate": BEGAN - timedelta(days=number) + timedelta(hours=1)}
    return description | ended


def _listed(request: dict[str, Any]) -> dict[str, Any]:
    names = list(EXECUTIONS)
    start = int(request.get("nextToken", 0))
    rest = {"nextToken": str(start + 2)} if start + 2 < len(names) else {}
    return {"executions": [{"executionArn": name} for name in names[start : start + 2]], **rest}


def test_runs_come_newest_first_with_their_decision_and_why(stack: Target):
    with answering(stack, "stepfunctions", ListExecutions=_listed, DescribeExecution=_described):
        running, failed, promoted, odd = runs(stack)
        assert [run.execution for run in runs(stack, limit=1)] == ["running"]
    assert (running.status, running.ended, running.trigger) == ("RUNNING", None, "labels")
    assert (failed.decision, failed.why, failed.trigger) == (None, "no labels yet", "hand")
    assert (promoted.run, promoted.decision, promoted.version, promoted.map) == (
        "0123456789ab",
        "promoted",
        4,
        0.6,
    )
    assert (promoted.image_auroc, failed.image_auroc) == (0.98, None)
    assert (promoted.trigger, promoted.why) == ("schedule", "ssdlite: mAP 0.600")
    assert (promoted.rules, promoted.report) == ("0123456789ab-abcdef", PROMOTED["report"])
    assert odd.decision is None
    assert json.loads(json.dumps(promoted.document()))["started"] == "2026-02-28T08:00:00+00:00"


def test_the_evaluation_of_a_run_that_waits_is_found_and_downloaded(stack: Target, tmp_path: Path):
    uri = "s3://artefacts/reports/0123456789ab/ssdlite/evaluation.html"
    assert retraining.evaluation_page(stack, "0123456789ab") is None
    request = json.dumps({"token": "t", "run": "0123456789ab", "version": "4", "evaluation": uri})
    key = "retraining/approvals/0123456789ab.json"
    stack.s3.put_object(Bucket="artefacts", Key=key, Body=request.encode())
    assert retraining.evaluation_page(stack, "0123456789ab") == uri
    assert retraining.fetch_page(stack, uri, tmp_path) is None
    stack.s3.put_object(
        Bucket="artefacts", Key="reports/0123456789ab/ssdlite/evaluation.html", Body=b"<html>"
    )
    file = retraining.fetch_page(stack, uri, tmp_path)
    assert file == tmp_path / "0123456789ab" / "ssdlite" / "evaluation.html"
    assert file.read_bytes() == b"<html>"
