"""Compare several models on the same images: which is better, by how much, how surely, and what each cost.

    python -m training.compare --dataset NEU-DET.zip ssd.tar.gz ssd-tuned.tar.gz --html page.html

A model that cannot be loaded is named, the others are compared, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from training.evaluation.comparison import comparison_report, evaluate_all
from training.evaluation.reports import page
from training.evaluation.reports.facts import comparison_facts
from training.evaluation.reports.tables import comparison_table
from training.evaluation.runner import add_options, check_writable, select
from training.job.errors import TrainingError


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare models. Returns the exit status: 1 if a model or the data set could not be used."""
    parser = argparse.ArgumentParser(prog="python -m training.compare", description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="model.tar.gz")
    parser.add_argument(
        "--dataset", required=True, help="labelled images: folder, zip, snapshot or s3:// prefix"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write an HTML page with the models side by side"
    )
    add_options(parser)
    options = parser.parse_args(arguments)
    try:
        check_writable(options.html)
        tests = select(options.dataset, options.split)
        models, failed = evaluate_all(options.models, tests, options.escape_rate)
        for model in failed:
            sys.stderr.write(f"{model.path} is left out: {model.reason}\n")
        if not models:
            raise TrainingError("none of the models can be loaded: there is nothing to compare")
        report = comparison_report(models, failed, tests, options.dataset)
        if options.html:
            facts = comparison_facts(
                report, options.dataset, ["python", "-m", "training.compare", *sys.argv[1:]]
            )
            evaluations = [model.evaluation for model in models]
            page.write(options.html, page.comparison_page(evaluations, report, facts))
    except TrainingError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(json.dumps(report, allow_nan=False) + "\n" if options.json else comparison_table(report))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
