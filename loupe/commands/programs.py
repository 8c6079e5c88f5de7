"""The container's programs on this machine: `train`, `ensemble`, `evaluate`, `compare`, `serve`; and `bench`."""

from __future__ import annotations

from pathlib import Path

import typer

from loupe.commands.options import PASS_THROUGH
from loupe.commands.program_runner import require_torch, run_program
from loupe.errors import LoupeError

app = typer.Typer()


@app.command(add_help_option=False, context_settings=PASS_THROUGH)
def train(context: typer.Context) -> None:
    """Train a detector: --dataset PATH --family NAME --out DIR [--epochs N] [--pretrained PATH]."""
    require_torch()
    raise typer.Exit(run_program("training.train", context.args))


@app.command(add_help_option=False, context_settings=PASS_THROUGH)
def ensemble(context: typer.Context) -> None:
    """Combine models into one that averages their results: MODEL MODEL… --out FILE [--dataset PATH]."""
    require_torch()
    raise typer.Exit(run_program("training.ensemble", context.args))


@app.command(add_help_option=False, context_settings=PASS_THROUGH)
def evaluate(context: typer.Context) -> None:
    """Measure a model: --model PATH.tar.gz --dataset PATH [--html FILE] [--rules FILE] [--json]."""
    raise typer.Exit(run_program("training.evaluate", context.args))


@app.command(add_help_option=False, context_settings=PASS_THROUGH)
def compare(context: typer.Context) -> None:
    """Compare models in accuracy, certainty and cost: --dataset PATH MODEL… [--html FILE] [--json]."""
    raise typer.Exit(run_program("training.compare", context.args))


@app.command(add_help_option=False, context_settings=PASS_THROUGH)
def serve(context: typer.Context) -> None:
    """Run a model's endpoint on this machine, as SageMaker does: --model PATH.tar.gz --port N."""
    raise typer.Exit(run_program("training.serve", context.args))


@app.command(context_settings=PASS_THROUGH)
def bench(context: typer.Context) -> None:
    """Run a benchmark: `loupe bench inspect [--json]` measures the inspection path on this machine."""
    names = sorted(path.stem.removeprefix("bench_") for path in Path("benchmarks").glob("bench_*.py"))
    if not context.args or context.args[0] not in names:
        available = ", ".join(names) or "none in this folder"
        raise LoupeError(
            "no such benchmark", f"Run the command in the repository's root. Benchmarks: {available}."
        )
    raise typer.Exit(run_program(f"benchmarks.bench_{context.args[0]}", context.args[1:]))
