"""`loupe env`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.text import plain
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target, target_options
from loupe.home import config_folder
from loupe.stack import client_environment
from loupe.stack.target import Target
from loupe.views import environment
from loupe.views.environment import Shell

app = commands()

_FOLDER = "clients"
_WHY_NO_CHECK = (
    "SAGEMAKER_VALIDATE_ROLE=false: version 3 of the SDK would refuse the role of the stack, which may do what its "
    "jobs need, and nothing else."
)


@app.command(
    epilog=epilog(
        'eval "$(loupe env)"',
        'eval "$(loupe env --stack loupe)"',
        "loupe env --shell fish | source",
        "loupe env --json",
        'eval "$(loupe env --unset)"',
        statuses={1: "no local cloud runs, or an error; nothing is printed to stdout"},
    )
)
def env(
    home: Home,
    stack: Stack = None,
    local: Annotated[bool, typer.Option("--local", help="The local cloud; the default.")] = False,
    shell: Annotated[Shell, typer.Option(help="The shell that evaluates the text.")] = Shell.SH,
    unset: Annotated[bool, typer.Option("--unset", help="Remove the variables again.")] = False,
    json_: Json = False,
) -> None:
    """Print the variables for boto3, the AWS CLI and the SageMaker SDK."""
    if local and stack:
        raise typer.BadParameter("with --local there is no other stack", param_hint="--stack")
    if unset:
        removed = client_environment.names()
        _print(dict.fromkeys(removed), environment.script(shell, {}, unset=removed), json_)
        return
    target = open_target(stack, home)
    # On AWS the file is not the local cloud's, and survives `loupe reset`.
    variables = client_environment.variables(
        target, (home.expanduser().resolve() if target.local_cloud else config_folder()) / _FOLDER
    )
    _warn(target, stack, home, variables)
    command = "loupe env" + target_options(stack, home) + ("" if shell == Shell.SH else f" --shell {shell}")
    notes = [_WHY_NO_CHECK, f"Set them: {environment.use(shell, command)}"]
    gone = client_environment.obstacles(target)
    _print(variables, environment.script(shell, variables, unset=gone, notes=notes), json_)


def _print(variables: dict[str, Any], script: str, json_: bool) -> None:
    if json_:
        # Not by rich's console: the text is for a program that sets these values as they are.
        from loupe.views.console import print_json

        print_json(variables)
        return
    sys.stdout.write(script)


def _warn(target: Target, stack: str | None, home: Path, variables: dict[str, str]) -> None:
    """Tell on stderr what would surprise: stdout is evaluated, so nobody sees it."""
    if stack and target.local_cloud and "--home" not in target_options(stack, home):
        _tell(
            f"AWS_ENDPOINT_URL leads to the local cloud on {target.endpoint_url}, so this is the stack {stack} there.",
            'For the one on AWS: eval "$(loupe env --unset)"',
        )
    if not (variables["LOUPE_TRAINING_IMAGE"] and variables["LOUPE_SERVING_IMAGE"]):
        _tell(
            f"the stack {target.name} has no containers, so LOUPE_TRAINING_IMAGE or LOUPE_SERVING_IMAGE is empty.",
            f"Give it some: loupe cloud update --stack {target.name}",
        )


def _tell(message: str, hint: str) -> None:
    typer.echo(f"loupe: {plain(message)}\n       {plain(hint)}", err=True)
