"""Records within the size of an item.

An item of DynamoDB has at most 400 KB, names and values together:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

Record = dict[str, Any]

# Of 409,600: what is added later are the keys of pictures, and what people decide.
MOST_BYTES = 340_000
_CODE = "shortened"


def item_size(value: Any) -> int:
    """Return how many bytes DynamoDB counts for a value, or a few more.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html

    >>> item_size({"id": "1234", "scores": [Decimal("0.5")]})
    24
    """
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, Decimal):
        return min(21, (len(value.as_tuple().digits) + 1) // 2 + 2)
    if isinstance(value, dict):
        return 3 + sum(1 + len(name.encode()) + item_size(inner) for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        return 3 + sum(1 + item_size(inner) for inner in value)
    return min(21, (len(str(value)) + 1) // 2 + 2)


def within_limit(record: Record, most_bytes: int = MOST_BYTES) -> Record:
    """Return a record that DynamoDB takes. One that is too large loses detections and reasons, and says so.

    Verdict and severity stay. Of the reasons stay those that are no detections, then the worst and surest of each
    class, then the others in their order, each with its detection; and then the surest of the other detections.

    Args:
        record: With `reasons`, and with the `detections` whose places they name, if there are any.
        most_bytes: The most bytes.
    """
    if item_size(record) <= most_bytes:
        return record
    detections, reasons = record.get("detections", []), record["reasons"]
    left = most_bytes - item_size({**record, "detections": [], "reasons": []}) - 500
    kept_reasons, kept_detections = set[int](), set[int]()
    for number in _by_weight(reasons):
        place = reasons[number].get("detection")
        new = {int(place)} - kept_detections if place is not None else set[int]()
        left -= (
            size := item_size(reasons[number]) + sum(item_size(detections[each]) + 1 for each in new) + 1
        )
        if left < 0:
            left += size
            continue
        kept_reasons.add(number)
        kept_detections |= new
    for place, detection in enumerate(detections):
        if place not in kept_detections and left >= (size := item_size(detection) + 1):
            left -= size
            kept_detections.add(place)
    return {
        **record,
        **({"detections": [detections[place] for place in sorted(kept_detections)]} if detections else {}),
        "reasons": [
            *_moved([reasons[number] for number in sorted(kept_reasons)], sorted(kept_detections)),
            _remark(len(kept_reasons), len(reasons), len(kept_detections), len(detections)),
        ],
    }


def _by_weight(reasons: list[Record]) -> Iterator[int]:
    """Yield the places of reasons, those first that a record should have."""
    first_of_class: dict[tuple[str, str | None], int] = {}
    for number, reason in enumerate(reasons):
        if reason.get("detection") is None:
            yield number
        else:
            first_of_class.setdefault((reason["code"], reason.get("label")), number)
    first = set(first_of_class.values())
    yield from first_of_class.values()
    yield from (
        number
        for number, reason in enumerate(reasons)
        if number not in first and reason.get("detection") is not None
    )


def _moved(reasons: list[Record], kept: list[int]) -> list[Record]:
    """Return reasons that name the places of the detections that are kept."""
    places = {old: new for new, old in enumerate(kept)}
    return [
        reason
        if reason.get("detection") is None
        else {**reason, "detection": places[int(reason["detection"])]}
        for reason in reasons
    ]


def _remark(kept: int, reasons: int, kept_detections: int, detections: int) -> Record:
    return {
        "code": _CODE,
        "message": (
            f"the record has {kept} of {reasons} reasons and {kept_detections} of {detections} detections: "
            "more do not fit into it"
        ),
    }
