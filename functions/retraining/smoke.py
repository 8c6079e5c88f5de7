"""The smoke test: whether the live endpoint finds on the golden set what the evaluation found with the same model."""

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
from contract.scores import ANOMALY
from inspection.detector import Detection, Detector, Prediction
from inspection.errors import ModelError, NotReadyError
from retraining.documents import Documents
from retraining.errors import SmokeTestError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SURE_SCORE = 0.3  # rounding may make a detection below this appear or disappear
# How much a GPU may differ from the evaluation's CPU.
_SCORE_TOLERANCE = 0.05
_EDGE_TOLERANCE = 0.02  # of the longer side of the box
_MIN_EDGE_TOLERANCE = 2.0  # pixels
_UNREADABLE = ("NoSuchKey", "NoSuchBucket", "AccessDenied", "InvalidObjectState")  # a retry cannot help
_SECONDS_PER_IMAGE = 100.0


@dataclass(frozen=True)
class SmokeTest:
    """Sends the golden set to the endpoint, as `inspect` does.

    Attributes:
        documents: The artefacts bucket.
        s3: Reads the images.
        detector: Calls the endpoint.
    """

    documents: Documents
    s3: S3Client
    detector: Detector

    def run(self, report: str) -> dict[str, Any]:
        """Compare the endpoint's detections with those of an evaluation.

        Args:
            report: The S3 URI of the evaluation.json, which contains the golden set.

        Returns:
            `images`, how many agreed, and `version`, the model's version.

        Raises:
            SmokeTestError: The endpoint fails, differs, or finds nothing at all. The message names the first image.
        """
        stored = self.documents.find(split(report)[1])
        document = stored[0] if stored else {}
        golden = document.get("golden")
        if not golden:
            raise SmokeTestError(f"{report} contains no golden set")
        version = document["model"]["version"]
        found = [self._compare(image, version) for image in golden]
        # An evaluation that found nothing either would agree with a model that lets everything pass.
        defective = [number for number, image in zip(found, golden, strict=True) if image.get("labels")]
        if defective and not any(defective):
            raise SmokeTestError(
                f"the endpoint finds nothing on {len(defective)} images with labelled defects"
            )
        return {"images": len(golden), "version": version}

    def _compare(self, image: Mapping[str, Any], version: str) -> int:
        """Compare the answers to an image, and return how many detections there are."""
        uri = str(image["uri"])
        answer = self._detect(uri)
        if answer.model.version != version:
            raise SmokeTestError(f"the endpoint serves {answer.model.version}, not {version}")
        expected = [Detection.model_validate(detection) for detection in image["detections"]]
        lost = unmatched(expected, answer.detections) or unmatched(answer.detections, expected)
        if lost:
            raise SmokeTestError(
                f"on {uri} the endpoint and the evaluation differ: {lost.label} {lost.score:.2f} "
                f"at {[round(edge) for edge in lost.box]}"
            )
        return len(answer.detections)

    def _detect(self, uri: str) -> Prediction:
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
                body, content_type = reference(bucket, key, stored.get("VersionId", "null"))
            else:
                body, content_type = data, read_header(data, 10**9).content_type
            return self.detector.detect(body, content_type, time.monotonic() + _SECONDS_PER_IMAGE)
        except (UnreadableError, NotReadyError, ModelError) as error:
            raise SmokeTestError(f"the endpoint fails on {uri}: {error}") from error


def unmatched(expected: Sequence[Detection], detections: Sequence[Detection]) -> Detection | None:
    """Return the first sure detection of `expected` that has no counterpart in `detections`.

    Of anomalies the surest one counts, with its score alone: where a region ends depends on places that lie at the
    limit, so rounding may divide it or move its edge by a place.
    """
    anomalies = [detection for detection in expected if detection.label == ANOMALY]
    surest = max(anomalies, key=lambda detection: detection.score, default=None)
    for detection in expected:
        if detection.label == ANOMALY and detection is not surest:
            continue
        is_sure = detection.score >= _SURE_SCORE
        if is_sure and not any(_agree(detection, other) for other in detections):
            return detection
    return None


def _agree(one: Detection, other: Detection) -> bool:
    if one.label != other.label or abs(one.score - other.score) > _SCORE_TOLERANCE:
        return False
    if one.label == ANOMALY:
        return True
    side = max(one.box[2] - one.box[0], one.box[3] - one.box[1])
    tolerance = max(_MIN_EDGE_TOLERANCE, _EDGE_TOLERANCE * side)
    return all(math.isclose(a, b, abs_tol=tolerance) for a, b in zip(one.box, other.box, strict=True))
