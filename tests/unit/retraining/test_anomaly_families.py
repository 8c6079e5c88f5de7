"""Families of anomaly models in a plan: their jobs, the champion's other half, and the data that they need."""

from typing import Any

import pytest

from localcloud.sagemaker.validation import validate
from retraining.errors import InvalidRequestError, LabelledDataError
from retraining.families import meant_for
from retraining.snapshots import Snapshot
from tests.unit.retraining.account import Account
from tests.unit.retraining.planning import job, jobs_of, planned, stored
from tests.unit.retraining.snapshots import LABELS, sample, snapshot, taken
from training.learning.anomalies.hyperparameters import AnomalyHyperparameters
from training.learning.hyperparameters import Hyperparameters

FAMILY = "patchcore_efficientnet_lite0"
BOTH_KINDS = ["ssdlite", FAMILY]


def channels(request: dict[str, Any]) -> dict[str, str]:
    return {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in request["InputDataConfig"]
    }


# ---------------------------------------------------------------- jobs


def test_an_anomaly_model_is_trained_without_a_gpu(account: Account) -> None:
    plan = planned(account, families=BOTH_KINDS)
    instances = [request["ResourceConfig"]["InstanceType"] for _, request in jobs_of(plan)]
    assert instances == ["ml.g5.xlarge", "ml.c5.2xlarge"]
    for name, request in jobs_of(plan):
        validate(name, request)


def test_there_is_nothing_to_tune_in_an_anomaly_model(account: Account) -> None:
    plan = planned(account, families=BOTH_KINDS, tune=True)
    assert [candidate["id"] for candidate in plan["candidates"]] == ["ssdlite", "ssdlite-tuned", FAMILY]
    with pytest.raises(InvalidRequestError, match=f"nothing to tune in {FAMILY}: leave tune out"):
        planned(account, families=[FAMILY], tune=True)


def test_in_a_run_with_both_kinds_each_gets_the_hyperparameters_of_its_kind(account: Account) -> None:
    given = {"epochs": "3", "memory": "100", "seed": "7"}
    plan = planned(account, families=BOTH_KINDS, hyperparameters=given)
    detector, anomaly = (request["HyperParameters"] for _, request in jobs_of(plan))
    assert detector == {"epochs": "3", "seed": "7", "family": "ssdlite", "name": "ssdlite", "tuned": "false"}
    assert anomaly == {"memory": "100", "seed": "7", "family": FAMILY, "name": FAMILY}


def test_a_run_with_one_kind_leaves_it_to_the_job_to_refuse_a_hyperparameter(account: Account) -> None:
    plan = planned(account, families=[FAMILY], hyperparameters={"epochs": "3"})
    assert job(plan, FAMILY)["HyperParameters"]["epochs"] == "3"


def test_each_job_gets_the_champion_to_keep_its_other_half(account: Account) -> None:
    account.deployed("press-1", artefact="s3://artefacts/models/1/model.tar.gz")
    account.serve("press-1")
    plan = planned(account, families=BOTH_KINDS)
    for _, request in jobs_of(plan):
        assert channels(request)["champion"] == "s3://artefacts/models/1/model.tar.gz"


def test_without_a_champion_there_is_no_channel_for_it(account: Account) -> None:
    plan = planned(account, families=[FAMILY])
    assert list(channels(job(plan, FAMILY))) == ["train"]


def test_an_anomaly_model_does_not_start_from_a_champion_of_its_family(account: Account) -> None:
    account.deployed("press-1", family=FAMILY, artefact="s3://artefacts/models/1/model.tar.gz")
    account.serve("press-1")
    plan = planned(account, families=[FAMILY])
    assert list(channels(job(plan, FAMILY))) == ["train", "champion"]


def test_anomaly_families_get_every_hyperparameter_that_they_know() -> None:
    given = dict.fromkeys({*Hyperparameters.model_fields, *AnomalyHyperparameters.model_fields}, "1")
    # `weights` names published weights, and each family has its own.
    expected = set(AnomalyHyperparameters.model_fields) - {"family", "name", "weights"}
    assert set(meant_for(FAMILY, BOTH_KINDS, given)) == expected
    assert set(meant_for("ssdlite", BOTH_KINDS, given)) == set(Hyperparameters.model_fields)


# ---------------------------------------------------------------- data


def test_good_images_alone_are_enough_for_an_anomaly_model_and_not_for_a_detector(account: Account) -> None:
    good = taken([sample(f"{n}.png") for n in range(30)], labels=())
    plan = planned(account, stored(good), families=[FAMILY])
    assert (plan["status"], plan["snapshot"]["labels"]) == ("train", [])
    with pytest.raises(LabelledDataError, match=r"no training image .* has a labelled defect"):
        planned(account, stored(good), families=BOTH_KINDS)


@pytest.mark.parametrize(
    ("good_part", "told"),
    [
        ("test", "no image to learn from .* shows a good product"),
        ("train", "no test image .* a good product"),
    ],
)
def test_without_good_images_to_learn_from_or_to_test_on_no_anomaly_model_is_trained(
    good_part: str, told: str
) -> None:
    document = taken([sample(f"{n}.png", *LABELS) for n in range(40)])
    document = taken(
        [
            sample(f"{n}.png", *(() if image["split"] == good_part else LABELS))
            for n, image in zip(range(40), by_name(document), strict=True)
        ]
    )
    with pytest.raises(LabelledDataError, match=told):
        Snapshot(document, "s3://here").check({"anomaly"})


def by_name(document: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(document["images"], key=lambda image: int(image["file_name"].removesuffix(".png")))


@pytest.mark.parametrize(("tag", "good"), [("normal", 1), ("anomaly", 0)])
def test_a_label_of_the_whole_image_says_whether_it_is_good(tag: str, good: int) -> None:
    document = snapshot()
    images = [image for image in document["images"] if image["split"] == "train"]
    shown = {annotation["image_id"] for annotation in document["annotations"]}
    bare = next(image for image in images if image["id"] not in shown)
    before = Snapshot(document, "").good_in("train")
    bare["tags"] = [tag]
    assert Snapshot(document, "").good_in("train") - before == good - 1


def test_an_image_whose_own_label_has_changed_is_new() -> None:
    document, later = snapshot(), snapshot()
    later["images"][0]["tags"] = ["anomaly"]
    assert Snapshot(later, "").new_since(Snapshot(document, "")) == 1
