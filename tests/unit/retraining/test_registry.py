"""The registered versions, which one serves, and what their evaluations say."""

from datetime import UTC, datetime
from typing import Any

from retraining import comparison, datasets, registry
from retraining.registry import Version
from tests.unit.retraining.account import ENDPOINT, Account, RefusedError
from tests.unit.retraining.evaluations import evaluation
from tests.unit.retraining.memory import MemoryDocuments
from tests.unit.retraining.snapshots import snapshot

_GROUP = "press-0123"
_CREATED = datetime(2026, 3, 1, tzinfo=UTC)
_ARN = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/press-0123"


def _registered(account: Account, *packages: dict[str, Any]) -> None:
    described = {
        f"{_ARN}/{number}": {
            "ModelPackageArn": f"{_ARN}/{number}",
            "ModelPackageVersion": number,
            "CreationTime": _CREATED,
            "ModelApprovalStatus": package.get("approval", "Approved"),
            "InferenceSpecification": {"Containers": [{"ModelDataUrl": package["artefact"]}]},
            "CustomerMetadataProperties": package.get("metadata", {}),
        }
        for number, package in enumerate(packages, 1)
    }
    account.answers["ListModelPackages"] = lambda request: {
        "ModelPackageSummaryList": [{"ModelPackageArn": arn} for arn in described]
    }
    account.answers["DescribeModelPackage"] = lambda request: described[request["ModelPackageName"]]


def _serve(account: Account, model: str, artefact: str) -> None:
    account.deployed(model, artefact=artefact)
    account.serve(model)
    account.endpoints[ENDPOINT]["CreationTime"] = _CREATED


def _statuses(account: Account) -> dict[int, str]:
    return {
        version.number: version.status for version in registry.versions(account.sagemaker, _GROUP, ENDPOINT)
    }


def test_what_serves_is_read_from_the_endpoint_and_not_from_the_marks(account: Account) -> None:
    _registered(
        account,
        {"artefact": "s3://m/1"},
        {"artefact": "s3://m/2", "approval": "Rejected"},
        {"artefact": "s3://m/3", "approval": "PendingManualApproval"},
    )
    assert _statuses(account) == {3: "pending", 2: "rejected", 1: "former"}
    _serve(account, "press-1", "s3://m/1")
    assert _statuses(account) == {3: "pending", 2: "rejected", 1: "serving"}


def test_of_versions_with_the_same_artefact_the_models_name_decides(account: Account) -> None:
    _registered(
        account,
        {"artefact": "s3://m/1", "metadata": {"model_name": "press-a"}},
        {"artefact": "s3://m/1", "metadata": {"model_name": "press-b"}},
    )
    _serve(account, "press-a", "s3://m/1")
    assert _statuses(account) == {2: "former", 1: "serving"}


def test_a_model_that_was_deployed_by_hand_is_no_version(account: Account) -> None:
    _registered(account, {"artefact": "s3://m/1"})
    _serve(account, "by-hand", "s3://m/other")
    assert _statuses(account) == {1: "former"}


def test_a_group_that_does_not_exist_has_no_versions(account: Account) -> None:
    def refuse(_: Any) -> Any:
        raise RefusedError("ValidationException", "does not exist")

    account.answers["ListModelPackages"] = refuse
    assert _statuses(account) == {}


def _version(number: int, **metadata: str) -> Version:
    return Version(number, f"{_ARN}/{number}", "Approved", _CREATED, f"s3://m/{number}", metadata)


def _figures(documents: MemoryDocuments, version: Version) -> comparison.Figures:
    return comparison.figures_of(version, comparison.evaluation_of(documents, version))


def test_the_figures_come_from_the_evaluation() -> None:
    documents = MemoryDocuments({"reports/r/ssdlite/evaluation.json": evaluation(0.4)})
    figures = _figures(documents, _version(1, rules_proposal="s3://artefacts/reports/r/ssdlite/rules.json"))
    assert figures["model_version"] == "0123456789ab"
    assert (figures["metrics"]["map"], figures["metrics"]["map_interval"]) == (
        0.4,
        evaluation(0.4)["confidence"]["map"],
    )
    assert figures["metrics"]["escape_rate"] == {"value": 0.02}
    assert figures["per_class"]["dent"]["ap"] == 0.4


def test_the_figures_of_an_anomaly_model_are_those_of_whole_images() -> None:
    measured = evaluation(0.4) | {
        "kind": "anomaly",
        "map": None,
        "image_auroc": 0.99,
        "caught_at_zero_overkill": 0.95,
        "good_images": 40,
        "defective_images": 33,
    }
    measured["confidence"] = measured["confidence"] | {"image_auroc": [0.97, 1.0]}
    documents = MemoryDocuments({"reports/r/ssdlite/evaluation.json": measured})
    version = _version(1, rules_proposal="s3://artefacts/reports/r/ssdlite/rules.json")
    metrics = _figures(documents, version)["metrics"]
    assert (metrics["kind"], metrics["map"]) == ("anomaly", None)
    assert (metrics["image_auroc"], metrics["image_auroc_interval"]) == (0.99, [0.97, 1.0])
    assert (metrics["caught_at_zero_overkill"], metrics["good_images"], metrics["defective_images"]) == (
        0.95,
        40,
        33,
    )


def test_without_an_evaluation_there_is_the_registrys_map_alone() -> None:
    damaged = MemoryDocuments({"reports/r/ssdlite/evaluation.json": "{"})
    version = _version(1, rules_proposal="s3://artefacts/reports/r/ssdlite/rules.json", map="0.31")
    assert _figures(damaged, version)["metrics"] == {"map": 0.31}
    assert _figures(damaged, _version(2, map="null"))["metrics"] == {}


def test_versions_are_compared_on_the_pictures_that_all_of_them_were_tested_on() -> None:
    def golden(*uris: str) -> list[dict[str, Any]]:
        return [{"uri": uri, "labels": ["dent"], "detections": [{"label": uri}]} for uri in uris]

    documents = MemoryDocuments(
        {
            "reports/a/x/evaluation.json": evaluation(0.4) | {"golden": golden("s3://i/1", "s3://i/2")},
            "reports/b/x/evaluation.json": evaluation(0.5) | {"golden": golden("s3://i/2", "s3://i/3")},
        }
    )
    versions = [
        _version(n, rules_proposal=f"s3://artefacts/reports/{run}/x/rules.json") for n, run in enumerate("ab")
    ]
    (picture,) = comparison.pictures([comparison.evaluation_of(documents, version) for version in versions])
    assert (picture["uri"], picture["labels"]) == ("s3://i/2", ["dent"])
    assert picture["detections"] == [[{"label": "s3://i/2"}], [{"label": "s3://i/2"}]]
    assert comparison.pictures([]) == []


def test_a_data_set_shows_its_parts_classes_and_good_images() -> None:
    document = snapshot(60)
    documents = MemoryDocuments({f"labelled/snapshots/press-2/{document['id'][:16]}.json": document})
    (listed,) = datasets.names(documents)
    assert (listed["name"], listed["snapshots"]) == ("press-2", 1)
    (found,) = datasets.describe(documents, "press-2")
    assert (found["images"], found["good"]) == (60, 20)
    assert sum(found["parts"].values()) == 60
    assert found["labels"]["dent"]["objects"] == 40
    assert sum(found["labels"]["dent"]["images"].values()) == 40
    assert datasets.describe(documents, "other") == []
