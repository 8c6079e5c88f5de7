"""Prints the dead-letter queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contract.s3 import split
from contract.text import counted
from loupe.stack.dead_letters.letters import Letter
from loupe.views.console import out, table

_SHOWN = 20
_ID = 8  # characters; enough to tell a thousand apart


def show(documents: Sequence[dict[str, Any]], options: str) -> None:
    """Print what is in the queues.

    Args:
        documents: One for each queue, as `loupe dlq list --json` has it.
        options: The options that name the stack.
    """
    for document in documents:
        if document["number"]:
            _show_queue(document)
    empty = [str(document["queue"]) for document in documents if not document["number"]]
    if empty:
        out.print(f"Nothing is in: {', '.join(empty)}.")
    if len(empty) < len(documents):
        out.print(
            f"Try again: loupe dlq redrive{options}. Remove: loupe dlq drop{options} ID", soft_wrap=True
        )


def _show_queue(document: dict[str, Any]) -> None:
    title = f"{document['queue']}: {document['number']:,} ({document['holds']})"
    grid = table(title, figures=("id", "since", "tries"), names=("what", "why"))
    shown = document["letters"][:_SHOWN]
    for letter in shown:
        since = f"{letter['sent_at'][:16].replace('T', ' ')}Z"
        why = letter["why"] or "the function said nothing about it"
        grid.add_row(letter["id"][:_ID], since, str(letter["receives"]), _what(letter), why)
    out.print(grid)
    if (more := document["number"] - len(shown)) > 0:
        out.print(f"... and {more:,} more")
    for step in dict.fromkeys(letter["next"] for letter in shown[:3]):
        out.print(f"  {step}", soft_wrap=True)


def _what(letter: dict[str, Any]) -> str:
    if batch := letter["batch"]:
        return f"{counted(batch['records'], 'record')} of {batch['arrived_first'][:19].replace('T', ' ')}Z"
    if not letter["images"]:
        return "no image"
    return ", ".join(split(image["image"])[1] for image in letter["images"])


def show_wanted(wanted: Sequence[Letter]) -> None:
    """Print the first of the messages that are to be dropped."""
    for letter in wanted[:_SHOWN]:
        keys = ", ".join(split(image)[1] for image, _ in letter.images)
        out.print(
            f"{letter.id[:_ID]}  {keys or counted(letter.batch.size if letter.batch else 0, 'record')}",
            soft_wrap=True,
        )
    if len(wanted) > _SHOWN:
        out.print(f"... and {len(wanted) - _SHOWN:,} more")


def show_redriven(results: Sequence[dict[str, Any]], options: str) -> None:
    """Print what was tried again."""
    for result in results:
        if "records" in result:
            text = f"{result['redriven']} of {counted(result['of'], 'batch', 'batches')} processed again"
            text += f" ({counted(result['records'], 'record')})"
        else:
            text = f"{counted(result['redriven'], 'image')} moved back"
        out.print(f"{result['queue']}: {text}.", soft_wrap=True)
    out.print(f"What fails again comes back: loupe dlq{options}", soft_wrap=True)
