"""The rules that turn detections into a verdict: `rules show`, `set`, `preview`, `propose` and more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.changes import changes
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Line, Stack, open_target, target_options
from loupe.errors import LoupeError
from loupe.stack import rules, rules_api
from loupe.stack.rules import CheckedRules, RulesVersion
from loupe.stack.target import Target
from loupe.views.console import err, out, print_json
from loupe.views.preview import show_preview, show_proposal
from loupe.views.rules import show_changes, show_history, show_notes, show_rules, summary

app = commands("Show, check and change the rules for the verdict.")

_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
_Comment = Annotated[
    str | None, typer.Option("--comment", "-m", metavar="TEXT", help="Why, for the history.")
]


@app.command(
    epilog=epilog(
        "loupe rules show", "loupe rules show --json > rules.json", "loupe rules show --stack loupe"
    )
)
def show(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """Show the rules in force.

    With --json: the document, as `loupe rules set` reads it.
    """
    target = open_target(stack, home)
    (version,) = rules_api.signed(target, rules.history(target)[:1])
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
    comment: _Comment = None,
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

    def put(document: rules.Document) -> int:
        return rules_api.change(target, document, versions[0], comment)

    _put(target, checked, versions, None if dry_run else put, json_)


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
    comment: _Comment = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Put earlier rules into force again, under a name of their own."""
    target = open_target(stack, home)
    versions = rules.history(target)
    earlier = next((version for version in versions if version.number == number), None)
    if earlier is None:
        known = f"{versions[-1].number} to {versions[0].number}"
        raise LoupeError(f"there is no version {number} of the rules", f"There are {known}.")
    checked = rules.renamed(earlier.text, versions)
    if versions[0].same_rules(checked.document | {"version": versions[0].name}):
        # Nothing but the name would change.
        checked = rules.in_place_of(versions[0].text, versions[0])

    def put(document: rules.Document) -> int:
        return rules_api.roll_back(target, number, document, versions[0], comment)

    _put(target, checked, versions, None if dry_run else put, json_)


def _put(
    target: Target,
    checked: CheckedRules,
    versions: list[RulesVersion],
    put: Callable[[rules.Document], int] | None,
    json_: bool,
) -> None:
    """Put rules into force, and print what changes. put: returns the new number; None to change nothing."""
    current, document = versions[0], checked.document
    unchanged = current.document == document
    if not unchanged:
        rules.refuse_used_name(document, versions)
    if not json_:
        show_changes(current.document, document)
        show_notes(checked.notes)
    number = current.number
    if put and not unchanged:
        number = put(document)
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
        out.print(_in_force(target, document, number), soft_wrap=True)
    elif put is None:
        out.print("Nothing was changed (--dry-run).")
    else:
        out.print(f"The rules {document['version']} are in force already.", soft_wrap=True)


def _in_force(target: Target, document: rules.Document, number: int) -> str:
    seconds = target.outputs.get("RulesCacheSeconds", "30")
    return (
        f"The rules {document['version']} are in force (version {number} of the parameter), everywhere within "
        f"{seconds} s."
    )


_Last = Annotated[
    int, typer.Option(metavar="N", min=1, max=10_000, help="How many of the newest inspections.")
]


@app.command(
    epilog=epilog(
        "loupe rules preview rules.json", "loupe rules preview rules.json --last 5000 --line line-1"
    )
)
def preview(
    source: Annotated[
        str, typer.Argument(metavar="FILE|S3-URI|-", help="A JSON document; - for standard input.")
    ],
    home: Home,
    last: _Last = 1000,
    line: Line = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Show what other rules would have decided.

    The newest inspections are judged again. Nothing is changed.
    """
    target = open_target(stack, home)
    checked = rules.check(rules.read(source, target))
    with err.status("judging the inspections again"):
        answer = rules_api.preview(target, checked.document, last, line)
    if json_:
        print_json(answer)
    else:
        show_preview(answer)


@app.command(
    epilog=epilog(
        "loupe rules propose --escape 0.02",
        "loupe rules propose --escape 0.02 --overkill 0.05 --line line-1 --output rules.json",
        "loupe rules propose --escape 0.02 --apply",
    )
)
def propose(
    escape: Annotated[
        float, typer.Option(metavar="SHARE", help="The share of the bad parts that may pass: 0.02 for 2 %.")
    ],
    home: Home,
    overkill: Annotated[
        float | None, typer.Option(metavar="SHARE", help="The share of the good parts that may fail.")
    ] = None,
    line: Line = None,
    last: _Last = 5000,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the proposed rules into this file.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Put the proposed rules into force.")] = False,
    comment: _Comment = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Propose the scores that people's decisions speak for.

    Nothing is changed without --apply.
    """
    target = open_target(stack, home)
    versions = rules.history(target)
    with err.status("reading what people have decided"):
        answer = rules_api.propose(target, escape, overkill, last, line)
    document = answer["document"]
    if output:
        output.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    number = None
    if apply and not versions[0].same_rules(document):
        number = rules_api.change(target, document, versions[0], comment)
    if json_:
        print_json(answer | {"parameter_version": number})
        return
    show_proposal(answer, versions[0].document)
    if number:
        out.print(_in_force(target, document, number), soft_wrap=True)
    elif not versions[0].same_rules(document):
        where = f"loupe rules set {output}" if output else "the same command with --apply"
        out.print(
            f"Nothing was changed. Put them into force: {where}{target_options(stack, home) if output else ''}",
            soft_wrap=True,
        )


@app.command("history", epilog=epilog("loupe rules history", "loupe rules history --json | jq '.history[0]'"))
def list_history(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """List the earlier rules, newest first: when, who, and what changed."""
    target = open_target(stack, home)
    versions = rules_api.signed(target, rules.history(target))
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
        "comment": version.comment,
        "summary": summary(earlier, version),
        "changes": [
            change.document() for change in changes(earlier.document if earlier else None, version.document)
        ],
        "document": version.document,
    }
