"""Labelled images: `import`, `export` and `datasets`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contract.keys import DEFAULT_DATASET
from loupe.commands import program_runner
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target
from loupe.errors import LoupeError
from loupe.stack import exports, labelled_data
from loupe.stack.exports import ExportOptions
from loupe.stack.labelled_data import ImportOptions
from loupe.views.console import out, print_json, table
from loupe.views.figures import local_time

app = commands()


@app.command(
    "import",
    epilog=epilog(
        "loupe import LABELLED --check",
        "loupe import LABELLED.zip",
        "loupe import LABELLED --dataset bottles",
        statuses={1: "an error, or labels that cannot be imported; nothing was written"},
    ),
)
def import_labelled_images(
    context: typer.Context,
    path: Annotated[str, typer.Argument(help="A folder, a zip, an annotation file, or s3://BUCKET/PREFIX.")],
    home: Home,
    check: Annotated[bool, typer.Option("--check", help="Report, and write nothing.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair what needs no decision, and list it.")
    ] = False,
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="The data set. Without it: the stack's own.")
    ] = None,
    add_classes: Annotated[
        bool, typer.Option("--add-classes", help="Accept classes that the data set does not have.")
    ] = False,
    by_hash: Annotated[
        bool, typer.Option("--by-hash", help="Divide by image hash, not into the parts of the source.")
    ] = False,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="The format, instead of detecting it.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="A,B", help="The labels that are allowed; others are errors.")
    ] = None,
    previous: Annotated[
        str | None,
        typer.Option(metavar="SNAPSHOT", help="The snapshot whose test images stay the test set."),
    ] = None,
    to_folder: Annotated[
        str | None,
        typer.Option("--out", metavar="PLACE", help="A folder or S3 URI for the snapshot, not the stack."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Answer every question with yes.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Check labelled images of any usual format, and import them.

    They become an immutable snapshot. The format is detected: COCO, Pascal VOC, YOLO, SageMaker Ground Truth,
    Lookout for Vision, RecordIO and others.
    Without a running cloud, the snapshot goes into the folder ./loupe-data.
    """
    if check and to_folder:
        raise LoupeError("--check writes nothing", "Leave out --out.")
    options = ImportOptions(
        path=path,
        format=format_,
        check=check,
        repair=repair,
        labels=labels,
        previous=previous,
        out=to_folder,
        dataset=dataset,
        add_classes=add_classes,
        by_hash=by_hash,
        yes=yes,
        json=json_,
    )
    source = context.get_parameter_source("home")
    home_required = source is not None and source.name == "COMMANDLINE"
    call = labelled_data.prepare(options, stack, home, home_required)
    program_runner.become_program("training.imports", call.arguments, call.environment)


@app.command(
    "export",
    epilog=epilog(
        "loupe export --format coco",
        "loupe export --format yolo press-2 out",
        "loupe export --format jumpstart loupe-data out",
        "loupe export --format coco s3://BUCKET/labelled/snapshots/default out",
        statuses={1: "there is no such snapshot, or OUT is not empty; nothing was written"},
    ),
)
def export_data_set(
    home: Home,
    format_: Annotated[
        str,
        typer.Option("--format", metavar="NAME", help="jumpstart, coco, recordio, yolo or voc."),
    ],
    snapshot: Annotated[
        str,
        typer.Argument(
            metavar="SNAPSHOT", help="A data set's name, a snapshot, its folder, or s3://BUCKET/PREFIX."
        ),
    ] = DEFAULT_DATASET,
    out_folder: Annotated[
        Path | None,
        typer.Argument(metavar="OUT", help="A new folder; without it one named after SNAPSHOT and format."),
    ] = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Write a data set for other tools.

    The newest snapshot of a data set is written, with its images, boxes, classes and parts. `loupe import` reads each
    of these formats again.
    """
    out_folder = out_folder or Path(f"{Path(snapshot).name}-{format_}")
    options = ExportOptions(snapshot=snapshot, out=out_folder, format=format_, json=json_)
    call = exports.prepare(options, stack, home)
    program_runner.become_program("training.export", call.arguments, call.environment)


@app.command("datasets", epilog=epilog("loupe datasets", "loupe datasets --json | jq '.datasets[].classes'"))
def list_datasets(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """List the imported data sets.

    Shows their classes, and which one the retraining uses.
    """
    datasets = labelled_data.datasets(open_target(stack, home))
    if json_:
        print_json({"datasets": [dataset.document() for dataset in datasets]})
        return
    if not datasets:
        out.print("Nothing was imported yet. Import labelled images: loupe import PATH")
        return
    grid = table("Data sets", figures=("name", "images", "test", "imported"), names=("retraining", "classes"))
    for dataset in datasets:
        grid.add_row(
            dataset.name,
            str(dataset.images),
            str(dataset.parts.get("test", 0)),
            local_time(dataset.imported_at),
            "uses it" if dataset.is_retrained else "",
            ", ".join(f"{label} {count}" for label, count in dataset.classes.items()),
        )
    out.print(grid)
