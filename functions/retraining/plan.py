"""The plan of a run: whether to train, and which models, under deterministic names.

The run's name is a hash of the data, the settings and the champion. A second execution with the same inputs finds
the jobs of the first by their names, so nothing is trained or evaluated twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract.keys import DEFAULT_DATASET, FORMER_LAST_RUN, last_run
from contract.snapshots import PARTS
from contract.text import counted
from retraining import champion, labelled, lock, registry, returning, snapshots
from retraining.candidates import Candidates
from retraining.champion import Champion
from retraining.documents import Documents
from retraining.errors import InvalidRequestError, LabelledDataError, RetrainingError
from retraining.families import FAMILIES, kinds
from retraining.jobs import Jobs
from retraining.request import Request
from retraining.settings import Settings
from retraining.snapshots import Snapshot

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_stepfunctions import SFNClient

_HASH_DIGITS = 12
_INPUTS = "loupe:inputs"  # the tag of a model that says what it was trained on, and how


@dataclass(frozen=True)
class Planner:
    """Plans an execution.

    Attributes:
        settings: What every job runs on.
        documents: The artefacts bucket.
        sagemaker: The SageMaker client.
        states: The Step Functions client.
        remembered: Returns the configuration with which an endpoint that rests comes back.
    """

    settings: Settings
    documents: Documents
    sagemaker: SageMakerClient
    states: SFNClient
    remembered: Callable[[], str | None] = lambda: None

    def plan(self, document: dict[str, Any], execution: str) -> dict[str, Any]:
        """Return the plan for the state machine.

        Args:
            document: The input of the execution.
            execution: The ARN of the execution.

        Returns:
            The plan. Its `status` is `train` or `serve`, or `nothing_new` or `already_running`, with the `result`.

        Raises:
            InvalidRequestError: The input is not valid, or the stack names an unknown family.
            LabelledDataError: There is no data to train and test on.
            RetrainingError: The stack has no training container.
        """
        request = Request.read(document)
        self._check_container()
        if holder := lock.acquire(self.documents, self.states, execution):
            reason = f"another run is in progress: {holder}"
            return {"status": "already_running", "result": _result("already_running", reason)}
        if request.serve is not None:
            versions = registry.versions(
                self.sagemaker, self.settings.model_package_group, self.settings.endpoint_name
            )
            serving = self._champion()
            return returning.plan(request.serve, versions, serving, execution)
        dataset = request.dataset or self.settings.dataset_name
        snapshot = labelled.current(self.documents, dataset, self.settings.dataset_name)
        families = self._families(request)
        snapshot.check(kinds(families))
        serving = self._champion()
        model_settings = self._model_settings(request, families)
        run = _hash(
            {**model_settings, "snapshot": snapshot.id, "champion": serving.artefact if serving else None}
        )
        last = self._last_run(dataset)
        summary = _summary(dataset, snapshot, self._snapshot_of(last))
        settings = _hash(model_settings)
        tags = self._tags_of(serving) if serving else {}
        # An execution that was ended after its swap has left no report, and its own model serves.
        inputs = _hash({"settings": settings, "snapshot": snapshot.id})
        reason_to_stop = _nothing_new(request, summary, settings, last)
        if tags.get(_INPUTS) == inputs:
            reason_to_stop = (
                reason_to_stop or "the model that serves was trained on this data, by these settings"
            )
        if reason_to_stop and not request.force:
            report = last["report"] if last else None
            details = {"run": run, "snapshot": summary, "report": report}
            return {"status": "nothing_new", "result": _result("nothing_new", reason_to_stop) | details}
        candidates = self._candidates(request, run, snapshot, serving, tags)
        return {
            "status": "train",
            "run": run,
            "request": request.model_dump(),
            "snapshot": summary,
            "candidates": candidates.describe(families),
            "champion": candidates.describe_champion(),
            "approval": self._asks(request, dataset, tags.get("loupe:dataset")),
            "settings": settings,
            "inputs": inputs,
        }

    def _champion(self) -> Champion | None:
        return champion.find(self.sagemaker, self.settings.endpoint_name, self.remembered)

    def _check_container(self) -> None:
        if not self.settings.training_image_uri:
            raise RetrainingError(
                "the stack has no training container: push the image that `make images` builds to ECR, and set "
                "the stack's parameter TrainingImageUri to it"
            )

    def _families(self, request: Request) -> list[str]:
        families = request.families or list(dict.fromkeys(self.settings.families))
        if unknown := [name for name in families if name not in FAMILIES]:
            raise InvalidRequestError(
                f"the stack's parameter RetrainFamilies names {unknown[0]!r}; known are {', '.join(FAMILIES)}"
            )
        return families

    def _model_settings(self, request: Request, families: list[str]) -> dict[str, Any]:
        """Return everything that decides about the models of a run, besides the data and the champion."""
        tuning = {
            "jobs": request.tuning_jobs or self.settings.tuning_jobs,
            "strategy": self.settings.tuning_strategy,
        }
        return {
            "families": sorted(families),
            "hyperparameters": request.hyperparameters,
            "tuning": tuning if request.tune else None,
            "image": self.settings.training_image_uri,
        }

    def _last_run(self, dataset: str) -> dict[str, Any] | None:
        """Return what the report noted about the last run on a data set."""
        stored = self.documents.find(last_run(dataset))
        if stored is None and dataset == DEFAULT_DATASET:
            stored = self.documents.find(FORMER_LAST_RUN)
        return stored[0] if stored else None

    def _snapshot_of(self, last_run: dict[str, Any] | None) -> Snapshot | None:
        """Return the snapshot of the last run. None if there was no run, or if its snapshot was deleted."""
        if not last_run:
            return None
        key = str(last_run["snapshot"]).removeprefix(self.documents.uri(""))
        try:
            return snapshots.read(self.documents, key)
        except LabelledDataError:
            return None

    def _candidates(
        self,
        request: Request,
        run: str,
        snapshot: Snapshot,
        serving: Champion | None,
        tags: Mapping[str, str],
    ) -> Candidates:
        return Candidates(
            settings=self.settings,
            documents=self.documents,
            jobs=Jobs(self.sagemaker),
            request=request,
            run=run,
            snapshot=snapshot,
            champion=serving,
            champion_family=tags.get("loupe:family"),
            champion_dataset=tags.get("loupe:dataset"),
        )

    def _asks(self, request: Request, dataset: str, champion_dataset: str | None) -> bool:
        """Return whether a person must approve the new model.

        A model of another data set than the champion's finds other classes, perhaps of another product. It never
        replaces the champion without a person, unless the request says so.
        """
        if request.approval is not None:
            return request.approval
        return self.settings.approval or champion_dataset not in (None, dataset)

    def _tags_of(self, serving: Champion) -> dict[str, str]:
        tags = self.sagemaker.list_tags(ResourceArn=serving.model_arn)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in tags}


def _summary(dataset: str, snapshot: Snapshot, earlier: Snapshot | None) -> dict[str, Any]:
    """Return the snapshot for the plan. earlier: the snapshot of the last run on the data set."""
    return {
        "dataset": dataset,
        "id": snapshot.id,
        "uri": snapshot.uri,
        "images": sum(snapshot.parts.values()),
        **{part: snapshot.parts[part] for part in PARTS},
        "labels": sorted(snapshot.labels_in(*PARTS)),
        "new_labels": snapshot.new_since(earlier),
        "waiting": dict(snapshot.waiting),
    }


def _nothing_new(
    request: Request, summary: dict[str, Any], settings: str, last_run: dict[str, Any] | None
) -> str | None:
    """Return why there is nothing to do, or None."""
    new_labels = summary["new_labels"]
    if new_labels < request.minimum_new_labels:
        return (
            f"{new_labels} images were labelled since the last run; {request.minimum_new_labels} are required"
            + _waiting(summary["waiting"])
        )
    inputs = (summary["uri"], settings)
    if last_run and (last_run.get("snapshot"), last_run.get("settings")) == inputs:
        return f"data and settings are those of run {last_run['run']} of {last_run['finished_at']}"
    return None


def _waiting(classes: Mapping[str, int]) -> str:
    """Return which images are not in the snapshot yet, for the end of a sentence."""
    listed = ", ".join(f"{counted(images, 'image')} with {label}" for label, images in classes.items())
    return f"; too few yet to train and to test the class: {listed}" if listed else ""


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_HASH_DIGITS]


def _result(decision: str, reason: str) -> dict[str, Any]:
    return {"status": "SUCCEEDED", "decision": decision, "reasons": [reason]}
