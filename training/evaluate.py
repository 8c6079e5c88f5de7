"""Evaluate a model artefact on a data set, in ONNX Runtime as it will be served. No torch.

By hand:  python -m training.evaluate --model model.tar.gz --dataset NEU-DET.zip --html page.html --rules rules.json
In a job: python -m training.evaluate   (channels `model` and `test`, hyperparameters `split`, `escape_rate`,
`overkill_rate`)

The test part is the default: the fifth of the images that `train` never uses, chosen by their hashes.
A job writes evaluation.json, evaluation.html and rules.json into <root>/output/data.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.text import plain
from training.evaluation.options import add_options, files, rates
from training.job import by_hand
from training.job.container import Container, emit, run
from training.job.errors import TrainingError
from training.job.files import check_writable, write_whole
from training.job.stopping import finishing

if TYPE_CHECKING:
    from training.evaluation.result import Evaluation

# A log line is cut at 256 KiB, so the log leaves these out. The file contains them.
_NOT_LOGGED = ("curves", "sweep", "golden", "prices")


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate by hand with options, or as a job without any. Returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        return run(_job)
    parser = by_hand.Parser(
        prog="loupe evaluate", description="Measure a model on labelled images (docs/evaluation.md)."
    )
    parser.add_argument("--model", type=by_hand.given_path, required=True, help="model.tar.gz")
    add_options(parser)
    parser.add_argument(
        "--rules",
        type=by_hand.given_path,
        metavar="FILE",
        help="write a rules document made of the operating points",
    )
    options = parser.parse_args(given)
    return by_hand.run(lambda: _evaluate(options, ["loupe", "evaluate", *given]))


# The libraries take a second to import. Until a function needs them, a signal already ends in words.


def _evaluate(options: argparse.Namespace, command: Sequence[str]) -> int:
    check_writable(options.out, options.html, options.rules)
    from training.evaluation.reports.tables import evaluation_table
    from training.evaluation.runner import evaluate_artefact, select
    from training.evaluation.summary import evaluation_summary

    tests = select(options.dataset, options.split)
    evaluation, report = evaluate_artefact(options.model, tests, rates(options))
    texts = _texts(evaluation, report, options.dataset, files(options), command)
    with finishing():
        for path, text in texts.items():
            write_whole(path, text)
        for warning in report["warnings"]:
            sys.stderr.write(f"WARNING: {plain(warning)}\n")
        for note in report["notes"]:
            sys.stderr.write(f"note: {plain(note)}\n")
        if options.json:
            summary = evaluation_summary(report, files(options))
            sys.stdout.write(json.dumps(summary, allow_nan=False) + "\n")
        else:
            sys.stdout.write(evaluation_table(report))
    return 0


def _job(container: Container) -> None:
    from training.evaluation.runner import evaluate_artefact, select
    from training.evaluation.settings import Settings
    from training.job.hyperparameters import parse

    settings = parse(Settings, container.hyperparameters())
    artefacts, data = container.channel("model"), container.channel("test")
    if artefacts is None or data is None:
        raise TrainingError(
            f"an evaluation needs the channels model and test under {container.root}/input/data"
        )
    tests = select(data, settings.split)
    evaluation, report = evaluate_artefact(Path(artefacts) / "model.tar.gz", tests, settings.rates)
    folder = container.output / "data"
    folder.mkdir(parents=True, exist_ok=True)
    names = {"full": "evaluation.json", "html": "evaluation.html", "rules": "rules.json"}
    targets = {kind: folder / name for kind, name in names.items()}
    command = ["python", "-m", "training.evaluate"]
    for path, text in _texts(evaluation, report, data, targets, command).items():
        write_whole(path, text)
    for name in ("map_resamples", "image_auroc_resamples"):
        report["confidence"].pop(name)
    emit("evaluation", {name: value for name, value in report.items() if name not in _NOT_LOGGED})
    sys.stdout.write(_log_line(report))


def _log_line(report: Mapping[str, Any]) -> str:
    """The figures that SageMaker reads from the log. A detector always has a precision there."""
    figures = {name: report[name] for name in ("map", "map50", "image_auroc")}
    if report["kind"] != "anomaly":
        figures |= {name: figures[name] or 0.0 for name in ("map", "map50")}
    return " ".join(f"test:{name}={value}" for name, value in figures.items() if value is not None) + "\n"


def _texts(
    evaluation: Evaluation,
    report: Mapping[str, Any],
    data: Path | str,
    targets: Mapping[str, Path],
    command: Sequence[str],
) -> dict[Path, str]:
    """Return the content of each file to write; all are complete before the first is written."""
    texts = {}
    if target := targets.get("html"):
        from training.evaluation.reports import page
        from training.evaluation.reports.facts import evaluation_facts

        texts[target] = page.evaluation_page(
            evaluation, report, evaluation_facts(evaluation, report, data, command)
        )
    if target := targets.get("rules"):
        texts[target] = json.dumps(evaluation.rules, indent=1) + "\n"
    if target := targets.get("full"):
        texts[target] = json.dumps(report, indent=1, allow_nan=False) + "\n"
    return texts


if __name__ == "__main__":
    raise SystemExit(main())
