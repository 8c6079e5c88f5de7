"""What can be wrong with a data set: each kind of problem with its severity and what to do about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal

from training.datasets import bounds
from training.job.errors import TrainingError

Severity = Literal["error", "warning"]


class DatasetError(TrainingError):
    """A data set cannot be read or written; the message names the file at fault."""

    def __init__(self, file: object, reason: str) -> None:
        super().__init__(f"{file}: {reason}")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem.

    Attributes:
        severity: An error stops the import of a data set; a warning does not.
        advice: What the user can do about it.
    """

    severity: Severity
    advice: str


KINDS: dict[str, Kind] = {
    "empty": Kind("error", "Check the path: there is no image to import."),
    "unsafe-name": Kind("error", "Create the zip again, without names that lead outside it."),
    "twice-in-zip": Kind("warning", "The last one was read. Create the zip again, with each file once."),
    "outside-link": Kind("error", "Replace the link with the file itself."),
    "missing-image": Kind("error", "Add the image, or remove its labels."),
    "ambiguous-image": Kind("error", "Give each image a unique name."),
    "unreadable-image": Kind("error", "Replace the image with a complete JPEG, PNG, BMP, TIFF or WebP file."),
    "bad-annotation": Kind("error", "Correct the labels at this place."),
    "too-many-boxes": Kind(
        "error", "Divide the image into tiles with their own labels, or correct the labels."
    ),
    "labels-lost": Kind("error", "Correct its labels: without them, it would count as a good product."),
    "labelled-twice": Kind("error", "Keep one: the same image must not have two sets of labels."),
    "fraction-box": Kind("error", "Multiply the boxes by width and height: this format has pixels."),
    "sizes-as-corners": Kind("error", "Write the corners: xmin, ymin, xmax, ymax. This format has no sizes."),
    "nothing-labelled": Kind("error", "Check that the label files belong to these images."),
    "no-categories": Kind("error", "Add the list of categories, each with id and name."),
    "unknown-class": Kind("error", "Add the class to the list of names, or correct the number."),
    "unknown-label": Kind("error", "Correct the label, or add it to --labels."),
    "broken-record": Kind("error", "Write the .rec file again; it is cut short or damaged."),
    "index-mismatch": Kind("warning", "The .idx file belongs to another .rec file; it was not used."),
    "no-class-names": Kind("warning", "Add a classes.txt next to it: one name per line, class 0 first."),
    "corner-boxes": Kind("warning", "--format coco reads the boxes as x, y, width, height instead."),
    "unplaced-defect": Kind(
        "warning",
        "An anomaly model uses the image as it is. A detector does not train on it: for one, draw boxes.",
    ),
    "shape-box": Kind("warning", "A detector learns boxes: each became the box around it."),
    "lost-shape": Kind("warning", "It is left out: it has no area. Draw a box instead."),
    "swapped-corners": Kind("warning", "The corners were put in order."),
    "tiny-box": Kind("warning", "Check it: it is less than a pixel wide or high."),
    "turned-boxes": Kind(
        "warning", "The labels were drawn on the stored pixels: they were turned with the image."
    ),
    "turned-image": Kind("warning", "Check that the boxes fit the upright image: the labels do not tell."),
    "other-job": Kind("warning", "Only the labels of the latest job were read."),
    "extra-columns": Kind("warning", "They were ignored: a box has a class and four numbers."),
    "root-category": Kind("warning", "It was left out: it only groups the other classes."),
    "category-twice": Kind("warning", "They became one class."),
    "contradiction": Kind("warning", "The boxes count. Correct the label of the image."),
    "empty-mask": Kind(
        "warning", "The image keeps its label. Mark the defect in the mask, or correct the label."
    ),
    "mask-shape": Kind("error", "Draw the mask on this image: it has the shape of another one."),
    "mask-without-image": Kind(
        "warning", "It was not read. Add its image, or give each image a name of its own."
    ),
    "good-only-train": Kind(
        "warning", "An anomaly model learns from good products alone. A detector cannot: for one, --by-hash."
    ),
    "smooth-mask": Kind("warning", "Its pixels count as the nearest colour. Save masks without smoothing."),
    "other-suffix": Kind("warning", "Check that they are the same pictures: only their suffix differs."),
    "listed-twice": Kind("warning", "It was read once."),
    "two-parts": Kind("warning", "It is kept in the higher one: train < validation < test."),
    "other-files": Kind("warning", "They were not read. --format names what to read."),
    "unread-archive": Kind("warning", "It was not read. Import it by its own path, or unpack it."),
    "size-mismatch": Kind("warning", "Check that the boxes fit: the labels give another image size."),
    "unlisted-image": Kind("warning", "It is not imported. Label it if it should be."),
    "box-outside": Kind("warning", "The box was clipped to its image."),
    "zero-area-box": Kind("warning", "The box was dropped: no part of it is inside its image."),
    "duplicate-box": Kind("warning", "--repair keeps one of the boxes."),
    "conflicting-boxes": Kind("warning", "Decide which of the labels is right."),
    "label-case": Kind("warning", "--repair uses the most common spelling for all."),
    "unlabelled-image": Kind("warning", "If these are good products, there is nothing to do."),
    "unused-class": Kind("warning", "It is left out of the data set: no object shows it."),
    "untested-class": Kind(
        "warning", "Add images of it: a model is retrained only if test images show each class."
    ),
    "empty-part": Kind("warning", "Add images: training needs some in every part."),
    "one-class": Kind("warning", "A detector of one class cannot tell kinds of defects apart."),
    "imbalance": Kind("warning", "Collect more images of the rare classes: few images evaluate them now."),
    "duplicate-image": Kind("warning", "--repair keeps one of the images."),
    "duplicate-image-other-labels": Kind(
        "warning", "The same image is labelled in two ways: decide which is right."
    ),
    "near-duplicate-image": Kind("warning", "Keep one if both show one product photographed once."),
    "turned-copy": Kind("warning", "Nothing to do: copies of one picture are always in one part."),
    "augmented-copy": Kind(
        "warning", "Nothing to do: they are always in one part. Training makes such copies itself."
    ),
    "fixed-scene": Kind(
        "warning", "Photographed from one place: check by hand that no product is in it twice."
    ),
    "duplicate-across-split": Kind(
        "warning", "A snapshot leaves this image out, and keeps the one in the other part."
    ),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem and its place.

    Attributes:
        kind: A key of KINDS.
        file: The file at fault.
        place: The place in the file; "" if the problem concerns the whole file.
        message: What is wrong; continues a sentence that starts with the file or the place.
        count: How often it is there, if it is told once for several places.
    """

    kind: str
    file: str
    place: str
    message: str
    count: int = 1

    @property
    def severity(self) -> Severity:
        return KINDS[self.kind].severity

    def error(self) -> DatasetError:
        """Return the problem as an exception."""
        return DatasetError(self.file, f"{self.place}: {self.message}" if self.place else self.message)


@dataclass
class Problems:
    """Collects the problems of a data set while it is read.

    Attributes:
        strict: Raise the first problem that is an error instead of collecting it.
        collected: The problems so far.
    """

    strict: bool = False
    collected: list[Problem] = field(default_factory=list)
    _tallied: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _places: Counter[tuple[str, str]] = field(default_factory=Counter)

    def report(self, kind: str, file: object, message: str, place: str = "") -> None:
        """Collect a problem, given by its fields.

        Raises:
            DatasetError: The problem is an error, and `strict` is set.
        """
        self.add(Problem(kind, str(file), place, message))

    def tally(self, kind: str, file: object, message: str, number: int = 1) -> None:
        """Collect a problem that a file may have thousands of times: as one, with their number.

        Args:
            kind: A key of KINDS.
            file: The file at fault.
            message: What is wrong, the same for all of them.
            number: How many to add.

        Raises:
            DatasetError: The problem is an error, and `strict` is set.
        """
        key = kind, str(file), message
        if number > 0 and key in self._tallied:
            index = self._tallied[key]
            self.collected[index] = replace(self.collected[index], count=self.collected[index].count + number)
        elif number > 0:
            self._tallied[key] = len(self.collected)
            self.add(Problem(kind, str(file), "", message, number))

    def add(self, problem: Problem) -> None:
        """Collect a problem.

        Raises:
            DatasetError: The problem is an error, and `strict` is set.
        """
        if self.strict and problem.severity == "error":
            raise problem.error()
        places = self._places[problem.kind, problem.file]
        self._places[problem.kind, problem.file] += 1
        # A file may have millions of places at which the same is wrong.
        if places >= bounds.PLACES and problem.place:
            self.tally(problem.kind, problem.file, "has more such places", problem.count)
        else:
            self.collected.append(problem)

    def count(self, kind: str) -> int:
        """Return the number of collected problems of one kind."""
        return sum(problem.count for problem in self.collected if problem.kind == kind)
