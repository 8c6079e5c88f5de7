"""The commands of retraining, as a person or a program calls them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from loupe import cli
from loupe.commands import program_runner, retraining
from loupe.errors import LoupeError
from loupe.stack import labelled_data
from loupe.stack.labelled_data import ProgramCall
from loupe.stack.target import Target
from loupe.views.run_result import show_result
from tests.unit.loupe.account import answering
from tests.unit.loupe.executions import ARN, PLAN, Recorder, described, history
from tests.unit.loupe.serving_stack import Stack

REPORT = "s3://artefacts/reports/0123456789ab/report.html"
DONE: dict[str, Any] = {
    "status": "SUCCEEDED",
    "decision": "kept",
    "run": "0123456789ab",
    "reasons": ["no candidate is surely better than the champion"],
    "candidates": [
        {
            "id": "ssdlite",
            "family": "ssdlite",
            "tuned": False,
            "map": 0.4123,
            "map_interval": [0.371, 0.455],
            "map50": 0.78,
            "seconds": 4020.4,
            "cost_usd": 1.234,
            "promotable": False,
            "for": ["mAP is 0.021 above the champion's"],
            "against": ["the interval of the difference holds 0"],
            "error": None,
        },
        {
            "id": "dfine_nano-tuned",
            "family": "dfine_nano",
            "tuned": True,
            "map": None,
            "map_interval": None,
            "map50": None,
            "seconds": None,
            "cost_usd": None,
            "promotable": False,
            "for": [],
            "against": ["NonFiniteLossError: [epoch 2]"],
            "error": "NonFiniteLossError: [epoch 2]",
        },
    ],
    "champion_before": "press-1",
    "champion": {"map": 0.391, "map_interval": [0.35, 0.43], "map50": 0.7, "family": "ssdlite"},
    "cost_usd": 1.234,
    "report": REPORT,
}

Command = Callable[..., Result]


@pytest.fixture
def loupe(stack: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """The command `loupe` with this stack, in an empty folder."""
    monkeypatch.setattr(Target, "aws", lambda name: stack)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli.app, [*arguments, "--stack", "press"])


def _execution(target: Target, status: str = "SUCCEEDED", **members: Any) -> Any:
    recorder = Recorder()
    recorder.through("Task", "Plan", {"run": PLAN["run"]})
    return answering(
        target,
        "stepfunctions",
        StartExecution=lambda request: {"executionArn": ARN},
        DescribeExecution=described(status, **members),
        GetExecutionHistory=history(recorder.events),
    )


def test_without_wait_a_run_is_started_and_the_command_to_follow_it_is_printed(loupe: Command, stack: Target):
    with _execution(stack):
        result, document = loupe("retrain"), loupe("retrain", "--json")
    assert result.exit_code == 0
    assert ARN in result.stdout
    assert "loupe retrain --follow --stack press" in result.stdout
    assert json.loads(document.stdout) == {"execution": ARN}


def test_a_laptop_without_torch_starts_nothing(
    loupe: Command, stack: Target, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(program_runner, "find_spec", lambda name: None)
    monkeypatch.setattr(retraining, "open_target", lambda *_: stack)
    result = CliRunner().invoke(cli.app, ["retrain"])
    assert isinstance(result.exception, LoupeError)
    assert "make dev" in result.exception.hint


def test_wait_with_json_prints_the_output_alone_and_the_progress_on_stderr(loupe: Command, stack: Target):
    with _execution(stack, output=json.dumps(DONE)):
        result = loupe("retrain", "--wait", "--json")
    assert json.loads(result.stdout) == DONE
    assert result.exit_code == 0
    assert "Plan: done in 1 s" in result.stderr


def test_wait_ends_with_the_table_the_decision_and_every_reason(loupe: Command, stack: Target):
    with _execution(stack, output=json.dumps(DONE)):
        text = loupe("retrain", "--wait").stdout
    assert re.search(r"0\.412 \[0\.371, 0\.455\] +0\.780 +1 h 7 min +\$1\.23 +not passed +no +ssdlite", text)
    assert re.search(r"- +- +- +- +failed +yes +dfine_nano", text)
    assert re.search(r"0\.391 \[0\.350, 0\.430\] +0\.700 +champion: press-1", text)
    assert "+ ssdlite: mAP is 0.021 above the champion's" in text
    assert "- ssdlite: the interval of the difference holds 0" in text
    assert text.count("- dfine_nano-tuned: NonFiniteLossError: [epoch 2]") == 1
    assert "Decision: kept" in text
    assert "no candidate is surely better than the champion" in text


def test_the_report_is_downloaded_with_the_pages_that_it_links(loupe: Command, stack: Target):
    for name in ("report.html", "ssdlite/evaluation.html", "ssdlite/evaluation.json"):
        stack.s3.put_object(Bucket="artefacts", Key=f"reports/0123456789ab/{name}", Body=b"<html>")
    with _execution(stack, output=json.dumps(DONE)):
        result = loupe("retrain", "--wait")
    folder = Path("loupe-reports/0123456789ab")
    assert (folder / "report.html").read_bytes() == b"<html>"
    assert [file.name for file in (folder / "ssdlite").iterdir()] == ["evaluation.html"]
    assert f"{folder}/report.html" in result.stdout


PROPOSAL = "s3://artefacts/reports/0123456789ab/ssdlite/rules.json"
RULES = {
    "applied": True,
    "reason": None,
    "before": {"version": "1"},
    "after": {"version": "0123456789ab-abcdef"},
    "notes": ["line-2 keeps its own fail_score 0.8 for dent"],
    "proposal": PROPOSAL,
}


def test_the_result_names_the_rules_that_went_into_force(capsys: pytest.CaptureFixture[str]):
    show_result(DONE | {"decision": "promoted", "rules": RULES})
    text = capsys.readouterr().out
    assert "Rules: 0123456789ab-abcdef with the model's operating points are in force; before: 1." in text
    assert "line-2 keeps its own fail_score 0.8 for dent" in text


def test_rules_that_are_not_in_force_come_with_the_command_for_this_target(
    capsys: pytest.CaptureFixture[str],
):
    refused = RULES | {"applied": False, "reason": "not allowed", "before": None, "after": None}
    show_result(DONE | {"decision": "promoted", "rules": refused}, " --stack press")
    text = capsys.readouterr().out
    assert "the model's operating points are not in force: not allowed" in text
    assert f"loupe rules set --scores {PROPOSAL} --stack press" in text


def test_the_figures_of_anomaly_models_are_those_of_whole_images(capsys: pytest.CaptureFixture[str]):
    images = {"image_auroc": 0.9812, "image_auroc_interval": [0.95, 1.0], "caught_at_zero_overkill": 0.9}
    anomaly = DONE["candidates"][0] | {"kind": "anomaly", "map": None, "map50": None, **images}
    detector = {"kind": "detector", "map": None, "map50": None, "image_auroc": 0.8}
    show_result(DONE | {"candidates": [anomaly], "champion": detector})
    text = capsys.readouterr().out
    assert re.search(r"0\.981 \[0\.950, 1\.000\] +90\.0 % +1 h 7 min", text)
    assert re.search(r"0\.800 +- +champion: press-1", text)
    assert "mAP50" not in text
    # Both measures where both kinds are, and no whole images where there are detectors alone.
    show_result(DONE | {"candidates": [*DONE["candidates"], anomaly]})
    both = capsys.readouterr().out
    show_result(DONE)
    assert ("mAP50" in both, "AUROC" in both, "AUROC" in capsys.readouterr().out) == (True, True, False)


def test_the_text_of_a_result_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]):
    show_result({"status": "FAILED", "error": "[red]Odd[/]", "cause": "[b]no[/b] labels"})
    text = capsys.readouterr().out
    assert "FAILED [red]Odd[/]" in text
    assert "[b]no[/b] labels" in text


def test_a_missing_report_does_not_change_the_result(loupe: Command, stack: Target):
    with _execution(stack, output=json.dumps(DONE)):
        result = loupe("retrain", "--wait", "--json")
    assert result.exit_code == 0
    assert f"{REPORT}, which cannot be read" in result.stderr
    assert not Path("loupe-reports").exists()


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_a_run_without_success_exits_with_1_and_its_cause(loupe: Command, stack: Target, status: str):
    with _execution(stack, status, error="LabelledDataError", cause="no labelled data [yet]"):
        plain, document = loupe("retrain", "--wait"), loupe("retrain", "--wait", "--json")
    assert (plain.exit_code, document.exit_code) == (1, 1)
    assert "no labelled data [yet]" in plain.stdout
    assert json.loads(document.stdout) == {
        "status": status,
        "error": "LabelledDataError",
        "cause": "no labelled data [yet]",
    }


def test_a_run_that_found_another_shows_how_to_follow_that_one(loupe: Command, stack: Target):
    output = {
        "status": "SUCCEEDED",
        "decision": "already_running",
        "reasons": ["another run is in progress: arn:…"],
    }
    with _execution(stack, output=json.dumps(output)):
        result = loupe("retrain", "--wait")
    assert result.exit_code == 0
    assert "already running" in result.stdout
    assert "another run is in progress: arn:…" in result.stdout
    assert "loupe retrain --follow" in result.stdout


def test_ctrl_c_does_not_stop_the_run_and_shows_how_to_stop_it(loupe: Command, stack: Target):
    def interrupt(request: dict[str, Any]) -> Any:
        raise KeyboardInterrupt

    def started(request: dict[str, Any]) -> Any:
        return {"executionArn": ARN}

    with answering(stack, "stepfunctions", StartExecution=started, DescribeExecution=interrupt):
        result = loupe("retrain", "--wait", "--json")
    assert (result.exit_code, result.stdout) == (130, "")
    assert "The run continues" in result.stderr
    assert "loupe retrain --stop --stack press" in result.stderr
    assert f"aws stepfunctions stop-execution --execution-arn {ARN}" in result.stderr


@pytest.mark.parametrize("more", [["--wait"], ["--force"], ["--stop"], ["--families", "ssdlite"]])
def test_follow_starts_nothing_so_it_accepts_no_other_option(loupe: Command, more: list[str]):
    with pytest.raises(LoupeError, match="start nothing"):
        raise loupe("retrain", "--follow", *more).exception or AssertionError


def test_jobs_without_tune_is_refused(loupe: Command):
    with pytest.raises(LoupeError, match="--jobs") as caught:
        raise loupe("retrain", "--jobs", "3").exception or AssertionError
    assert caught.value.hint == "Add --tune."


def test_an_empty_registry_shows_what_to_do(loupe: Command, stack: Target):
    text = loupe("models").stdout
    assert "loupe import PATH" in text
    assert "no endpoint yet" in text
    assert json.loads(loupe("models", "--json").stdout) == {
        "group": "press",
        "endpoint_model": None,
        "endpoint_trial": None,
        "versions": [],
    }


def test_an_answer_to_a_run_is_confirmed(loupe: Command, stack: Target):
    request = {"token": "t", "run": "0123456789ab", "version": 3, "requested_at": "2026-03-02T08:00:00Z"}

    def ask() -> None:
        key = "retraining/approvals/0123456789ab.json"
        stack.s3.put_object(Bucket="artefacts", Key=key, Body=json.dumps(request).encode())

    def taken(request: dict[str, Any]) -> Any:
        return {}

    with answering(stack, "stepfunctions", SendTaskSuccess=taken, SendTaskFailure=taken):
        ask()
        approved = loupe("approve", "3", "--json")
        ask()
        rejected = loupe("reject", "3", "--reason", "slow")
    document = json.loads(approved.stdout)
    assert document == {"run": "0123456789ab", "version": 3, "answer": "approved", "evaluation": None}
    assert "Version 3 of run 0123456789ab is rejected" in rejected.stdout


def test_a_decision_about_a_version_of_the_sdk_is_confirmed_with_how_to_serve_it(
    loupe: Command, press: Stack
):
    for name in ("a", "b", "c"):
        press.register(name, "PendingManualApproval")
    assert json.loads(loupe("approve", "1", "--json").stdout) == {
        "run": None, "version": 1, "answer": "approved", "evaluation": None
    }  # fmt: skip
    assert "Version 2 is approved in the registry" in (approved := loupe("approve", "2").stdout)
    assert "loupe rollback 2 --stack press" in approved
    assert "Version 3 is rejected in the registry" in loupe("reject", "3").stdout
    statuses = [version["status"] for version in json.loads(loupe("models", "--json").stdout)["versions"]]
    assert statuses == ["Rejected", "Approved", "Approved"]


def test_a_data_set_that_does_not_exist_starts_no_run(loupe: Command, stack: Target):
    refused = loupe("retrain", "--dataset", "bottles").exception
    assert isinstance(refused, LoupeError)
    assert (str(refused), refused.hint) == (
        "there is no data set 'bottles'",
        "Import one: loupe import PATH --dataset bottles",
    )
    stack.s3.put_object(Bucket="artefacts", Key="labelled/snapshots/press-2/aa.json", Body=b"{}")
    stack.s3.put_object(Bucket="artefacts", Key="labelled/snapshots/bb.json", Body=b"{}")
    refused = loupe("retrain", "--dataset", "bottles").exception
    assert isinstance(refused, LoupeError)
    assert refused.hint == "There are: default, press-2 (loupe datasets)."
    started: list[dict[str, Any]] = []
    with answering(
        stack,
        "stepfunctions",
        StartExecution=lambda request: started.append(request) or {"executionArn": ARN},
    ):
        loupe("retrain", "--dataset", "press-2")
    assert json.loads(started[0]["input"])["dataset"] == "press-2"


def test_import_passes_its_options_on_to_the_program(
    loupe: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    calls: list[tuple[str, list[str], Any]] = []
    monkeypatch.setattr(program_runner, "become_program", lambda *call: calls.append(call))
    result = loupe(
        "import", "--format", "voc", "data", f"--home={tmp_path}", "--labels", "a,b", "--json", "--dataset=b"
    )
    ((module, arguments, _),) = calls
    assert module == "training.imports"
    assert {"--format=voc", "--labels=a,b", "--json", "--dataset=b", "--out=s3://artefacts/labelled"} <= set(
        arguments
    )
    assert arguments[-2:] == ["--", "data"]
    assert result.stdout == ""


def test_export_passes_its_options_on_to_the_program(loupe: Command, monkeypatch: pytest.MonkeyPatch):
    calls: list[tuple[str, list[str], Any]] = []
    monkeypatch.setattr(program_runner, "become_program", lambda *call: calls.append(call))
    loupe("export", "--format", "yolo", "--json", "s3://factory/data", "out")
    ((module, arguments, _),) = calls
    assert module == "training.export"
    assert arguments == ["--format=yolo", "--json", "--", "s3://factory/data", "out"]


def test_import_requires_a_running_home_only_if_the_command_line_names_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    required: list[bool] = []
    monkeypatch.setattr(
        labelled_data, "prepare", lambda *arguments: required.append(arguments[3]) or ProgramCall([], {})
    )
    monkeypatch.setattr(program_runner, "become_program", lambda *call: None)
    monkeypatch.setenv("LOUPE_HOME", str(tmp_path))
    for arguments in (["data"], ["data", "--home", str(tmp_path)]):
        CliRunner().invoke(cli.app, ["import", *arguments])
    assert required == [False, True]
