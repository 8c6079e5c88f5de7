"""Loupe in an AWS account, from an empty account on: `loupe cloud create`, `update` and `status`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from loupe.account import creation, settings
from loupe.account import status as account_status
from loupe.account.account import Account
from loupe.account.checks import Checked
from loupe.account.cloudformation import Change
from loupe.account.creation import Outcome
from loupe.account.settings import Wishes
from loupe.account.site import Site
from loupe.commands import cloud_destroy
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json
from loupe.errors import LoupeError
from loupe.views import cloud as view
from loupe.views.console import err, out, print_json

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
    _Builder(account, wishes, False, yes, accept_losses, json_).run(plan)


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
    _Builder(account, wishes, True, yes, accept_losses, json_).run(plan)


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


class _Builder:
    """Runs the checks and the steps, and shows them."""

    def __init__(
        self, account: Account, wishes: Wishes, update: bool, yes: bool, accept_losses: bool, json_: bool
    ) -> None:
        self._account, self._wishes, self._update = account, wishes, update
        self._yes, self._accept_losses, self._json = yes, accept_losses, json_
        self._done: list[Outcome] = []
        self._progress = view.Progress(json_)

    def run(self, plan_only: bool) -> None:
        checked = Checked(self._account, self._wishes)
        with self._explained():
            with self._progress:
                checked.run(lambda name: self._progress.line(f"checking {name}"))
                if self._update and not checked.failed and checked.stack is None:
                    raise LoupeError(
                        f"there is no stack {self._account.stack} to update",
                        f"Create it: loupe cloud create --stack {self._account.stack}",
                    )
                if checked.failed or checked.settings is None:
                    self._progress.pause()
                    self._refuse(checked)
                    return
                site = Site(self._account, self._wishes, checked.settings, self._progress.line, self._accepts)
                outcomes = creation.plan(site, self._update)
            self._show_checks(checked)
            if plan_only:
                self._show_plan(site, checked, outcomes)
                return
            self._ask(site, outcomes)
            with self._progress:
                for outcome in creation.run(site, self._update):
                    self._done.append(outcome)
                    view.show_step(outcome, self._json)
            self._show_end()

    def _show_checks(self, checked: Checked) -> None:
        if self._json:
            print_json({"step": "checks", "problems": view.problem_documents(checked.problems)})
        else:
            view.show_problems(checked.problems)

    def _refuse(self, checked: Checked) -> None:
        self._show_checks(checked)
        count = sum(problem.level == "error" for problem in checked.problems)
        raise LoupeError(
            f"nothing was changed: {count} of the checks failed",
            "Mend what is listed above, and repeat the command.",
        )

    def _show_plan(self, site: Site, checked: Checked, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            view.show_step(outcome, self._json)
        cost = account_status.per_hour(self._account, site.settings.parameters)
        if self._json:
            print_json({"stack": self._account.stack, "planned": True, "cost": cost or None})
            return
        out.print(f"From then on: {cost or 'what it costs is not known here'}.", soft_wrap=True)

    def _ask(self, site: Site, outcomes: list[Outcome]) -> None:
        """Ask before the first step that is billed, unless it was done before."""
        billed = [
            outcome.step.name for outcome in outcomes if outcome.state == "open" and outcome.step.billed
        ]
        if not billed or self._yes or self._account.local:
            return
        cost = account_status.per_hour(self._account, site.settings.parameters)
        where = f"account {self._account.account_id}, {self._account.region}"
        verb = "Update" if self._update else "Create"
        question = f"{verb} {self._account.stack} in {where}? It costs {cost or 'money'}."
        if not sys.stdin.isatty():
            raise LoupeError(
                f"{question} Nobody can be asked", "Add --yes; see first what is done by --plan."
            )
        typer.confirm(question, abort=True, err=True)

    def _accepts(self, changes: list[Change]) -> bool:
        """Ask about changes that lose something; --yes alone is not enough."""
        if self._accept_losses:
            return True
        self._progress.pause()
        for change in changes:
            err.print(f"warning: {change.text}", soft_wrap=True)
        if not sys.stdin.isatty():
            return False
        accepted = typer.confirm("This loses data, or an address that others know. Go on?", err=True)
        self._progress.go_on()
        return accepted

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """On Ctrl+C and on errors, say what stands and how to go on."""
        try:
            yield
        except KeyboardInterrupt:
            done = ", ".join(outcome.step.name for outcome in self._done) or "nothing yet"
            err.print(f"Stopped. Done: {done}. What AWS has begun goes on without you.", soft_wrap=True)
            err.print("Repeat the command: it goes on from there.", soft_wrap=True)
            raise typer.Exit(130) from None

    def _show_end(self) -> None:
        state = account_status.read(self._account)
        if self._json:
            print_json({"stack": self._account.stack, "status": state.document})
            return
        view.show_state(state)
        option = f"--stack {self._account.stack}"
        out.print(f"Next, who may sign in: loupe users add NAME --group admin {option}", soft_wrap=True)
        out.print(f"Then images: loupe drop LINE/STATION --wait {option}", soft_wrap=True)
