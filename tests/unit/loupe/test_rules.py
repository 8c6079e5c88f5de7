"""`loupe rules`: show, check, set, restore, history."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from loupe import cli
from loupe.errors import LoupeError
from loupe.stack import rules
from loupe.stack.target import Target

Command = Callable[..., Result]
MINE: dict[str, Any] = {
    "version": "mine",
    "default": {"fail_score": 0.5, "review_score": 0.3, "severity": "major"},
    "classes": {"dent": {"severity": "critical", "smallest_area": 40}},
    "lines": {"line-2": {"dent": {"allowed_count": 2}}},
    "picture": {"least_sharpness": 12.5},
}
SCORES = {"version": "steel-1", "classes": {"dent": {"fail_score": 0.42, "review_score": 0.17}}}


@pytest.fixture
def loupe(stack: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.setattr(Target, "aws", lambda name: stack)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **options: CliRunner().invoke(
        cli.app, ["rules", *arguments, "--stack", "press"], **options
    )


def put(stack: Target, document: Any) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    stack.ssm.put_parameter(Name="/press/rules", Value=text, Type="String", Overwrite=True)


def in_force(stack: Target) -> dict[str, Any]:
    document = rules.history(stack)[0].document
    assert document is not None
    return document


def file(document: Any, name: str = "rules.json") -> str:
    Path(name).write_text(document if isinstance(document, str) else json.dumps(document))
    return name


def refusal(result: Result) -> LoupeError:
    assert isinstance(result.exception, LoupeError), result.output
    return result.exception


def test_show_prints_every_value_for_people_and_the_document_for_programs(loupe: Command, stack: Target):
    put(stack, MINE)
    text = " ".join(loupe("show").stdout.split())
    assert "Rules mine, in force since" in text
    assert "dent 0.5 0.3 40 – 0 critical" in text
    assert "every other class 0.5 0.3 0 – 0 major" in text
    assert "line-2 dent allowed 2" in text
    assert "A picture passes on every line with: least sharpness 12.5" in text
    assert json.loads(loupe("show", "--json").stdout) == MINE


def test_show_names_the_lines_with_zones_and_the_history_is_short_about_them(loupe: Command, stack: Target):
    half = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
    put(stack, MINE)
    zoned = MINE | {"version": "zoned", "zones": {"line-2": {"ignored": [half, half], "regions": [half]}}}
    assert loupe("set", file(zoned)).exit_code == 0
    assert "Detections on line-2 count by place: 1 region and 2 ignored zones" in loupe("show").stdout
    assert "zones.line-2.ignored – → 2 polygons" in " ".join(loupe("history").stdout.split())


def test_show_says_that_a_swap_is_in_progress(loupe: Command, stack: Target):
    put(stack, MINE | {"candidate": {"version": "run-1", "model": "onnx-2", "classes": {}}})
    text = loupe("show").stdout
    assert "the answers of model onnx-2 are judged by its own scores (run-1)" in text


def test_set_shows_what_changes_and_puts_it_into_force(loupe: Command, stack: Target):
    result = loupe("set", file(MINE))
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "classes.dent.severity major (default) critical" in text
    assert "picture.least_sharpness – 12.5" in text
    assert "The rules mine are in force (version 2 of the parameter)" in text
    assert in_force(stack) == MINE


def test_a_dry_run_changes_nothing(loupe: Command, stack: Target):
    assert "Nothing was changed" in loupe("set", file(MINE), "--dry-run").stdout
    document = json.loads(loupe("set", file(MINE), "--dry-run", "--json").stdout)
    assert (document["changed"], document["parameter_version"]) == (False, 1)
    assert in_force(stack)["version"] == "1"


def test_invalid_rules_change_nothing_and_the_problem_is_named_without_jargon(loupe: Command, stack: Target):
    wrong = MINE | {"classes": {"dent": {"fail_score": 1.5}}}
    for command in ("set", "check"):
        result = CliRunner().invoke(cli.app, ["rules", command, file(wrong), *_options(command)])
        error = refusal(result)
        assert "classes.dent.fail_score: must be at most 1" in error.message
        assert "pydantic" not in error.message + error.hint
    assert in_force(stack)["version"] == "1"


def _options(command: str) -> list[str]:
    return [] if command == "check" else ["--stack", "press"]


def test_check_needs_no_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    assert "mine are valid; it names dent" in run(cli.app, ["rules", "check", file(MINE)]).stdout
    piped = run(cli.app, ["rules", "check", "-", "--json"], input=json.dumps(MINE))
    assert json.loads(piped.stdout) == {"valid": True, "version": "mine", "classes": ["dent"]}


def test_a_version_that_names_other_rules_is_refused(loupe: Command, stack: Target):
    loupe("set", file(MINE))
    other = MINE | {"classes": {}}
    assert "already names other rules" in refusal(loupe("set", file(other))).message
    assert in_force(stack) == MINE
    loupe("set", file(other | {"version": "other"}))
    assert loupe("set", file(MINE)).exit_code == 0, "the same rules under their own name again"
    assert in_force(stack) == MINE


def test_the_same_rules_again_are_no_new_version(loupe: Command, stack: Target):
    loupe("set", file(MINE))
    assert "are in force already" in loupe("set", file(MINE)).stdout
    assert rules.history(stack)[0].number == 2


def test_scores_leave_everything_else_as_it_is(loupe: Command, stack: Target):
    put(stack, MINE)
    stack.s3.put_object(Bucket="artefacts", Key="reports/r/rules.json", Body=json.dumps(SCORES).encode())
    result = loupe("set", "--scores", "s3://artefacts/reports/r/rules.json")
    assert result.exit_code == 0, result.output
    dent = MINE["classes"]["dent"] | SCORES["classes"]["dent"]  # type: ignore[index]
    assert in_force(stack) == MINE | {"version": "steel-1", "classes": {"dent": dent}}


def test_scores_get_a_name_of_their_own_if_theirs_is_taken(loupe: Command, stack: Target):
    put(stack, MINE)
    assert loupe("set", "--scores", file(SCORES)).exit_code == 0
    put(stack, MINE | {"version": "mine again", "picture": {}})
    assert loupe("set", "--scores", file(SCORES)).exit_code == 0
    assert in_force(stack)["version"] == "steel-1-2"
    assert "already" in loupe("set", "--scores", file(SCORES)).stdout


def test_scores_that_a_line_keeps_are_named(loupe: Command, stack: Target):
    put(stack, MINE | {"lines": {"line-2": {"dent": {"fail_score": 0.8}}}})
    assert (
        "Note: line-2 keeps its own fail_score 0.8 for dent" in loupe("set", "--scores", file(SCORES)).stdout
    )


def model(**card: Any) -> str:
    needed = {
        "name": "steel",
        "family": "ssdlite",
        "labels": ["dent"],
        "input_size": 256,
        "normalisation": {"mean": [0.5], "std": [0.5]},
        "postprocess": {},
        "onnx_sha256": "abcdef" * 10 + "0123",
    }
    Path("model.json").write_text(json.dumps(needed | card))
    with tarfile.open("model.tar.gz", "w:gz") as archive:
        archive.add("model.json")
    return "model.tar.gz"


def test_the_operating_points_of_a_model_go_into_force_by_the_printed_command(loupe: Command, stack: Target):
    archive = model(operating_points={"dent": {"score": 0.5, "f1": 0.9}})
    command = rules.command_for_model(Path(archive), " --stack press")
    assert command == "loupe rules set --scores model.tar.gz --stack press"
    assert CliRunner().invoke(cli.app, command.split()[1:]).exit_code == 0
    assert in_force(stack)["version"].startswith("steel-abcdefabcdef-")
    assert in_force(stack)["classes"]["dent"] == {"fail_score": 0.5, "review_score": 0.3}


def test_a_model_without_operating_points_has_no_command(loupe: Command):
    archive = model()
    assert rules.command_for_model(Path(archive), "") is None
    assert "has no operating points" in refusal(loupe("set", "--scores", archive)).message


def test_history_shows_who_changed_what_and_restore_returns(loupe: Command, stack: Target):
    put(stack, MINE)
    put(stack, "{")
    listed = json.loads(loupe("history", "--json").stdout)["history"]
    assert [(entry["parameter_version"], entry["version"]) for entry in listed] == [
        (3, None),
        (2, "mine"),
        (1, "1"),
    ]
    assert {"place": "classes.dent.severity", "before": None, "after": "critical"} in listed[1]["changes"]
    text = loupe("history").stdout
    assert "not valid" in text
    assert "loupe rules restore NO --stack press" in text
    assert loupe("restore", "2").exit_code == 0
    assert in_force(stack) == MINE | {"version": "mine-2"}
    assert "There are 1 to 4" in refusal(loupe("restore", "9")).hint


def test_if_somebody_else_changes_the_rules_meanwhile_theirs_stay(loupe: Command, stack: Target):
    base, theirs = rules.history(stack)[0], MINE | {"version": "theirs"}
    put(stack, theirs)
    with pytest.raises(LoupeError, match="changed meanwhile"):
        rules.put(stack, MINE, base)
    assert in_force(stack) == theirs


def test_a_change_between_the_last_look_and_the_write_returns(stack: Target):
    base, theirs, pending = rules.history(stack)[0], MINE | {"version": "theirs"}, [1]

    def interfere(**_: Any) -> None:
        if pending:
            pending.pop()
            put(stack, theirs)

    stack.ssm.meta.events.register("before-call.ssm.PutParameter", interfere)
    with pytest.raises(LoupeError, match="changed meanwhile"):
        rules.put(stack, MINE, base)
    assert in_force(stack) == theirs


def test_a_source_that_cannot_be_read_is_an_error(loupe: Command):
    assert "cannot be read" in refusal(loupe("set", "s3://artefacts/missing.json")).message
    assert isinstance(loupe("set", "missing.json").exception, FileNotFoundError)
    Path("binary").write_bytes(b"\xff\xfe")
    assert "is not a text" in refusal(loupe("set", "binary")).message
