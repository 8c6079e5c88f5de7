"""The verdicts of the pictures that were dropped after the learning, beside what people know about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from contract.inspections import Verdict
from contract.keys import incoming
from loupe.stack.inspections import Inspection
from loupe.stack.learning.source import Picture
from loupe.stack.uploads import Identity, Source, Upload


@dataclass(frozen=True)
class Verdicts:
    """What became of the pictures.

    Attributes:
        uploaded: The pictures with their uploads.
        records: The inspections, as far as there are some.
    """

    uploaded: list[tuple[Picture, Upload]]
    records: dict[Identity, Inspection]

    @property
    def missing(self) -> int:
        """The number of pictures that have no verdict yet."""
        return len(self.uploaded) - len(self.records)

    def counts(self, defective: bool) -> Counter[str]:
        """Return the number of each verdict among the defective or the good pictures."""
        return Counter(record["verdict"] for _, record in self._of(defective))

    def surprises(self) -> list[Inspection]:
        """Return the inspections of good pictures that did not pass, and of defective ones that did."""
        good = [record for _, record in self._of(defective=False) if record["verdict"] != Verdict.PASS]
        missed = [record for _, record in self._of(defective=True) if record["verdict"] == Verdict.PASS]
        return good + missed

    def _of(self, defective: bool) -> Iterable[tuple[Picture, Inspection]]:
        for picture, upload in self.uploaded:
            if picture.defective == defective and (record := self.records.get(upload.identity)):
                yield picture, record

    def document(self) -> dict[str, Any]:
        """Return the counts and the records as JSON values."""
        return {
            "good": dict(self.counts(defective=False)),
            "defective": dict(self.counts(defective=True)),
            "missing": self.missing,
            "records": [self.records[u.identity] for _, u in self.uploaded if u.identity in self.records],
        }


def uploads_of(pictures: Iterable[Picture], line: str) -> list[Source]:
    """Return what to upload for the pictures, in their order."""
    return [
        Source(incoming(line, picture.station, picture.file.name), picture.file.read_bytes, str(picture.file))
        for picture in pictures
    ]
