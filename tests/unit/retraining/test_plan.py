"""The jobs of a plan: deterministic names, and requests that SageMaker accepts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.families import ANOMALY_FAMILIES
from localcloud.sagemaker.validation import operation, validate
from retraining.documents import Documents
from retraining.families import FAMILIES
from tests.unit.retraining.account import Account
from tests.unit.retraining.planning import PREFIX, SETTINGS, job, jobs_of, names, planned, stored
from tests.unit.retraining.snapshots import snapshot
from training.learning.hyperparameters import Hyperparameters

DETECTORS = [family for family in FAMILIES if family not in ANOMALY_FAMILIES]
STRATEGIES = ["Bayesian", "Hyperband", "Random"]


# ---------------------------------------------------------------- names


def test_job_names_contain_the_stack_the_run_and_the_family(account: Account) -> None:
    plan = planned(account, families=["ssd300_vgg16"], tune=True)
    plain, tuned = plan["candidates"]
    assert plain["name"] == f"{PREFIX}-{plan['run']}-ssd300-vgg16"
    assert plain["evaluation"] == {
        "name": f"{PREFIX}-{plan['run']}-eval-ssd300-vgg16",
        "output": f"s3://artefacts/reports/{plan['run']}/ssd300_vgg16",
        "done": False,
    }
    assert tuned["name"].startswith(PREFIX)
    assert tuned["evaluation"]["output"].endswith("/ssd300_vgg16-tuned")
    assert plain["job"]["TrainingJobName"] == plain["name"]
    assert tuned["job"]["HyperParameterTuningJobName"] == tuned["name"]


@pytest.mark.parametrize("family", DETECTORS)
def test_names_stay_within_sagemaker_s_limits_even_on_the_hundredth_attempt(
    account: Account, family: str
) -> None:
    account.deployed("press-1")
    account.serve("press-1")
    plan = planned(account, families=[family], tune=True)
    for kind, index in (("Training", 0), ("HyperParameterTuning", 1)):
        shape = operation(f"Create{kind}Job").input_shape
        assert shape
        longest = shape.members[f"{kind}JobName"].metadata["max"]
        assert len(plan["candidates"][index]["name"] + "-100") <= longest
    evaluations = [model["evaluation"]["name"] for model in (*plan["candidates"], plan["champion"])]
    assert all(len(name + "-1") <= 63 and not name.endswith("-") for name in evaluations)
    assert evaluations[0].endswith("-" + family.replace("_", "-"))
    assert evaluations[1].endswith("-tuned")


def test_all_names_of_a_run_are_different(account: Account) -> None:
    plan = planned(account, families=DETECTORS, tune=True)
    assert len(set(names(plan))) == len(names(plan)) == 4 * len(DETECTORS)


requests = st.fixed_dictionaries(
    {
        "families": st.lists(st.sampled_from(["ssdlite", "dfine_nano"]), min_size=1, max_size=2, unique=True),
        "tune": st.booleans(),
        "tuning_jobs": st.sampled_from([None, 4]),
        "hyperparameters": st.sampled_from([{}, {"epochs": "3"}, {"epochs": "4"}]),
    }
)
stacks = st.fixed_dictionaries(
    {"tuning_strategy": st.sampled_from(["Bayesian", "Random"]), "training_image_uri": st.sampled_from("ab")}
)


def inputs(request: dict[str, Any], stack: dict[str, Any], serving: str | None, images: int) -> Any:
    tuning = (request["tuning_jobs"] or SETTINGS["tuning_jobs"], stack["tuning_strategy"])
    return (
        sorted(request["families"]),
        request["hyperparameters"],
        tuning if request["tune"] else None,
        stack["training_image_uri"],
        serving,
        images,
    )


@given(
    st.lists(
        st.tuples(requests, stacks, st.sampled_from([None, "press-1"]), st.sampled_from([60, 61])),
        min_size=2,
        max_size=2,
    )
)
def test_names_are_equal_exactly_if_data_settings_and_champion_are(
    both: list[tuple[dict[str, Any], dict[str, Any], str | None, int]],
) -> None:
    runs = []
    for request, stack, serving, images in both:
        account = Account()
        if serving:
            account.deployed(serving)
            account.serve(serving)
        plan = planned(account, stored(snapshot(images)), **request, settings=stack)
        runs.append((inputs(request, stack, serving, images), plan["run"], set(names(plan))))
    (one, one_run, one_names), (other, other_run, other_names) = runs
    assert (one_run == other_run) == (one == other)
    assert bool(one_names & other_names) == (one == other)


@pytest.mark.parametrize(
    "change",
    [{"approval": True}, {"force": True}, {"trigger": "schedule"}, {"settings": {"spot": False}}],
)
def test_a_setting_that_does_not_affect_the_models_changes_no_name(
    account: Account, change: dict[str, Any]
) -> None:
    assert names(planned(account, **change)) == names(planned(account))


def test_a_family_that_is_named_twice_is_trained_once(account: Account) -> None:
    assert len(planned(account, families=["ssdlite", "ssdlite"])["candidates"]) == 1
    assert len(planned(account, settings={"families": "ssdlite, ssdlite"})["candidates"]) == 1


# ---------------------------------------------------------------- requests


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("spot", [True, False])
@pytest.mark.parametrize("family", DETECTORS)
def test_sagemaker_accepts_every_request(account: Account, family: str, spot: bool, strategy: str) -> None:
    plan = planned(
        account, families=[family], tune=True, settings={"spot": spot, "tuning_strategy": strategy}
    )
    requests = list(jobs_of(plan))
    assert [name for name, _ in requests] == ["CreateTrainingJob", "CreateHyperParameterTuningJob"]
    for name, request in requests:
        validate(name, request)
        json.dumps(request, allow_nan=False)


def test_the_check_of_requests_finds_an_invalid_name(account: Account) -> None:
    wrong = job(planned(account)) | {"TrainingJobName": "no_underscores"}
    with pytest.raises(Exception, match="TrainingJobName"):
        validate("CreateTrainingJob", wrong)


def test_a_training_job_has_the_data_the_checkpoints_the_run_s_tag_and_the_family(account: Account) -> None:
    plan = planned(account, hyperparameters={"epochs": "3"})
    request = job(plan)
    assert request["HyperParameters"] == {
        "epochs": "3",
        "family": "ssdlite",
        "name": "ssdlite",
        "tuned": "false",
    }
    (channel,) = request["InputDataConfig"]
    assert channel["ChannelName"] == "train"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == plan["snapshot"]["uri"]
    assert (
        request["CheckpointConfig"]["S3Uri"] == f"s3://artefacts/checkpoints/{plan['candidates'][0]['name']}/"
    )
    assert request["OutputDataConfig"]["S3OutputPath"] == f"s3://artefacts/models/{plan['run']}"
    assert request["Tags"] == [{"Key": "loupe:run", "Value": plan["run"]}]
    assert request["RoleArn"] == SETTINGS["role_arn"]


@pytest.mark.parametrize("tuned", [False, True])
def test_a_spot_job_may_wait_as_long_as_it_may_run(account: Account, tuned: bool) -> None:
    plan = planned(account, tune=True, settings={"spot": True, "training_max_seconds": 1000})
    request = job(plan, "ssdlite-tuned")["TrainingJobDefinition"] if tuned else job(plan)
    assert request["EnableManagedSpotTraining"] is True
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 1000, "MaxWaitTimeInSeconds": 2000}


def test_an_on_demand_job_has_no_waiting_time_which_sagemaker_would_refuse(account: Account) -> None:
    request = job(planned(account, settings={"spot": False}))
    assert request["EnableManagedSpotTraining"] is False
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": SETTINGS["training_max_seconds"]}


def test_training_knows_every_hyperparameter_that_is_sent(account: Account) -> None:
    plan = planned(account, tune=True, families=DETECTORS, settings={"tuning_strategy": "Hyperband"})
    known = set(Hyperparameters.model_fields)
    for name, request in jobs_of(plan):
        if name == "CreateTrainingJob":
            assert set(request["HyperParameters"]) <= known
            continue
        ranges = request["HyperParameterTuningJobConfig"]["ParameterRanges"]["ContinuousParameterRanges"]
        assert {tuned["Name"] for tuned in ranges} <= known
        assert set(request["TrainingJobDefinition"]["StaticHyperParameters"]) <= known


# ---------------------------------------------------------------- initial weights


def initial_weights(plan: dict[str, Any], identity: str = "ssdlite") -> list[str]:
    return channels_of(job(plan, identity), "pretrained")


def channels_of(request: dict[str, Any], name: str) -> list[str]:
    channels = request["InputDataConfig"]
    return [
        channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in channels
        if channel["ChannelName"] == name
    ]


def test_without_weights_training_starts_from_scratch(account: Account) -> None:
    assert initial_weights(planned(account)) == []


def test_training_starts_from_the_weights_of_the_family(account: Account) -> None:
    documents = stored(more={"pretrained/ssdlite/model.safetensors": "{}", "pretrained/dfine_nano_2/x": "{}"})
    plan = planned(account, documents, families=["ssdlite", "dfine_nano"])
    assert initial_weights(plan) == ["s3://artefacts/pretrained/ssdlite/"]
    assert initial_weights(plan, "dfine_nano") == []


def test_training_starts_from_a_champion_of_the_same_family(account: Account) -> None:
    account.deployed("press-1", family="ssdlite", artefact="s3://artefacts/models/1/model.tar.gz")
    account.serve("press-1")
    documents = stored(more={f"pretrained/{family}/w": "{}" for family in ("ssdlite", "dfine_nano")})
    plan = planned(account, documents, families=["ssdlite", "dfine_nano"], tune=True)
    assert initial_weights(plan) == ["s3://artefacts/models/1/model.tar.gz"]
    assert initial_weights(plan, "dfine_nano") == ["s3://artefacts/pretrained/dfine_nano/"]
    definition = job(plan, "ssdlite-tuned")["TrainingJobDefinition"]
    assert channels_of(definition, "pretrained") == ["s3://artefacts/models/1/model.tar.gz"]
    for name, request in jobs_of(plan):
        validate(name, request)


def test_training_does_not_start_from_a_champion_without_a_family_tag(account: Account) -> None:
    account.deployed("press-1")
    account.serve("press-1")
    assert initial_weights(planned(account)) == []


def test_the_champion_is_evaluated_with_the_candidates(account: Account) -> None:
    account.deployed("press-1", family="ssdlite")
    account.serve("press-1")
    plan = planned(account)
    assert plan["champion"] | {"evaluation": None} == {
        "id": "champion",
        "kind": "champion",
        "name": "press-1",
        "model": "press-1",
        "model_arn": plan["champion"]["model_arn"],
        "config": "press-1",
        "artefact": "s3://artefacts/models/press-1/model.tar.gz",
        "dataset": None,
        "family": "ssdlite",
        "tuned": False,
        "evaluation": None,
    }
    assert plan["champion"]["evaluation"]["output"] == f"s3://artefacts/reports/{plan['run']}/champion"
    assert planned(Account())["champion"] is None


# ---------------------------------------------------------------- completed and failed jobs


def completed(account: Account, documents: Documents) -> list[dict[str, Any]]:
    """Let the jobs of a plan complete, and return its candidates."""
    plain, tuned = planned(account, documents, tune=True)["candidates"]
    for name in (plain["name"], "the-best"):
        documents.write(f"models/r/{name}/output/model.tar.gz", {})
        artefact = {"S3ModelArtifacts": documents.uri(f"models/r/{name}/output/model.tar.gz")}
        account.job(name, "Completed", ModelArtifacts=artefact)
    account.job(plain["evaluation"]["name"], "Completed")
    account.job(tuned["name"], "Completed", BestTrainingJob={"TrainingJobName": "the-best"})
    return [plain, tuned]


def test_a_model_that_is_gone_is_trained_and_evaluated_again(account: Account) -> None:
    """A model that lost is deleted after some time, and a later run with the same inputs may want it."""
    documents = stored()
    plain, tuned = completed(account, documents)
    emptied = stored()
    again = planned(account, emptied, tune=True)["candidates"]
    assert [(candidate["kind"], candidate["name"]) for candidate in again] == [
        ("train", plain["name"] + "-2"),
        ("tune", tuned["name"] + "-2"),
    ]
    assert again[0]["evaluation"] == plain["evaluation"] | {"name": plain["evaluation"]["name"] + "-2"}


def test_completed_jobs_are_not_run_again(account: Account) -> None:
    documents = stored()
    plain, tuned = completed(account, documents)
    again = planned(account, documents, tune=True)["candidates"]
    assert [(candidate["kind"], candidate["name"]) for candidate in again] == [
        ("reuse", plain["name"]),
        ("reuse", "the-best"),
    ]
    assert [candidate["evaluation"]["done"] for candidate in again] == [True, False]
    assert again[1]["tuning"] == tuned["name"]
    assert all("job" not in candidate for candidate in again)


def test_a_failed_job_is_run_again_under_the_next_name(account: Account) -> None:
    plain, tuned = planned(account, tune=True)["candidates"]
    for name in (plain["name"], plain["evaluation"]["name"], tuned["name"]):
        account.job(name, "Failed")
    again = planned(account, tune=True)
    assert [candidate["name"] for candidate in again["candidates"]] == [
        plain["name"] + "-2",
        tuned["name"] + "-2",
    ]
    assert again["candidates"][0]["evaluation"]["name"] == plain["evaluation"]["name"] + "-2"
    assert job(again)["CheckpointConfig"]["S3Uri"].endswith("-2/")
    for name, request in jobs_of(again):
        validate(name, request)


def test_a_tuning_job_without_a_model_is_run_again(account: Account) -> None:
    tuned = planned(account, tune=True)["candidates"][1]
    account.job(tuned["name"], "Completed")
    again = planned(account, tune=True)["candidates"][1]
    assert (again["kind"], again["name"]) == ("tune", tuned["name"] + "-2")
