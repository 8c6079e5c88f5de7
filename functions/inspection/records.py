"""The inspection record: one for each image version."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from contract.images import ImageHeader
from contract.inspections import LINE_PARTITION, VERDICT_PARTITION, Verdict, partition, timestamp
from contract.keys import place
from inspection.detector import Prediction
from inspection.events import ImageEvent
from inspection.heat_maps import digest
from inspection.record_size import within_limit
from inspection.rules import Judgement, Kind

Record = dict[str, Any]
_DECIDING = {Verdict.FAIL: Kind.DEFECT, Verdict.REVIEW: Kind.DOUBTFUL}


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything known about an image. What the inspection did not reach is None.

    Attributes:
        event: The event that announced the image.
        judgement: The verdict and its reasons.
        size_bytes: The size of the file.
        captured_at: The camera's time, ISO 8601 in UTC.
        header: The image's header, unless the endpoint read the image from S3.
        prediction: The endpoint's answer.
        rules_version: The version of the rules behind the verdict.
        timings_ms: Milliseconds by step.
        trace: The id of the X-Ray trace of the function's invocation.
    """

    event: ImageEvent
    judgement: Judgement
    size_bytes: int | None = None
    captured_at: str | None = None
    header: ImageHeader | None = None
    prediction: Prediction | None = None
    rules_version: str | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    trace: str | None = None


def build_record(inspection: Inspection, now: datetime, index_shards: int, retention_days: int) -> Record:
    """Return the item for DynamoDB. A field whose value is not known is left out.

    Of an answer that is too large for an item, the record has a part, and says so.

    Args:
        inspection: What is known about the image.
        now: The time of the inspection.
        index_shards: Over how many partitions each index spreads a day.
        retention_days: After how many days DynamoDB deletes the record.
    """
    event = inspection.event
    identity = event.record_id
    image_place = place(event.key)
    record: Record = {
        "image": event.image,
        "version_id": event.version_id,
        "id": identity,
        "sequencer": event.sequencer,
        "line": image_place.line,
        "station": image_place.station,
        "serial": image_place.serial,
        "captured_at": inspection.captured_at or event.received_at,
        "received_at": event.received_at,
        "inspected_at": timestamp(now),
        "rules_version": inspection.rules_version,
        "trace": inspection.trace,
        "timings_ms": dict(inspection.timings_ms),
        "expires_at": int((now + timedelta(days=retention_days)).timestamp()),
        **_judgement_fields(inspection.judgement),
        **_image_fields(inspection),
        **_index_keys(inspection, identity, index_shards),
    }
    if inspection.prediction:
        answer = inspection.prediction.model_dump(exclude_none=True)
        record |= {name: answer[name] for name in ("model", "detections", "quality")}
        # With them the image can be judged again by other rules.
        record["doubts"] = [warning["message"] for warning in answer["warnings"]]
        record["anomaly"] = _anomaly_field(inspection.prediction)
        record["timings_ms"] |= {f"model_{name}": taken for name, taken in answer["timings_ms"].items()}
    return within_limit(_decimal({name: value for name, value in record.items() if value is not None}))


def _anomaly_field(prediction: Prediction) -> Record | None:
    """Return what the record says of the anomaly model's answer. The heat map itself is no part of it."""
    if prediction.anomaly is None:
        return None
    heat_map = prediction.anomaly.heat_map
    return prediction.anomaly.model_dump(exclude={"heat_map"}, exclude_none=True) | (
        {"heat_map": digest(heat_map)} if heat_map else {}
    )


def classes_of(record: Record) -> set[str]:
    """Return the classes under which a record is counted: those that it failed with, or that it is in doubt about.

    A failed image may also have doubts, but they did not decide. A pass is counted under no class.
    """
    kind = _DECIDING.get(record["verdict"])
    return {reason["label"] for reason in record["reasons"] if reason["code"] == kind and reason.get("label")}


def _judgement_fields(judgement: Judgement) -> Record:
    return {
        "verdict": judgement.verdict.value,
        "reasons": [
            {name: value for name, value in asdict(reason).items() if value is not None}
            for reason in judgement.reasons
        ],
        "severity": judgement.severity.value if judgement.severity else None,
    }


def _image_fields(inspection: Inspection) -> Record:
    """Return the size and the format. The endpoint's size comes first, because it is that of the upright image."""
    size = inspection.prediction.image if inspection.prediction else inspection.header
    return {
        "image_bytes": inspection.size_bytes,
        "image_format": inspection.header.format if inspection.header else getattr(size, "format", None),
        "image_width": size.width if size else None,
        "image_height": size.height if size else None,
    }


def _index_keys(inspection: Inspection, identity: str, index_shards: int) -> Record:
    """Return the keys of the two indexes. A day is spread over `index_shards` partitions of each index.

    A partition takes 1,000 writes a second:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
    A pass has no key for the index by verdict, which therefore holds the rare verdicts only.
    """
    received_at, verdict = inspection.event.received_at, inspection.judgement.verdict
    day, shard = received_at[:10], int(identity[:8], 16) % index_shards
    keys = {
        "time_id": f"{received_at}#{identity}",
        LINE_PARTITION: partition(place(inspection.event.key).line, day, shard),
    }
    if verdict is not Verdict.PASS:
        keys[VERDICT_PARTITION] = partition(verdict, day, shard)
    return keys


def _decimal(value: Any) -> Any:
    """Replace floats by decimals, because DynamoDB has no float.

    Six decimal places are more than scores, pixels and milliseconds need.
    """
    if isinstance(value, float):
        return Decimal(repr(round(value, 6)))
    if isinstance(value, dict):
        return {key: _decimal(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_decimal(inner) for inner in value]
    return value
