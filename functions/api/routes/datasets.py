"""Data sets: what models are trained and tested on."""

from __future__ import annotations

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from typing_extensions import TypedDict

from api import aws
from api.access import Group, allow
from api.errors import not_found
from api.settings import Records, Retraining
from contract.inspections import timestamp
from retraining import datasets
from retraining.documents import Documents

router = APIGatewayHttpRouter()

_Name = Annotated[str, Path(max_length=40, pattern="^[a-z0-9][a-z0-9-]*$")]


class DatasetSummary(TypedDict):
    """A data set in a list."""

    name: str
    snapshots: int
    updated_at: str
    own: bool


class Datasets(TypedDict):
    """All data sets."""

    items: list[DatasetSummary]


class Dataset(TypedDict):
    """A data set: its snapshots, newest first."""

    name: str
    own: bool
    snapshots: list[dict[str, Any]]


@router.get("/datasets", summary="List the data sets")
@allow(Group.VIEWER)
def show_all() -> Datasets:
    """Return the data sets; `own` is the one that the stack trains on, and that reviewed labels belong to."""
    own = Retraining.read().dataset_name
    return {
        "items": [
            {
                "name": item["name"],
                "snapshots": item["snapshots"],
                "updated_at": timestamp(item["updated_at"]),
                "own": item["name"] == own,
            }
            for item in datasets.names(_documents())
        ]
    }


@router.get("/datasets/<name>", summary="Show a data set")
@allow(Group.VIEWER)
def show(name: _Name) -> Dataset:
    """Return the newest snapshots of a data set: parts, objects of each class, and what the import left out."""
    snapshots = datasets.describe(_documents(), name)
    if not snapshots:
        raise not_found(f"There is no data set {name}.")
    return {
        "name": name,
        "own": name == Retraining.read().dataset_name,
        "snapshots": [{**snapshot, "stored_at": timestamp(snapshot["stored_at"])} for snapshot in snapshots],
    }


def _documents() -> Documents:
    return Documents(aws.s3(), Records.read().artefacts_bucket)
