"""How good a model artefact is on a data set, measured as it will be served: ONNX Runtime, no torch.

By hand:  python -m training.evaluate --model model.tar.gz --dataset NEU-DET.zip --html page.html --rules rules.json
In a job: python -m training.evaluate   (channels `model` and `test`, hyperparameters `split`, `escape_rate`)

The test part is the default: the fifth of the images that `train` never sees, chosen by their hashes.
A job writes evaluation.json, evaluation.html and rules.json into <root>/output/data.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.evaluation.assessment import Evaluation
from training.evaluation.examination import ESCAPE_RATE, PARTS, check_writable, examine, facts, select
from training.job.container import Container, emit, run
from training.job.errors import TrainingError

_LONG = ("curves", "sweep", "golden", "prices")


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of an evaluation job."""

    split: str = "test"
    escape_rate: float = ESCAPE_RATE


def _job(container: Container) -> None:
    settings = container.hyperparameters(Settings)
    artefacts, data = container.channel("model"), container.channel("test")
    if artefacts is None or data is None:
        raise TrainingError(
            f"an evaluation needs the channels model and test under {container.root}/input/data"
        )
    tests = select(data, settings.split)
    evaluation, report = examine(Path(artefacts) / "model.tar.gz", tests, settings.escape_rate)
    folder = container.output / "data"
    folder.mkdir(parents=True, exist_ok=True)
    _write(evaluation, report, data, folder / "evaluation.html", folder / "rules.json")
    (folder / "evaluation.json").write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    # A log line is cut at 256 KiB: what is long stays in the file.
    report["confidence"].pop("map_resamples")
    emit("evaluation", {name: value for name, value in report.items() if name not in _LONG})
    sys.stdout.write(f"test:map={report['map'] or 0.0} test:map50={report['map50'] or 0.0}\n")


def _write(
    evaluation: Evaluation, report: Mapping[str, Any], data: Path | str, html: Path | None, rules: Path | None
) -> None:
    # Only a page needs matplotlib and jinja2, and training, which measures too, need not load them.
    from training.evaluation.reports import page

    if html:
        command = shlex.join(["python", "-m", "training.evaluate", *sys.argv[1:]])
        page.write(html, page.evaluation_page(evaluation, report, facts(evaluation, report, data, command)))
    if rules:
        page.write(rules, json.dumps(evaluation.rules, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """By hand with options, as a job without any. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, help="model.tar.gz")
    parser.add_argument("--dataset", help="labelled images: folder, zip, snapshot or s3:// prefix")
    parser.add_argument("--split", choices=PARTS, default="test", help="part of the data set (default test)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with everything there is to see"
    )
    parser.add_argument("--rules", type=Path, metavar="FILE", help="write rules made of the operating points")
    parser.add_argument(
        "--escape-rate",
        type=float,
        default=ESCAPE_RATE,
        metavar="SHARE",
        help="of the images with a defect of a class, the share that may pass (default 0.02)",
    )
    options = parser.parse_args(arguments)
    if options.model is None and options.dataset is None:
        return run(_job)
    if options.model is None or options.dataset is None:
        parser.error("--model and --dataset go together")
    try:
        check_writable(options.html, options.rules)
        tests = select(options.dataset, options.split)
        evaluation, report = examine(options.model, tests, options.escape_rate)
        _write(evaluation, report, options.dataset, options.html, options.rules)
    except TrainingError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    for each in report["warnings"]:
        sys.stderr.write(f"WARNING: {each}\n")
    for each in report["notes"]:
        sys.stderr.write(f"note: {each}\n")
    sys.stdout.write(json.dumps(report, allow_nan=False) + "\n" if options.json else _table(report))
    return 0


def _table(report: Mapping[str, Any]) -> str:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    sure = report["confidence"]
    lines = [f"{report['images']} images, part {report['split']}"]
    for name, key in (("mAP[.5:.95]", "map"), ("mAP50", "map50"), ("mAP75", "map75")):
        bounds = "" if sure[key] is None else f"  [{sure[key][0]:.3f}, {sure[key][1]:.3f}]"
        lines.append(f"{name:12} {number(report[key])}{bounds}")
    wide = max(len("class"), *(len(label) for label in report["per_class"])) + 2
    lines.append(f"\n{'class':{wide}}{'AP':>7}{'AP50':>7}{'best F1 at':>12}{'escape at':>12}")
    for label, value in report["per_class"].items():
        points = report["operating_points"][label]
        at = [number(points[name] and points[name]["score"]) for name in ("best_f1", "escape")]
        fifty = number(report["per_class50"][label])
        lines.append(f"{label:{wide}}{number(value):>7}{fifty:>7}{at[0]:>12}{at[1]:>12}")
    speed = report["latency"]
    lines.append(f"\n{speed['p50_ms']} ms an image (p95 {speed['p95_ms']}), {speed['provider']}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
