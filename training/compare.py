"""Which of several models is better, by how much, how surely, and what each cost: all on the same images.

    python -m training.compare --dataset NEU-DET.zip ssd.tar.gz ssd-tuned.tar.gz --html page.html

A model that cannot be loaded is named, the others are compared, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.evaluation.assessment import Evaluation
from training.evaluation.bootstrap import interval, mean_over_classes
from training.evaluation.cost import prices, training
from training.evaluation.examination import ESCAPE_RATE, PARTS, Selection, check_writable, examine, select
from training.evaluation.metrics import rounded
from training.evaluation.seeds import repeated
from training.job.errors import TrainingError
from training.model.artefact import ArtefactError

_KEPT = ("map", "map50", "map75", "per_class", "confidence", "latency", "model_bytes", "verdicts", "warnings")


@dataclass(frozen=True)
class Contender:
    """A model that was judged: its file, what was found, and its report as `training.evaluate --json` gives it."""

    path: Path
    evaluation: Evaluation
    report: dict[str, Any]

    @property
    def map(self) -> float:
        return self.evaluation.judged.scores.map


@dataclass(frozen=True)
class Failed:
    """A model that could not be judged, and why."""

    path: Path
    reason: str


def judge_all(
    paths: Sequence[Path], tests: Selection, escape_rate: float
) -> tuple[list[Contender], list[Failed]]:
    """Judges each model on the same images. Raises DatasetError, since that would be every model's trouble."""
    contenders: list[Contender] = []
    failed: list[Failed] = []
    for path in paths:
        try:
            evaluation, report = examine(path, tests, escape_rate)
        except ArtefactError as error:
            failed.append(Failed(path, str(error)))
        else:
            contenders.append(Contender(path, evaluation, report))
    return contenders, failed


def difference(best: Contender, other: Contender) -> dict[str, Any]:
    """By how much mAP `best` is ahead of `other`, with a paired bootstrap interval, and a verdict in words.

    Paired: both are resampled to the same images each time, so that hard images weigh on both alike and the
    interval is of the difference itself.
    """
    lead = best.map - other.map
    samples = mean_over_classes(best.evaluation.precision) - mean_over_classes(other.evaluation.precision)
    low, high = interval(lead, samples)
    if best is other:
        verdict = "the best"
    elif low > 0:
        verdict = f"the best is better by {lead:.3f} [{low:.3f}, {high:.3f}]"
    else:
        verdict = "no difference shown"
    return {"map": lead, "interval": [low, high], "verdict": verdict}


def report(
    contenders: Sequence[Contender], failed: Sequence[Failed], tests: Selection, data: Path | str
) -> dict[str, Any]:
    """The comparison for JSON, the best model first."""
    order = sorted(contenders, key=lambda each: -each.map)
    models = []
    for each in order:
        card = each.evaluation.card
        models.append(
            {
                "path": str(each.path),
                **each.report["model"],
                "input_size": card.input_size,
                "seed": card.hyperparameters.get("seed"),
                **{name: each.report[name] for name in _KEPT},
                "unknown_classes": each.evaluation.unknown,
                "trained_on_this_dataset": each.report["trained_on_this_dataset"],
                "training": rounded(asdict(training(card.metrics))),
                "difference": rounded(difference(order[0], each)),
            }
        )
    listed = prices()
    return {
        "dataset": {"path": str(data), "snapshot": tests.snapshot, "images": tests.total},
        "split": tests.split,
        "images": len(tests.images.samples),
        "labels": list(tests.images.labels),
        "models": models,
        "seeds": rounded(repeated([each.evaluation.card for each in order], models)),
        "failed": [{"path": str(each.path), "error": each.reason} for each in failed],
        "prices": {name: listed[name] for name in ("currency", "region", "per", "date", "source")},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 when a model or the data set could not be used."""
    parser = argparse.ArgumentParser(prog="python -m training.compare", description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="model.tar.gz")
    parser.add_argument(
        "--dataset", required=True, help="labelled images: folder, zip, snapshot or s3:// prefix"
    )
    parser.add_argument("--split", choices=PARTS, default="test", help="part of the data set (default test)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page, the models side by side")
    parser.add_argument("--escape-rate", type=float, default=ESCAPE_RATE, metavar="SHARE")
    options = parser.parse_args(arguments)
    try:
        check_writable(options.html)
        tests = select(options.dataset, options.split)
        contenders, failed = judge_all(options.models, tests, options.escape_rate)
        for each in failed:
            sys.stderr.write(f"{each.path} is left out: {each.reason}\n")
        if not contenders:
            raise TrainingError("none of the models can be loaded: there is nothing to compare")
        document = report(contenders, failed, tests, options.dataset)
        if options.html:
            _write(options.html, contenders, document, options.dataset)
    except TrainingError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(json.dumps(document, allow_nan=False) + "\n" if options.json else _table(document))
    return 1 if failed else 0


def _write(
    target: Path, contenders: Sequence[Contender], document: Mapping[str, Any], data: Path | str
) -> None:
    from training.evaluation.reports import page  # only a page needs matplotlib and jinja2

    facts = {
        "Data set": f"{Path(data).name}, snapshot {document['dataset']['snapshot'][:12]}",
        "Images": f"{document['images']} of {document['dataset']['images']}, part {document['split']}",
        "Prices": "{source}; {region}, {per}, {date}".format(**document["prices"]),
        "Made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Command": shlex.join(["python", "-m", "training.compare", *sys.argv[1:]]),
    }
    order = sorted(contenders, key=lambda each: -each.map)
    page.write(target, page.comparison_page([each.evaluation for each in order], document, facts))


def _table(document: Mapping[str, Any]) -> str:
    rows = [("model", "family", "mAP", "mAP50", "ms", "trained", "cost", "")]
    for each in document["models"]:
        trained = each["training"]
        rows.append(
            (
                f"{each['name']} {each['version']}",
                each["kind"]
                + ("" if each["seed"] is None else f", seed {each['seed']}")
                + (" (tuned)" if trained["tuned"] else ""),
                "-" if each["map"] is None else f"{each['map']:.3f}",
                "-" if each["map50"] is None else f"{each['map50']:.3f}",
                f"{each['latency']['p50_ms']:.1f}",
                "-" if trained["seconds"] is None else f"{trained['seconds'] / 60:.0f} min",
                "-" if trained["cost"] is None else f"${trained['cost']:.2f} est. on {trained['instance']}",
                each["difference"]["verdict"],
            )
        )
    widths = [max(len(row[column]) for row in rows) + 2 for column in range(len(rows[0]))]
    lines = ["".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines += [
        f"seeds {', '.join(map(str, each['seeds']))} of {each['family']}: {_spread(each)}"
        for each in document["seeds"]
    ]
    warned = [f"{m['name']} {m['version']}: {text}" for m in document["models"] for text in m["warnings"]]
    return "\n".join([f"{document['images']} images, part {document['split']}", *lines, *warned]) + "\n"


def _spread(repeated: Mapping[str, Any]) -> str:
    named = (("mAP", repeated["map"]), ("mAP50", repeated["map50"]))
    return ", ".join(f"{name} {of['mean']:.3f} ± {of['sd']:.3f}" for name, of in named)


if __name__ == "__main__":
    raise SystemExit(main())
