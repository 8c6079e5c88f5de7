"""The machine under the local cloud fails: the cloud is killed, its disk is full, its clock jumps."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path

import botocore.auth
import pytest

from loupe.stack import laptop
from tests.chaos.conftest import Report
from tests.chaos.factory import Factory
from tests.chaos.oracle import check
from tests.chaos.traffic import WINDOW, Traffic
from tests.promises import Tell

pytestmark = [pytest.mark.system, pytest.mark.chaos, pytest.mark.timeout(900)]
KILLS = 4
HOUR = 3600


@pytest.mark.promise(9, 28)
def test_the_local_cloud_is_killed(factory: Factory, report: Report, tried: Tell) -> None:
    with Traffic(factory, "killed-cloud") as traffic:
        traffic.judged(40)
        traffic.phase("during")
        for _ in range(KILLS):
            traffic.acknowledged(30)
            factory.receive_alerts()
            factory.kill()
            factory.start()
        traffic.phase("after")
        traffic.judged(40, sent_from_now=True)
        traffic.finish()
    # Alerts are sent again whose marks were not saved yet.
    check(factory, traffic, repeated=KILLS * WINDOW)
    tried(images=len(traffic.sent), faults=KILLS)
    report(traffic, kills=KILLS)


@pytest.mark.promise(29)
@pytest.mark.parametrize("killed", [False, True], ids=["recovers", "is killed"])
def test_the_disk_is_full(factory: Factory, disk: Path, report: Report, tried: Tell, killed: bool) -> None:
    if not os.path.ismount(disk):
        pytest.skip("no right to mount a disk")
    filling = disk / "others"
    with Traffic(factory, f"full-disk-{'killed' if killed else 'alive'}") as traffic:
        traffic.judged(40)
        traffic.phase("during")
        # First as full as to refuse uploads, then to the last byte.
        for free in (80_000_000, 0):
            fill(filling, free)
            traffic.refusals(20)
        assert laptop.read(factory.target, factory.home).full_disk is not None
        if killed:
            factory.kill()
        filling.unlink()
        if killed:
            factory.start()
        traffic.phase("after")
        traffic.judged(40, sent_from_now=True)
        traffic.finish()
    assert laptop.read(factory.target, factory.home).full_disk is None
    check(factory, traffic, repeated=WINDOW if killed else 0)
    tried(images=len(traffic.sent), faults=traffic.refused + killed)
    report(traffic, refused=traffic.refused, kills=int(killed))


def fill(file: Path, free: int) -> None:
    """Fill the disk of a file until so many bytes are free."""
    with file.open("ab") as stream:
        while (size := shutil.disk_usage(file.parent).free - free) > 0:
            try:
                os.posix_fallocate(stream.fileno(), file.stat().st_size, size)
            except OSError:  # somebody else has taken the rest
                return


def test_the_clock_jumps(
    factory: Factory, report: Report, tried: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forwards and back, then backwards and back, by an hour. The cameras are on the same machine."""
    if not factory.clock.environment:
        pytest.skip("no C compiler")
    jumps = (HOUR, 0, -HOUR, 0)
    now = botocore.auth.get_current_datetime
    ahead = [0]
    # Whoever asks signs with the time, and an old signature is refused.
    monkeypatch.setattr(
        botocore.auth,
        "get_current_datetime",
        lambda *arguments, **options: now(*arguments, **options) + timedelta(seconds=ahead[0]),
    )
    try:
        with Traffic(factory, "clock", follows_feed=True) as traffic:
            traffic.judged(40)
            traffic.phase("during")
            for jump in jumps:
                factory.clock.jump(jump)
                ahead[0] = jump
                traffic.judged(30, sent_from_now=True)
            traffic.phase("after")
            traffic.judged(40, sent_from_now=True)
            traffic.finish()
        check(factory, traffic, repeated=WINDOW)
    finally:
        factory.clock.jump(0)
        ahead[0] = 0
    tried(images=len(traffic.sent), faults=len(jumps))
    report(traffic, jumps=len(jumps))
