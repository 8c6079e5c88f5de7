"""Whether the live endpoint finds on the golden set what the evaluation found with the same model."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contract.endpoint import MAX_BODY_BYTES, reference
from contract.images import UnreadableError, read_header
from contract.s3 import split
from inspection.detector import Detection, Detector
from inspection.errors import ModelError, NotReadyError
from retraining.documents import Documents
from retraining.errors import SmokeTestError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SURE = 0.3  # weaker detections may come and go by a rounding
# By which a GPU may differ from the evaluation's CPU: of the score, of the box's side.
_SCORE, _EDGE = 0.05, 0.02
_PIXELS = 2.0
_UNREADABLE = ("NoSuchKey", "NoSuchBucket", "AccessDenied", "InvalidObjectState")  # now and later
_SECONDS_AN_IMAGE = 100.0


@dataclass(frozen=True)
class SmokeTest:
    """Asks the endpoint as `inspect` does."""

    documents: Documents
    s3: S3Client
    detector: Detector

    def run(self, report: str) -> dict[str, Any]:
        """How many images agreed, of the golden set in the evaluation.json at that s3:// address.

        Raises SmokeTestError, naming the first image on which the endpoint fails or differs.
        """
        found = self.documents.find(split(report)[1])
        document = found[0] if found else {}
        golden = document.get("golden")
        if not golden:
            raise SmokeTestError(f"{report} holds no golden set")
        version = document["model"]["version"]
        for each in golden:
            self._compare(each, version)
        return {"images": len(golden), "version": version}

    def _compare(self, expected: Mapping[str, Any], version: str) -> None:
        uri = str(expected["uri"])
        bucket, key = split(uri)
        try:
            stored = self.s3.get_object(Bucket=bucket, Key=key)
            data = stored["Body"].read()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _UNREADABLE:
                raise SmokeTestError(f"{uri} of the golden set cannot be read: {code}") from error
            raise
        try:
            if len(data) > MAX_BODY_BYTES:
                body, kind = reference(bucket, key, stored.get("VersionId", "null"))
            else:
                body, kind = data, read_header(data, 10**9).content_type
            answer = self.detector.detect(body, kind, time.monotonic() + _SECONDS_AN_IMAGE)
        except (UnreadableError, NotReadyError, ModelError) as error:
            raise SmokeTestError(f"the endpoint does not judge {uri}: {error}") from error
        if answer.model.version != version:
            raise SmokeTestError(f"the endpoint serves {answer.model.version}, not {version}")
        before = [Detection.model_validate(each) for each in expected["detections"]]
        if (lost := unmatched(before, answer.detections)) or (lost := unmatched(answer.detections, before)):
            raise SmokeTestError(
                f"on {uri} the endpoint and the evaluation differ: {lost.label} {lost.score:.2f} "
                f"at {[round(edge) for edge in lost.box]}"
            )


def unmatched(wanted: Sequence[Detection], found: Sequence[Detection]) -> Detection | None:
    """The first sure detection of `wanted` that has no like in `found`."""
    for each in wanted:
        if each.score >= _SURE and not any(_alike(each, other) for other in found):
            return each
    return None


def _alike(one: Detection, other: Detection) -> bool:
    side = max(one.box[2] - one.box[0], one.box[3] - one.box[1])
    near = max(_PIXELS, _EDGE * side)
    return (
        one.label == other.label
        and abs(one.score - other.score) <= _SCORE
        and all(math.isclose(a, b, abs_tol=near) for a, b in zip(one.box, other.box, strict=True))
    )
