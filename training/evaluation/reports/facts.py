"""The facts at the end of a page: enough to make the same page again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.evaluation.result import Evaluation


def evaluation_facts(
    evaluation: Evaluation, report: Mapping[str, Any], data: Path | str, command: Sequence[str]
) -> dict[str, str]:
    """Return the facts of the page of one model.

    Args:
        evaluation: The result.
        report: What `--json` prints.
        data: Where the data set is.
        command: What was run.
    """
    card, confidence = evaluation.card, report["confidence"]
    return {
        "Model": f"{card.name}, version {card.version}",
        "Family": f"{card.kind}, input {card.input_size} × {card.input_size}",
        "Trained": f"{card.created_at or 'unknown'}, code {card.git_sha[:12]}",
        **_data(report, data),
        "Intervals": f"95 %, bootstrap over images, {confidence['resamples']} resamples, "
        f"seed {confidence['seed']}",
        **_origin(command),
    }


def comparison_facts(report: Mapping[str, Any], data: Path | str, command: Sequence[str]) -> dict[str, str]:
    """Return the facts of the page of several models.

    Args:
        report: What `--json` prints.
        data: Where the data set is.
        command: What was run.
    """
    prices = report["prices"]
    return {
        **_data(report, data),
        "Prices": f"{prices['source']}; {prices['region']}, {prices['per']}, {prices['date']}",
        **_origin(command),
    }


def _data(report: Mapping[str, Any], data: Path | str) -> dict[str, str]:
    dataset = report["dataset"]
    return {
        "Data set": f"{Path(data).name}, snapshot {dataset['snapshot'][:12]}",
        "Images": f"{report['images']} of {dataset['images']}, part {report['split']}",
    }


def _origin(command: Sequence[str]) -> dict[str, str]:
    return {"Made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), "Command": shlex.join(command)}
