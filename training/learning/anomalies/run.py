"""A job that learns an anomaly model: what is remembered, what is usual, and the artefact at its end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import torch

from contract.scores import ANOMALY, FAIL_SCORE
from training.datasets import DatasetError
from training.detectors.base import AnomalyNetwork
from training.detectors.registry import build_anomaly
from training.job.container import Container, git_sha
from training.job.stopping import Stopped
from training.learning.anomalies.calibration import Calibration, calibrate, can_be_left_out, outliers
from training.learning.anomalies.data import AnomalyData, Picture, open_anomaly_data
from training.learning.anomalies.emptiness import empty_pictures, tell_apart
from training.learning.anomalies.export import check_parity
from training.learning.anomalies.features import Extractor
from training.learning.anomalies.hyperparameters import AnomalyHyperparameters, read
from training.learning.anomalies.leave_one_out import Distances, distances
from training.learning.anomalies.memory import Memory, MemoryBank
from training.learning.export import export
from training.learning.golden_pictures import golden_anomalies
from training.learning.memory import peak_memory_mib
from training.learning.progress import EventLines, Events
from training.learning.weights import load_pretrained
from training.model.anomaly import AnomalyModel
from training.model.artefact import ModelCard, file_sha256
from training.model.decoding import Postprocess
from training.model.scale import measure

_LEAST_PICTURES = 2
# With fewer, a threshold says little.
_FEW = 10
# How much wider, for its height, a picture may be than another before it is told.
_SHAPES = 1.5
# Pictures whose border shows what the place behind the product looks like.
_EXAMPLES = 8
# In model.json.
_NAMES = 20
# Between two reports.
_SECONDS = 5.0
_CPU = torch.device("cpu")


@dataclass
class _Run:
    """What a job consists of.

    Attributes:
        started: When it began, on the clock `time.perf_counter`.
        done: How far it got, for a person who stops it.
    """

    container: Container
    progress: Events
    settings: AnomalyHyperparameters
    data: AnomalyData
    network: AnomalyNetwork
    pretrained: dict[str, object]
    extractor: Extractor
    started: float
    done: str = "before the first picture"


@dataclass(frozen=True, slots=True)
class _Learned:
    """What a job found out.

    Attributes:
        memory: What is remembered.
        pictures: The good pictures that it is from.
        good: Their distances, each to the memory without itself.
        left_out: Good pictures that are not remembered, because they look like mistakes.
        doubtful: As `left_out`, but remembered: there are too many.
    """

    memory: Memory
    pictures: list[Picture]
    good: Distances
    left_out: list[str]
    doubtful: list[str]


def learn(container: Container, progress: Events | None = None) -> ModelCard:
    """Run a job.

    Args:
        container: The job's input and output folders.
        progress: Receives the reports of the run; by default JSON lines on standard output.

    Returns:
        The card of the model.

    Raises:
        TrainingError: The job cannot continue.
        Stopped: A signal ended the run.
    """
    run = _set_up(container, progress or EventLines(), time.perf_counter())
    try:
        learned = _learn(run)
        bad = distances(
            run.extractor, learned.memory, run.data.bad, _Reports(run, "compared bad"), leave_out=False
        )
        calibration = calibrate(learned.good, bad, run.settings.overkill_rate, run.settings.escape_rate)
        _tell_unseen(run, calibration)
        return _finish(run, learned, calibration)
    except Stopped as stop:
        stop.done, stop.outcome = run.done, "the same command starts again"
        raise


def _set_up(container: Container, progress: Events, started: float) -> _Run:
    settings = read(container.hyperparameters(), container.called)
    torch.manual_seed(settings.seed)
    data = open_anomaly_data(container)
    job = {"git_sha": git_sha(), "device": "cpu", "hyperparameters": settings.model_dump()}
    progress.event("start", job | {"dataset": data.description, "labels": [ANOMALY], "dropped_boxes": 0})
    # Before the network is made: its user need not wait to hear that.
    if data.good_files < _LEAST_PICTURES:
        raise _too_few(container, data)
    shapes = [picture.sample.width / picture.sample.height for picture in data.good]
    if max(shapes) > _SHAPES * min(shapes):
        progress.event("shapes", {"narrowest": round(min(shapes), 2), "widest": round(max(shapes), 2)})
    network = build_anomaly(settings.family, settings.input_size)
    report = load_pretrained(network, container.channel("pretrained") or settings.weights)
    progress.event("pretrained", report)
    pretrained = {name: report[name] for name in ("source", "sha256")}
    extractor = Extractor(network, settings.bit_depth or None)
    return _Run(container, progress, settings, data, network, pretrained, extractor, started)


def _learn(run: _Run) -> _Learned:
    """Remember the good pictures, and forget those that look like mistakes."""
    memory, pictures = _remember(run, run.data.good)
    if len(pictures) < _FEW:
        same = run.data.good_files - len(pictures)
        run.progress.event("few", {"good": len(pictures), "same": same})
    good = distances(run.extractor, memory, pictures, _Reports(run, "compared"), leave_out=True)
    numbers = outliers(good.pictures)
    if not numbers:
        return _Learned(memory, pictures, good, [], [])
    names = [pictures[number].sample.name for number in numbers]
    left_out = can_be_left_out(len(numbers), len(pictures))
    run.progress.event("outliers", {"names": names, "left_out": left_out})
    if not left_out:
        return _Learned(memory, pictures, good, [], names)
    memory = memory.forget(numbers)
    pictures = [picture for number, picture in enumerate(pictures) if number not in numbers]
    good = distances(run.extractor, memory, pictures, _Reports(run, "compared"), leave_out=True)
    return _Learned(memory, pictures, good, names, [])


def _remember(run: _Run, pictures: Sequence[Picture]) -> tuple[Memory, list[Picture]]:
    """Return a memory of pictures, and those that it is from: of pictures that show exactly the same, one.

    Raises:
        DatasetError: Fewer than two are different: what is usual cannot be told from one.
    """
    bank = MemoryBank(run.settings.memory, run.settings.seed)
    seen, kept = set[bytes](), list[Picture]()
    report = _Reports(run, "remembered")
    for number, (pixels, features) in enumerate(run.extractor(pictures)):
        digest = hashlib.sha256(pixels.data).digest()
        if digest not in seen:
            seen.add(digest)
            bank.add(features, len(kept))
            kept.append(pictures[number])
        report(number + 1, len(pictures))
    if len(kept) < _LEAST_PICTURES:
        raise _too_few(run.container, run.data)
    return bank.reduced(), kept


def _too_few(container: Container, data: AnomalyData) -> DatasetError:
    count = data.good_files
    found = "one good picture" if count == 1 else f"{count} good pictures that all show exactly the same,"
    error = DatasetError(
        container.channel("train"),
        f"has {found} to learn from; what is usual shows only in the differences between at least two",
    )
    error.hint = (
        "Add pictures of other good products, as they come off the line: about twenty are a good start."
    )
    return error


def _tell_unseen(run: _Run, calibration: Calibration) -> None:
    if calibration.unseen:
        names = [run.data.bad[number].sample.name for number in calibration.unseen]
        run.progress.event("unseen", {"names": names})


def _finish(run: _Run, learned: _Learned, calibration: Calibration) -> ModelCard:
    """Write the artefact, and prove that it measures what it should."""
    examples = [run.extractor.pixels(picture) for picture in learned.pictures[:_EXAMPLES]]
    empty = run.extractor.wholes(empty_pictures(examples))
    products, empty = tell_apart(learned.good.wholes, empty, run.settings.seed)
    run.network.remember(*map(torch.from_numpy, (learned.memory.features, products, empty)))
    shown = [run.extractor.pixels(picture) for picture in (*learned.pictures[:1], *run.data.bad[:1])]
    run.extractor.close()
    folder = run.container.model
    folder.mkdir(parents=True, exist_ok=True)
    sha256 = file_sha256(export(run.network, folder))
    card = replace(_card(run, learned, calibration), onnx_sha256=sha256)
    card.write(folder)
    exported = AnomalyModel(folder)
    card.metrics["export_score_difference"] = check_parity(run.network, exported, shown)
    card.metrics["training"] = {
        "seconds": round(time.perf_counter() - run.started, 1),
        "device": "cpu",
        "instance_type": run.container.instance_type,
        "on_instance": run.container.on_instance,
        "peak_memory_mib": peak_memory_mib(_CPU),
        "tuned": False,
        "pretrained": run.pretrained,
    }
    card = replace(card, golden=golden_anomalies(exported, run.data.bad, run.extractor.pixels))
    card.write(folder)
    run.progress.event("done", {"version": card.version, **card.metrics})
    return card


def _card(run: _Run, learned: _Learned, calibration: Calibration) -> ModelCard:
    settings, escape = run.settings, calibration.escape
    sizes = [(picture.sample.width, picture.sample.height) for picture in learned.pictures]
    return ModelCard(
        name=settings.name,
        family=settings.family,
        labels=(ANOMALY,),
        input_size=settings.input_size,
        normalisation=run.network.normalisation,
        postprocess=Postprocess(score_threshold=0.05, nms_iou=None, detections=100),
        metrics={
            "calibration": {
                "good": calibration.overkill.of,
                "bad": escape.of if escape else 0,
                "overkill": calibration.overkill.summary(),
                "doubtful": calibration.doubtful.summary(),
                "escape": escape.summary() if escape else None,
                "method": calibration.method,
            },
            "outliers": {"left_out": learned.left_out[:_NAMES], "kept": learned.doubtful[:_NAMES]},
            "memory": {"places": len(learned.memory.owners), "pictures": len(learned.pictures)},
        },
        # Where the score is 0.5, whatever the distance is: calibration has put the threshold there.
        operating_points={ANOMALY: {"score": FAIL_SCORE}},
        dataset=run.data.description,
        hyperparameters=settings.model_dump(),
        git_sha=git_sha(),
        scale=measure(sizes, settings.input_size),
        bit_depth=settings.bit_depth or None,
        anomaly=calibration.scale,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


class _Reports:
    """Reports from time to time how many pictures are done."""

    def __init__(self, run: _Run, doing: str) -> None:
        self._run, self._doing = run, doing
        self._last = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        """Take note that `done` of `of` pictures are done."""
        self._run.done = f"after it had {self._doing} {done} of {of} pictures"
        if time.monotonic() - self._last >= _SECONDS:
            self._last = time.monotonic()
            self._run.progress.event("pictures", {"doing": self._doing, "done": done, "of": of})
