"""`loupe demo --keep`: its images in the dashboard, until Ctrl+C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.cloud_process import eventually
from tests.system.site_client import Client

pytestmark = [pytest.mark.system, pytest.mark.slow]


def test_the_kept_demo_is_in_the_dashboard_and_leaves_nothing(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "loupe", "demo", "--keep", "--json", "--pictures", str(tmp_path / "pictures")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert demo.stdout is not None
    report, kept = json.loads(demo.stdout.readline()), json.loads(demo.stdout.readline())
    assert demo.poll() is None

    url, _, code = kept["dashboard"].partition("/#/enter/")
    client = Client(url)
    client.token = client.send("POST", "/api/session/one-time", {"code": code}).json["token"]

    def counted() -> bool:
        return bool(client.send("GET", "/api/statistics").json["totals"]["inspected"] == report["inspected"])

    eventually(counted)
    # Defects that people also look at: something is there to review.
    assert client.send("GET", "/api/reviews?state=open").json["items"]
    assert list(tmp_path.glob("loupe-demo-*"))

    demo.send_signal(signal.SIGINT)
    assert demo.wait(timeout=60) == 0
    assert list(tmp_path.glob("loupe-demo-*")) == []
