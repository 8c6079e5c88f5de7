"""The notebook's first cell: it connects, or says what to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import place
from place import NotebookError, connect


def loupe(folder: Path, script: str) -> None:
    """Put a program called `loupe` into a folder."""
    program = folder / "loupe"
    program.write_text(f"#!{sys.executable}\nimport sys\n{script}\n")
    program.chmod(0o755)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize("name", ["", "Notebook", "my-name", "1st", "a" * 13])
def test_a_name_that_does_not_fit_into_the_names_of_jobs_is_refused(name: str) -> None:
    with pytest.raises(NotebookError, match="lower-case"):
        connect("--local", name)


def test_a_missing_command_is_named() -> None:
    with pytest.raises(NotebookError, match="make notebook"):
        connect("--local", "notebook")


def test_the_words_of_the_command_are_shown_without_a_traceback(tmp_path: Path) -> None:
    said = "progress\nloupe: no local cloud runs in /home\n       Start one: loupe up\n"
    loupe(tmp_path, f"sys.stderr.write({said!r}); sys.exit(1)")

    with pytest.raises(NotebookError) as raised:
        connect("--local", "notebook")

    assert raised.value._render_traceback_() == [
        "loupe: no local cloud runs in /home",
        "       Start one: loupe up",
    ]


def test_a_stack_without_a_role_or_containers_is_refused_by_name(tmp_path: Path) -> None:
    variables = {"LOUPE_ARTEFACTS_BUCKET": "b", "LOUPE_TRAINING_IMAGE": "", "LOUPE_SERVING_IMAGE": "s"}
    loupe(tmp_path, f"print({json.dumps(variables)!r})")

    with pytest.raises(
        NotebookError, match="no LOUPE_TRAINING_ROLE_ARN, LOUPE_SERVING_ROLE_ARN, LOUPE_TRAINING_IMAGE"
    ):
        connect("--stack loupe", "notebook")


def test_a_second_place_in_the_same_kernel_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_place", ())
    local = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_REGION": "us-east-1", "LOUPE_STACK": "loupe"}
    place._check_kernel(local)
    place._check_kernel(local)

    with pytest.raises(NotebookError, match="Restart the kernel"):
        place._check_kernel({"AWS_REGION": "us-east-1", "LOUPE_STACK": "loupe"})


def test_the_place_is_asked_for_without_the_variables_of_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GIVEN a kernel that has connected to a local cloud WHEN it asks for AWS THEN it gets there."""
    loupe(
        tmp_path,
        "import os; sys.stderr.write('loupe: ' + os.environ.get('AWS_ENDPOINT_URL', 'AWS')); sys.exit(1)",
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

    with pytest.raises(NotebookError, match="loupe: AWS"):
        connect("--stack loupe", "notebook")


def test_what_the_command_warns_of_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loupe(tmp_path, "sys.stderr.write('loupe: the stack has no containers\\n'); print('{}')")

    with pytest.raises(NotebookError):
        connect("--local", "notebook")

    assert "the stack has no containers" in capsys.readouterr().out


def test_a_command_is_not_asked_for_colours_as_jupyter_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loupe(tmp_path, "import os; print(sorted(name for name in os.environ if 'COLOR' in name))")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("CLICOLOR_FORCE", "1")

    assert place._loupe(["models"]) == "[]\n"
