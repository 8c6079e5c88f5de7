"""Compare several models on the same images: which is better, by how much, how surely, and what each cost.

    python -m training.compare --dataset NEU-DET.zip ssd.tar.gz ssd-tuned.tar.gz --html page.html

A model that cannot be loaded is named, the others are compared, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from training.evaluation.options import add_options, files, rates
from training.job import by_hand
from training.job.errors import TrainingError
from training.job.files import check_writable, write_whole
from training.job.stopping import finishing


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare models. Returns the exit status: 1 if a model or the data set could not be used."""
    parser = by_hand.Parser(
        prog="loupe compare", description="Compare models on the same images (docs/evaluation.md)."
    )
    parser.add_argument("models", type=by_hand.given_path, nargs="+", metavar="MODEL", help="model.tar.gz")
    add_options(parser)
    given = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(given)
    return by_hand.run(lambda: _compare(options, ["loupe", "compare", *given]))


def _compare(options: argparse.Namespace, command: Sequence[str]) -> int:
    check_writable(options.out, options.html)
    # These take a second to import. Until then a signal already ends in words.
    from training.evaluation.comparison import comparison_report, evaluate_all
    from training.evaluation.reports.tables import comparison_table
    from training.evaluation.runner import select
    from training.evaluation.summary import comparison_summary

    tests = select(options.dataset, options.split)
    models, failed = evaluate_all(options.models, tests, rates(options))
    for model in failed:
        by_hand.complain(f"{model.path} is left out: {model.reason}")
    if not models:
        raise TrainingError("none of the models can be loaded: there is nothing to compare")
    report = comparison_report(models, failed, tests, options.dataset)
    texts = {}
    if options.html:
        from training.evaluation.reports import page
        from training.evaluation.reports.facts import comparison_facts

        facts = comparison_facts(report, options.dataset, command)
        texts[options.html] = page.comparison_page([model.evaluation for model in models], report, facts)
    if options.out:
        texts[options.out] = json.dumps(report, indent=1, allow_nan=False) + "\n"
    with finishing():
        for path, text in texts.items():
            write_whole(path, text)
        if options.json:
            summary = comparison_summary(report, files(options))
            sys.stdout.write(json.dumps(summary, allow_nan=False) + "\n")
        else:
            sys.stdout.write(comparison_table(report))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
