"""Evaluate a model artefact on a data set, in ONNX Runtime as it will be served. No torch.

By hand:  python -m training.evaluate --model model.tar.gz --dataset NEU-DET.zip --html page.html --rules rules.json
In a job: python -m training.evaluate   (channels `model` and `test`, hyperparameters `split`, `escape_rate`)

The test part is the default: the fifth of the images that `train` never uses, chosen by their hashes.
A job writes evaluation.json, evaluation.html and rules.json into <root>/output/data.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from training.evaluation.reports import page
from training.evaluation.reports.facts import evaluation_facts
from training.evaluation.reports.tables import evaluation_table
from training.evaluation.result import Evaluation
from training.evaluation.runner import ESCAPE_RATE, add_options, check_writable, evaluate_artefact, select
from training.job.container import Container, emit, run
from training.job.errors import TrainingError
from training.job.hyperparameters import JobHyperparameters, parse

# A log line is cut at 256 KiB, so the log leaves these out. The file contains them.
_NOT_LOGGED = ("curves", "sweep", "golden", "prices")


class Settings(JobHyperparameters):
    """Hyperparameters of an evaluation job."""

    split: str = "test"
    escape_rate: float = Field(ESCAPE_RATE, ge=0, lt=1)


def _job(container: Container) -> None:
    settings = parse(Settings, container.hyperparameters())
    artefacts, data = container.channel("model"), container.channel("test")
    if artefacts is None or data is None:
        raise TrainingError(
            f"an evaluation needs the channels model and test under {container.root}/input/data"
        )
    tests = select(data, settings.split)
    evaluation, report = evaluate_artefact(Path(artefacts) / "model.tar.gz", tests, settings.escape_rate)
    folder = container.output / "data"
    folder.mkdir(parents=True, exist_ok=True)
    _write(evaluation, report, data, folder / "evaluation.html", folder / "rules.json")
    (folder / "evaluation.json").write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    report["confidence"].pop("map_resamples")
    emit("evaluation", {name: value for name, value in report.items() if name not in _NOT_LOGGED})
    sys.stdout.write(f"test:map={report['map'] or 0.0} test:map50={report['map50'] or 0.0}\n")


def _write(
    evaluation: Evaluation, report: Mapping[str, Any], data: Path | str, html: Path | None, rules: Path | None
) -> None:
    if html:
        command = ["python", "-m", "training.evaluate", *sys.argv[1:]]
        facts = evaluation_facts(evaluation, report, data, command)
        page.write(html, page.evaluation_page(evaluation, report, facts))
    if rules:
        page.write(rules, json.dumps(evaluation.rules, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate by hand with options, or as a job without any. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, help="model.tar.gz")
    parser.add_argument("--dataset", help="labelled images: folder, zip, snapshot or s3:// prefix")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write an HTML page with all figures and the worst images"
    )
    parser.add_argument(
        "--rules", type=Path, metavar="FILE", help="write a rules document made of the operating points"
    )
    add_options(parser)
    options = parser.parse_args(arguments)
    if options.model is None and options.dataset is None:
        return run(_job)
    if options.model is None or options.dataset is None:
        parser.error("--model and --dataset go together")
    try:
        check_writable(options.html, options.rules)
        tests = select(options.dataset, options.split)
        evaluation, report = evaluate_artefact(options.model, tests, options.escape_rate)
        _write(evaluation, report, options.dataset, options.html, options.rules)
    except TrainingError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    for warning in report["warnings"]:
        sys.stderr.write(f"WARNING: {warning}\n")
    for note in report["notes"]:
        sys.stderr.write(f"note: {note}\n")
    sys.stdout.write(json.dumps(report, allow_nan=False) + "\n" if options.json else evaluation_table(report))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
