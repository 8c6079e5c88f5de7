"""The steps of `loupe learn`, in their order, and what is said if somebody stops between them."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from localcloud import NotRunningError
from localcloud.home.lock import Lock
from loupe.commands.options import open_target, target_options
from loupe.errors import LoupeError
from loupe.stack import dashboard, deployment, detached, rules, rules_api, trial, uploads
from loupe.stack.deployment import Hosting
from loupe.stack.inspections import Inspection
from loupe.stack.learning import lesson as lessons
from loupe.stack.learning import serving
from loupe.stack.learning.lesson import Lesson
from loupe.stack.learning.serving import Place
from loupe.stack.learning.source import folder_of, line_of, look
from loupe.stack.learning.verdicts import Verdicts, uploads_of
from loupe.stack.target import Target
from loupe.stack.waiting import Cause
from loupe.views.console import err
from loupe.views.figures import duration
from loupe.views.learning import Screen, progress_text, remark, show_learned, show_verdicts

# So many good pictures are learned from in a minute on a laptop.
_FEW_PICTURES = 60
_PATIENCE_SECONDS = 120.0
# On AWS, the functions keep the rules for half a minute by default.
_LONGEST_PAUSE_SECONDS = 60.0
_AGAIN = "The same command goes on from there."


@dataclass(frozen=True)
class Wish:
    """What the user asks for.

    Attributes:
        pictures: The folder, zip or labelled images.
        line: The line; None for one that is named after the folder.
        family: What to train; None for what suits the pictures.
        settings: Hyperparameters as NAME=VALUE.
        format: The format of the labels; None to detect it.
        all_good: Whether all pictures are good.
        replace: Whether the new model serves alone.
        drop: Whether pictures are dropped afterwards.
        up: Whether to start the local cloud if none runs.
    """

    pictures: str
    line: str | None
    family: str | None
    settings: tuple[str, ...]
    format: str | None
    all_good: bool
    replace: bool
    drop: bool
    up: bool


class Course:
    """One run of `loupe learn`.

    Attributes:
        line: The line that the pictures are of.
        folder: For everything about it.
        target: The stack.
        options: With which another command works on the same stack.
        dropped_at: When the first picture was dropped, in seconds since 1970.
    """

    def __init__(self, wish: Wish, home: Path, stack: str | None, screen: Screen) -> None:
        self._wish, self._home, self._stack, self._screen = wish, home, stack, screen
        self.line = wish.line if wish.line is not None else line_of(wish.pictures)
        uploads.check_name("line", self.line)
        self.folder = folder_of(home, self.line)
        self.options = target_options(stack, home)
        self.dropped_at = time.time()
        self._stopped = ["Stopped: nothing was learned yet, and nothing was changed."]

    def run(self) -> dict[str, Any]:
        """Do all of it, and return what was done as JSON values.

        Raises:
            LoupeError: A step cannot be done; those before it are kept.
        """
        self.target = self._open()
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = Lock(self.folder)
        if not lock.acquire():
            raise LoupeError(
                f"another `loupe learn` is at work for the line {self.line}",
                "Wait for its end, or give these pictures another --line.",
            )
        try:
            return self._run()
        finally:
            lock.release()

    def _run(self) -> dict[str, Any]:
        lesson, place = self._prepare()
        trained = self._train(lesson)
        card, evaluation = self._examine(lesson)
        served = self._deploy(lesson, place)
        in_force = self._put_rules(lesson)
        verdicts = self._drop(lesson) if self._wish.drop else None
        link = self._show_next(lesson, verdicts)
        return {
            "line": self.line,
            "files": str(lesson.run),
            "pictures": lesson.source.document(),
            "family": lesson.family,
            "trained": trained,
            "model": {"name": card["name"], "archive": str(lesson.archive)},
            "calibration": card.get("metrics", {}).get("calibration"),
            "evaluation": evaluation,
            "endpoint_model": served,
            "beside": place.stays,
            "rules": in_force,
            "verdicts": verdicts.document() if verdicts else None,
            "dashboard": link,
        }

    def interrupted(self) -> list[str]:
        """Return what to say after Ctrl+C: what is done, and how to go on."""
        return self._stopped

    def _open(self) -> Target:
        """Return the stack, and start the local cloud if that is asked for."""
        try:
            return open_target(self._stack, self._home)
        except NotRunningError as error:
            if self._stack:
                raise
            if not self._wish.up:
                raise LoupeError(
                    str(error.message),
                    f"Start it: loupe up --detach{self.options}  Or add --up to this command.",
                ) from error
        with self._screen.stage("starting the local cloud"):
            detached.start(self._home, None, None)
        self._screen.print(f"The local cloud is running; `loupe down{self.options}` stops it.")
        return Target.local(self._home)

    def _prepare(self) -> tuple[Lesson, Place]:
        wish = self._wish
        with self._screen.stage("looking at the pictures"):
            source = look(wish.pictures, self.folder, wish.format, wish.all_good)
        family = wish.family or lessons.family_for(source)
        lesson = Lesson(source, family, self.line, wish.settings, self.folder)
        lesson.check()
        if problem := Hosting.of(self.target).unsuitable():
            raise LoupeError(problem, "Give the stack the other container or instance type (docs/deploy.md).")
        if wish.replace:
            place = serving.place_alone(self.target, self.folder)
        else:
            place = serving.place_for(lesson.kind, self.line, serving.served(self.target, self.folder))
        self._screen.show_source(lesson)
        self._screen.show_place(lesson, place)
        if self._stack and not self.target.local_cloud:
            self._screen.print("The training runs on this machine; only the finished model goes to AWS.")
        return lesson, place

    def _train(self, lesson: Lesson) -> bool:
        again = _AGAIN if lesson.kind == "detector" else "The same command starts it again."
        self._stopped = ["Stopped in the training. Nothing was deployed.", again]
        began, remarks = time.monotonic(), list[str]()
        long = " (about a minute)" if lesson.kind == "anomaly" and lesson.source.good <= _FEW_PICTURES else ""
        with self._screen.stage(f"learning{long}") as show:

            def on_event(event: dict[str, Any]) -> None:
                if text := progress_text(event):
                    show(text)
                if said := remark(event):
                    remarks.append(said)

            trained = lessons.train(lesson, on_event)
        self._stopped = [f"Stopped: the model is finished ({lesson.archive}), and not deployed.", _AGAIN]
        after = f"in {duration(time.monotonic() - began)}" if trained else "before, from the same pictures"
        self._screen.print(f"Learned {after}: {lesson.archive}")
        for text in remarks:
            self._screen.print(f"  {text}")
        return trained

    def _examine(self, lesson: Lesson) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Measure the model on what was kept aside, and show what it has learned."""
        evaluation = None
        if lesson.can_be_measured:
            with self._screen.stage("measuring"):
                evaluation = lessons.evaluate(lesson)
        card = deployment.read_card(lesson.archive)
        show_learned(self._screen, lesson, card, evaluation)
        return card, evaluation

    def _deploy(self, lesson: Lesson, place: Place) -> str:
        """Let the endpoint serve the model, as `loupe deploy` does; return SageMaker's name of it."""
        archive = lesson.archive
        if place.beside:
            with self._screen.stage(f"packing it together with {place.stays}"):
                archive = lessons.pack(lesson, place.beside)
        began = time.monotonic()
        with self._screen.stage("deploying") as show:
            tried = trial.run(archive, [], force=False)
            self._stopped = [
                "Stopped waiting. The endpoint serves its former model; a switch that has begun goes on without you.",
                f"See which one serves: loupe models{self.options}. {_AGAIN}",
            ]
            name = deployment.deploy(
                self.target,
                archive,
                Hosting.of(self.target),
                show,
                trial=tried.text,
                keep_instance_count=True,
            )
        self._stopped = ["Stopped: the endpoint serves the new model.", _AGAIN]
        self._screen.print(
            f"{self.target.output('EndpointName')} serves it ({duration(time.monotonic() - began)})."
        )
        return name

    def _put_rules(self, lesson: Lesson) -> str | None:
        """Put the scores of the model's classes into force; everything else in the rules stays.

        Returns:
            The version of the rules; None if the model proposes no scores.
        """
        proposed = rules.proposed_by_model(lesson.archive)
        if not proposed:
            return None
        versions = rules.history(self.target)
        checked = rules.with_scores(proposed, versions)
        version = str(checked.document["version"])
        if versions[0].document == checked.document:
            return version
        rules_api.change(self.target, checked.document, versions[0], f"learned from {lesson.source.path}")
        seconds = min(float(self.target.outputs.get("RulesCacheSeconds", "30")), _LONGEST_PAUSE_SECONDS)
        with self._screen.stage(f"waiting until the rules are in force everywhere: {seconds:g} s"):
            time.sleep(seconds)
        self._screen.print(f"Its scores are in the rules {version}; the rest of them is as before.")
        return version

    def _drop(self, lesson: Lesson) -> Verdicts:
        """Upload some of the pictures, and follow them to their verdicts."""
        pictures = lesson.source.pictures
        records: dict[uploads.Identity, Inspection] = {}
        self.dropped_at = time.time()
        self._stopped = ["Stopped: the model serves, and the pictures that were dropped get their verdicts."]
        with self._screen.stage("dropping pictures") as show:
            uploaded = uploads.upload(self.target, uploads_of(pictures, self.line), lambda upload: None)
            total = len(uploaded)

            def on_record(record: Inspection) -> None:
                records[record["image"], record["version_id"]] = record
                show(f"{len(records)} of {total} have a verdict")

            uploads.follow(self.target, uploaded, on_record, _PATIENCE_SECONDS, on_wait=_show_cause)
        verdicts = Verdicts(list(zip(pictures, uploaded, strict=True)), records)
        show_verdicts(self._screen, verdicts)
        return verdicts

    def _show_next(self, lesson: Lesson, verdicts: Verdicts | None) -> str:
        """Print where to look, and what to do next; return the dashboard's address."""
        where = f"#/line/{quote(self.line, safe='')}"
        if self._stack:
            link = dashboard.address(self.target)
            self._screen.print(f"\nThe line in the dashboard: {link.rstrip('/')}/{where}")
        else:
            link = dashboard.sign_in_link(self._home)
            self._screen.print(f"\nThe dashboard, signed in once within ten minutes: {link}")
            self._screen.print(f"There, the line: {link.partition('#')[0]}{where}")
        line = shlex.quote(self.line)
        self._screen.print("Next:")
        for what, command in (
            ("judge others, such as bad ones", f"loupe drop FOLDER --line {line} --station bad --wait"),
            ("see one, with what was found", "loupe open SERIAL"),
            ("decide what is doubtful, for the next model", "loupe review"),
            ("undo the rules, see who changed them", "loupe rules history"),
        ):
            self._screen.print(f"  {what + ':':<45} {command}{self.options}")
        return link


def _show_cause(cause: Cause) -> None:
    err.print(f"waiting: {cause.message}", soft_wrap=True)
    if cause.hint:
        err.print(f"         {cause.hint}", soft_wrap=True)
