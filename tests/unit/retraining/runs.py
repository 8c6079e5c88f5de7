"""A run at its end, as the state machine passes it to the report."""

from collections.abc import Sequence
from typing import Any

from retraining.documents import Documents
from retraining.findings import Bounds
from retraining.gate import Gate

RUN = "0123456789ab"
BOUNDS = Bounds(
    margin=0.0, class_bound=0.05, escape_bound=0.01, overkill_bound=0.05, latency_budget_ms=1000.0
)
SNAPSHOT = "s3://artefacts/labelled/snapshots/5555555555555555.json"
DECISIONS = ["promoted", "kept", "rejected", "rolled_back"]


def candidate(identity: str = "ssdlite", **changes: Any) -> dict[str, Any]:
    """Return a candidate as the state machine's Map returns it."""
    return {
        "id": identity,
        "family": identity.removesuffix("-tuned"),
        "dataset": "default",
        "tuned": identity.endswith("-tuned"),
        "name": f"{RUN}-{identity.replace('_', '-')}",
        "artefact": f"s3://artefacts/models/{RUN}/{identity}/output/model.tar.gz",
        "seconds": 4020,
        "instance_type": "ml.g5.xlarge",
        "report": f"s3://artefacts/reports/{RUN}/{identity}/evaluation.json",
        "error": None,
    } | changes


def failed(identity: str, error: str) -> dict[str, Any]:
    """Return a candidate whose training failed."""
    missing = dict.fromkeys(("artefact", "seconds", "instance_type", "report"))
    return candidate(identity, **missing, error=error)


def run(
    documents: Documents,
    evaluations: dict[str, Any],
    *,
    decision: str = "promoted",
    candidates: Sequence[dict[str, Any]] | None = None,
    champion: Any = None,
    champion_dataset: str = "default",
    **changes: Any,
) -> dict[str, Any]:
    """Return the input of the report.

    Args:
        documents: The bucket, which gets the evaluations.
        evaluations: By candidate.
        decision: Of the run.
        candidates: By default one for each evaluation.
        champion: Its evaluation.
        champion_dataset: The data set that it was trained on.
        **changes: Other members.
    """
    reports = evaluations | ({"champion": champion} if champion else {})
    for identity, document in reports.items():
        documents.write(f"reports/{RUN}/{identity}/evaluation.json", document)
    results = (
        list(candidates) if candidates is not None else [candidate(identity) for identity in evaluations]
    )
    serving = candidate("champion", dataset=champion_dataset) if champion else None
    gate = Gate(documents, BOUNDS).decide(results, serving)
    plan = {
        "status": "train",
        "run": RUN,
        "snapshot": {
            "dataset": "default",
            "id": "5" * 64,
            "uri": SNAPSHOT,
            "images": 200,
            "train": 139,
            "validation": 21,
            "test": 41,
            "labels": ["dent", "scratch"],
            "new_labels": 17,
        },
        "champion": {"model": "press-detector-before"} if champion else None,
        "settings": "fedcba987654",
    }
    package = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/press/4"
    return {
        "plan": plan,
        "candidates": results,
        "gate": gate,
        "decision": decision,
        "reasons": gate["reasons"],
        "package": None if decision == "kept" else package,
    } | changes
