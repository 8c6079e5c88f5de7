"""The notebook, executed against a local cloud as a reader does it: the whole of it, twice, and interrupted."""

from __future__ import annotations

import os
import re
from pathlib import Path

import psutil
import pytest

from tests.notebook.reader import Page, Reader
from tests.system.cloud_process import eventually

pytestmark = [pytest.mark.notebook, pytest.mark.timeout(1800)]

LABELS = ("SSD", "SSD + HPO", "Faster R-CNN", "Faster R-CNN + HPO", "GFL")
CHARTS = ("look", "curves", "tuning-chart", "same-pictures", "bars")
TRIAL = ("--set", "budget=trial", "--set", "weights=offline")


def check_page(page: Page) -> None:
    """Check that every model is in the table, and that no chart is empty."""
    assert page.status == 0, page.said
    table = "".join(page.data("table", "text/html"))
    assert all(label in table for label in LABELS)
    for cell in CHARTS:
        charts = page.pictures(cell)
        assert charts, cell
        for chart in charts:
            # A blank page has one colour; a chart has ink, and more than its axes.
            colours = chart.convert("RGB").resize((200, 120)).getcolors(24_000)
            assert chart.width > 300, cell
            assert colours, cell
            assert len(colours) > 20, cell


def check_clean(reader: Reader, before: dict[str, list[str]], champion: str) -> None:
    """Check that there is nothing but what was there before, and the champion."""
    after = reader.holdings()
    new = {kind: [name for name in after[kind] if name not in before[kind]] for kind in after}
    assert new["endpoints"] == []
    assert new["running"] == []
    # `loupe deploy` has given the stack's endpoint another model.
    assert all(name.startswith(reader.target.output("EndpointName")) for name in new["models"])
    assert all(name.startswith(reader.target.output("EndpointName")) for name in new["configurations"])
    assert new["objects"] == [champion]


def test_it_goes_on_after_an_interruption_hands_over_the_best_model_and_leaves_nothing_else(
    reader: Reader,
) -> None:
    """GIVEN a run that ended in the middle of training WHEN the whole notebook runs THEN no job is run twice."""
    before = reader.holdings()
    interrupted = reader.run(*TRIAL, "--set", "name=whole", "--until", "gfl")
    assert interrupted.status == 0, interrupted.said
    started = {job["TrainingJobName"] for job in reader.trainings("whole-")}
    assert len(started) == 3

    page = reader.run(*TRIAL, "--set", "name=whole")

    check_page(page)
    trainings = {job["TrainingJobName"] for job in reader.trainings("whole-")}
    assert started <= trainings
    # Three families, and two trainings of each of two tuning jobs.
    assert len(trainings) == 7
    assert "of an earlier run" in page.text("wait-trained")
    (version,) = reader.versions()
    assert version["family"] in ("ssdlite", "faster_rcnn_mobilenet", "gfl_efficientnet_lite0")
    champion = version["artefact"].split("/", 3)[3]
    check_clean(reader, before, champion)
    assert "Deleted:" in page.text("clean")
    assert f"version {version['version']} of" in page.text("clean")
    assert not (reader.repository / "notebooks/files/whole").exists()


def test_the_clean_up_stops_what_a_killed_notebook_has_started(reader: Reader) -> None:
    """GIVEN a notebook that is killed while its jobs run WHEN the clean-up runs in a terminal THEN nothing is left."""
    before = reader.holdings()
    process = reader.start(*TRIAL, "--set", "name=killed")
    eventually(lambda: any(name.startswith("killed-") for name in reader.running()), 300)
    # The kernel, too, which has a session of its own.
    for part in [*psutil.Process(process.pid).children(recursive=True), process]:
        part.kill()
    process.wait()

    printed = reader.clean("killed")

    assert "stopped" in printed
    assert reader.holdings() == before
    assert not (reader.repository / "notebooks/files/killed").exists()
    assert "nothing to delete" in reader.clean("killed")


@pytest.mark.skipif("LOUPE_NEU_DET" not in os.environ, reason="LOUPE_NEU_DET names no NEU-DET.zip")
def test_neu_det_goes_through_the_notebook(reader: Reader) -> None:
    before = reader.holdings()
    known = {version["version"] for version in reader.versions()}
    data_set = Path(os.environ["LOUPE_NEU_DET"]).resolve()

    page = reader.run(*TRIAL, "--set", "name=neudet", "--set", f"data_set={data_set}")

    check_page(page)
    # The data set is passed around whole (1,800 pictures) and as the train part of it (1,440).
    assert re.search(r"1(800|440) pictures, format voc", page.text("import"))
    (version,) = (version for version in reader.versions() if version["version"] not in known)
    check_clean(reader, before, version["artefact"].split("/", 3)[3])


def test_without_a_local_cloud_the_first_cell_says_what_to_do(reader: Reader, tmp_path: Path) -> None:
    page = reader.run("--until", "connect", LOUPE_HOME=str(tmp_path))

    assert page.status == 1
    assert "loupe up" in page.error("connect")
    assert "Traceback" not in page.error("connect")
