"""The answer in the form of Amazon Lookout for Vision's DetectAnomalies, for clients that were written for it.

A request to `POST /2020-11-20/projects/{project}/models/{version}/detect` is one of its API, and is answered and
refused as the API does. The service ended on 31 October 2025; the form is that of its last model in botocore
(lookoutvision 2020-11-20) and of
docs.aws.amazon.com/lookout-for-vision/latest/APIReference/API_DetectAnomalies.html:

- `IsAnomalous` and `Confidence` are the verdict, and 0..1 how sure it is.
- `Anomalies` has a first entry `background` in white, then one for each kind of anomaly. `TotalPercentageArea` is a
  share of the image, 0..1, whatever its name says.
- `AnomalyMask` is a PNG in the size of the image, each kind in its colour.

The form has no third verdict. What the rules would give to a person to review is answered as anomalous, with
confidence 1, so that no client lets it pass: `Anomalies` then has one of the names below, and the mask covers the whole
image.
"""

from __future__ import annotations

import base64
import colorsys
import io
import json
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from contract.scores import ANOMALY, FAIL_SCORE
from training.model import anomaly_scale
from training.model.anomaly import Judgement
from training.model.anomaly_scale import AnomalyScale
from training.serving.judged import Judged
from training.serving.refusals import LATER, RefusedError

MEDIA_TYPE = "application/vnd.loupe.detect-anomalies+json"
PATH = "/2020-11-20/projects/{project}/models/{version}/detect"

# The other operations of the API, such as DescribeModel, and their methods.
OTHER_PATHS, METHODS = "/2020-11-20/{operation:path}", ("GET", "POST", "PUT", "PATCH", "DELETE")
# Names of the API have letters and digits only.
ANOTHER_PRODUCT, NO_PRODUCT, NOT_JUDGED = "anotherProduct", "noProduct", "notJudged"
_BACKGROUND, _WHITE = "background", (255, 255, 255)
_ROWS = 512
# The most that the API took, 4096 x 4096. The mask of a larger image has a palette: one byte a pixel, not three.
_MOST_PIXELS = 4096**2
_GOLDEN_RATIO = 0.618034


def answer(judged: Judged) -> bytes:
    """Return the JSON of a DetectAnomalies response for one image."""
    scores = _scores(judged)
    is_anomalous = any(score >= threshold for score, threshold in scores)
    confidence = _confidence(scores, is_anomalous)
    values = np.zeros((judged.picture.height, judged.picture.width), np.uint8)
    labels: list[str] = []
    if doubt := _doubt(judged, is_anomalous):
        is_anomalous, confidence = True, 1.0
        values[:], labels = 1, [doubt]
    elif is_anomalous:
        labels = _draw(values, judged)
    colours = [_WHITE, *(_colour(label, judged) for label in labels)]
    mask = Image.fromarray(values, "P")
    result = {
        "Source": {"Type": "direct"},
        "IsAnomalous": is_anomalous,
        "Confidence": confidence,
        "Anomalies": list(_anomalies(mask, labels, colours)),
        "AnomalyMask": base64.b64encode(_png(mask, colours)).decode(),
    }
    return json.dumps({"DetectAnomalyResult": result}, separators=(",", ":")).encode()


def refusal(error: RefusedError) -> Response:
    """Return the response by which the API refuses a request.

    Args:
        error: Why this endpoint refuses it.
    """
    document, status = {"Message": str(error)}, error.status
    if status in LATER:
        status, name = 429, "ThrottlingException"
    elif status == 404:
        name = "ResourceNotFoundException"
        document |= {"ResourceId": error.code, "ResourceType": "MODEL"}
    elif status >= 500:
        status, name = 500, "InternalServerException"
    else:
        status, name = 400, "ValidationException"
    return JSONResponse(document, status, {**error.headers, "x-amzn-ErrorType": name, **_request_id()})


def other_operation(request: Request) -> Response:
    """Return the response to any other operation of the API, of which this endpoint has none."""
    message = "of Lookout for Vision, this endpoint answers DetectAnomalies only, not"
    return refusal(RefusedError(404, "loupe", f"{message} {request.method} {request.url.path[:200]}"))


def as_the_api(response: Response) -> Response:
    """Return an answer with the headers of the API."""
    response.headers.update({"content-type": "application/json", **_request_id()})
    return response


def _request_id() -> dict[str, str]:
    return {"x-amzn-RequestId": str(uuid.uuid4())}


def _doubt(judged: Judged, is_anomalous: bool) -> str | None:
    """Return why nobody should trust the models on this image: the name of an anomaly, or None."""
    if judged.judgement is not None and judged.judgement.foreign is not None:
        is_empty = judged.judgement.foreign.startswith(anomaly_scale.NO_PRODUCT)
        return NO_PRODUCT if is_empty else ANOTHER_PRODUCT
    return NOT_JUDGED if judged.warnings and not is_anomalous else None


def _of_detector(judged: Judged) -> Iterator[tuple[dict[str, Any], float]]:
    """Yield the findings of the detector, best first, each with the score from which it is an anomaly."""
    for item in judged.detections:
        is_region = (
            judged.anomaly is not None and item.get("model", judged.anomaly.name) == judged.anomaly.name
        )
        if not (is_region and item["label"] == ANOMALY):
            yield item, _threshold(judged, item["label"])


def _scores(judged: Judged) -> list[tuple[float, float]]:
    """Return every score of the image, with the score from which it is an anomaly."""
    scores = [(float(item["score"]), threshold) for item, threshold in _of_detector(judged)]
    if judged.judgement is not None:
        scores.append((judged.judgement.score, _threshold(judged, ANOMALY)))
    return scores


def _threshold(judged: Judged, label: str) -> float:
    cards = [card for card in (judged.anomaly, judged.card) if card is not None]
    points = [card.operating_points[label] for card in cards if label in card.operating_points]
    return float(points[0].get("score", FAIL_SCORE)) if points else FAIL_SCORE


def _confidence(scores: list[tuple[float, float]], is_anomalous: bool) -> float:
    """Return how sure the verdict is: 0.5 at the score that decides, 1 at a score of 0 or 1.

    >>> _confidence([(0.3, 0.3)], True), _confidence([(0.15, 0.3)], False), _confidence([], False)
    (0.5, 0.75, 1.0)
    """
    surest = max((_position(score, threshold) for score, threshold in scores), default=0.0)
    return round(surest if is_anomalous else 1 - surest, 6)


def _position(score: float, threshold: float) -> float:
    if score < threshold:
        return 0.5 * score / threshold
    return 0.5 + 0.5 * (score - threshold) / (1 - threshold) if threshold < 1 else 1.0


def _draw(values: NDArray[np.uint8], judged: Judged) -> list[str]:
    """Set each pixel [H, W] that shows an anomaly to its number in the names, from 1 on, and return the names.

    An anomaly model's are the places of its map, and a detector's its boxes.
    """
    labels: list[str] = []
    judgement, scale = judged.judgement, judged.anomaly and judged.anomaly.anomaly
    if judgement and scale and judgement.score >= _threshold(judged, ANOMALY):
        labels.append(ANOMALY)
        _fill_places(values, judgement, scale)
    # The best last: it lies above the others.
    for item, threshold in reversed(list(_of_detector(judged))):
        if float(item["score"]) >= threshold:
            if item["label"] not in labels:
                labels.append(item["label"])
            x1, y1, x2, y2 = (round(edge) for edge in item["box"])
            values[y1 : max(y1 + 1, y2), x1 : max(x1 + 1, x2)] = labels.index(item["label"]) + 1
    return labels


def _fill_places(values: NDArray[np.uint8], judgement: Judgement, scale: AnomalyScale) -> None:
    """Set the pixels to 1 whose distance, between the places of the map, belongs to a region."""
    height, width = values.shape
    places = Image.fromarray(judgement.map.astype(np.float32))
    # A picture is anomalous by its farthest places, which may belong to no region.
    threshold = min(scale.region_threshold, float(judgement.map.max()))
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        box = (0, top * places.height / height, places.width, bottom * places.height / height)
        distances = places.resize((width, bottom - top), Image.Resampling.BILINEAR, box)
        values[top:bottom] = np.asarray(distances) >= threshold
    if not values.any():
        row, column = np.unravel_index(int(judgement.map.argmax()), judgement.map.shape)
        values[int(row * height // places.height), int(column * width // places.width)] = 1


def _anomalies(
    mask: Image.Image, labels: list[str], colours: list[tuple[int, int, int]]
) -> Iterator[dict[str, Any]]:
    counts = mask.histogram()
    for number, (name, colour) in enumerate(zip([_BACKGROUND, *labels], colours, strict=True)):
        area = {
            "TotalPercentageArea": counts[number] / (mask.width * mask.height),
            "Color": "#{:02X}{:02X}{:02X}".format(*colour),
        }
        yield {"Name": name, "PixelAnomaly": area}


def _colour(label: str, judged: Judged) -> tuple[int, int, int]:
    """Return the colour of a label, which is the same in every answer of a model."""
    doubts = (ANOTHER_PRODUCT, NO_PRODUCT, NOT_JUDGED)
    labels = [ANOMALY, *doubts, *(name for name in judged.card.labels if name != ANOMALY)]
    hue = (labels.index(label) * _GOLDEN_RATIO) % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.9, 0.8)
    return round(red * 255), round(green * 255), round(blue * 255)


def _png(mask: Image.Image, colours: list[tuple[int, int, int]]) -> bytes:
    mask.putpalette([channel for colour in colours for channel in colour])
    buffer = io.BytesIO()
    image = mask.convert("RGB") if mask.width * mask.height <= _MOST_PIXELS else mask
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
