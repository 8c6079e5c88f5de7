"""`inspect` tells the endpoint what it knows of a line's camera, and lets nothing pass that the endpoint doubts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.inspection_support import detection, http, jpeg, prediction
from tests.integration.moto_cloud import RULES, Cloud

DOUBT = "wrong scale: the model sees one pixel for each 62.5 x 0.78 of these 16000 x 200"


@pytest.mark.parametrize(("found", "verdict"), [([], "review"), ([detection("scratches", 0.9)], "fail")])
def test_what_the_endpoint_doubts_is_a_reason_and_never_a_pass(
    cloud: Cloud, found: list[dict[str, Any]], verdict: str
) -> None:
    cloud.endpoint = lambda _: http(200, prediction(*found, warnings=[{"message": DOUBT}]))
    record = cloud.inspect_record(cloud.put("incoming/line-1/top/SN1.jpg", jpeg()))
    assert record["verdict"] == verdict
    assert {"code": "bad_picture", "message": DOUBT} in record["reasons"]


def test_the_endpoint_is_told_the_bit_depth_of_a_line_that_has_one(cloud: Cloud) -> None:
    told = []

    def answer(request: Any) -> Any:
        told.append(request.headers.get("X-Amzn-SageMaker-Custom-Attributes"))
        return http(200, prediction())

    cloud.endpoint = answer
    cloud.set_rules(RULES | {"line_pictures": {"line-2": {"bit_depth": 12}}})
    for line in ("line-1", "line-2"):
        cloud.inspect_record(cloud.put(f"incoming/{line}/top/SN1.jpg", jpeg()))
    without, with_depth = (str(_text(value)) for value in told)
    assert "bit-depth" not in without
    assert with_depth.startswith("bit-depth=12; ")


def _text(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
