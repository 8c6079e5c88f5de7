"""Prints what a replay would do, and what it has done."""

from __future__ import annotations

from typing import Any

from contract.text import counted
from loupe.stack.replays import Progress
from loupe.views.console import out

_KEPT = {
    "deleted": "the image was deleted",
    "model_error": "the model failed on it",
    "model_timeout": "the model did not answer",
}


def show_asked(asked: dict[str, Any]) -> None:
    """Print how many images would be judged again.

    Args:
        asked: As `loupe replay --dry-run --json` has it.
    """
    if not asked["images"]:
        out.print("No image fits.")
    else:
        verdicts = ", ".join(
            f"{number:,} {verdict}" for verdict, number in sorted(asked["by_verdict"].items())
        )
        out.print(f"{counted(asked['images'], 'image')}, now: {verdicts}.", soft_wrap=True)
    if asked["unversioned"]:
        out.print(f"{counted(asked['unversioned'], 'image')} without versions cannot be judged again.")
    if asked["dollars"] is not None:
        out.print(
            f"On AWS that costs about ${asked['dollars']:.2f}, beside the endpoint's hours (list prices).",
            soft_wrap=True,
        )


def document(done: Progress) -> dict[str, Any]:
    """Return what a replay has done, for --json."""
    counts = done.counts
    return {
        "id": done.id,
        "images": done.announced,
        "judged_again": done.done - counts.get("same", 0) - counts.get("kept", 0) - counts.get("gone", 0),
        "same_model_and_rules": counts.get("same", 0),
        "kept": {name: counts[name] for name in sorted(_KEPT) if name in counts},
        "gone": counts.get("gone", 0),
        "changed": done.changed,
        "reviewed": counts.get("reviewed", 0),
        "differs_from_people": counts.get("differs", 0),
        "not_judged": done.stuck,
    }


def show_done(done: Progress) -> None:
    """Print what a replay has done."""
    found = document(done)
    changed = sum(found["changed"].values())
    out.print(
        f"{counted(found['judged_again'], 'image')} judged again: {counted(changed, 'verdict')} changed.",
        soft_wrap=True,
    )
    for name, number in found["changed"].items():
        before, after = name.split(">")
        out.print(f"  {number:>7,}  {before} → {after}")
    if found["same_model_and_rules"]:
        number = counted(found["same_model_and_rules"], "image")
        out.print(f"{number} stayed: today's model and rules had judged before.", soft_wrap=True)
    for name, number in found["kept"].items():
        out.print(f"{counted(number, 'image')} kept the old judgement: {_KEPT[name]}.", soft_wrap=True)
    if found["gone"]:
        out.print(f"{counted(found['gone'], 'record')} had expired meanwhile.", soft_wrap=True)
    if found["reviewed"]:
        out.print(
            f"People had decided about {found['reviewed']:,}; {found['differs_from_people']:,} verdicts differ. "
            "Their decisions stay.",
            soft_wrap=True,
        )
