"""What can be wrong with a data set: each kind with its severity and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from training.job.errors import TrainingError

Severity = Literal["error", "warning"]


class DatasetError(TrainingError):
    """A dataset cannot be read; names the file at fault."""

    def __init__(self, where: object, reason: str) -> None:
        super().__init__(f"{where}: {reason}")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem. An error keeps a data set from being imported; a warning does not."""

    severity: Severity
    advice: str


KINDS: dict[str, Kind] = {
    "empty": Kind("error", "Check the path: there is no image to import."),
    "unsafe-name": Kind("error", "Pack the zip again, with names inside it only."),
    "outside-link": Kind("error", "Replace the link by the file itself."),
    "missing-image": Kind("error", "Add the image, or remove its labels."),
    "ambiguous-image": Kind("error", "Give the images names of their own."),
    "unreadable-image": Kind("error", "Replace the image by a whole JPEG, PNG, BMP, TIFF or WebP file."),
    "bad-annotation": Kind("error", "Correct the labels at this place."),
    "no-categories": Kind("error", "Add the list of categories, each with id and name."),
    "unknown-class": Kind("error", "Add the class to the list of names, or correct the number."),
    "unknown-label": Kind("error", "Correct the label, or add it to --labels."),
    "broken-record": Kind("error", "Write the .rec file again; it is cut short or damaged."),
    "index-mismatch": Kind("warning", "The .idx file is of another .rec file; it was not used."),
    "no-class-names": Kind("warning", "Put a classes.txt beside it: one name a line, class 0 first."),
    "size-mismatch": Kind("warning", "See whether the boxes fit: the labels tell of another image size."),
    "unlisted-image": Kind("warning", "Label the image, or leave it out knowingly: it is not imported."),
    "box-outside": Kind("warning", "The box was clipped to its image."),
    "zero-area-box": Kind("warning", "The box was dropped: nothing of it lies inside its image."),
    "duplicate-box": Kind("warning", "--repair keeps one of the boxes."),
    "conflicting-boxes": Kind("warning", "Decide which of the labels is right."),
    "label-case": Kind("warning", "--repair takes the commonest spelling for all."),
    "unlabelled-image": Kind("warning", "Good products, if nothing is in them: nothing to do."),
    "one-class": Kind("warning", "A detector of one class cannot tell kinds of defects apart."),
    "imbalance": Kind("warning", "Collect more of the rare classes; they will be judged by few images."),
    "duplicate-image": Kind("warning", "--repair keeps one of the images."),
    "duplicate-image-other-labels": Kind("warning", "The same image is labelled in two ways: decide."),
    "near-duplicate-image": Kind("warning", "Keep one, if they are one product photographed once."),
    "fixed-scene": Kind(
        "warning", "Photographed from one place: see by hand that no product is there twice."
    ),
    "duplicate-across-split": Kind("warning", "A snapshot leaves the image of the lower part out."),
    "missing-test-image": Kind("warning", "The test image was taken over from the previous snapshot."),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where: the file, and the place in it (or "")."""

    kind: str
    file: str
    place: str
    message: str

    @property
    def severity(self) -> Severity:
        return KINDS[self.kind].severity

    def error(self) -> DatasetError:
        """The problem as an exception."""
        return DatasetError(self.file, f"{self.place}: {self.message}" if self.place else self.message)


@dataclass
class Problems:
    """Problems found so far. If `strict`, the first one that is an error is raised as DatasetError."""

    strict: bool = False
    found: list[Problem] = field(default_factory=list)

    def report(self, kind: str, file: object, message: str, place: str = "") -> None:
        """Takes a problem down. Raises DatasetError if strict and the problem is an error."""
        self.add(Problem(kind, str(file), place, message))

    def add(self, problem: Problem) -> None:
        """As `report`."""
        if self.strict and problem.severity == "error":
            raise problem.error()
        self.found.append(problem)

    def count(self, kind: str) -> int:
        """How many of one kind."""
        return sum(problem.kind == kind for problem in self.found)
