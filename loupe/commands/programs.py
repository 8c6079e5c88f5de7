"""The container's programs on this machine: `train`, `ensemble`, `evaluate`, `compare`, `serve`; and `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loupe.commands import program_runner
from loupe.commands.help import commands, epilog
from loupe.commands.options import Json
from loupe.errors import LoupeError

app = commands()

Dataset = Annotated[
    str,
    typer.Option(metavar="PATH", help="Labelled images: a folder, zip, snapshot, or s3://BUCKET/PREFIX."),
]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write an HTML page.")]
Split = Annotated[
    str, typer.Option(metavar="PART", help="The part of the data set: train, validation, test or all.")
]
EscapeRate = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        min=0,
        max=1,
        help="Share of a class's defective images that may pass.  [default: 0.02]",
    ),
]
OverkillRate = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        min=0,
        max=1,
        help="Share of the good images that an anomaly model may fail.  [default: 0.01]",
    ),
]


def _arguments(flags: dict[str, bool], **values: object) -> list[str]:
    """Return options for a program's command line; a value of None is left out."""
    given = [
        f"--{name.replace('_', '-')}={value}" for name, value in values.items() if value not in (None, "")
    ]
    return given + [f"--{name}" for name, is_set in flags.items() if is_set]


@app.command(
    epilog=epilog(
        "loupe train --dataset LABELLED --family ssdlite --out runs/first",
        "loupe train --dataset LABELLED.zip --family gfl_efficientnet_lite0 --out runs/gfl --epochs 40",
        "loupe train --dataset LABELLED --family ssdlite --out runs/b --set batch_size=8 --set seed=1",
    )
)
def train(
    dataset: Dataset,
    family: Annotated[str, typer.Option(metavar="NAME", help="The family of models (docs/families.md).")],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="For the checkpoints and the finished model.tar.gz.")
    ],
    validation: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Images to validate on. Without it: a tenth of the data set."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Number of epochs. Without it: the family's own.")
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(metavar="FILE|NAME", help="Weights to start from; a name such as coco needs a network."),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="A model.tar.gz whose detector, or anomaly model, is packed beside the new model.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter; can be repeated."),
    ] = None,
    json_: Json = False,
) -> None:
    """Train a detector from labels, or an anomaly model from good pictures.

    Shows each epoch of a detector. After Ctrl+C or a crash, the same command continues after the last complete epoch.
    --json prints one JSON document for each event, as a training job does.
    """
    program_runner.require_torch()
    values = _arguments(
        {"json": json_},
        dataset=dataset,
        family=family,
        out=out,
        validation=validation,
        epochs=epochs,
        pretrained=pretrained,
        beside=beside,
    )
    program_runner.become_program(
        "training.train", values + [f"--set={setting}" for setting in settings or []]
    )


@app.command(
    epilog=epilog(
        "loupe ensemble seed0.tar.gz seed1.tar.gz --out joint.tar.gz --dataset LABELLED",
        "loupe ensemble detector.tar.gz anomaly.tar.gz --out both.tar.gz",
    )
)
def ensemble(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Two or more model.tar.gz.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The joint model.tar.gz.")],
    name: Annotated[
        str | None, typer.Option(help="Its name in records.  [default: ensemble, or the only detector's]")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The members' data set: evaluate on its validation part, for operating points.",
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Average several detectors, or put an anomaly model beside a detector.

    The joint model takes as long as all its members together. An anomaly model that is given by itself takes the place
    of one that a detector has beside it already.
    """
    program_runner.require_torch()
    values = _arguments({"json": json_}, out=out, name=name, dataset=dataset)
    program_runner.become_program("training.ensemble", [*values, "--", *map(str, models)])


@app.command(
    epilog=epilog(
        "loupe evaluate --model model.tar.gz --dataset LABELLED --html page.html",
        "loupe evaluate --model model.tar.gz --dataset LABELLED --rules rules.json --escape-rate 0",
        "loupe evaluate --model model.tar.gz --dataset LABELLED --json | jq .map",
        "loupe evaluate --model anomaly.tar.gz --dataset LABELLED --json | jq .image_auroc",
    )
)
def evaluate(
    model: Annotated[Path, typer.Option(metavar="FILE", help="A model.tar.gz.")],
    dataset: Dataset,
    split: Split = "test",
    html: Html = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also write rules from the operating points, for `loupe rules set`."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the whole evaluation as JSON.")
    ] = None,
    escape_rate: EscapeRate = None,
    overkill_rate: OverkillRate = None,
    json_: Json = False,
) -> None:
    """Measure a model on labelled images.

    It runs in ONNX Runtime, as it is served.
    """
    values = _arguments(
        {"json": json_},
        model=model,
        dataset=dataset,
        split=split,
        html=html,
        rules=rules,
        out=out,
        escape_rate=escape_rate,
        overkill_rate=overkill_rate,
    )
    program_runner.become_program("training.evaluate", values)


@app.command(
    epilog=epilog(
        "loupe compare --dataset LABELLED a.tar.gz b.tar.gz --html page.html",
        statuses={1: "an error, or a model was left out"},
    )
)
def compare(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="The model.tar.gz to compare.")],
    dataset: Dataset,
    split: Split = "test",
    html: Html = None,
    escape_rate: EscapeRate = None,
    overkill_rate: OverkillRate = None,
    json_: Json = False,
) -> None:
    """Compare models in accuracy, certainty and cost.

    All are evaluated on the same images: which is better, by how much, how surely, and what each costs.
    """
    values = _arguments(
        {"json": json_},
        dataset=dataset,
        split=split,
        html=html,
        escape_rate=escape_rate,
        overkill_rate=overkill_rate,
    )
    program_runner.become_program("training.compare", [*values, "--", *map(str, models)])


@app.command(
    epilog=epilog(
        "loupe serve --model model.tar.gz",
        "curl --data-binary @image.jpg http://127.0.0.1:8080/invocations",
    )
)
def serve(
    model: Annotated[Path, typer.Option(metavar="FILE", help="A model.tar.gz.")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0: one that is free.")
    ] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    json_: Json = False,
) -> None:
    """Run a model's endpoint on this machine.

    As on SageMaker, until Ctrl+C. By default it is reached from this machine only.
    """
    program_runner.become_program(
        "training.serve", _arguments({"json": json_}, model=model, port=port, host=host)
    )


# What follows the benchmark's name is its own.
@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },
    epilog=epilog("loupe bench inspect --json", "loupe bench serve --help"),
)
def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="inspect, serve, pretraining ...")],
) -> None:
    """Run a benchmark; in the repository only.

    Options after its name are the benchmark's own, such as --json or --help.
    """
    # Not at the top: it imports the AWS SDK, which the help need not wait for.
    from localcloud.sources import REPOSITORY

    folder = REPOSITORY / "benchmarks"
    if not folder.is_dir():
        raise LoupeError(
            "the benchmarks are in the repository, not in the installed package",
            "Clone the repository, run `make dev` there, then .venv/bin/loupe bench.",
        )
    names = sorted(path.stem.removeprefix("bench_") for path in folder.glob("bench_*.py"))
    if name not in names:
        raise LoupeError(f"there is no benchmark {name!r}", f"Benchmarks: {', '.join(names)}.")
    program_runner.become_program(f"benchmarks.bench_{name}", context.args)
