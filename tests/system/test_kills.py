"""`kill -9` of the local cloud under load, again and again, with a small and with a large table."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError

from loupe.stack import deployment
from loupe.stack.target import Target
from loupe.stack.uploads import Source, Upload, follow, upload
from tests.system.bad_images import jpeg
from tests.system.cloud_process import CloudProcess

pytestmark = [pytest.mark.system, pytest.mark.nightly, pytest.mark.timeout(1200)]
REPOSITORY = Path(__file__).parents[2]
KILLS, IMAGES = 10, 150


def test_ten_kills_under_load_lose_no_image_that_was_acknowledged(tmp_path: Path) -> None:
    """With the starter model behind the endpoint. The table grows from kill to kill, and is saved less often."""
    acknowledged: list[Upload] = []
    for kill in range(KILLS):
        process = CloudProcess(tmp_path, REPOSITORY)
        target = Target.local(tmp_path)
        if kill == 0:
            deployment.deploy(target, deployment.STARTER, deployment.Hosting(), lambda status: None)
        enough = threading.Event()
        wanted = len(acknowledged) + IMAGES // 2

        def on_upload(uploaded: Upload, enough: threading.Event = enough, wanted: int = wanted) -> None:
            acknowledged.append(uploaded)
            if len(acknowledged) >= wanted:
                enough.set()

        def camera(kill: int = kill, target: Target = target) -> None:
            body = jpeg()
            sources = [Source(f"incoming/l/s/{kill}-{n}.jpg", lambda: body, "camera") for n in range(IMAGES)]
            with contextlib.suppress(BotoCoreError):  # the cloud is gone
                upload(target, sources, on_upload)

        thread = threading.Thread(target=camera)
        thread.start()
        assert enough.wait(60)
        process.kill()
        thread.join()

    process = CloudProcess(tmp_path, REPOSITORY)
    try:
        records = follow(Target.local(tmp_path), acknowledged, lambda _: None, patience=60)
        assert [upload for upload in acknowledged if upload.identity not in records] == []
        assert {record["verdict"] for record in records.values()} <= {"pass", "fail", "review"}
    finally:
        process.stop()
