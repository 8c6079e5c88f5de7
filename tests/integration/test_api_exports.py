"""Exports by the API, on moto."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.routes import exports
from contract.inspections import Verdict
from inspection.rules import Reason
from tests.api_support import Answer, call
from tests.integration.api_cloud import ApiCloud


@pytest.fixture
def cloud(api_cloud: ApiCloud) -> ApiCloud:
    return api_cloud


def rows(answer: Answer) -> list[dict[str, str]]:
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    return list(csv.DictReader(io.StringIO(answer.body)))


def export(**query: Any) -> Answer:
    return call("GET", "/exports/inspections.csv", "viewer", query=query)


def test_inspections_come_as_csv_with_the_filters_of_the_search(cloud: ApiCloud) -> None:
    reason = Reason("defect", "defect: scratch 0.91", "scratch", 0.91, 0.5, "major", 0)
    cloud.add("incoming/line-1/top/A.jpg", Verdict.FAIL, reason)
    cloud.add("incoming/line-2/top/B.jpg")
    (row,) = rows(export(line="line-1"))
    assert (row["serial"], row["verdict"], row["why"]) == ("A", "fail", "defect: scratch 0.91")
    assert len(rows(export())) == 2
    assert rows(export(verdict="review")) == []


@pytest.mark.promise(31)
def test_no_cell_is_a_formula(cloud: ApiCloud) -> None:
    cloud.add('incoming/=HYPERLINK("http:x")/@SUM/+1.jpg')
    (row,) = rows(export())
    assert all(row[name].startswith("'") for name in ("line", "station", "serial"))


def test_a_long_export_goes_on_with_the_cursor_in_its_header(
    cloud: ApiCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_PAGE", 2)
    now = datetime.now(UTC)
    for number in range(7):
        cloud.add(f"incoming/line-1/top/{number}.jpg", at=now - timedelta(seconds=number))
    first = export(limit=5)
    assert [row["serial"] for row in rows(first)] == ["0", "1", "2", "3", "4"]
    second = export(limit=5, cursor=first.headers["x-next-cursor"])
    assert [row["serial"] for row in rows(second)] == ["5", "6"]
    assert "x-next-cursor" not in second.headers


def test_an_answer_that_a_function_cannot_send_is_cut_and_goes_on(
    cloud: ApiCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_PAGE", 1)
    monkeypatch.setattr(exports, "_MOST_CHARACTERS", 300)
    for number in range(4):
        cloud.add(f"incoming/line-1/top/{number}.jpg")
    first = export()
    assert 1 <= len(rows(first)) < 4
    assert first.headers["x-next-cursor"]


def _label(cloud: ApiCloud, name: str, *objects: dict[str, Any], **more: Any) -> None:
    document = {
        "image": {"bucket": cloud.artefacts, "key": f"labelled/images/{name}.jpg", "version_id": "1"},
        "sha256": "0" * 64,
        "width": 200,
        "height": 100,
        "objects": list(objects),
        **more,
    }
    cloud.s3.put_object(Bucket=cloud.artefacts, Key=f"labels/{name}.json", Body=json.dumps(document))


def test_labels_come_as_coco(cloud: ApiCloud) -> None:
    _label(cloud, "a", {"label": "scratch", "box": [10, 20, 60, 80]}, {"label": "dent", "box": [0, 0, 5, 5]})
    _label(cloud, "b")
    body = call("GET", "/exports/labels.coco.json", "viewer").body
    assert [image["file_name"] for image in body["images"]] == ["a.jpg", "b.jpg"]
    assert body["categories"] == [{"id": 1, "name": "dent"}, {"id": 2, "name": "scratch"}]
    assert body["annotations"][0] == {
        "id": 1,
        "image_id": 1,
        "category_id": 2,
        "bbox": [10, 20, 50, 60],
        "area": 3000,
        "iscrowd": 0,
    }
    assert body["annotations"][1]["image_id"] == 1


def test_a_bad_part_without_a_box_is_not_exported_as_a_good_one(cloud: ApiCloud) -> None:
    _label(cloud, "a", tags=["anomaly"])
    _label(cloud, "b")
    _label(cloud, "c", {"label": "dent", "box": [0, 0, 5, 5]})
    body = call("GET", "/exports/labels.coco.json", "viewer").body
    assert [image["file_name"] for image in body["images"]] == ["b.jpg", "c.jpg"]
    assert [item["image_id"] for item in body["annotations"]] == [2]
    (left_out,) = body["left_out"]
    assert (left_out["file_name"], left_out["tags"]) == ("a.jpg", ["anomaly"])
    assert left_out["uri"] == f"s3://{cloud.artefacts}/labelled/images/a.jpg"


def test_many_labels_come_in_parts(cloud: ApiCloud) -> None:
    for number in range(3):
        _label(cloud, str(number))
    first = call("GET", "/exports/labels.coco.json", "viewer", query={"limit": 2})
    assert len(first.body["images"]) == 2
    cursor = first.headers["x-next-cursor"]
    second = call("GET", "/exports/labels.coco.json", "viewer", query={"limit": 2, "cursor": cursor})
    assert [image["file_name"] for image in second.body["images"]] == ["2.jpg"]
    assert "x-next-cursor" not in second.headers


def test_a_stack_without_labels_exports_none(cloud: ApiCloud) -> None:
    body = call("GET", "/exports/labels.coco.json", "viewer").body
    assert body == {"images": [], "annotations": [], "categories": [], "left_out": []}
