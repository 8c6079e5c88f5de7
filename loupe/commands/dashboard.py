"""`loupe dashboard`, and its upload to AWS."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target
from loupe.errors import LoupeError
from loupe.stack import dashboard
from loupe.views.console import err, out, print_json

app = commands(
    "Open the dashboard in the browser.\n\n"
    "On this machine it is signed in: the link works once, within ten minutes."
)
# `loupe dashboard` is a command, and the group of `publish` too.
app.info.no_args_is_help = False


@app.callback(
    invoke_without_command=True,
    epilog=epilog("loupe dashboard", "loupe dashboard --print", "loupe dashboard --stack loupe"),
)
def open_dashboard(
    context: typer.Context,
    home: Home,
    print_: Annotated[bool, typer.Option("--print", help="Print the address, and open nothing.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Open the dashboard, unless the command line names a subcommand."""
    if context.invoked_subcommand:
        return
    link = dashboard.address(open_target(stack, home)) if stack else dashboard.sign_in_link(home)
    if json_:
        print_json({"dashboard": link})
        return
    out.print(link, soft_wrap=True)
    if not print_ and not webbrowser.open(link):
        err.print("No browser was found here; open this address in one.")


@app.command(epilog=epilog("loupe dashboard publish --stack loupe"))
def publish(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """Upload the page to a stack on AWS, after its first deployment and after each update."""
    if not stack:
        raise LoupeError(
            "the local cloud serves the page from its folder, so there is nothing to publish",
            "For a stack on AWS: loupe dashboard publish --stack NAME",
        )
    target = open_target(stack, home)
    with err.status("uploading the page") as status:
        names = dashboard.publish(target, status.update)
    address = dashboard.address(target)
    if json_:
        print_json({"files": names, "dashboard": address})
        return
    out.print(f"Uploaded {len(names)} files. In a minute the page is at {address}", soft_wrap=True)
    out.print(f"Next, who may sign in: loupe users add NAME --group reviewer --stack {stack}", soft_wrap=True)
