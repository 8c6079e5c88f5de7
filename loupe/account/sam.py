"""`sam build` and `sam deploy`: from the template and the functions to a change set of the stack.

sam only prepares the change set (--no-execute-changeset). What it would do is looked at before it is executed, and a
failure is told in CloudFormation's words.
https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-cli-command-reference-sam-deploy.html
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from contract.text import plain
from localcloud.sources import PACKAGES, REPOSITORY
from loupe.account import packages, tools
from loupe.account.account import Account
from loupe.errors import LoupeError

_CHANGE_SET = re.compile(r"arn:[\w-]+:cloudformation:[^\s]+:changeSet/[^\s]+")
_NO_CHANGES = ("No changes to deploy", "No updates are to be performed")
_ERROR = re.compile(r"^(?:Error|Build Failed|samcli\.\S+Error):?\s*", re.IGNORECASE)
# What the stack is made of.
_SOURCES = (
    "template.yaml",
    "functions",
    "statemachine/retrain.asl.json",
)


def digest() -> str:
    """Return the hash of what the stack is made of: template, functions, state machine."""
    found = hashlib.sha256()
    for root, name in [*((REPOSITORY, source) for source in _SOURCES), (PACKAGES, "contract")]:
        path = root / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                found.update(f"{file.relative_to(root).as_posix()}\0{file.stat().st_size}\0".encode())
                found.update(file.read_bytes())
    return found.hexdigest()[:16]


@contextmanager
def built(on_line: Callable[[str], None], for_this_machine: bool = False) -> Iterator[Path]:
    """Build the functions' packages, and give the built template; everything is removed at the end.

    Args:
        on_line: Called with what is done.
        for_this_machine: Build for the interpreter that runs the local cloud's functions, and not for Lambda's.

    Raises:
        LoupeError: The build failed.
    """
    program, uv = tools.sam(on_line), tools.uv(on_line)
    with tempfile.TemporaryDirectory(prefix="loupe-build-") as name:
        folder = Path(name)
        sources = _sources(folder / "sources")
        environment = dict(os.environ) | {"UV": str(uv), "SAM_CLI_TELEMETRY": "0"}
        if for_this_machine:
            environment |= _this_machine()
        on_line("building the functions")
        command = [str(program), "build", "--parallel", "--build-dir", str(folder / "built")]
        command += ["--template", str(sources / "template.yaml"), "--config-file", str(_no_settings(folder))]
        _run(command, sources, environment, "the functions cannot be built")
        yield folder / "built" / "template.yaml"


def _this_machine() -> dict[str, str]:
    """Return the settings of functions/Makefile for wheels that this interpreter can import."""
    system = "apple-darwin" if sys.platform == "darwin" else "manylinux_2_28"
    processor = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"PYTHON_VERSION": version, "PLATFORM": f"{processor}-{system}"}


def change_set(
    account: Account,
    template: Path,
    parameters: Mapping[str, str],
    on_line: Callable[[str], None],
) -> str | None:
    """Upload a built template with its packages, and create a change set.

    Args:
        account: Where the stack is, or will be.
        template: The built template.
        parameters: Template parameters; those that are not given keep their values.
        on_line: Called with what is done.

    Returns:
        The change set's ARN; None if nothing would change.

    Raises:
        LoupeError: CloudFormation refuses the template or a parameter.
    """
    program = tools.sam(on_line)
    on_line("uploading the functions")
    packages.upload(account, template)
    command = [str(program), "deploy", "--template-file", str(template), "--stack-name", account.stack]
    command += ["--s3-bucket", account.name("deploy"), "--s3-prefix", account.stack]
    command += ["--capabilities", "CAPABILITY_IAM", "--no-execute-changeset", "--no-fail-on-empty-changeset"]
    command += ["--no-confirm-changeset", "--no-progressbar", "--region", account.region]
    command += ["--config-file", str(_no_settings(template.parent))]
    if parameters:
        command += ["--parameter-overrides", *(_override(*each) for each in parameters.items())]
    environment = account.environment() | {"SAM_CLI_TELEMETRY": "0"}
    output = _run(command, template.parent, environment, "the stack cannot be deployed")
    if any(text in output for text in _NO_CHANGES):
        return None
    if found := _CHANGE_SET.search(output):
        return found[0]
    raise LoupeError(
        "sam has not said which change set it created",
        f"See: sam list stack-outputs --stack-name {account.stack}",
    )


def _override(name: str, value: str) -> str:
    """Return a parameter as sam reads it from its command line."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'


def _sources(folder: Path) -> Path:
    """Return the folder to build in: the checkout, or a copy of what the installed package contains."""
    if (REPOSITORY / "contract").is_dir():
        return REPOSITORY
    folder.mkdir()
    for name in _SOURCES:
        source, copy = REPOSITORY / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy)
        else:
            shutil.copy2(source, copy)
    shutil.copytree(PACKAGES / "contract", folder / "contract")
    return folder


def _no_settings(folder: Path) -> Path:
    """Return a file without settings, so that sam reads none of samconfig.toml: what it says has been read already."""
    file = folder / "samconfig.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("version = 0.1\n")
    return file


def _run(command: list[str], folder: Path, environment: Mapping[str, str], problem: str) -> str:
    """Run sam, and return what it printed. Raises LoupeError with the reason, not with everything it printed."""
    done = subprocess.run(  # noqa: S603
        command,
        cwd=folder,
        env=dict(environment),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0 and not any(text in done.stdout for text in _NO_CHANGES):
        raise LoupeError(f"{problem}: {_reason(done.stdout)}", "Correct that, and repeat the command.")
    return done.stdout


def _reason(output: str) -> str:
    """Return the lines of sam's output that say why it failed.

    >>> _reason("Uploading ...\\nError: Failed to create changeset for the stack: x, no such parameter\\n")
    'Failed to create changeset for the stack: x, no such parameter'
    """
    lines = [plain(line).strip() for line in output.splitlines()]
    lines = [line for line in lines if line]
    for index, line in enumerate(lines):
        if _ERROR.match(line):
            return _ERROR.sub("", " ".join(lines[index:]))[:1500]
    return " ".join(lines[-3:])[:1500] or "sam printed nothing"
