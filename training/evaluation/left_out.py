"""What an evaluation leaves out or cannot count, so that no figure hides it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from contract.text import counted, listed
from training.datasets import Dataset
from training.evaluation.metrics import USUAL_DETECTIONS, most_detections, most_objects

_SHOWN = 5
_LISTED = 100  # in the document; a log line has a limit


@dataclass(frozen=True)
class LeftOut:
    """What an evaluation leaves out or cannot count.

    Attributes:
        unreadable: The images that could not be read.
        unplaced: The number of images whose labels say that they have a defect, but not where. They count in the escape
            rate of the verdicts, and in nothing else.
        unknown: The number of objects of each class that the model does not know. It scores 0 there.
        untested: The classes that no image shows. Nothing is measured for them.
        crowds: The number of crowds, each of which counts as one object.
        crowded: The number of images with more objects than COCO counts detections in an image.
        most_objects: The most objects in an image.
        detections: The most detections in an image that count.
        served: The most detections in an image that the endpoint returns.
    """

    unreadable: tuple[str, ...] = ()
    unplaced: int = 0
    unknown: Mapping[str, int] = field(default_factory=dict)
    untested: tuple[str, ...] = ()
    crowds: int = 0
    crowded: int = 0
    most_objects: int = 0
    detections: int = USUAL_DETECTIONS
    served: int = USUAL_DETECTIONS

    def document(self) -> dict[str, Any]:
        """Return it for JSON, with its sentences as `texts`."""
        return {
            "unreadable_images": len(self.unreadable),
            "unreadable": list(self.unreadable[:_LISTED]),
            "images_without_place": self.unplaced,
            "unknown_labels": dict(self.unknown),
            "untested_classes": list(self.untested),
            "crowds": self.crowds,
            "crowded_images": self.crowded,
            "most_objects": self.most_objects,
            "max_detections": self.detections,
            "texts": self.texts(),
        }

    def texts(self) -> list[str]:
        """Return a sentence for each kind of thing that is left out."""
        texts = []
        if self.unreadable:
            texts.append(
                f"{counted(len(self.unreadable), 'image')} could not be read: {listed(self.unreadable, _SHOWN)}."
            )
        if self.unplaced:
            texts.append(
                f"{counted(self.unplaced, 'image')} labelled as defective without a box: neither good nor of a class."
                " Only the escape rate of the verdicts counts these."
            )
        if self.unknown:
            objects = ", ".join(f"{label!r} ({number})" for label, number in self.unknown.items())
            texts.append(f"Labels that the model does not know, with their objects: {objects}. They score 0.")
        if self.untested:
            texts.append(f"No image here contains {_quoted(self.untested)}: nothing can be measured for it.")
        if self.crowds:
            texts.append(f"{counted(self.crowds, 'crowd')} in the data set: each counts as one object.")
        if self.crowded:
            texts.append(
                f"{counted(self.crowded, 'image')} with more than {USUAL_DETECTIONS} objects (at most"
                f" {self.most_objects}): up to {self.detections} detections an image count, where COCO counts"
                f" {USUAL_DETECTIONS}." + self._served()
            )
        return texts

    def _served(self) -> str:
        if self.served >= self.most_objects:
            return ""
        return f" The endpoint returns at most {self.served}."


def left_out(
    dataset: Dataset, labels: Sequence[str], served: int, unreadable: Sequence[str] = (), crowds: int = 0
) -> LeftOut:
    """Return what an evaluation leaves out.

    Args:
        dataset: The images that are evaluated.
        labels: The classes that the model knows.
        served: The most detections in an image that the endpoint returns.
        unreadable: The images that could not be read.
        crowds: The number of crowds in the data set.
    """
    objects = Counter(obj.label for sample in dataset.samples for obj in sample.objects)
    return LeftOut(
        tuple(unreadable),
        sum(sample.has_unplaced_defect for sample in dataset.samples),
        {label: objects[label] for label in dataset.labels if label not in labels and objects[label]},
        tuple(label for label in dataset.labels if not objects[label]),
        crowds,
        sum(len(sample.objects) > USUAL_DETECTIONS for sample in dataset.samples),
        most_objects(dataset),
        most_detections(dataset),
        served,
    )


def without(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return a data set without the images of these names."""
    dropped = set(names)
    return replace(dataset, samples=tuple(item for item in dataset.samples if item.name not in dropped))


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
