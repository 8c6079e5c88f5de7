"""The list of all commands; the code of one is imported when it runs, so that `loupe --help` is fast."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer

# What typer.core's own methods have as their types; typer has no public names for them.
from typer._click import Context
from typer._click.shell_completion import CompletionItem
from typer.core import TyperGroup

# By section of `loupe --help`, in its order: the command, its module in loupe/commands, and its summary.
SECTIONS: dict[str, list[tuple[str, str, str]]] = {
    "Start": [
        ("demo", "demo", "Inspect the sample images in a temporary local cloud."),
        ("up", "laptop", "Start the local cloud, and print what needs attention."),
        ("learn", "learn", "Learn from good pictures, and serve what was learned."),
        ("down", "laptop", "Stop the local cloud; its state is kept."),
        ("status", "status", "Show what runs, serves and waits, and the alarms."),
        ("backup", "backup", "Write the local cloud into one file."),
        ("restore", "backup", "Bring the local cloud back from a backup."),
        ("reset", "laptop", "Delete the local cloud's state."),
        ("dashboard", "dashboard", "Open the dashboard in the browser."),
        ("users", "users", "Add, list and remove the people who may use the dashboard."),
        ("person", "person", "Export what is stored about a person, or remove the person's name."),
    ],
    "AWS": [("cloud", "cloud", "Create, update, show and remove Loupe in an AWS account.")],
    "Other clients": [("env", "env", "Print the variables for boto3, the AWS CLI and the SageMaker SDK.")],
    "Images": [
        ("drop", "images", "Upload images as a camera would."),
        ("inspections", "images", "List inspections, newest first."),
        ("open", "images", "Open the picture of an inspection, with what was found framed."),
        ("reconcile", "reconcile", "Find images without a record, and announce them again."),
        ("replay", "replay", "Judge images again, by today's model and rules."),
        ("dlq", "dlq", "See what failed too often and why, let it be tried again, or drop it."),
        ("review", "review", "See what waits for a person, decide about it, and measure the mistakes."),
        ("rules", "rules", "Show, check and change the rules for the verdict."),
    ],
    "Labels and retraining": [
        ("import", "labels", "Check labelled images of any usual format, and import them."),
        ("export", "labels", "Write a data set for other tools."),
        ("datasets", "labels", "List the imported data sets."),
        ("retrain", "retraining", "Train new models, and switch to a better one."),
        ("runs", "retraining", "List the retraining runs, newest first."),
        ("approve", "retraining", "Let a waiting run put its model into service."),
        ("reject", "retraining", "Let a waiting run end without its model."),
    ],
    "Models": [
        ("models", "models", "List the model's versions, and which one serves."),
        ("deploy", "models", "Serve a model from a file."),
        ("rollback", "models", "Return to an earlier version."),
        ("endpoint", "endpoint", "Start and stop the endpoint by hand."),
    ],
    "Programs of the container, on this machine": [
        ("train", "programs", "Train a detector from labels, or an anomaly model from good pictures."),
        ("evaluate", "programs", "Measure a model on labelled images."),
        ("compare", "programs", "Compare models in accuracy, certainty and cost."),
        ("ensemble", "programs", "Average several detectors, or put an anomaly model beside a detector."),
        ("serve", "programs", "Run a model's endpoint on this machine."),
    ],
    "Watch and measure": [
        ("doctor", "doctor", "Find what is wrong, and what mends it."),
        ("logs", "logs", "Print the logs of functions, endpoint and jobs, or all lines of one image."),
        ("stats", "stats", "Show how many images were inspected, and how many failed."),
        ("cost", "cost", "Estimate what Loupe costs on AWS, and what would be cheaper."),
        ("bench", "programs", "Run a benchmark; in the repository only."),
    ],
}
_MODULES = {name: module for section in SECTIONS.values() for name, module, _ in section}


class CommandGroup(TyperGroup):
    """The commands of `SECTIONS`."""

    def __init__(self, **settings: Any) -> None:
        """Initialize the group with every command's name; `get_command` loads the code."""
        super().__init__(**settings)
        # The names are what typer suggests after a wrong one.
        self.commands = dict.fromkeys(_MODULES)  # type: ignore[assignment]

    def get_command(self, ctx: Context, cmd_name: str) -> Any:
        """Return a command, or None if there is none of that name."""
        if cmd_name not in _MODULES:
            return None
        group = typer.main.get_group(import_module(f"loupe.commands.{_MODULES[cmd_name]}").app)
        # A module's own commands, or the module itself as a group (`loupe rules show`).
        return group.commands.get(cmd_name, group)

    def format_commands(self, ctx: Context, formatter: Any) -> None:
        """Write the sections into `loupe --help`."""
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<11}", summary) for name, _, summary in section])

    def shell_complete(self, ctx: Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin with `incomplete`, and the options."""
        commands = [
            CompletionItem(name, help=summary)
            for section in SECTIONS.values()
            for name, _, summary in section
            if name.startswith(incomplete)
        ]
        return commands + super(TyperGroup, self).shell_complete(ctx, incomplete)
