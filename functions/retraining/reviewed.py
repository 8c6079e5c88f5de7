"""An image as a person labelled it: the document that a decision leaves under labels/ (review/labels.py)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contract.s3 import join
from contract.snapshots import Part, learning_part_of, part_of
from contract.tags import is_good

_Tag = Annotated[str, Field(min_length=1)]


def _with_area(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    if not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError("the box (x1, y1, x2, y2) has no area")
    return box


class _Object(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    label: str = Field(min_length=1)
    box: Annotated[tuple[float, float, float, float], AfterValidator(_with_area)]

    @property
    def coco_box(self) -> list[float]:
        """The box as COCO has it: x, y, width, height."""
        x1, y1, x2, y2 = self.box
        return [x1, y1, x2 - x1, y2 - y1]


class _Image(BaseModel):
    bucket: str
    key: str
    version_id: str


class Reviewed(BaseModel):
    """An image as a person labelled it.

    Attributes:
        image: The object version.
        sha256: Of the file.
        width: Pixels of the upright image.
        height: Pixels of the upright image.
        objects: Labels, with boxes as x1, y1, x2, y2 in pixels of the upright image.
        tags: Labels of the whole image: that of a bad part whose defect has no box. Older documents have none.
        at: When, ISO 8601 in UTC.
    """

    image: _Image
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    objects: list[_Object]
    tags: tuple[_Tag, ...] = ()
    at: str = ""

    @property
    def labels(self) -> set[str]:
        return {item.label for item in self.objects}

    @property
    def uri(self) -> str:
        return join(self.image.bucket, self.image.key)

    @property
    def has_unplaced_defect(self) -> bool:
        """Whether it shows a defect, but no box says where."""
        return not self.objects and not all(map(is_good, self.tags))

    def part(self, tested: Collection[str], *, has_bad: bool) -> Part:
        """Return the part that the image joins if it is new.

        Args:
            tested: The classes that test images show.
            has_bad: Whether a test image shows a defect, with a box or without.
        """
        is_lacking = bool(self.labels - set(tested)) or (self.has_unplaced_defect and not has_bad)
        return part_of(self.sha256) if is_lacking else learning_part_of(self.sha256)

    def entry(self, part: Part) -> dict[str, Any]:
        """Return the image as a snapshot lists it, without its id."""
        return {
            "file_name": self.uri,
            "uri": self.uri,
            "sha256": self.sha256,
            "width": self.width,
            "height": self.height,
            "split": part,
            **self.own_labels,
        }

    @property
    def own_labels(self) -> dict[str, Any]:
        """Its labels of the whole image, as a snapshot lists them."""
        return {"tags": list(self.tags)} if self.tags else {}
