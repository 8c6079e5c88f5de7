"""The API in the local cloud, as the dashboard and the command use it: from an uploaded image to its gallery."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from PIL import Image

from loupe.stack.api import ApiError, call
from loupe.stack.inspections import Inspection
from loupe.stack.target import Target
from loupe.stack.uploads import Source, follow, upload
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.site_client import Client

pytestmark = pytest.mark.system
SAMPLES = sorted((Path(__file__).parents[2] / "samples" / "line-1" / "top").glob("*.jpg"))
SERIAL = "lot 4/Prüfling #7 50%"
SINCE = "since=1h"


@pytest.fixture(scope="module")
def records(target: Target) -> dict[str, Inspection]:
    """Records of the samples, by their serial."""
    sources = [Source(f"incoming/line-api/top/{path.name}", path.read_bytes, path.stem) for path in SAMPLES]
    sources.append(Source(f"incoming/line-2/top/{SERIAL}.jpg", SAMPLES[0].read_bytes, SERIAL))
    uploads = upload(target, sources, lambda _: None)
    found = follow(target, uploads, lambda _: None, patience=60)
    return {uploaded.origin: found[uploaded.identity] for uploaded in uploads}


@pytest.fixture(scope="module")
def viewer(loupe_process: CloudProcess) -> Iterator[Client]:
    cloud = loupe_process.connection
    pool, cognito = cloud.outputs["UserPoolId"], cloud.client("cognito-idp")
    cognito.admin_create_user(UserPoolId=pool, Username="vera", MessageAction="SUPPRESS")
    cognito.admin_add_user_to_group(UserPoolId=pool, Username="vera", GroupName="viewer")
    cognito.admin_set_user_password(
        UserPoolId=pool, Username="vera", Password="Sufficient-1234", Permanent=True
    )
    client = Client(cloud.site_url)
    assert client.sign_in("vera", "Sufficient-1234").status == 200
    yield client
    cognito.admin_delete_user(UserPoolId=pool, Username="vera")


def get(client: Client, path: str) -> Any:
    reply = client.send("GET", f"/api{path}")
    assert reply.status == 200, reply.body
    return reply.json


def picture(client: Client, link: str) -> Image.Image:
    """Read a picture as the page does: it asks its own origin for the path and query of the link."""
    parts = urlsplit(link)
    reply = client.send("GET", f"{parts.path}?{parts.query}")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("image/")
    return Image.open(io.BytesIO(reply.body))


def test_uploaded_images_are_found_by_every_filter(viewer: Client, records: dict[str, Inspection]) -> None:
    ids = {record["id"] for record in records.values()}

    def counted() -> bool:
        return {item["id"] for item in get(viewer, f"/inspections?{SINCE}")["items"]} >= ids

    # The lines become known when the stream has delivered their records.
    eventually(counted)
    failed = {record["id"] for record in records.values() if record["verdict"] == "fail"}
    found = get(viewer, f"/inspections?{SINCE}&line=line-api&station=top&verdict=fail")["items"]
    assert failed
    assert {item["id"] for item in found} == failed
    label = found[0]["reasons"][0]["label"]
    assert found[0]["id"] in {item["id"] for item in get(viewer, f"/inspections?defect={label}")["items"]}
    version = quote(found[0]["model"]["version"])
    assert (
        len(get(viewer, f"/inspections?{SINCE}&model={version}&line=line-api")["items"]) >= len(SAMPLES) - 1
    )


def test_pages_go_through_all(viewer: Client, records: dict[str, Inspection]) -> None:
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        page = get(viewer, f"/inspections?{SINCE}&line=line-api&limit=3{cursor and f'&cursor={cursor}'}")
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
    expected = sorted((r for r in records.values() if r["line"] == "line-api"), key=lambda r: r["time_id"])
    assert found == [record["id"] for record in reversed(expected)]


def test_a_part_with_an_awkward_serial_is_found_in_one_call(
    viewer: Client, target: Target, records: dict[str, Inspection]
) -> None:
    (item,) = get(viewer, f"/serials/{quote(SERIAL, safe='')}")["items"]
    assert (item["id"], item["serial"]) == (records[SERIAL]["id"], SERIAL)
    assert call(target, "GET", f"/serials/{SERIAL}")["items"][0]["id"] == item["id"]


def test_an_inspection_has_its_pictures_by_links_of_the_pages_origin(
    viewer: Client, records: dict[str, Inspection]
) -> None:
    failed = next(record for record in records.values() if record["verdict"] == "fail")
    path = f"/inspections/{failed['id']}"
    eventually(lambda: get(viewer, path)["links"]["annotated"] is not None)
    links = get(viewer, path)["links"]
    assert picture(viewer, links["picture"]).size == (failed["image_width"], failed["image_height"])
    assert picture(viewer, links["annotated"]).format == "JPEG"
    assert max(picture(viewer, links["thumbnail"]).size) <= 160


def test_the_gallery_gets_the_thumbnails_that_are_missing(
    viewer: Client, records: dict[str, Inspection]
) -> None:
    wanted = [record["id"] for record in records.values()]
    reply = viewer.send("POST", "/api/inspections/thumbnails", {"ids": wanted})
    assert reply.status == 200
    made = {item["id"]: item["thumbnail"] for item in reply.json["items"]}
    unreadable = {record["id"] for record in records.values() if record["verdict"] == "unreadable"}
    assert {identity for identity, link in made.items() if link is None} == unreadable
    sizes = [picture(viewer, link).size for link in made.values() if link]
    assert all(width <= 160 and height <= 120 for width, height in sizes)


@pytest.mark.promise(32)
def test_who_acknowledges_a_defect_is_kept(
    admin: Client, viewer: Client, records: dict[str, Inspection]
) -> None:
    failed = next(record for record in records.values() if record["verdict"] == "fail")
    path = f"/api/inspections/{failed['id']}/acknowledgement"
    assert viewer.send("POST", path).status == 403
    assert admin.send("POST", path).json["acknowledged"]["by"] == "admin"
    history = get(viewer, f"/inspections/{failed['id']}")["history"]
    assert [(entry["by"], entry["action"]) for entry in history] == [("admin", "acknowledged")]


def test_health_shows_what_serves_and_what_was_inspected(
    viewer: Client, records: dict[str, Inspection]
) -> None:
    health = get(viewer, "/health")
    assert health["endpoint"]["status"] == "InService"
    assert health["endpoint"]["model"]["version"]
    line = next(line for line in health["lines"] if line["line"] == "line-api")
    assert line["last_hour"]["inspected"] >= len(SAMPLES)
    assert health["alarms"]
    assert health["rules_version"]
    assert health["problems"] == []


def test_the_export_holds_the_records(viewer: Client, records: dict[str, Inspection]) -> None:
    reply = viewer.send("GET", f"/api/exports/inspections.csv?{SINCE}&line=line-2")
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert SERIAL in reply.body.decode()
    assert json.loads(viewer.send("GET", "/api/exports/labels.coco.json").body)["images"] == []


def test_the_command_asks_the_api_as_an_administrator(target: Target) -> None:
    assert call(target, "GET", "/session")["user"]["groups"][-1] == "admin"
    with pytest.raises(ApiError) as refused:
        call(target, "GET", "/inspections", {"limit": 1000})
    assert refused.value.hint == "limit: must be at most 100"
