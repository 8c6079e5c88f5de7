"""The `loupe` command, for the local cloud and for AWS."""

from __future__ import annotations

import sys

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from localcloud import LocalCloudError
from loupe.commands import cloud, images, models, programs, retraining
from loupe.errors import LoupeError
from loupe.views.console import err

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Visual inspection for the production line: on this laptop, or with --stack on AWS.",
)
# In the order of `loupe --help`.
for group in (cloud, images, models, retraining, programs):
    app.add_typer(group.app)


def main() -> None:
    """Run the command. An error that the user can fix is printed on two lines, and the exit status is 1."""
    try:
        app()
    except (LoupeError, LocalCloudError, BotoCoreError, ClientError) as error:
        err.print(f"[bold red]loupe:[/] {escape(str(error))}", soft_wrap=True)
        if hint := getattr(error, "hint", ""):
            err.print(f"       {escape(hint)}", soft_wrap=True)
        sys.exit(1)
