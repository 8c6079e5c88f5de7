"""No log of the local cloud holds image bytes, credentials, tokens, signatures, or what people wrote.

Images and people go the whole way; then all log files and all log groups are searched.
"""

from __future__ import annotations

import io
import json
import re
import urllib.parse
import urllib.request
from typing import Any

import pytest
from PIL import Image

from localcloud.sources import REPOSITORY
from loupe.stack.target import Target
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.site_client import Client
from tests.system.test_chain import loupe

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.promise(26)]
DEFECT = REPOSITORY / "samples" / "line-2" / "bottom" / "SN1003.jpg"
PIXELS, COMMENT, ADDRESS = "canary-in-the-pixels", "canary comment of a person", "canary@example.com"
PASSWORD, WRONG = "Canary-Password-42", "Canary-Wrong-43"
SIGNED = re.compile(r"X-Amz-(Signature|Credential|Security-Token)|Signature=[0-9a-f]{16}")


def picture(shade: int | None = None) -> bytes:
    """Return a JPEG with a canary in its comment: the sample with a defect, or a grey one."""
    buffer = io.BytesIO()
    with Image.open(DEFECT) if shade is None else Image.new("L", (320, 240), shade) as image:
        image.save(buffer, "JPEG", comment=PIXELS.encode(), quality=95)
    return buffer.getvalue()


def everything_logged(process: CloudProcess, target: Target) -> str:
    """Return all log files of the home, and all events of all log groups."""
    files = [file for file in (process.home / "logs").rglob("*") if file.is_file()]
    names = " ".join(file.name for file in files)
    assert all(wanted in names for wanted in ("ApiFunction", "InspectFunction", "endpoint"))
    texts = [file.read_text(errors="replace") for file in files]
    logs = process.connection.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            events = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
            texts += [event["message"] for part in events for event in part["events"]]
    return "\n".join(texts)


def test_what_images_and_people_bring_stays_out_of_every_log(
    loupe_process: CloudProcess, target: Target, admin: Client, tried: Any
) -> None:
    bucket = target.outputs["ImagesBucketName"]
    bodies = {
        "LEAK-1": picture(),
        "LEAK-2": picture()[:3000],
        "LEAK-3": PIXELS.encode() * 9,
        "LEAK-4": picture(90),
    }
    for serial, body in bodies.items():
        key = f"incoming/line-2/bottom/{serial}.jpg"
        target.s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata={"operator": ADDRESS})
    tried(images=len(bodies))

    def records() -> Any:
        found = admin.send("GET", "/api/inspections?limit=100").json["items"]
        ours = {one["serial"]: one for one in found if one["serial"] in bodies}
        return len(ours) == len(bodies) and ours

    inspected = eventually(records)
    secrets = people(loupe_process, admin, inspected)
    done = loupe("replay", "--since", "1h", "--yes", home=loupe_process.home)
    assert done.returncode == 0, done.stderr
    # A client that is refused, with a key that the cloud does not know.
    target.s3.get_object(Bucket=bucket, Key="incoming/line-2/bottom/LEAK-1.jpg")["Body"].read()

    home = loupe_process.home
    connection = loupe_process.connection
    secrets |= {connection.secret_access_key, PIXELS, COMMENT, ADDRESS, PASSWORD, WRONG}
    secrets |= {(home / name).read_text().strip() for name in ("admin-password",) if (home / name).exists()}
    refused = inspected["LEAK-2"]["id"]  # the container says why
    written = eventually(
        lambda: (text := everything_logged(loupe_process, target)) and refused in text and text
    )
    tried(inputs=len(secrets))
    assert {secret for secret in secrets if secret in written} == set()
    assert SIGNED.search(written) is None


def people(process: CloudProcess, admin: Client, inspected: dict[str, Any]) -> set[str]:
    """Let people sign in, look, decide and change the rules. Return the tokens and signatures that they were given."""
    cloud = process.connection
    cognito, pool = cloud.client("cognito-idp"), cloud.outputs["UserPoolId"]
    cognito.admin_create_user(
        UserPoolId=pool,
        Username="canary-reviewer",
        MessageAction="SUPPRESS",
        UserAttributes=[{"Name": "email", "Value": ADDRESS}],
    )
    cognito.admin_add_user_to_group(UserPoolId=pool, Username="canary-reviewer", GroupName="reviewer")
    cognito.admin_set_user_password(
        UserPoolId=pool, Username="canary-reviewer", Password=PASSWORD, Permanent=True
    )
    reviewer = Client(cloud.site_url)
    assert reviewer.sign_in("canary-reviewer", WRONG).status == 401
    session = reviewer.sign_in("canary-reviewer", PASSWORD)
    assert session.status == 200
    cookie = session.headers["set-cookie"].partition(";")[0].partition("=")[2]
    page = {"x_requested_with": "loupe"}
    assert (
        reviewer.send("POST", "/api/session/refresh", None, cookie=f"loupe_refresh={cookie}", **page).status
        == 200
    )
    secrets = {str(reviewer.token), cookie, str(admin.token)}

    shown = reviewer.send("GET", f"/api/inspections/{inspected['LEAK-1']['id']}").json
    link = shown["links"]["picture"]
    with urllib.request.urlopen(urllib.parse.urljoin(cloud.site_url + "/", link), timeout=60) as answer:
        assert answer.status == 200
    secrets.add(link.partition("Signature=")[2][:32])
    queued = [
        one for one in inspected.values() if reviewer.send("GET", f"/api/reviews/{one['id']}").status == 200
    ]
    for one in queued[:1]:
        path = f"/api/reviews/{one['id']}"
        version = reviewer.send("POST", f"{path}/claim", {}).json["version"]
        body = {"version": version, "verdict": "pass", "comment": COMMENT}
        assert reviewer.send("POST", f"{path}/decision", body).status == 200
    reviewer.send(
        "POST", f"/api/reviews/{inspected['LEAK-1']['id']}/decision", {"version": 1, "verdict": COMMENT}
    )
    rules = admin.send("GET", "/api/rules").json
    admin.send(
        "PUT", "/api/rules", {"document": rules["document"], "number": rules["number"], "comment": COMMENT}
    )
    removed = loupe("person", "remove", "canary-reviewer", "--mentions", "--yes", "--json", home=process.home)
    assert removed.returncode == 0, removed.stderr
    assert json.loads(removed.stdout)["reviews"] == len(queued[:1])
    return {secret for secret in secrets if secret}
