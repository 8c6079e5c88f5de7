"""What `loupe learn` prints: what it has found, the progress, what was learned, and the verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from contract.text import counted, listed
from loupe.stack.learning.lesson import USUAL_GOOD, Lesson
from loupe.stack.learning.serving import WORDS, Kind, Place
from loupe.stack.learning.source import Source
from loupe.stack.learning.verdicts import Verdicts
from loupe.views.console import err, out, table
from loupe.views.figures import duration
from loupe.views.inspections import show_inspections

_NAMES_SHOWN = 5
_SURPRISES_SHOWN = 8
_MANY_DOUBTFUL = 0.05
# In the order of the columns.
_VERDICTS = ("pass", "review", "fail", "unreadable")


class Screen:
    """Prints the stages of a lesson for people; with `quiet` only their progress, to stderr.

    Attributes:
        quiet: Whether standard output is for a program.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def print(self, text: str) -> None:
        """Print a line."""
        if not self.quiet:
            out.print(text, soft_wrap=True)

    @contextmanager
    def stage(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show what is being done; where that cannot be updated, as a line.

        Yields:
            A function that shows how far it is.
        """
        if not err.is_terminal:
            err.print(f"{text} …", soft_wrap=True)
            yield lambda detail: None
            return
        with err.status(text) as status:
            yield lambda detail: status.update(f"{text}: {detail}")

    def show_source(self, lesson: Lesson) -> None:
        """Print what the pictures are, and what is learned from them."""
        source = lesson.source
        self.print(f"{_pictures(source)}: {_intention(lesson)}")
        for note in _notes(source):
            self.print(f"  {note}")
        self.print(f"  files: {lesson.folder}")
        if lesson.kind == "anomaly" and source.good < USUAL_GOOD:
            self.print(
                f"  {source.good} good pictures are few: with about {USUAL_GOOD}, less of what is good looks odd."
            )
        if lesson.seconds:
            self.print(
                f"  That takes about {duration(lesson.seconds)} on two cores. Ctrl+C stops it, and the same command "
                "goes on."
            )

    def show_place(self, lesson: Lesson, place: Place) -> None:
        """Print what becomes of the models that serve."""
        if place.stays:
            other: Kind = "detector" if lesson.kind == "anomaly" else "anomaly"
            self.print(
                f"The endpoint serves the {WORDS[other]} {place.stays}: both will judge each picture together. "
                "(--replace puts the new one in its place.)"
            )
        if place.replaces:
            self.print(
                f"The new {WORDS[lesson.kind]} takes the place of {place.replaces}. "
                f"`loupe deploy` brings that back: {place.copy}"
            )


def _pictures(source: Source) -> str:
    good = counted(source.good, "good picture")
    if not source.defective:
        return f"{good}, no defective one"
    where = (
        f" ({source.boxed} with boxes)"
        if source.boxed
        else f" ({source.masked} with masks)"
        if source.masked
        else ""
    )
    return f"{good}, {source.defective} defective{where}"


def _intention(lesson: Lesson) -> str:
    source = lesson.source
    if lesson.kind == "detector":
        classes = listed(list(source.classes), _NAMES_SHOWN)
        return f"training a detector ({lesson.family}) for {classes}"
    if source.defective:
        return "learning what good looks like, and where the limit is"
    return "learning what good looks like"


def _notes(source: Source) -> Iterator[str]:
    sizes = [
        f"{width} × {height}" + (f" ({count})" if len(source.sizes) > 1 else "")
        for width, height, count in source.sizes
    ]
    yield f"size: {', '.join(sizes)} pixels"
    good, defective = source.test
    if good or defective:
        yield f"kept aside to measure by: {good} good, {defective} defective"
    if source.copies:
        copies = "1 is a copy of another" if source.copies == 1 else f"{source.copies} are copies of others"
        yield f"{copies}, and left out"
    if source.unreadable:
        yield f"left out, because {counted(source.unreadable, 'file')} cannot be read: {source.first_unreadable}"


def progress_text(event: dict[str, Any]) -> str | None:
    """Return what an event of the training says about its progress; None if nothing.

    >>> progress_text({"event": "epoch", "epoch": 2, "epochs": 5, "seconds": 20.0})
    'epoch 2 of 5, 1 min 0 s left'
    >>> progress_text({"event": "pictures", "doing": "remembering", "done": 3, "of": 20})
    'remembering 3 of 20 pictures'
    """
    if event.get("event") == "epoch":
        left = (event["epochs"] - event["epoch"]) * event["seconds"]
        return f"epoch {event['epoch']} of {event['epochs']}, {duration(left)} left"
    if event.get("event") == "pictures":
        return f"{event['doing']} {event['done']} of {event['of']} pictures"
    return None


def show_learned(
    screen: Screen, lesson: Lesson, card: dict[str, Any], evaluation: dict[str, Any] | None
) -> None:
    """Print what a model has learned, and how good it is as far as anybody can know."""
    metrics = card.get("metrics", {})
    for sentence in [
        *_calibration(metrics.get("calibration") or {}),
        *_outliers(metrics.get("outliers") or {}),
    ]:
        screen.print(f"  {sentence}")
    if evaluation is not None:
        for sentence in _measured(lesson, evaluation):
            screen.print(f"  {sentence}")
        screen.print(f"  Scores, misses and heat maps: {lesson.report}")


def _calibration(calibration: dict[str, Any]) -> Iterator[str]:
    """Yield what the limit means for the good pictures, and for the defective ones."""
    if overkill := calibration.get("overkill"):
        good = counted(overkill["of"], "good picture")
        yield (
            f"Of {good}, each compared with the others, {overkill['count']} would be called an anomaly: overkill "
            f"{_rate(overkill)}."
        )
    doubtful = calibration.get("doubtful")
    if doubtful and doubtful["count"]:
        yield f"{doubtful['count']} more would go to a person."
        if doubtful["value"] > _MANY_DOUBTFUL and calibration.get("escape"):
            yield "To send fewer there, let some of the defective ones pass: --escape-rate 0.05."
    if escape := calibration.get("escape"):
        defective = counted(escape["of"], "defective picture")
        yield f"Of {defective}, {escape['count']} would pass: escape {_rate(escape)}."


def _rate(measured: dict[str, Any]) -> str:
    low, high = measured["interval"]
    return f"{measured['value']:.1%} (95 % interval {low:.1%} to {high:.1%})"


def _outliers(outliers: dict[str, list[str]]) -> Iterator[str]:
    """Yield which of the good pictures may be none."""
    if names := outliers.get("left_out"):
        yield (
            f"Unlike all other good pictures, and not remembered: {_files(names)}. Look at them. If what they show is "
            "good, add more pictures of it; if not, take them out."
        )
    if names := outliers.get("kept"):
        yield (
            f"Unlike the other good pictures, and so many that they may be a variant: {_files(names)}. Look at them: "
            "what they show counts as good."
        )


def _files(names: list[str]) -> str:
    """Return the names of files for a sentence; those in a snapshot are URIs."""
    return listed([unquote(name.rpartition("/")[2]) for name in names], _NAMES_SHOWN)


def remark(event: dict[str, Any]) -> str | None:
    """Return what an event of the training tells about the pictures; None if nothing.

    >>> remark({"event": "unseen", "names": ["file:///bottles/anomaly/d%C3%BCnn.png"]})
    'Look like usual good ones, and are not found: dünn.png.'
    """
    if event.get("event") == "unseen":
        return f"Look like usual good ones, and are not found: {_files(event['names'])}."
    if event.get("event") == "shapes":
        return (
            f"The pictures are from {event['narrowest']} to {event['widest']} times as wide as high, and all are "
            "stretched to a square: a model for each shape sees better."
        )
    return None


def _measured(lesson: Lesson, evaluation: dict[str, Any]) -> Iterator[str]:
    good, defective = lesson.source.test
    where = f"On the {good} good and {defective} defective pictures kept aside"
    if lesson.kind == "detector":
        yield f"{where}: mAP {evaluation['map']:.3f}, mAP50 {evaluation['map50']:.3f}"
        return
    auroc, caught = evaluation.get("image_auroc"), evaluation.get("caught_at_zero_overkill")
    if auroc is not None and caught is not None:
        yield f"{where}: AUROC {auroc:.3f}; {caught:.0%} of the defective ones are found before any good one fails."


def show_verdicts(screen: Screen, verdicts: Verdicts) -> None:
    """Print how many of the pictures got which verdict, and those that are not as expected."""
    if screen.quiet:
        return
    grid = table("Verdicts", figures=("pictures", *_VERDICTS))
    for name, defective in (("good", False), ("defective", True)):
        counts = verdicts.counts(defective)
        if counts:
            grid.add_row(name, *(str(counts[verdict]) if counts[verdict] else "-" for verdict in _VERDICTS))
    out.print(grid)
    if surprises := verdicts.surprises():
        more = (
            f" ({len(surprises) - _SURPRISES_SHOWN} more: loupe inspections)"
            if len(surprises) > _SURPRISES_SHOWN
            else ""
        )
        show_inspections(
            surprises[:_SURPRISES_SHOWN], f"Good ones that did not pass, and defective ones that did{more}"
        )
