"""The rules that turn detections into a verdict: `rules show`, `check`, `set`, `restore` and `history`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from contract.changes import changes
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target, target_options
from loupe.errors import LoupeError
from loupe.stack import rules
from loupe.stack.rules import CheckedRules, RulesVersion
from loupe.stack.target import Target
from loupe.views.console import out, print_json
from loupe.views.rules import show_changes, show_history, show_notes, show_rules, summary

app = commands("Show, check and change the rules for the verdict.")

_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]


@app.command(
    epilog=epilog(
        "loupe rules show", "loupe rules show --json > rules.json", "loupe rules show --stack loupe"
    )
)
def show(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """Show the rules in force.

    With --json: the document, as `loupe rules set` reads it.
    """
    version = rules.history(open_target(stack, home))[0]
    checked = rules.check(version.text)
    if json_:
        print_json(version.document)
    else:
        show_rules(version, checked)


@app.command(epilog=epilog("loupe rules check rules.json", "loupe rules show --json | loupe rules check -"))
def check(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="A JSON document; - for standard input.")],
    json_: Json = False,
) -> None:
    """Check a rules document. No cloud is needed."""
    checked = rules.check(rules.read(source, None))
    version, classes = checked.document["version"], sorted(checked.complete["classes"])
    if json_:
        print_json({"valid": True, "version": version, "classes": classes})
    else:
        named = f"it names {', '.join(classes)}" if classes else "it names no class"
        out.print(f"The rules {version} are valid; {named}.", soft_wrap=True)


@app.command(
    "set",
    epilog=epilog(
        "loupe rules set rules.json",
        "loupe rules set --scores s3://BUCKET/reports/RUN/ssdlite/rules.json",
        "loupe rules set --scores model.tar.gz --dry-run",
    ),
)
def set_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|S3-URI|-",
            help="A JSON document; - for standard input. With --scores also a model.tar.gz.",
        ),
    ],
    home: Home,
    scores: Annotated[
        bool,
        typer.Option(
            "--scores", help="Take only the classes' fail_score and review_score; all else stays as it is."
        ),
    ] = False,
    dry_run: _DryRun = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Put rules into force.

    They are checked first. If somebody else changes the rules at the same time, nothing is changed.
    """
    target = open_target(stack, home)
    versions = rules.history(target)
    if scores:
        checked = rules.with_scores(_proposed(source, target), versions)
    else:
        checked = rules.in_place_of(rules.read(source, target), versions[0])
    _put(target, checked, versions, dry_run, json_)


def _proposed(source: str, target: Target) -> str:
    if not source.endswith(".tar.gz") or source.startswith("s3://"):
        return rules.read(source, target)
    if text := rules.proposed_by_model(Path(source)):
        return text
    raise LoupeError(
        f"the model {source} has no operating points",
        "Measure them: loupe evaluate --model MODEL --dataset PATH --rules rules.json.",
    )


@app.command(epilog=epilog("loupe rules history", "loupe rules restore 3"))
def restore(
    number: Annotated[
        int, typer.Argument(metavar="NUMBER", help="From the column no. of `loupe rules history`.", min=1)
    ],
    home: Home,
    dry_run: _DryRun = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Put earlier rules into force again."""
    target = open_target(stack, home)
    versions = rules.history(target)
    earlier = next((version for version in versions if version.number == number), None)
    if earlier is None:
        known = f"{versions[-1].number} to {versions[0].number}"
        raise LoupeError(f"there is no version {number} of the rules", f"There are {known}.")
    _put(target, rules.in_place_of(earlier.text, versions[0]), versions, dry_run, json_)


def _put(
    target: Target, checked: CheckedRules, versions: list[RulesVersion], dry_run: bool, json_: bool
) -> None:
    current, document = versions[0], checked.document
    unchanged = current.document == document
    if not unchanged:
        rules.refuse_used_name(document, versions)
    if not json_:
        show_changes(current.document, document)
        show_notes(checked.notes)
    number = current.number
    if not dry_run and not unchanged:
        number = rules.put(target, document, current)
    if json_:
        print_json(
            {
                "version": document["version"],
                "parameter_version": number,
                "changed": number != current.number,
                "changes": [change.document() for change in changes(current.document, document)],
                "notes": checked.notes,
            }
        )
    elif number != current.number:
        seconds = target.outputs.get("RulesCacheSeconds", "30")
        out.print(
            f"The rules {document['version']} are in force (version {number} of the parameter), everywhere "
            f"within {seconds} s.",
            soft_wrap=True,
        )
    elif dry_run:
        out.print("Nothing was changed (--dry-run).")
    else:
        out.print(f"The rules {document['version']} are in force already.", soft_wrap=True)


@app.command("history", epilog=epilog("loupe rules history", "loupe rules history --json | jq '.history[0]'"))
def list_history(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """List the earlier rules, newest first: when, who, and what changed."""
    versions = rules.history(open_target(stack, home))
    if json_:
        print_json({"history": [_entry(version, versions) for version in versions]})
        return
    show_history(versions)
    if len(versions) > 1:
        out.print(
            f"Put one into force again: loupe rules restore NO{target_options(stack, home)}", soft_wrap=True
        )


def _entry(version: RulesVersion, versions: list[RulesVersion]) -> dict[str, Any]:
    earlier = next((other for other in versions if other.number == version.number - 1), None)
    return {
        "parameter_version": version.number,
        "version": version.name,
        "when": version.when.isoformat(),
        "who": version.who,
        "summary": summary(earlier, version),
        "changes": [
            change.document() for change in changes(earlier.document if earlier else None, version.document)
        ],
        "document": version.document,
    }
