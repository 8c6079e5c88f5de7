"""The settings of a stack, and its planner on a test account."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from retraining.documents import Documents
from retraining.plan import Planner
from retraining.settings import Settings
from tests.unit.retraining.account import ENDPOINT, Account
from tests.unit.retraining.memory import MemoryDocuments
from tests.unit.retraining.snapshots import snapshot

EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:press-retrain:one"
PREFIX = "0123456789ab"
BASE = snapshot()
SETTINGS: dict[str, Any] = {
    "artefacts_bucket": "artefacts",
    "name_prefix": PREFIX,
    "dataset_name": "default",
    "endpoint_name": ENDPOINT,
    "model_package_group": "press-0123",
    "role_arn": "arn:aws:iam::123456789012:role/press-TrainingRole-1",
    "families": "ssdlite",
    "training_image_uri": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/loupe-train:1",
    "training_instance_type": "ml.g5.xlarge",
    "cpu_instance_type": "ml.c5.2xlarge",
    "training_max_seconds": 14400,
    "volume_gib": 50,
    "encryption_key": "",
    "spot": True,
    "tuning_jobs": 8,
    "tuning_parallel_jobs": 2,
    "tuning_strategy": "Bayesian",
    "approval": False,
    "hours_parameter": "/press/endpoint",
}


def planner(account: Account, documents: Documents | None = None, **settings: Any) -> Planner:
    """Return a planner. documents: by default a bucket that contains the import BASE only."""
    if documents is None:
        documents = stored()
    account.executions[EXECUTION] = "RUNNING"
    chosen = Settings.model_validate(SETTINGS | settings)
    return Planner(chosen, documents, account.sagemaker, account.states)


def planned(account: Account, documents: Documents | None = None, **options: Any) -> dict[str, Any]:
    """Return a plan. options: members of the request, or of the stack's settings."""
    settings = {name: options.pop(name) for name in list(options) if name in SETTINGS and name not in _BOTH}
    settings |= options.pop("settings", {})
    return planner(account, documents, **settings).plan(options, EXECUTION)


_BOTH = ("families", "tuning_jobs", "approval")  # members of the request, unless passed in `settings`


def stored(
    document: dict[str, Any] = BASE, more: Mapping[str, Any] = MappingProxyType({})
) -> MemoryDocuments:
    """Return a bucket that contains an imported snapshot. more: further documents by key."""
    return MemoryDocuments({f"labelled/snapshots/{document['id'][:16]}.json": document, **more})


def names(plan: dict[str, Any]) -> list[str]:
    """Return the names of all jobs of a plan."""
    models = [*plan["candidates"], *([plan["champion"]] if plan["champion"] else [])]
    jobs = [candidate["name"] for candidate in plan["candidates"]]
    return jobs + [model["evaluation"]["name"] for model in models]


def job(plan: dict[str, Any], identity: str = "ssdlite") -> dict[str, Any]:
    """Return the request of a candidate's job."""
    (request,) = [candidate["job"] for candidate in plan["candidates"] if candidate["id"] == identity]
    assert isinstance(request, dict)
    return request


def jobs_of(plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the operation and the request of each candidate's job."""
    operations = {"train": "CreateTrainingJob", "tune": "CreateHyperParameterTuningJob"}
    for candidate in plan["candidates"]:
        yield operations[candidate["kind"]], candidate["job"]
