"""A job that learns an anomaly model: what is remembered, what is usual, and the artefact at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import torch

from contract.scores import ANOMALY
from training.detectors.base import AnomalyNetwork
from training.detectors.registry import build_anomaly
from training.job.container import Container, git_sha
from training.job.stopping import Stopped
from training.learning.anomalies.calibration import Calibration, calibrate
from training.learning.anomalies.data import AnomalyData, Picture, open_anomaly_data
from training.learning.anomalies.export import check_parity
from training.learning.anomalies.features import Extractor
from training.learning.anomalies.hyperparameters import AnomalyHyperparameters, read
from training.learning.anomalies.leave_one_out import distances
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

_PARITY_PICTURES = 2
_CPU = torch.device("cpu")


@dataclass
class _Run:
    container: Container
    progress: Events
    settings: AnomalyHyperparameters
    data: AnomalyData
    network: AnomalyNetwork
    pretrained: dict[str, object]
    extractor: Extractor
    started: float
    done: str = "before the first picture"


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
    started = time.perf_counter()
    run = _set_up(container, progress or EventLines(), started)
    try:
        memory = _remember(run, run.data.good)
        return _finish(run, memory)
    except Stopped as stop:
        stop.done, stop.outcome = run.done, "the same command starts again"
        raise


def _set_up(container: Container, progress: Events, started: float) -> _Run:
    settings = read(container.hyperparameters(), container.called)
    torch.manual_seed(settings.seed)
    data = open_anomaly_data(container)
    progress.event(
        "start",
        {
            "git_sha": git_sha(),
            "device": "cpu",
            "hyperparameters": settings.model_dump(),
            "dataset": data.description,
            "labels": (ANOMALY,),
            "dropped_boxes": 0,
        },
    )
    network = build_anomaly(settings.family, settings.input_size)
    report = load_pretrained(network, container.channel("pretrained") or settings.weights)
    progress.event("pretrained", report)
    pretrained = {name: report[name] for name in ("source", "sha256")}
    extractor = Extractor(network, settings.bit_depth or None)
    return _Run(container, progress, settings, data, network, pretrained, extractor, started)


def _remember(run: _Run, pictures: tuple[Picture, ...]) -> Memory:
    bank = MemoryBank(run.settings.memory, run.settings.seed)
    seen = set[bytes]()
    for number, (pixels, features) in enumerate(run.extractor(pictures)):
        bank.add(features, number)
        seen.add(pixels.tobytes())
        run.done = f"after {number + 1} of {len(pictures)} pictures"
    return bank.reduced()


def _finish(run: _Run, memory: Memory) -> ModelCard:
    good = distances(run.extractor, memory, run.data.good, lambda _: None, leave_out=True)
    bad = distances(run.extractor, memory, run.data.bad, lambda _: None, leave_out=False)
    calibration = calibrate(good, bad, run.settings.overkill_rate, run.settings.escape_rate)
    run.network.remember(torch.from_numpy(memory.features))
    folder = run.container.model
    folder.mkdir(parents=True, exist_ok=True)
    card = _card(run, calibration)
    card = replace(card, onnx_sha256=file_sha256(export(run.network, folder)))
    card.write(folder)
    pictures = [*run.data.good[:1], *run.data.bad[:1], *run.data.good[1:]][:_PARITY_PICTURES]
    exported = AnomalyModel(folder)
    difference = check_parity(run.network, exported, [run.extractor.pixels(picture) for picture in pictures])
    card.metrics["export_score_difference"] = difference
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


def _card(run: _Run, calibration: Calibration) -> ModelCard:
    settings, sizes = run.settings, [picture.sample for picture in run.data.good]
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
                "bad": calibration.escape.of if calibration.escape else 0,
                "overkill": calibration.overkill.summary(),
                "escape": calibration.escape.summary() if calibration.escape else None,
                "method": calibration.method,
            }
        },
        operating_points={ANOMALY: {"score": 0.5}},
        dataset=run.data.description,
        hyperparameters=settings.model_dump(),
        git_sha=git_sha(),
        scale=measure([(sample.width, sample.height) for sample in sizes], settings.input_size),
        bit_depth=settings.bit_depth or None,
        anomaly=calibration.scale,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
