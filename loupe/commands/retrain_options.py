"""The options of `loupe retrain`."""

from __future__ import annotations

from typing import Annotated

import typer

Dataset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="The data set to train on (loupe datasets). Without it: the stack's own."
    ),
]
Families = Annotated[
    str | None, typer.Option(metavar="A,B", help="Families of models. Without it: the stack's own.")
]
Tune = Annotated[bool, typer.Option("--tune", help="Also tune each family's hyperparameters.")]
Jobs = Annotated[int | None, typer.Option(min=1, max=100, help="With --tune: training jobs for each family.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Of every training.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter; can be repeated."),
]
Approval = Annotated[
    bool | None,
    typer.Option(
        "--approval/--no-approval",
        help="Whether a person must approve the new model. Without it: the stack's setting.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Train even if nothing is new.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the run until it ends.")]
Follow = Annotated[bool, typer.Option("--follow", help="Start nothing; follow the run that is in progress.")]
Stop = Annotated[bool, typer.Option("--stop", help="Start nothing; stop the run that is in progress.")]
