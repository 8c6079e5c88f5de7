"""A stack's settings, and its planner over an account of the test's own."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from retraining.documents import Documents
from retraining.plan import Planner
from retraining.settings import Settings
from tests.unit.retraining.account import ENDPOINT, Account
from tests.unit.retraining.held import Held
from tests.unit.retraining.snapshots import snapshot

EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:press-retrain:one"
PREFIX = "0123456789ab"
BASE = snapshot()
SETTINGS: dict[str, Any] = {
    "artefacts_bucket": "artefacts",
    "name_prefix": PREFIX,
    "endpoint_name": ENDPOINT,
    "role_arn": "arn:aws:iam::123456789012:role/press-TrainingRole-1",
    "families": "ssdlite",
    "training_image_uri": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/loupe-train:1",
    "training_instance_type": "ml.g5.xlarge",
    "training_max_seconds": 14400,
    "volume_gib": 50,
    "spot": True,
    "tuning_jobs": 8,
    "tuning_parallel_jobs": 2,
    "tuning_strategy": "Bayesian",
    "approval": False,
}


def planner(account: Account, documents: Documents | None = None, **settings: Any) -> Planner:
    """Over the bucket given, or over one that holds the import of the module alone."""
    if documents is None:
        documents = Held({f"labelled/snapshots/{BASE['id'][:16]}.json": BASE})
    account.executions[EXECUTION] = "RUNNING"
    chosen = Settings.model_validate(SETTINGS | settings)
    return Planner(chosen, documents, account.sagemaker, account.states)


def planned(account: Account, documents: Documents | None = None, **options: Any) -> dict[str, Any]:
    """A plan. options: the request's members; those of the stack's settings go to the settings."""
    settings = {name: options.pop(name) for name in list(options) if name in SETTINGS and name not in _BOTH}
    settings |= options.pop("settings", {})
    return planner(account, documents, **settings).plan(options, EXECUTION)


_BOTH = ("families", "tuning_jobs", "approval")  # the request's, unless given by `settings`


def held(document: dict[str, Any] = BASE, more: Mapping[str, Any] = MappingProxyType({})) -> Held:
    return Held({f"labelled/snapshots/{document['id'][:16]}.json": document, **more})


def names(plan: dict[str, Any]) -> list[str]:
    every = [*plan["candidates"], *([plan["champion"]] if plan["champion"] else [])]
    return [each["name"] for each in plan["candidates"]] + [each["evaluation"]["name"] for each in every]


def job(plan: dict[str, Any], identity: str = "ssdlite") -> dict[str, Any]:
    (found,) = [each["job"] for each in plan["candidates"] if each["id"] == identity]
    assert isinstance(found, dict)
    return found


def jobs_of(plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in plan["candidates"]:
        yield (
            ("CreateTrainingJob" if each["kind"] == "train" else "CreateHyperParameterTuningJob"),
            each["job"],
        )
