"""What a request asks for besides its image: the form of the answer, the heat map, the camera's bit depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from contract.endpoint import ATTRIBUTES_HEADER, bit_depth_of, wants_heat_map
from training.model.artefact import ModelCard
from training.serving.refusals import RefusedError


class Form(IntEnum):
    """The forms of an answer. Workers are told by number."""

    JSON = 0
    HEAT_MAP = 1
    DETECT_ANOMALIES = 2


MEDIA_TYPES: Mapping[Form, str] = {
    Form.JSON: "application/json",
    Form.HEAT_MAP: "image/png",
    Form.DETECT_ANOMALIES: "application/vnd.loupe.detect-anomalies+json",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for.

    Attributes:
        form: Of the answer.
        heat_map: Whether a JSON answer contains the heat map, if the model has one.
        bit_depth: Of the camera, for 16-bit files that do not state it.
    """

    form: Form = Form.JSON
    heat_map: bool = False
    bit_depth: int | None = None


def asked(
    headers: Mapping[str, str],
    card: ModelCard,
    heat_map: bool,
    form: Form | None = None,
    bit_depth: int | None = None,
) -> Asked:
    """Return what a request's headers ask for.

    Args:
        headers: Of the request, found in any case.
        card: Of the model.
        heat_map: Whether JSON answers contain the heat map if a request does not say.
        form: Of the answer, whatever the request accepts; None: what it accepts.
        bit_depth: Of the camera, if a request does not say.

    Raises:
        RefusedError: There is no answer in any of the forms that the request accepts.
    """
    attributes = headers.get(ATTRIBUTES_HEADER, "")
    return Asked(
        form_of(headers.get("accept", ""), card) if form is None else form,
        wants_heat_map(attributes, heat_map),
        bit_depth_of(attributes) or bit_depth,
    )


def form_of(accept: str, card: ModelCard) -> Form:
    """Return the form that a request's Accept prefers; of equal ones JSON.

    https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1

    Args:
        accept: The header; empty: any form.
        card: Of the model: a detector has no heat map.

    Raises:
        RefusedError: None of the forms is accepted.
    """
    if not accept.strip():
        return Form.JSON
    ranges = dict(_ranges(accept))
    weights = {form: _weight(media_type, ranges) for form, media_type in MEDIA_TYPES.items()}
    offered = [form for form in Form if form is not Form.HEAT_MAP or card.judges_anomalies]
    best = max(offered, key=lambda form: weights[form])
    if weights[best] > 0:
        return best
    if weights[Form.HEAT_MAP] > 0:
        raise RefusedError(
            406,
            "not_acceptable",
            f"{card.name} is a detector without an anomaly model, and has no heat map: accept application/json",
        )
    forms = ", ".join(MEDIA_TYPES[form] for form in offered)
    raise RefusedError(406, "not_acceptable", f"there is no answer as {accept.strip()[:100]}, but as {forms}")


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Yield each media range of an Accept with its weight. One whose weight is no number counts as refused."""
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((text[2:].strip() for text in parameters if text.startswith("q=")), "1")
        try:
            yield media_range, min(1.0, max(0.0, float(weight)))
        except ValueError:
            yield media_range, 0.0


def _weight(media_type: str, ranges: Mapping[str, float]) -> float:
    """The weight of the most specific range that contains a media type; 0 if none does."""
    candidates = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    return next((ranges[candidate] for candidate in candidates if candidate in ranges), 0.0)
