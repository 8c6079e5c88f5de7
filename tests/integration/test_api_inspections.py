"""Inspections by the API, on moto: search, one, those of a part, thumbnails, acknowledgement."""

import base64
import gzip
import io
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from PIL import Image

from contract.inspections import Verdict
from inspection import clients, thumbnails
from inspection.rules import Reason
from inspection.store import Inspections
from inspection.thumbnails import MAX_BYTES, thumbnail
from tests.api_support import Answer, call, forget
from tests.inspection_support import anomaly, detection, heat_map, jpeg, picture
from tests.integration.api_cloud import ApiCloud

# One of them is damaged on purpose.
SAMPLES = [p for p in sorted((Path(__file__).parents[2] / "samples").rglob("*.jpg")) if p.stem != "SN1012"]
SCRATCH = Reason("defect", "defect: scratch 0.91", "scratch", 0.91, 0.5, "major", 0)
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def cloud(api_cloud: ApiCloud) -> ApiCloud:
    return api_cloud


def ids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [item["id"] for item in answer.body["items"]]


def test_an_inspection_shows_what_people_need_and_nothing_internal(cloud: ApiCloud) -> None:
    record = cloud.add(
        "incoming/line-1/top/SN 1.jpg",
        Verdict.FAIL,
        SCRATCH,
        data=jpeg(),
        detections=(detection("scratch", 0.91),),
    )
    answer = call("GET", f"/inspections/{record['id']}", "viewer")
    assert answer.status == 200
    body = answer.body
    assert (body["line"], body["station"], body["serial"], body["verdict"]) == (
        "line-1",
        "top",
        "SN 1",
        "fail",
    )
    assert body["reasons"][0]["score"] == 0.91
    assert body["detections"] == [{"label": "scratch", "score": 0.91, "box": [10, 20, 60, 80]}]
    assert body["model"] == {"name": "steel", "version": "7"}
    assert body["history"] == []
    assert body["queue"] is None
    hidden = {"sequencer", "expires_at", "time_id", "line_bucket", "verdict_bucket", "alert"}
    assert not hidden & body.keys()


def test_a_link_opens_the_image_for_an_hour_and_never_as_a_page(cloud: ApiCloud) -> None:
    record = cloud.add("incoming/line-1/top/1.jpg", Verdict.FAIL, SCRATCH, data=jpeg())
    links = call("GET", f"/inspections/{record['id']}", "viewer").body["links"]
    query = parse_qs(urlsplit(links["picture"]).query)
    assert query["X-Amz-Expires"] == ["3600"]
    assert query["response-content-type"] == ["image/jpeg"]
    assert query["versionId"] == [record["version_id"]]
    assert links["annotated"] is None
    assert links["thumbnail"] is None
    unknown = cloud.add("incoming/line-1/top/2.html", Verdict.UNREADABLE)
    links = call("GET", f"/inspections/{unknown['id']}", "viewer").body["links"]
    assert parse_qs(urlsplit(links["picture"]).query)["response-content-type"] == ["application/octet-stream"]


def test_names_that_are_markup_come_back_as_text(cloud: ApiCloud) -> None:
    record = cloud.add(f"incoming/{SCRIPT}/<img src=x>/{SCRIPT}.jpg")
    answer = call("GET", "/inspections", "viewer", query={"since": "1h"})
    assert ids(answer) == [record["id"]]
    assert answer.body["items"][0]["line"] == "<script>alert(1)<"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_inspection_alone_shows_its_heat_map_and_lists_only_the_score(cloud: ApiCloud) -> None:
    found = detection("anomaly", 0.93) | {"model": "good-parts"}
    reason = Reason("defect", "defect: anomaly 0.93", "anomaly", 0.93, 0.5, "major", 0)
    record = cloud.add(
        "incoming/line-1/top/SN1.jpg",
        Verdict.FAIL,
        reason,
        data=jpeg(),
        detections=(found,),
        anomaly=anomaly(),
    )
    shown = {"score": 0.93, "distance": 35.25, "model": {"name": "good-parts", "version": "3"}}
    url = f"data:image/png;base64,{base64.b64encode(heat_map()).decode()}"

    body = call("GET", f"/inspections/{record['id']}", "viewer").body
    assert body["anomaly"] == shown | {"heat_map": url}
    assert body["detections"][0]["model"] == "good-parts"
    for path, query in (("/inspections", {"defect": "anomaly"}), ("/serials/SN1", {})):
        (item,) = call("GET", path, "viewer", query=query).body["items"]
        assert item["anomaly"] == shown | {"heat_map": None}
    seen = call("POST", f"/inspections/{record['id']}/acknowledgement", "operator").body
    assert seen["anomaly"] == shown | {"heat_map": url}


def test_of_another_product_there_is_no_score_but_what_the_model_has_measured(cloud: ApiCloud) -> None:
    record = cloud.add("incoming/line-1/top/SN1.jpg", Verdict.REVIEW, data=jpeg(), anomaly=anomaly(None))
    alone = call("GET", f"/inspections/{record['id']}", "viewer").body["anomaly"]
    (listed,) = call("GET", "/inspections", "viewer").body["items"]
    for shown in (alone, listed["anomaly"]):
        assert (shown["score"], shown["distance"]) == (None, 35.25)


def test_no_list_reads_a_heat_map(cloud: ApiCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        cloud.add(f"incoming/line-1/top/SN{number}.jpg", Verdict.PASS, data=jpeg(), anomaly=anomaly())
    monkeypatch.setattr(Inspections, "heat_map", lambda *_: pytest.fail("a heat map was read"))
    assert len(ids(call("GET", "/inspections", "viewer"))) == 3
    for answer in (call("GET", "/inspections", "viewer"), call("GET", "/exports/inspections.csv", "viewer")):
        assert "base64" not in json.dumps(answer.body)


def test_an_inspection_without_an_anomaly_model_has_no_anomaly(cloud: ApiCloud) -> None:
    record = cloud.add("incoming/line-1/top/SN1.jpg", Verdict.PASS, data=jpeg())
    assert "anomaly" not in call("GET", f"/inspections/{record['id']}", "viewer").body


def test_a_heat_map_that_is_gone_leaves_the_score(cloud: ApiCloud) -> None:
    record = cloud.add("incoming/line-1/top/SN1.jpg", Verdict.PASS, data=jpeg(), anomaly=anomaly())
    boto3.client("dynamodb").delete_item(
        TableName=cloud.tables["TABLE_NAME"],
        Key={
            "image": {"S": f"heat-map#{record['id']}"},
            "version_id": {"S": record["anomaly"]["heat_map"]},
        },
    )
    shown = call("GET", f"/inspections/{record['id']}", "viewer").body["anomaly"]
    assert (shown["score"], shown["heat_map"]) == (0.93, None)


def test_anomalies_are_counted_by_their_class_like_every_defect(cloud: ApiCloud) -> None:
    suspected = Reason("doubtful", "possible defect: anomaly 0.93", "anomaly", 0.93, 0.5, "major", 0)
    for number, verdict in enumerate((Verdict.REVIEW, Verdict.REVIEW, Verdict.PASS)):
        reasons = () if verdict is Verdict.PASS else (suspected,)
        cloud.add(f"incoming/line-1/top/SN{number}.jpg", verdict, *reasons, data=jpeg(), anomaly=anomaly())
    totals = call("GET", "/statistics", "viewer").body["totals"]
    assert (totals["inspected"], totals["doubts"], totals["defects"]) == (3, {"anomaly": 2}, {})


def test_filters_find_what_fits(cloud: ApiCloud) -> None:
    now = datetime.now(UTC)
    good = cloud.add("incoming/line-1/top/A.jpg", at=now - timedelta(minutes=3))
    bad = cloud.add("incoming/line-1/bottom/A.jpg", Verdict.FAIL, SCRATCH, at=now - timedelta(minutes=2))
    other = cloud.add("incoming/line-2/top/B.jpg", at=now - timedelta(minutes=1))
    for query, found in (
        ({}, [other, bad, good]),
        ({"line": "line-1"}, [bad, good]),
        ({"station": "top"}, [other, good]),
        ({"serial": "A"}, [bad, good]),
        ({"verdict": "fail"}, [bad]),
        ({"verdict": "pass"}, [other, good]),
        ({"defect": "scratch"}, [bad]),
        ({"defect": "dent"}, []),
        ({"model": "7", "line": "line-2"}, [other]),
        ({"model": "8"}, []),
        ({"since": "90s"}, [other]),
        ({"until": "90s"}, [bad, good]),
        ({"line": "nowhere"}, []),
    ):
        answer = call("GET", "/inspections", "viewer", query=query)
        assert ids(answer) == [record["id"] for record in found], query
        assert answer.body["next"] is None


def test_pages_go_on_where_the_one_before_ended(cloud: ApiCloud) -> None:
    now = datetime.now(UTC)
    records = [cloud.add(f"incoming/line-1/top/{n}.jpg", at=now - timedelta(seconds=n)) for n in range(7)]
    found: list[str] = []
    query: dict[str, object] = {"line": "line-1", "limit": 3}
    while True:
        answer = call("GET", "/inspections", "viewer", query=query)
        found += ids(answer)
        if answer.body["next"] is None:
            break
        query["cursor"] = answer.body["next"]
    assert found == [record["id"] for record in records]


def test_a_cursor_of_another_list_or_a_damaged_one_is_refused(cloud: ApiCloud) -> None:
    for number in range(3):
        cloud.add(f"incoming/line-1/top/{number}.jpg")
    cursor = call("GET", "/inspections", "viewer", query={"line": "line-1", "limit": 1}).body["next"]
    assert cursor
    for query in (
        {"line": "line-2", "cursor": cursor},
        {"cursor": cursor},
        {"line": "line-1", "cursor": cursor[:-2]},
        {"line": "line-1", "cursor": "x"},
        {"line": "line-1", "cursor": "A" * 400},
        {"line": "line-1", "cursor": cursor[:5] + ("A" if cursor[5] != "A" else "B") + cursor[6:]},
    ):
        answer = call("GET", "/inspections", "viewer", query=query)
        assert (answer.status, answer.code) == (400, "invalid_cursor"), query


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"limit": 0}, "limit: must be at least 1"),
        ({"limit": 101}, "limit: must be at most 100"),
        ({"limit": "many"}, "limit: must be a whole number"),
        ({"verdict": "good"}, "verdict: must be 'pass', 'review', 'fail' or 'unreadable'"),
        ({"line": ""}, "line: must not be empty"),
        ({"line": "x" * 2000}, "line: must have at most 1024 characters"),
    ],
)
def test_a_filter_that_is_not_valid_says_why(query: dict[str, object], problem: str) -> None:
    answer = call("GET", "/inspections", "viewer", query=query)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.body["error"]["details"] == [problem]


@pytest.mark.parametrize("query", [{"since": "soon"}, {"until": "-3d"}, {"since": "1h", "until": "2h"}])
def test_a_time_that_is_none_is_refused(cloud: ApiCloud, query: dict[str, object]) -> None:
    assert call("GET", "/inspections", "viewer", query=query).code == "invalid_request"


def test_the_records_of_a_part_come_in_one_call_whatever_their_age(cloud: ApiCloud) -> None:
    now = datetime.now(UTC)
    old = cloud.add("incoming/line-1/top/SN 7+x.jpg", at=now - timedelta(days=300))
    new = cloud.add("incoming/line-2/top/SN 7+x.jpg", Verdict.FAIL, SCRATCH)
    cloud.add("incoming/line-2/top/SN 8.jpg")
    assert ids(call("GET", "/serials/SN 7+x", "viewer")) == [new["id"], old["id"]]
    assert ids(call("GET", "/serials/none", "viewer")) == []


@pytest.mark.parametrize(
    "serial", ["lot 4/part 7", 'A#1"<b>', "50%", "Prüfling 9", "a%2Fb", "acknowledgement"]
)
def test_a_serial_may_be_any_text(cloud: ApiCloud, serial: str) -> None:
    record = cloud.add(f"incoming/line-1/top/{serial}.jpg")
    # The HTTP API decodes the path, but for the percent sign.
    path = f"/serials/{serial.replace('%', '%25')}"
    assert ids(call("GET", path, "viewer")) == [record["id"]]


def test_what_does_not_exist_is_not_found(cloud: ApiCloud) -> None:
    for path in (f"/inspections/{'0' * 32}", f"/inspections/{'0' * 32}/acknowledgement"):
        answer = call("GET" if path.endswith("0") else "POST", path, "admin")
        assert (answer.status, answer.code) == (404, "not_found")
    assert call("GET", "/inspections/../../x", "admin").status == 404
    assert call("GET", "/inspections/xyz", "admin").status == 400


def test_the_first_who_acknowledges_a_defect_is_noted(cloud: ApiCloud) -> None:
    record = cloud.add("incoming/line-1/top/1.jpg", Verdict.FAIL, SCRATCH)
    path = f"/inspections/{record['id']}"
    first = call("POST", f"{path}/acknowledgement", "operator", name="maria")
    again = call("POST", f"{path}/acknowledgement", "operator", name="otto")
    assert first.status == again.status == 200
    assert first.body["acknowledged"] == again.body["acknowledged"]
    assert first.body["acknowledged"]["by"] == "maria"
    history = call("GET", path, "viewer").body["history"]
    assert [(entry["by"], entry["action"]) for entry in history] == [("maria", "acknowledged")]


def _thumbnails(cloud: ApiCloud, *records: dict[str, object]) -> list[str | None]:
    answer = call("POST", "/inspections/thumbnails", "viewer", body={"ids": [r["id"] for r in records]})
    assert [item["id"] for item in answer.body["items"]] == [r["id"] for r in records]
    return [item["thumbnail"] for item in answer.body["items"]]


def _stored(cloud: ApiCloud, record: dict[str, object]) -> bytes:
    body = cloud.s3.get_object(Bucket=cloud.artefacts, Key=f"thumbnails/{record['id']}.jpg")["Body"]
    return bytes(body.read())


def test_a_missing_thumbnail_is_made_once(cloud: ApiCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    record = cloud.add("incoming/line-1/top/1.jpg", data=jpeg(2000, 1000))
    (link,) = _thumbnails(cloud, record)
    assert link
    with Image.open(io.BytesIO(_stored(cloud, record))) as made:
        assert (made.size, made.format) == ((160, 80), "JPEG")
    cloud.s3.delete_object(Bucket=cloud.images, Key="incoming/line-1/top/1.jpg")
    (again,) = _thumbnails(cloud, record)
    assert again
    assert urlsplit(again).path == urlsplit(link).path
    assert call("GET", f"/inspections/{record['id']}", "viewer").body["links"]["thumbnail"]


def test_an_image_that_can_have_no_thumbnail_is_tried_once(cloud: ApiCloud) -> None:
    hostile = cloud.add("incoming/line-1/top/1.jpg", Verdict.UNREADABLE, data=b"\xff\xd8\xff" + b"x" * 99)
    assert _thumbnails(cloud, hostile) == [None]
    assert cloud.record(hostile)["thumbnail"] == ""
    assert _thumbnails(cloud, hostile) == [None]
    assert call("GET", f"/inspections/{hostile['id']}", "viewer").body["links"]["thumbnail"] is None


def test_an_image_that_is_gone_has_no_thumbnail(cloud: ApiCloud) -> None:
    record = cloud.add("incoming/line-1/top/1.jpg", data=jpeg())
    cloud.s3.delete_object(
        Bucket=cloud.images, Key="incoming/line-1/top/1.jpg", VersionId=record["version_id"]
    )
    assert _thumbnails(cloud, record) == [None]


def test_pictures_are_decoded_in_turn_because_one_may_fill_the_memory(
    cloud: ApiCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding: list[int] = []
    most = 0

    def slowly(data: bytes, max_pixels: int) -> bytes:
        nonlocal most
        decoding.append(1)
        most = max(most, len(decoding))
        made = thumbnail(data, max_pixels)
        time.sleep(0.01)
        decoding.pop()
        return made

    monkeypatch.setattr(thumbnails, "thumbnail", slowly)
    records = [cloud.add(f"incoming/line-1/top/{n}.jpg", data=jpeg()) for n in range(6)]
    assert all(_thumbnails(cloud, *records))
    assert most == 1


def test_a_page_for_which_there_is_no_time_is_answered_in_part(
    cloud: ApiCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "_SECONDS", -1.0)
    record = cloud.add("incoming/line-1/top/1.jpg", data=jpeg())
    answer = call("POST", "/inspections/thumbnails", "viewer", body={"ids": [record["id"]]})
    assert answer.body == {"items": []}
    assert "thumbnail" not in cloud.record(record)


def test_a_thumbnail_is_upright_and_shows_16_bits_as_bright_as_they_are(cloud: ApiCloud) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = cloud.add("incoming/line-1/top/1.jpg", data=jpeg(400, 200, exif=exif))
    deep = io.BytesIO()
    Image.new("I;16", (200, 100), 60_000).save(deep, "PNG")
    bright = cloud.add("incoming/line-1/top/2.png", data=deep.getvalue())
    assert all(_thumbnails(cloud, turned, bright))
    with Image.open(io.BytesIO(_stored(cloud, turned))) as made:
        assert made.size == (60, 120)
    with Image.open(io.BytesIO(_stored(cloud, bright))) as made:
        assert made.convert("L").getpixel((50, 20)) in range(230, 240)


def test_a_page_of_the_gallery_is_light(cloud: ApiCloud) -> None:
    data = [path.read_bytes() for path in SAMPLES]
    noise = io.BytesIO()
    Image.effect_noise((640, 480), 200).save(noise, "PNG")
    pictures = [*data, noise.getvalue(), picture("BMP", 800, 600)]
    records = [cloud.add(f"incoming/line-1/top/{n}.jpg", data=data) for n, data in enumerate(pictures)]
    assert all(_thumbnails(cloud, *records))
    sizes = [len(_stored(cloud, record)) for record in records]
    assert max(sizes) <= MAX_BYTES
    assert 48 * sum(sizes[: len(SAMPLES)]) / len(SAMPLES) <= 250_000
    page = gzip.compress(json.dumps(call("GET", "/inspections", "viewer").body).encode())
    assert 48 * len(page) / len(records) <= 50_000


@pytest.mark.parametrize("identities", [[], ["0" * 32] * 49, ["x"], ["0" * 31 + "G"], "0" * 32, [1]])
def test_a_wrong_list_of_ids_is_refused(identities: object) -> None:
    answer = call("POST", "/inspections/thumbnails", "viewer", body={"ids": identities})
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_no_route_scans_a_table(cloud: ApiCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    operations: list[str] = []
    forget()  # so that new clients are counted
    clients.dynamodb.cache_clear()  # type: ignore[attr-defined]
    assert boto3.DEFAULT_SESSION
    boto3.DEFAULT_SESSION.events.register("before-call", lambda model, **_: operations.append(model.name))
    record = cloud.add("incoming/line-1/top/1.jpg", data=jpeg())
    operations.clear()
    for query in ({}, {"verdict": "pass"}, {"station": "top"}, {"serial": "1"}, {"defect": "x"}):
        call("GET", "/inspections", "viewer", query=query)
    call("GET", f"/inspections/{record['id']}", "viewer")
    call("GET", "/serials/1", "viewer")
    _thumbnails(cloud, record)
    assert "Query" in operations
    assert "Scan" not in operations
    assert json.dumps(operations)


def test_an_image_that_no_browser_shows_gets_a_view_when_somebody_looks_at_it(cloud: ApiCloud) -> None:
    buffer = io.BytesIO()
    Image.new("L", (320, 200), 180).save(buffer, "TIFF")
    record = cloud.add("incoming/line-1/top/1.tiff", data=buffer.getvalue())
    listed = call("GET", "/inspections", "viewer").body["items"][0]["links"]["picture"]
    assert "/incoming/line-1/top/1.tiff" in listed
    for _ in range(2):  # it is made once
        answer = call("GET", f"/inspections/{record['id']}", "viewer")
        assert f"/thumbnails/{record['id']}-view.jpg" in answer.body["links"]["picture"]
    stored = boto3.client("s3").get_object(Bucket=cloud.artefacts, Key=f"thumbnails/{record['id']}-view.jpg")
    with Image.open(stored["Body"]) as view:
        assert (view.format, view.size, view.getpixel((0, 0))) == ("JPEG", (320, 200), (180, 180, 180))


def test_an_image_that_a_browser_shows_keeps_its_own_link(cloud: ApiCloud) -> None:
    record = cloud.add("incoming/line-1/top/1.jpg", data=jpeg())
    answer = call("GET", f"/inspections/{record['id']}", "viewer")
    assert "/incoming/line-1/top/1.jpg" in answer.body["links"]["picture"]
    assert cloud.record(record)["view_key"] == ""
