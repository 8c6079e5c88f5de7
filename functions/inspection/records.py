"""The inspection record: one for each image version."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from contract.images import ImageHeader
from contract.inspections import LINE_PARTITION, VERDICT_PARTITION, Verdict, partition, timestamp
from contract.keys import place
from inspection.detector import Prediction
from inspection.events import ImageEvent
from inspection.rules import Judgement

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """What came to be known of an image on its way; what was not reached is None."""

    event: ImageEvent
    judgement: Judgement
    size_bytes: int | None = None
    captured_at: str | None = None
    header: ImageHeader | None = None
    prediction: Prediction | None = None
    rules_version: str | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)


def record_id(image: str, version_id: str) -> str:
    """Stable identity of an image version in 32 hex characters; alerts bear it too."""
    return hashlib.sha256(f"{image}\0{version_id}".encode()).hexdigest()[:32]


def build(facts: Facts, now: datetime, index_shards: int, retention_days: int) -> Record:
    """The item for DynamoDB.

    `line_bucket` and `verdict_bucket` spread a day over `index_shards` partitions, since one takes 1,000 writes/s
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html); passes have
    no `verdict_bucket`, so that the index by verdict holds the rare ones only.
    """
    event, judgement = facts.event, facts.judgement
    where = place(event.key)
    identity = record_id(event.image, event.version_id)
    day, shard = event.received_at[:10], int(identity[:8], 16) % index_shards
    size = facts.prediction.image if facts.prediction else facts.header
    record: Record = {
        "image": event.image,
        "version_id": event.version_id,
        "id": identity,
        "sequencer": event.sequencer,
        "verdict": judgement.verdict.value,
        "reasons": [
            {k: v for k, v in asdict(reason).items() if v is not None} for reason in judgement.reasons
        ],
        "severity": judgement.severity.value if judgement.severity else None,
        "line": where.line,
        "station": where.station,
        "serial": where.serial,
        "image_bytes": facts.size_bytes,
        "image_format": facts.header.format if facts.header else getattr(size, "format", None),
        "image_width": size.width if size else None,
        "image_height": size.height if size else None,
        "captured_at": facts.captured_at or event.received_at,
        "received_at": event.received_at,
        "inspected_at": timestamp(now),
        "rules_version": facts.rules_version,
        "timings_ms": dict(facts.timings_ms),
        "time_id": f"{event.received_at}#{identity}",
        LINE_PARTITION: partition(where.line, day, shard),
        "expires_at": int((now + timedelta(days=retention_days)).timestamp()),
    }
    if judgement.verdict is not Verdict.PASS:
        record[VERDICT_PARTITION] = partition(judgement.verdict, day, shard)
    if facts.prediction:
        answer = facts.prediction.model_dump()
        record |= {name: answer[name] for name in ("model", "detections", "quality")}
        record["timings_ms"] |= {f"model_{name}": taken for name, taken in answer["timings_ms"].items()}
    decimal: Record = _decimal({name: value for name, value in record.items() if value is not None})
    return decimal


def _decimal(value: Any) -> Any:
    """DynamoDB has no float. Six places are more than scores, pixels and milliseconds mean."""
    if isinstance(value, float):
        return Decimal(repr(round(value, 6)))
    if isinstance(value, dict):
        return {key: _decimal(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_decimal(inner) for inner in value]
    return value
