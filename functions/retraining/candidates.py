"""The models of a run, as the plan describes them: each candidate with its job, and the champion."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.keys import PRETRAINED, REPORTS
from contract.s3 import split
from retraining.champion import Champion
from retraining.documents import Documents
from retraining.errors import InvalidRequestError
from retraining.families import FAMILIES, kind, meant_for
from retraining.job_requests import JobRequests, channel
from retraining.jobs import Job, Jobs
from retraining.request import Request
from retraining.settings import Settings
from retraining.snapshots import Snapshot

_MAX_NAME = 60  # characters of a job's name; SageMaker allows 63, and `jobs` appends a number


@dataclass(frozen=True)
class Candidates:
    """Describes the models of one run.

    Attributes:
        settings: What every job runs on.
        documents: The artefacts bucket.
        jobs: Looks up jobs by name.
        request: The input of the execution.
        run: The run's name.
        snapshot: The data.
        champion: The model that serves, if there is one.
        champion_family: The family of the champion, if its tags tell it.
        champion_dataset: The data set that the champion was trained on, if its tags tell it.
    """

    settings: Settings
    documents: Documents
    jobs: Jobs
    request: Request
    run: str
    snapshot: Snapshot
    champion: Champion | None
    champion_family: str | None
    champion_dataset: str | None

    def describe(self, families: list[str]) -> list[dict[str, Any]]:
        """Return the candidates of the plan.

        Each has a `kind`: `train` or `tune`, with the request of its `job`, or `reuse` if the job completed before.

        Raises:
            InvalidRequestError: The request leaves nothing to tune, or has an invalid number of epochs.
        """
        if self.request.tune and not any(FAMILIES[family] for family in families):
            raise InvalidRequestError(f"there is nothing to tune in {', '.join(families)}: leave tune out")
        candidates = []
        for family in families:
            channels, given = (
                self._channels(family),
                meant_for(family, families, self.request.hyperparameters),
            )
            candidates.append(self._trained(family, channels, given))
            if self.request.tune and FAMILIES[family]:
                candidates.append(self._tuned(family, channels, given))
        return candidates

    def describe_champion(self) -> dict[str, Any] | None:
        """Return the champion for the plan, or None if no model serves."""
        if self.champion is None:
            return None
        return self.champion.document() | {
            "id": "champion",
            "kind": "champion",
            "name": self.champion.model,
            "family": self.champion_family or "",
            "dataset": self.champion_dataset,
            "tuned": False,
            "evaluation": self._evaluation("champion"),
        }

    @property
    def _requests(self) -> JobRequests:
        return JobRequests(self.settings, self.documents, self.request, self.run)

    def _trained(
        self, family: str, channels: list[dict[str, Any]], given: Mapping[str, str]
    ) -> dict[str, Any]:
        name = f"{self.settings.name_prefix}-{self.run}-{_dashed(family)}"[:_MAX_NAME]
        job = self.jobs.training(name, lambda done: self._exists(done["ModelArtifacts"]["S3ModelArtifacts"]))
        candidate = self._common(family, family, job, tuned=False) | {"name": job.name}
        if job.completed:
            return candidate | {"kind": "reuse"}
        hyperparameters = _hyperparameters(family, family, given, tuned=False)
        request = self._requests.training_job(job.name, hyperparameters, channels)
        return candidate | {"kind": "train", "job": request}

    def _tuned(self, family: str, channels: list[dict[str, Any]], given: Mapping[str, str]) -> dict[str, Any]:
        identity = f"{family}-tuned"
        # The name of a tuning job has at most 32 characters, and SageMaker extends it for the trainings.
        short = hashlib.sha256(f"{self.run}-{family}".encode()).hexdigest()[:8]
        job = self.jobs.tuning(
            f"{self.settings.name_prefix}-{short}-hpo",
            lambda done: self._exists(self.jobs.artefact(done["BestTrainingJob"]["TrainingJobName"])),
        )
        candidate = self._common(identity, family, job, tuned=True) | {"name": job.name}
        if job.completed and (best := job.completed.get("BestTrainingJob")):
            return candidate | {"kind": "reuse", "name": best["TrainingJobName"], "tuning": job.name}
        hyperparameters = _hyperparameters(identity, family, given, tuned=True)
        request = self._requests.tuning_job(job.name, hyperparameters, channels)
        return candidate | {"kind": "tune", "job": request}

    def _exists(self, artefact: str) -> bool:
        """Return whether a model is still there. One that lost is deleted after some time."""
        return any(self.documents.listing(split(artefact)[1]))

    def _common(self, identity: str, family: str, job: Job, *, tuned: bool) -> dict[str, Any]:
        return {
            "id": identity,
            "family": family,
            "dataset": self.request.dataset or self.settings.dataset_name,
            "tuned": tuned,
            # A model that is trained anew is not the one that was evaluated before.
            "evaluation": self._evaluation(identity, reusable=job.completed is not None),
        }

    def _channels(self, family: str) -> list[dict[str, Any]]:
        """Return the input channels: the snapshot, whose images the job reads itself, weights, and the champion.

        The job keeps the champion's other half beside the new model: its anomaly model beside a new detector, and its
        detector beside a new anomaly model.
        """
        channels = [channel("train", self.snapshot.uri)]
        if self.champion:
            channels.append(channel("champion", self.champion.artefact))
        if weights := self._initial_weights(family):
            channels.append(channel("pretrained", weights))
        return channels

    def _initial_weights(self, family: str) -> str | None:
        """Return the URI of the weights to start from, or None to train from scratch.

        They are the champion's if it is of this family, else those under pretrained/<family>/. An anomaly model learns
        no weights, so it never starts from the champion's.
        """
        if self.champion and self.champion_family == family and kind(family) == "detector":
            return self.champion.artefact
        prefix = f"{PRETRAINED}{family}/"
        return self.documents.uri(prefix) if any(self.documents.listing(prefix)) else None

    def _evaluation(self, identity: str, *, reusable: bool = True) -> dict[str, Any]:
        """Return the name of an evaluation's job, the place of its report, and whether the job is done."""
        name = f"{self.settings.name_prefix}-{self.run}-eval-{_dashed(identity)}"[:_MAX_NAME]
        job = self.jobs.processing(name, lambda done: reusable)
        return {
            "name": job.name,
            "output": self.documents.uri(f"{REPORTS}{self.run}/{identity}"),
            "done": job.completed is not None,
        }


def _hyperparameters(identity: str, family: str, given: Mapping[str, str], *, tuned: bool) -> dict[str, str]:
    """Return the hyperparameters of a job. given: those of the request."""
    own = {"family": family, "name": identity}
    return {**given, **own} | ({"tuned": str(tuned).lower()} if FAMILIES[family] else {})


def _dashed(identity: str) -> str:
    """Return an identity as a part of a job's name, which allows no underscore."""
    return identity.replace("_", "-")
