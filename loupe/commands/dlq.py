"""`loupe dlq`: what failed too often, why, and what becomes of it."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from contract.inspections import timestamp
from contract.text import counted
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target, target_options
from loupe.errors import LoupeError
from loupe.stack.dead_letters import batches, causes, letters, moves
from loupe.stack.dead_letters.letters import DeadLetterQueue, Letter, Name
from loupe.stack.target import Target
from loupe.views import dead_letters as view
from loupe.views.console import err, out, print_json

app = commands("See what failed too often and why, let it be tried again, or drop it.")

Queue = Annotated[
    Name | None, typer.Option("--queue", help="Only this queue: images, alerts, or counts. Without it: all.")
]


@app.callback(
    invoke_without_command=True,
    no_args_is_help=False,
    epilog=epilog("loupe dlq", "loupe dlq --queue images --json --stack loupe"),
)
def dlq(
    context: typer.Context, home: Home, queue: Queue = None, stack: Stack = None, json_: Json = False
) -> None:
    """List what is in the dead-letter queues, why it is there, and what to do next.

    images: what the function `inspect` could not inspect in five attempts, or `replay` could not judge again. alerts
    and counts: records that `alert` or `track` could not process in a quarter of an hour. Nothing is changed.
    """
    if context.invoked_subcommand is not None:
        return
    target, options = open_target(stack, home), target_options(stack, home)
    documents: list[dict[str, Any]] = []
    for each in _chosen(queue):
        with err.status(f"reading {each.name}"), letters.opened(target, each) as found:
            why = causes.explained(target, found)
            documents.append(
                {
                    "queue": each.name.value,
                    "holds": each.holds,
                    "number": len(found),
                    "letters": [_document(letter, why.get(letter.id), options) for letter in found],
                }
            )
    if json_:
        print_json({"queues": documents})
    else:
        view.show(documents, options)


@app.command(
    epilog=epilog(
        "loupe dlq redrive",
        "loupe dlq redrive --queue images --rate 5 --stack loupe",
        statuses={1: "an error, or something failed again"},
    )
)
def redrive(
    home: Home,
    queue: Queue = None,
    rate: Annotated[
        int | None, typer.Option(min=1, max=500, help="At most so many images per second.")
    ] = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Let what is in the dead-letter queues be tried again. Doing it twice is safe.

    Images go back to the queue that they came from, and are inspected again; an image has one record, however often
    it is inspected. Records are given to `alert` and `track` once more; neither alerts or counts twice.
    """
    target = open_target(stack, home)
    results: list[dict[str, Any]] = []
    problems: list[LoupeError] = []
    for each in _chosen(queue):
        done = (
            _redrive_batches(target, each, problems)
            if each.holds_batches
            else _redrive_images(target, each, rate)
        )
        results.append({"queue": each.name.value, **done})
    if json_:
        print_json({"queues": results, "problems": [str(problem) for problem in problems]})
    else:
        view.show_redriven(results, target_options(stack, home))
    if problems:
        raise problems[0]


@app.command(
    epilog=epilog(
        "loupe dlq drop 1f2e3d4c",
        "loupe dlq drop --all --queue counts --yes",
        statuses={1: "an error, or not confirmed"},
    )
)
def drop(
    home: Home,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Of `loupe dlq`; its beginning is enough.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything that is in the queues.")] = False,
    queue: Queue = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Remove messages from the dead-letter queues for ever. Asks first.

    An image itself stays in the bucket, without a verdict; `loupe reconcile` announces it again. A record stays in the
    table, without its alert or without being counted.
    """
    if bool(ids) == all_:
        raise LoupeError("name what to drop: IDs, or --all", "See what is there: loupe dlq")
    target = open_target(stack, home)
    dropped: list[Letter] = []
    missing = set(ids or ())
    for each in _chosen(queue):
        with letters.opened(target, each) as found:
            wanted = found if all_ else [letter for letter in found if _is_named(letter, ids or [])]
            missing -= {name for name in missing if any(letter.id.startswith(name) for letter in wanted)}
            if not wanted:
                continue
            _confirm(each, wanted, yes)
            for letter in wanted:
                letters.remove(target, letter)
                dropped.append(letter)
    if missing:
        raise LoupeError(
            f"there is no letter {', '.join(sorted(missing))}",
            f"See what is there: loupe dlq{target_options(stack, home)}",
        )
    if json_:
        print_json({"dropped": [letter.id for letter in dropped]})
    else:
        out.print(f"Dropped {counted(len(dropped), 'message')}.")


def _chosen(name: Name | None) -> list[DeadLetterQueue]:
    return [queue for queue in letters.QUEUES if name in (None, queue.name)]


def _is_named(letter: Letter, ids: list[str]) -> bool:
    return any(letter.id.startswith(name) for name in ids)


def _confirm(queue: DeadLetterQueue, wanted: list[Letter], yes: bool) -> None:
    """Ask whether to drop letters. Raises what ends the command if not."""
    if yes:
        return
    number = counted(len(wanted), "message")
    if not sys.stdin.isatty():
        raise LoupeError(f"this drops {number} of {queue.name}, and nobody can be asked", "Add --yes.")
    view.show_wanted(wanted)
    typer.confirm(f"Drop {number} of {queue.name}? They cannot be restored.", abort=True, err=True)


def _redrive_images(target: Target, queue: DeadLetterQueue, rate: int | None) -> dict[str, Any]:
    with err.status("moving images back") as status:
        done = moves.move(
            target,
            target.output(queue.output),
            rate,
            lambda move: status.update(f"moving images back: {move.moved:,} of {move.to_move:,}"),
        )
    return {"redriven": done.moved, "of": max(done.moved, done.to_move), "status": done.status}


def _redrive_batches(target: Target, queue: DeadLetterQueue, problems: list[LoupeError]) -> dict[str, Any]:
    records = redriven = 0
    with err.status(f"reading {queue.name}") as status, letters.opened(target, queue) as found:
        for letter in found:
            status.update(f"{queue.function} processes batches again: {redriven:,} of {len(found):,}")
            try:
                records += batches.process_again(target, letter)
            except LoupeError as problem:
                problems.append(problem)
                continue
            letters.remove(target, letter)
            redriven += 1
        return {"redriven": redriven, "of": len(found), "records": records}


def _document(letter: Letter, why: str | None, options: str) -> dict[str, Any]:
    batch = letter.batch
    return {
        "id": letter.id,
        "sent_at": timestamp(letter.sent_at),
        "receives": letter.receives,
        "images": [{"image": image, "version_id": version} for image, version in letter.images],
        "inspections": list(letter.inspections),
        "batch": None
        if batch is None
        else {
            "records": batch.size,
            "condition": batch.condition,
            "arrived_first": timestamp(batch.arrived_first),
            "arrived_last": timestamp(batch.arrived_last),
        },
        "why": why,
        "next": causes.next_step(letter, why, options),
        "body": letter.body,
    }
