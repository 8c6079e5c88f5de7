"""The retraining runs of the past."""

from __future__ import annotations

from loupe.stack.runs import Run
from loupe.views.console import out, table
from loupe.views.figures import duration, local_time, score


def show_runs(runs: list[Run]) -> None:
    """Print the runs, newest first."""
    if not runs:
        out.print("No run yet. Import labelled images (loupe import PATH), then: loupe retrain --wait")
        return
    grid = table(
        "Retraining runs", figures=("started", "took", "mAP", "AUROC", "run"), names=("outcome", "why")
    )
    for run in runs:
        took = duration((run.ended - run.started).total_seconds()) if run.ended else "runs"
        outcome = run.decision or run.status.lower()
        version = f" as version {run.version}" if run.version and run.decision == "promoted" else ""
        grid.add_row(
            local_time(run.started),
            took,
            score(run.map),
            score(run.image_auroc),
            run.run or "-",
            outcome + version,
            run.why or "",
        )
    out.print(grid)
