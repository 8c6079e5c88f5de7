"""The endpoint gets another model while images come: none is lost, and each record names the model that judged it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from loupe.stack import deployment
from tests.chaos.conftest import Report
from tests.chaos.factory import Factory
from tests.chaos.oracle import check
from tests.chaos.traffic import Traffic
from tests.promises import Tell
from tests.system.test_wiring_faults import poisoned

pytestmark = [pytest.mark.system, pytest.mark.chaos, pytest.mark.timeout(900), pytest.mark.promise(15)]


def test_a_swap_of_the_model(factory: Factory, report: Report, tried: Tell, tmp_path: Path) -> None:
    """The other model has the same name and the same weights, and finds nothing: its answers tell which one it was."""

    def serve(archive: Path) -> None:
        deployment.deploy(factory.target, archive, deployment.Hosting(), lambda _: None)

    blind = poisoned(tmp_path, postprocess={"score_threshold": 0.9999})
    with Traffic(factory, "swap") as traffic:
        traffic.judged(40)
        traffic.phase("during")
        serve(blind)
        version, judged = factory.judge("golden-blind")
        traffic.judged(20, sent_from_now=True)
        serve(deployment.STARTER)
        traffic.phase("after")
        traffic.judged(40, sent_from_now=True)
        traffic.finish()
    assert version != factory.version
    assert {said.verdict for said in judged} < {said.verdict for said in factory.judged}, "both say the same"
    records = check(factory, traffic, judged={factory.version: factory.judged, version: judged})
    judges = Counter(record["model"]["version"] for record in records if "model" in record)
    assert judges.keys() == {factory.version, version}
    tried(images=len(traffic.sent), faults=2)
    report(traffic, swaps=2, by_the_second_model=judges[version])
