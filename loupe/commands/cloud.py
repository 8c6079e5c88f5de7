"""Loupe in an AWS account, from an empty account on: `loupe cloud create`, `update` and `status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loupe.account import settings
from loupe.account import status as account_status
from loupe.account.account import Account
from loupe.account.settings import Wishes
from loupe.commands import cloud_destroy
from loupe.commands.cloud_building import Building
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json
from loupe.views import cloud as view
from loupe.views.console import err, print_json

app = commands("Create, update, show and remove Loupe in an AWS account.")

StackName = Annotated[
    str | None,
    typer.Option(
        "--stack", metavar="NAME", help="The stack's name. Without it: the environment's, or loupe."
    ),
]
Local = Annotated[
    bool,
    typer.Option(
        "--local", help="In the local cloud of --home instead of AWS: a rehearsal (loupe up --empty)."
    ),
]
Environment = Annotated[
    str | None,
    typer.Option(
        "--environment", "-e", metavar="NAME", help="dev, staging or production, from samconfig.toml."
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter of template.yaml; repeatable."),
]
InstanceType = Annotated[
    str | None,
    typer.Option("--instance-type", metavar="TYPE", help="Of the endpoint, such as ml.c6i.xlarge."),
]
AlertEmail = Annotated[
    str | None, typer.Option("--alert-email", metavar="ADDRESS", help="Receives every defect alert.")
]
OperationsEmail = Annotated[
    str | None,
    typer.Option(
        "--operations-email", metavar="ADDRESS", help="Receives the alarms about the system itself."
    ),
]
Builder = Annotated[
    str | None,
    typer.Option(
        "--builder",
        metavar="NAME",
        help="Who builds the images: docker, podman, buildah or codebuild. Without it: the first that can.",
    ),
]
ServingImage = Annotated[
    str | None,
    typer.Option("--serving-image", metavar="URI", help="An image of your own instead of a built one."),
]
TrainingImage = Annotated[
    str | None, typer.Option("--training-image", metavar="URI", help="The same for training.")
]
Plan = Annotated[
    bool, typer.Option("--plan", help="Check, say what would be done and its cost; change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing before what is billed.")]
AcceptLosses = Annotated[
    bool,
    typer.Option(
        "--accept-losses",
        help="Let a change replace or remove what holds data or has an address that others know.",
    ),
]


@app.command(
    epilog=epilog(
        "loupe cloud create --stack loupe --plan",
        "loupe cloud create --stack loupe --alert-email quality@example.com --operations-email it@example.com",
        "loupe cloud create --environment dev --instance-type ml.c6i.xlarge --yes",
        "loupe cloud create --stack trial --local",
        statuses={1: "an error, or not confirmed; repeat the command to go on"},
    )
)
def create(
    home: Home,
    stack: StackName = None,
    environment: Environment = None,
    parameter: Parameters = None,
    instance_type: InstanceType = None,
    alert_email: AlertEmail = None,
    operations_email: OperationsEmail = None,
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The model.tar.gz to serve. Without it: the starter model."),
    ] = None,
    builder: Builder = None,
    serving_image: ServingImage = None,
    training_image: TrainingImage = None,
    local: Local = False,
    plan: Plan = False,
    yes: Yes = False,
    accept_losses: AcceptLosses = False,
    json_: Json = False,
) -> None:
    """Create Loupe, from an empty account to the first verdict.

    Checks first, then goes step by step, and asks the account what is there. So repeat it after any failure: it goes
    on where it ended.
    """
    chosen = settings.environment(environment) if environment else None
    given = _parameters(parameter, instance_type, alert_email, operations_email)
    wishes = Wishes(chosen, given, model, builder, serving_image, training_image)
    account = open_account(stack or (chosen.stack if chosen else "loupe"), home, local)
    Building(account, wishes, False, yes, accept_losses, json_).run(plan)


@app.command(
    epilog=epilog(
        "loupe cloud update --stack loupe --plan",
        "loupe cloud update --stack loupe",
        "loupe cloud update --stack loupe --parameter LogRetentionDays=90 --yes",
        statuses={1: "an error, or not confirmed; repeat the command to go on"},
    )
)
def update(
    home: Home,
    stack: StackName = None,
    environment: Environment = None,
    parameter: Parameters = None,
    instance_type: InstanceType = None,
    alert_email: AlertEmail = None,
    operations_email: OperationsEmail = None,
    builder: Builder = None,
    serving_image: ServingImage = None,
    training_image: TrainingImage = None,
    local: Local = False,
    plan: Plan = False,
    yes: Yes = False,
    accept_losses: AcceptLosses = False,
    json_: Json = False,
) -> None:
    """Bring a stack to this version of Loupe, or give it other parameters.

    The same steps as `create`, on a stack that exists. The model that serves stays, in the new container. What is not
    given keeps its value. Changes that would lose data or addresses are shown, and asked about.
    """
    chosen = settings.environment(environment) if environment else None
    given = _parameters(parameter, instance_type, alert_email, operations_email)
    wishes = Wishes(chosen, given, None, builder, serving_image, training_image)
    account = open_account(stack or (chosen.stack if chosen else "loupe"), home, local)
    Building(account, wishes, True, yes, accept_losses, json_).run(plan)


@app.command(epilog=epilog("loupe cloud status --stack loupe", "loupe cloud status --stack trial --local"))
def status(
    home: Home,
    stack: StackName = None,
    environment: Environment = None,
    local: Local = False,
    json_: Json = False,
) -> None:
    """Show what a stack is, who has not confirmed their e-mails, and what it costs."""
    chosen = settings.environment(environment) if environment else None
    account = open_account(stack or (chosen.stack if chosen else "loupe"), home, local)
    with err.status("asking the account"):
        state = account_status.read(account)
    if json_:
        print_json(state.document)
    else:
        view.show_state(state)


app.add_typer(cloud_destroy.app)


def open_account(stack: str, home: Path, local: bool) -> Account:
    """Return the account that the options choose.

    Raises:
        LoupeError: There is no such AWS profile.
        NotRunningError: No local cloud runs on `home`.
    """
    return Account.open(stack, home if local else None)


def _parameters(
    given: list[str] | None, instance_type: str | None, alert_email: str | None, operations_email: str | None
) -> dict[str, str]:
    """Return the template parameters of the options."""
    named = {
        "HostingInstanceType": instance_type,
        "AlertEmail": alert_email,
        "OperationsEmail": operations_email,
    }
    return settings.parse_overrides(given or []) | {
        name: text for name, text in named.items() if text is not None
    }
