"""`eval "$(loupe env)"; python any_script.py`: a script of a user, who knows nothing of a local cloud."""

from __future__ import annotations

import shlex
import sys
import urllib.request
from typing import Any

import pytest

from tests.clients.bench import REPOSITORY, SCRIPTS, Bench

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]
DEFECTIVE = REPOSITORY / "samples/line-2/bottom/SN1003.jpg"


@pytest.fixture(scope="module")
def seen(bench: Bench) -> dict[str, Any]:
    """What the script saw."""
    result: dict[str, Any] = bench.script("", "any_script", str(DEFECTIVE))
    return result


def test_a_script_reaches_every_service_of_the_stack(bench: Bench, seen: dict[str, Any]):
    assert seen["arn"].endswith(":user/loupe-operator")
    assert seen["region"] == bench.cloud.region
    assert bench.environment["LOUPE_IMAGES_BUCKET"] in seen["buckets"]
    assert seen["jobs"] == 200
    assert seen["topics"] >= 2
    assert seen["queues"] >= 4
    assert seen["machines"] == 1
    assert any(name.startswith("/aws/lambda/") for name in seen["groups"])
    assert seen["metrics"] >= 1
    # The connection has the dashboard's address on this machine, and the stack the one of its distribution.
    assert seen["outputs"].items() >= {
        (name, value) for name, value in bench.cloud.outputs.items() if name not in ("DashboardUrl", "ApiUrl")
    }
    assert seen["rules"] >= 1


def test_a_picture_of_a_script_is_inspected_and_its_detector_answers(seen: dict[str, Any]):
    assert seen["verdict"] == "fail"
    assert seen["labels"] == ["patches", "patches"]


def test_a_link_that_a_script_presigned_is_read_without_credentials(seen: dict[str, Any]):
    with urllib.request.urlopen(seen["link"]) as answer:
        assert answer.read() == DEFECTIVE.read_bytes()


def test_a_shell_that_evaluates_what_loupe_env_prints_needs_nothing_else(bench: Bench):
    """Not by the fixture's environment: the variables come from the shell's eval alone."""
    loupe = shlex.join([sys.executable, "-m", "loupe", "env"])
    script = shlex.join([sys.executable, str(SCRIPTS / "any_script.py"), str(DEFECTIVE)])
    plain = Bench(bench.cloud, bench.home, {"LOUPE_HOME": str(bench.home)}, bench.folder)
    printed = plain.run(["sh", "-euc", f'eval "$({loupe})"; {script}'])
    assert '"verdict": "fail"' in printed.splitlines()[-1]
