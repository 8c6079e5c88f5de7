"""How `loupe cloud create` and `loupe cloud update` go: checks, a question before what is billed, and the steps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from loupe.account import creation
from loupe.account import status as account_status
from loupe.account.account import Account
from loupe.account.checks import Checked
from loupe.account.cloudformation import Change
from loupe.account.creation import Outcome
from loupe.account.settings import Wishes
from loupe.account.site import Site
from loupe.errors import LoupeError
from loupe.views import cloud as view
from loupe.views.console import err, out, print_json


class Building:
    """Runs the checks and the steps, and shows them."""

    def __init__(
        self, account: Account, wishes: Wishes, update: bool, yes: bool, accept_losses: bool, json_: bool
    ) -> None:
        """Initialize; `run` goes.

        Args:
            account: Where the stack is, or will be.
            wishes: What the options ask for.
            update: Whether the stack must exist.
            yes: Ask nothing before what is billed.
            accept_losses: Make changes that lose data or addresses.
            json_: Print JSON lines.
        """
        self._account, self._wishes, self._update = account, wishes, update
        self._yes, self._accept_losses, self._json = yes, accept_losses, json_
        self._done: list[Outcome] = []
        self._progress = view.Progress(json_)

    def run(self, plan_only: bool) -> None:
        """Check, ask, and go; or, with `plan_only`, only look.

        Raises:
            LoupeError: A check or a step failed, or nobody could be asked.
            typer.Exit: Ctrl+C.
        """
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
            self._show_checks(checked)
            site = Site(self._account, self._wishes, checked.settings, self._progress.line, self._accepts)
            if plan_only:
                self._show_plan(site)
                return
            self._ask(site)
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

    def _show_plan(self, site: Site) -> None:
        for outcome in self._plan(site):
            view.show_step(outcome, self._json)
        cost = account_status.per_hour(self._account, site.settings.parameters)
        if self._json:
            print_json({"stack": self._account.stack, "planned": True, "cost": cost or None})
            return
        unknown = "nothing is billed here" if self._account.local else "what it costs is not known"
        out.print(f"From then on: {cost or unknown}.", soft_wrap=True)

    def _plan(self, site: Site) -> list[Outcome]:
        with self._progress:
            return creation.plan(site, self._update)

    def _ask(self, site: Site) -> None:
        """Ask before what is billed by the hour, unless it is there."""
        if self._yes or self._account.local:
            return
        if not any(outcome.state == "open" and outcome.step.billed for outcome in self._plan(site)):
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
        if self._account.home:
            option += f" --home {self._account.home}"
        out.print(f"Next, who may sign in: loupe users add NAME --group admin {option}", soft_wrap=True)
        out.print(f"Then images: loupe drop LINE/STATION --wait {option}", soft_wrap=True)
