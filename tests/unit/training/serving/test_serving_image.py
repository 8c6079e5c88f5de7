"""The Dockerfile: what it copies exists, what it installs is locked, and SageMaker can run its programs."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
DOCKERFILE = ROOT / "training/Dockerfile"
# What the serving program imports under another name than its package has.
PACKAGES = {"PIL": "pillow"}


def instructions():
    """(stage, instruction, arguments) of each instruction, lines joined, ARG defaults filled in."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", "")
    stage, defaults, result = "", {}, []
    for line in filter(str.strip, text.splitlines()):
        name, _, arguments = line.strip().partition(" ")
        for argument, value in defaults.items():
            arguments = arguments.replace(f"${{{argument}}}", value)
        if name == "ARG":
            argument, _, value = arguments.partition("=")
            defaults[argument] = value
        if name == "FROM":
            stage = arguments.split(" AS ")[1]
        result.append((stage, name, arguments))
    return result


def requirements(path):
    """Each requirement of a locked file with its hashes."""
    joined = path.read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def test_every_target_exists_and_starts_its_own_program():
    commands = {stage: arguments for stage, name, arguments in instructions() if name == "CMD"}
    assert commands == {"train": '["train"]', "serve": '["serve"]', "serve-gpu": '["serve"]'}


def test_every_image_asks_for_the_gpus_and_knows_which_it_is():
    common = [arguments for stage, name, arguments in instructions() if (stage, name) == ("common", "ENV")]
    assert "NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility" in common
    for target in ("train", "serve", "serve-gpu"):
        (environment,) = [
            arguments for stage, name, arguments in instructions() if (stage, name) == (target, "ENV")
        ]
        assert f"LOUPE_IMAGE={target}" in environment.split()
        assert ("LOUPE_DEVICE=cuda" in environment.split()) == (target == "serve-gpu")


def test_every_source_that_is_copied_exists_and_is_not_ignored():
    sources = [
        source for _, name, arguments in instructions() if name == "COPY" for source in arguments.split()[:-1]
    ]
    assert "training" in sources
    let_through = [line[1:] for line in ignored() if line.startswith("!")]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in let_through


def ignored():
    lines = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    assert lines[0] == "*"  # nothing else of the repository, and no one's data, goes to the engine
    return lines


def test_nothing_is_installed_without_a_hash():
    installs = [
        arguments for _, name, arguments in instructions() if name == "RUN" and "install" in arguments
    ]
    assert len(installs) == 3
    assert all("pip install" in install and "--require-hashes" in install for install in installs)
    locked = [arguments.split()[0] for _, name, arguments in instructions() if name == "COPY"]
    for path in {ROOT / source for source in locked if source.startswith("requirements/")}:
        for line in requirements(path):
            assert re.match(r"^[\w.\[\]-]+==\S+.* --hash=sha256:[0-9a-f]{64}", line), f"{path}: {line[:80]}"


@pytest.mark.parametrize("program", ["train", "evaluate", "serve"])
def test_each_program_that_sagemaker_runs_exists(program):
    (command,) = [
        arguments for _, name, arguments in instructions() if name == "RUN" and "printf" in arguments
    ]
    assert program in command.split("for program in ")[1].split(";")[0].split()
    assert "exec python -m training.%s" in command
    assert (ROOT / f"training/{program}.py").exists()


def test_every_module_that_serving_imports_at_its_start_is_in_its_lock():
    locked = {line.split("==")[0].lower() for line in requirements(ROOT / "requirements/serve.txt")}
    visited, remaining = set(), ["training.serve"]
    while remaining:
        module = remaining.pop()
        path = ROOT / (module.replace(".", "/") + ".py")
        if module in visited or not path.exists():
            continue
        visited.add(module)
        for name in imported(path):
            if name.split(".")[0] in ("training", "contract"):
                remaining += [name]
            elif (top := name.split(".")[0]) not in sys.stdlib_module_names:
                assert PACKAGES.get(top, top) in locked, f"{path} imports {top}"
    assert {"training.serving.app", "training.model.tiling", "training.model.onnx_model"} <= visited


def imported(path):
    """The modules that a file imports when it is itself imported; not those inside a function."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
