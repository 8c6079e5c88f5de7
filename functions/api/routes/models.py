"""Models: the registered versions, their figures, what serves, and the return to an earlier one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from api import aws
from api.access import CurrentCaller, Group, allow
from api.errors import conflict, invalid_request, not_found
from api.links import Links
from api.settings import Records, Retraining, Reviews
from contract.inspections import timestamp
from contract.s3 import split
from retraining import comparison, registry
from retraining.documents import Documents
from retraining.executions import Executions
from retraining.registry import Version
from review.history import MODEL, History

router = APIGatewayHttpRouter()

_PARALLEL_REQUESTS = 8
_MOST_COMPARED = 4


class Model(TypedDict):
    """A registered version. `model_version` is its name in the inspections; `metrics` are of the frozen test set."""

    version: int
    package_arn: str
    status: str
    family: str | None
    created_at: str
    serving_since: str | None
    run: str | None
    dataset: str | None
    rules_version: str | None
    model_version: str | None
    metrics: dict[str, Any]
    per_class: dict[str, Any]


class Models(TypedDict):
    """All versions, newest first."""

    items: list[Model]


class Picture(TypedDict):
    """A golden picture, with the detections of each compared version, in the order of `models`."""

    link: str
    labels: list[str]
    detections: list[list[dict[str, Any]]]


class Comparison(TypedDict):
    """Versions side by side."""

    models: list[Model]
    pictures: list[Picture]


class Return(BaseModel):
    """The version to return to; without one, the newest that served before."""

    to: int | None = Field(None, ge=1)


@router.get("/models", summary="List the models")
@allow(Group.VIEWER)
def show_all() -> Models:
    """Return all registered versions with their figures. What serves is read from the endpoint."""
    versions = _versions()
    return {"items": list(map(_model, versions, _evaluations(versions)))}


@router.get("/models/compare", summary="Compare models")
@allow(Group.VIEWER)
def compare(versions: Annotated[str, Query(max_length=60, pattern="^[0-9]+(,[0-9]+)+$")]) -> Comparison:
    """Return versions side by side, with the same golden pictures as each of them saw them.

    The query's `versions` are two to four numbers, separated by commas.
    """
    numbers = list(dict.fromkeys(map(int, versions.split(","))))
    if not 2 <= len(numbers) <= _MOST_COMPARED:
        raise invalid_request(f"Name two to {_MOST_COMPARED} different versions.")
    known = {version.number: version for version in _versions()}
    if missing := [number for number in numbers if number not in known]:
        raise not_found(f"There is no version {missing[0]}.")
    chosen = [known[number] for number in numbers]
    evaluations = _evaluations(chosen)
    links = Links(aws.s3(), Records.read().artefacts_bucket)
    return {
        "models": list(map(_model, chosen, evaluations)),
        "pictures": [
            {
                "link": links.object(*split(picture["uri"])),
                "labels": picture["labels"],
                "detections": picture["detections"],
            }
            for picture in comparison.pictures(evaluations)
        ],
    }


@router.post("/models/rollback", summary="Return to an earlier model", status_code=HTTPStatus.ACCEPTED)
@allow(Group.ADMIN)
def return_to(wanted: Return, caller: CurrentCaller) -> Response[Any]:
    """Start a run that lets an earlier version serve again, with its own scores. The current one serves meanwhile."""
    versions, settings = _versions(), Retraining.read()
    serving = next((version for version in versions if version.status == "serving"), None)
    number = wanted.to or _previous(versions, serving)
    if number is None:
        raise not_found("There is no earlier version to return to.")
    if number not in [version.number for version in versions]:
        raise not_found(f"There is no version {number}.")
    if serving and serving.number == number:
        raise conflict("already_serving", f"Version {number} serves already.")
    executions = Executions(aws.states(), settings.state_machine_arn)
    if running := executions.running():
        raise conflict("already_running", "A run is in progress; wait until it has ended.", [running])
    document = {"serve": number, "trigger": "manual"}
    name, old = executions.next_name(document, caller.name), serving.number if serving else None
    new = {"version": number, "run": name}
    # First who, then what. Who repeats the request finds the entry.
    if not any(entry.get("new") == new for entry in _history().read(MODEL, 1)):
        _history().append(MODEL, caller.name, "rollback", old, new)
    if not executions.start(name, document):
        raise conflict("already_running", "This run was started a moment ago.", [name])
    return Response(
        HTTPStatus.ACCEPTED, content_types.APPLICATION_JSON, {"name": name, "from": old, "to": number}
    )


def _previous(versions: list[Version], serving: Version | None) -> int | None:
    """Return the newest approved version that is older than the serving one."""
    older = (version for version in versions if serving is None or version.number < serving.number)
    return next((version.number for version in older if version.status == "former"), None)


def _versions() -> list[Version]:
    settings = Retraining.read()
    return registry.versions(aws.sagemaker(), settings.model_package_group, settings.endpoint_name)


def _evaluations(versions: list[Version]) -> list[dict[str, Any] | None]:
    """Return the evaluation of each version. They are read side by side."""
    documents = _documents()
    with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
        return list(pool.map(lambda version: comparison.evaluation_of(documents, version), versions))


def _model(version: Version, evaluation: dict[str, Any] | None) -> Model:
    figures = comparison.figures_of(version, evaluation)
    metadata, since = version.metadata, version.serving_since
    return {
        "version": version.number,
        "package_arn": version.arn,
        "status": version.status,
        "family": metadata.get("family"),
        "created_at": timestamp(version.created),
        "serving_since": timestamp(since) if since else None,
        "run": metadata.get("run"),
        "dataset": metadata.get("dataset"),
        "rules_version": metadata.get("rules"),
        "model_version": figures["model_version"],
        "metrics": figures["metrics"],
        "per_class": figures["per_class"],
    }


def _documents() -> Documents:
    return Documents(aws.s3(), Records.read().artefacts_bucket)


def _history() -> History:
    return History(aws.dynamodb(), Reviews.read().history_table)
