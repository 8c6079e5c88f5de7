"""The plan: whether there is anything to do, under which names, and requests that SageMaker takes."""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loupe.local.sagemaker.validation import operation, validate
from retraining import lock
from retraining.documents import Documents
from retraining.errors import InvalidRequestError, LabelledDataError, RetrainingError
from retraining.labelled import Snapshot
from retraining.plan import _EPOCHS, LAST
from retraining.request import FAMILIES, Request
from tests.unit.retraining.account import Account
from tests.unit.retraining.held import Held
from tests.unit.retraining.planning import BASE, EXECUTION, PREFIX, SETTINGS, planned, planner
from tests.unit.retraining.snapshots import BOX, label, sha, snapshot
from training.detectors import families, recipe
from training.settings import Hyperparameters

STRATEGIES = ["Bayesian", "Hyperband", "Random"]


def held(document: dict[str, Any] = BASE, more: Mapping[str, Any] = MappingProxyType({})) -> Held:
    return Held({f"labelled/snapshots/{document['id'][:16]}.json": document, **more})


def names(plan: dict[str, Any]) -> list[str]:
    every = [*plan["candidates"], *([plan["champion"]] if plan["champion"] else [])]
    return [each["name"] for each in plan["candidates"]] + [each["evaluation"]["name"] for each in every]


def job(plan: dict[str, Any], identity: str = "ssdlite") -> dict[str, Any]:
    (found,) = [each["job"] for each in plan["candidates"] if each["id"] == identity]
    assert isinstance(found, dict)
    return found


# ---------------------------------------------------------------- names


def test_job_names_tell_the_stack_the_run_and_the_family(account: Account) -> None:
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


@pytest.mark.parametrize("family", FAMILIES)
def test_names_keep_to_sagemaker_s_limits_and_differ_also_on_the_hundredth_try(
    account: Account, family: str
) -> None:
    account.deployed("press-1")
    account.serve("press-1")
    plan = planned(account, families=[family], tune=True)
    for kind, each in (("Training", 0), ("HyperParameterTuning", 1)):
        shape = operation(f"Create{kind}Job").input_shape
        assert shape
        longest = shape.members[f"{kind}JobName"].metadata["max"]
        assert len(plan["candidates"][each]["name"] + "-100") <= longest
    evaluations = [each["evaluation"]["name"] for each in (*plan["candidates"], plan["champion"])]
    assert all(len(name + "-1") <= 63 and not name.endswith("-") for name in evaluations)
    assert evaluations[0].endswith("-" + family.replace("_", "-"))
    assert evaluations[1].endswith("-tuned")


def test_all_names_of_a_run_differ(account: Account) -> None:
    plan = planned(account, families=list(FAMILIES), tune=True)
    assert len(set(names(plan))) == len(names(plan)) == 4 * len(FAMILIES)


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


def what_counts(request: dict[str, Any], stack: dict[str, Any], serving: str | None, images: int) -> Any:
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
def test_the_same_data_settings_and_champion_have_the_same_names_and_any_other_have_others(
    both: list[tuple[dict[str, Any], dict[str, Any], str | None, int]],
) -> None:
    runs = []
    for request, stack, serving, images in both:
        account = Account()
        if serving:
            account.deployed(serving)
            account.serve(serving)
        plan = planned(account, held(snapshot(images)), **request, settings=stack)
        runs.append((what_counts(request, stack, serving, images), plan["run"], set(names(plan))))
    (one, first, its), (other, second, their) = runs
    assert (first == second) == (one == other)
    assert bool(its & their) == (one == other)


@pytest.mark.parametrize(
    "change",
    [{"approval": True}, {"force": True}, {"trigger": "schedule"}, {"settings": {"spot": False}}],
)
def test_what_decides_nothing_of_the_models_changes_no_name(account: Account, change: dict[str, Any]) -> None:
    assert names(planned(account, **change)) == names(planned(account))


def test_a_family_that_is_named_twice_is_trained_once(account: Account) -> None:
    assert len(planned(account, families=["ssdlite", "ssdlite"])["candidates"]) == 1
    assert len(planned(account, settings={"families": "ssdlite, ssdlite"})["candidates"]) == 1


# ---------------------------------------------------------------- requests


def jobs_of(plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in plan["candidates"]:
        yield (
            ("CreateTrainingJob" if each["kind"] == "train" else "CreateHyperParameterTuningJob"),
            each["job"],
        )


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("spot", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_sagemaker_takes_every_request(account: Account, family: str, spot: bool, strategy: str) -> None:
    plan = planned(
        account, families=[family], tune=True, settings={"spot": spot, "tuning_strategy": strategy}
    )
    requests = list(jobs_of(plan))
    assert [name for name, _ in requests] == ["CreateTrainingJob", "CreateHyperParameterTuningJob"]
    for name, request in requests:
        validate(name, request)
        json.dumps(request, allow_nan=False)


def test_a_misspelt_request_would_have_been_refused(account: Account) -> None:
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
def test_spot_jobs_may_wait_as_long_as_they_may_run(account: Account, tuned: bool) -> None:
    plan = planned(account, tune=True, settings={"spot": True, "training_max_seconds": 1000})
    request = job(plan, "ssdlite-tuned")["TrainingJobDefinition"] if tuned else job(plan)
    assert request["EnableManagedSpotTraining"] is True
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 1000, "MaxWaitTimeInSeconds": 2000}


def test_jobs_on_demand_name_no_wait_which_sagemaker_would_refuse(account: Account) -> None:
    request = job(planned(account, settings={"spot": False}))
    assert request["EnableManagedSpotTraining"] is False
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": SETTINGS["training_max_seconds"]}


def test_every_hyperparameter_that_is_sent_is_one_that_training_knows(account: Account) -> None:
    plan = planned(account, tune=True, families=list(FAMILIES), settings={"tuning_strategy": "Hyperband"})
    known = set(Hyperparameters.__dataclass_fields__)
    for name, request in jobs_of(plan):
        if name == "CreateTrainingJob":
            assert set(request["HyperParameters"]) <= known
            continue
        ranges = request["HyperParameterTuningJobConfig"]["ParameterRanges"]["ContinuousParameterRanges"]
        assert {each["Name"] for each in ranges} <= known
        assert set(request["TrainingJobDefinition"]["StaticHyperParameters"]) <= known


# ---------------------------------------------------------------- tuning


def tuning(account: Account, strategy: str, **options: Any) -> dict[str, Any]:
    plan = planned(account, tune=True, settings={"tuning_strategy": strategy}, **options)
    return job(plan, "ssdlite-tuned")


@pytest.mark.parametrize(
    ("strategy", "early"), [("Bayesian", "Auto"), ("Random", "Auto"), ("Hyperband", "Off")]
)
def test_hyperband_stops_jobs_itself_and_the_others_let_sagemaker(
    account: Account, strategy: str, early: str
) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HyperParameterTuningJobConfig.html"""
    config = tuning(account, strategy)["HyperParameterTuningJobConfig"]
    assert (config["Strategy"], config["TrainingJobEarlyStoppingType"]) == (strategy, early)
    assert ("StrategyConfig" in config) == (strategy == "Hyperband")


@pytest.mark.parametrize(
    ("given_", "epochs"),
    [({}, _EPOCHS), ({"epochs": "0"}, _EPOCHS), ({"epochs": "27"}, 27), ({"epochs": "1"}, 1)],
)
def test_hyperband_s_resource_is_what_a_job_has_when_it_ends(
    account: Account, given_: dict[str, str], epochs: int
) -> None:
    """A job is stopped, with no model, once it has given more values of the objective than that."""
    request = tuning(account, "Hyperband", hyperparameters=given_)
    band = request["HyperParameterTuningJobConfig"]["StrategyConfig"]["HyperbandStrategyConfig"]
    static = request["TrainingJobDefinition"]["StaticHyperParameters"]
    assert band["MaxResource"] == int(static["epochs"]) == epochs
    assert static["validate_every"] == "1"
    assert 1 <= band["MinResource"] <= band["MaxResource"]


def test_hyperband_s_own_number_of_epochs_is_enough_for_every_family() -> None:
    assert max(recipe(family).epochs for family in families()) == _EPOCHS


def test_a_tuning_job_looks_for_the_best_mean_precision_within_its_limits(account: Account) -> None:
    plan = planned(account, tune=True, tuning_jobs=1)
    config = job(plan, "ssdlite-tuned")["HyperParameterTuningJobConfig"]
    assert config["HyperParameterTuningJobObjective"] == {"Type": "Maximize", "MetricName": "val:map"}
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    metrics = job(plan, "ssdlite-tuned")["TrainingJobDefinition"]["AlgorithmSpecification"][
        "MetricDefinitions"
    ]
    assert "val:map" in [each["Name"] for each in metrics]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_hyperparameter_that_is_given_wins_over_its_range(account: Account, strategy: str) -> None:
    request = tuning(account, strategy, hyperparameters={"learning_rate": "0.01"})
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    ranges = [each["Name"] for each in config["ParameterRanges"]["ContinuousParameterRanges"]]
    assert "learning_rate" not in ranges
    assert ranges
    static = definition["StaticHyperParameters"]
    assert (static["learning_rate"], static["tuned"], static["name"]) == ("0.01", "true", "ssdlite-tuned")
    assert not set(ranges) & set(static)


def test_where_everything_is_given_there_is_nothing_to_tune(account: Account) -> None:
    everything = dict.fromkeys(FAMILIES["ssdlite"], "0.1")
    with pytest.raises(InvalidRequestError, match="leave nothing to tune"):
        planned(account, tune=True, hyperparameters=everything)


def test_families_json_names_the_families_of_training() -> None:
    assert sorted(FAMILIES) == sorted(families())


@pytest.mark.parametrize("family", FAMILIES)
def test_each_range_holds_the_family_s_own_value(family: str) -> None:
    own = Hyperparameters(family=family).completed()
    assert FAMILIES[family]
    for name, about in FAMILIES[family].items():
        assert about["min"] <= getattr(own, name) <= about["max"], name
        assert about["min"] < about["max"]
        assert about["scaling"] == "Linear" or about["min"] > 0


# ---------------------------------------------------------------- where training starts


def starts(plan: dict[str, Any], identity: str = "ssdlite") -> list[str]:
    channels = job(plan, identity)["InputDataConfig"]
    return [
        each["DataSource"]["S3DataSource"]["S3Uri"]
        for each in channels
        if each["ChannelName"] == "pretrained"
    ]


def test_from_scratch_where_there_is_nothing(account: Account) -> None:
    assert starts(planned(account)) == []


def test_from_the_family_s_weights_where_some_lie_there(account: Account) -> None:
    documents = held(more={"pretrained/ssdlite/model.safetensors": "{}", "pretrained/dfine_nano_2/x": "{}"})
    plan = planned(account, documents, families=["ssdlite", "dfine_nano"])
    assert starts(plan) == ["s3://artefacts/pretrained/ssdlite/"]
    assert starts(plan, "dfine_nano") == []


def test_from_the_champion_where_it_is_of_the_family(account: Account) -> None:
    account.deployed("press-1", family="ssdlite", artefact="s3://artefacts/models/1/model.tar.gz")
    account.serve("press-1")
    documents = held(more={f"pretrained/{family}/w": "{}" for family in ("ssdlite", "dfine_nano")})
    plan = planned(account, documents, families=["ssdlite", "dfine_nano"], tune=True)
    assert starts(plan) == ["s3://artefacts/models/1/model.tar.gz"]
    assert starts(plan, "dfine_nano") == ["s3://artefacts/pretrained/dfine_nano/"]
    definition = job(plan, "ssdlite-tuned")["TrainingJobDefinition"]
    assert len(definition["InputDataConfig"]) == 2
    for name, request in jobs_of(plan):
        validate(name, request)


def test_a_champion_whose_family_nobody_wrote_down_is_no_start(account: Account) -> None:
    account.deployed("press-1")
    account.serve("press-1")
    assert starts(planned(account)) == []


def test_the_champion_is_evaluated_beside_the_candidates(account: Account) -> None:
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
        "family": "ssdlite",
        "tuned": False,
        "evaluation": None,
    }
    assert plan["champion"]["evaluation"]["output"] == f"s3://artefacts/reports/{plan['run']}/champion"
    assert planned(Account())["champion"] is None


# ---------------------------------------------------------------- what was done before


def test_what_was_trained_tuned_and_evaluated_is_not_made_again(account: Account) -> None:
    plain, tuned = planned(account, tune=True)["candidates"]
    account.job(plain["name"], "Completed")
    account.job(plain["evaluation"]["name"], "Completed")
    account.job(tuned["name"], "Completed", BestTrainingJob={"TrainingJobName": "the-best"})
    again = planned(account, tune=True)["candidates"]
    assert [(each["kind"], each["name"]) for each in again] == [
        ("reuse", plain["name"]),
        ("reuse", "the-best"),
    ]
    assert [each["evaluation"]["done"] for each in again] == [True, False]
    assert again[1]["tuning"] == tuned["name"]
    assert all("job" not in each for each in again)


def test_what_failed_is_made_again_under_the_next_name(account: Account) -> None:
    plain, tuned = planned(account, tune=True)["candidates"]
    for name in (plain["name"], plain["evaluation"]["name"], tuned["name"]):
        account.job(name, "Failed")
    again = planned(account, tune=True)
    assert [each["name"] for each in again["candidates"]] == [plain["name"] + "-2", tuned["name"] + "-2"]
    assert again["candidates"][0]["evaluation"]["name"] == plain["evaluation"]["name"] + "-2"
    assert job(again)["CheckpointConfig"]["S3Uri"].endswith("-2/")
    for name, request in jobs_of(again):
        validate(name, request)


def test_a_tuning_job_that_came_to_no_model_is_made_again(account: Account) -> None:
    tuned = planned(account, tune=True)["candidates"][1]
    account.job(tuned["name"], "Completed")
    again = planned(account, tune=True)["candidates"][1]
    assert (again["kind"], again["name"]) == ("tune", tuned["name"] + "-2")


# ---------------------------------------------------------------- nothing new


def finished(documents: Documents, plan: dict[str, Any]) -> None:
    """What the report leaves behind."""
    last = {
        "run": plan["run"],
        "report": "s3://artefacts/reports/r/report.html",
        "finished_at": "2026-03-02T08:00:00+00:00",
        "snapshot": plan["snapshot"]["uri"],
        "settings": plan["settings"],
    }
    assert documents.write(LAST, last)


def test_the_same_data_and_settings_again_are_nothing_new(account: Account) -> None:
    documents = held()
    plan = planned(account, documents)
    finished(documents, plan)
    again = planned(account, documents)
    assert again["status"] == "nothing_new"
    assert again["result"] == {
        "status": "SUCCEEDED",
        "decision": "nothing_new",
        "reasons": [f"data and settings are those of the run {plan['run']} of 2026-03-02T08:00:00+00:00"],
        "run": plan["run"],
        "snapshot": plan["snapshot"] | {"new_labels": 0},
        "report": "s3://artefacts/reports/r/report.html",
    }


def test_a_promoted_model_alone_is_nothing_new(account: Account) -> None:
    documents = held()
    finished(documents, planned(account, documents))
    account.deployed("press-2")
    account.serve("press-2")
    assert planned(account, documents)["status"] == "nothing_new"


def test_force_plans_all_the_same(account: Account) -> None:
    documents = held()
    finished(documents, planned(account, documents))
    plan = planned(account, documents, force=True)
    assert (plan["status"], plan["snapshot"]["new_labels"]) == ("train", 0)


@pytest.mark.parametrize(
    "change",
    [
        {"families": ["dfine_nano"]},
        {"tune": True},
        {"hyperparameters": {"epochs": "3"}},
        {"settings": {"families": "ssdlite, dfine_nano"}},
        {"settings": {"training_image_uri": "loupe-train:2"}},
    ],
)
def test_other_settings_are_something_new(account: Account, change: dict[str, Any]) -> None:
    documents = held()
    finished(documents, planned(account, documents))
    assert planned(account, documents, **change)["status"] == "train"


def test_other_tuning_is_something_new_to_a_run_that_tunes(account: Account) -> None:
    documents = held()
    finished(documents, planned(account, documents, tune=True))
    assert planned(account, documents, tune=True)["status"] == "nothing_new"
    assert planned(account, documents, tune=True, tuning_jobs=3)["status"] == "train"
    assert planned(account, documents, tune=True, settings={"tuning_strategy": "Random"})["status"] == "train"


def test_asking_for_the_stack_s_own_families_by_name_is_nothing_new(account: Account) -> None:
    documents = held()
    finished(documents, planned(account, documents))
    assert planned(account, documents, families=["ssdlite"])["status"] == "nothing_new"


@pytest.mark.parametrize(("wanted", "status"), [(0, "train"), (2, "train"), (3, "nothing_new")])
def test_too_few_new_labels_are_nothing_new(account: Account, wanted: int, status: str) -> None:
    documents = held()
    finished(documents, planned(account, documents))
    for each in ("a", "b"):
        documents.write(f"labels/{sha(each)}.json", label(sha(each), ("dent", BOX)))
    plan = planned(account, documents, minimum_new_labels=wanted)
    assert plan["status"] == status
    if status == "train":
        assert plan["snapshot"]["new_labels"] == 2
    else:
        assert plan["result"]["reasons"] == ["2 images were labelled since the last run; 3 are wanted"]


def test_before_the_first_run_every_image_is_new(account: Account) -> None:
    plan = planned(account, minimum_new_labels=len(BASE["images"]))
    assert (plan["status"], plan["snapshot"]["new_labels"]) == ("train", len(BASE["images"]))
    more = planned(account, minimum_new_labels=len(BASE["images"]) + 1)
    assert more["result"]["report"] is None


def test_where_the_last_run_s_snapshot_is_gone_every_image_is_new(account: Account) -> None:
    documents = held()
    finished(documents, planned(account, documents) | {"snapshot": {"uri": "s3://artefacts/gone.json"}})
    assert planned(account, documents)["snapshot"]["new_labels"] == len(BASE["images"])


def test_the_snapshot_is_told_with_its_parts_and_labels(account: Account) -> None:
    plan = planned(account)
    parts = Snapshot(BASE, "").parts
    assert plan["snapshot"] == {
        "id": BASE["id"],
        "uri": f"s3://artefacts/labelled/snapshots/{BASE['id'][:16]}.json",
        "images": 60,
        "train": parts["train"],
        "validation": parts["validation"],
        "test": parts["test"],
        "labels": ["dent", "scratch"],
        "new_labels": 60,
    }


# ---------------------------------------------------------------- what stops a plan


def test_while_another_execution_runs_nothing_is_planned(account: Account) -> None:
    documents = held()
    other = EXECUTION.replace("one", "other")
    account.executions[other] = "RUNNING"
    documents.write(lock.KEY, {"execution": other})
    assert planned(account, documents) == {
        "status": "already_running",
        "result": {
            "status": "SUCCEEDED",
            "decision": "already_running",
            "reasons": [f"another run is at work: {other}"],
        },
    }
    assert account.asked() == {"DescribeExecution"}


def test_a_step_that_is_tried_again_plans_the_same(documents: Documents, account: Account) -> None:
    documents.write(f"labelled/snapshots/{BASE['id'][:16]}.json", BASE)
    assert planned(account, documents) == planned(account, documents)


def test_a_stack_without_a_training_container_says_what_to_do(account: Account) -> None:
    with pytest.raises(RetrainingError) as caught:
        planned(account, settings={"training_image_uri": ""})
    assert str(caught.value) == (
        "the stack has no training container: push the one that `make images` builds to ECR, and set the "
        "stack's parameter TrainingImageUri to it"
    )


def test_a_family_of_the_stack_s_parameter_that_does_not_exist_is_named(account: Account) -> None:
    with pytest.raises(InvalidRequestError, match=r"RetrainFamilies names 'ssdlight'; known are .*ssdlite"):
        planned(account, settings={"families": "ssdlite,ssdlight"})


def test_data_that_no_model_can_be_proven_on_stop_it(account: Account) -> None:
    new = {f"labels/{sha('new')}.json": label(sha("new"), ("rust", BOX))}
    with pytest.raises(LabelledDataError, match=r"no test image in .* shows rust"):
        planned(account, held(more=new))


@pytest.mark.parametrize(
    ("given_", "field"),
    [
        ({"families": "ssdlite"}, "families"),
        ({"families": ["ssdlight"]}, "families: .*unknown family 'ssdlight'; known are .*ssdlite"),
        ({"families": [1]}, "families.0"),
        ({"tune": "perhaps"}, "tune"),
        ({"tuning_jobs": 0}, "tuning_jobs"),
        ({"tuning_jobs": 101}, "tuning_jobs"),
        ({"tuning_jobs": 1.5}, "tuning_jobs"),
        ({"hyperparameters": []}, "hyperparameters"),
        ({"hyperparameters": {"epochs": 3}}, "hyperparameters.epochs"),
        ({"hyperparameters": {"epochs": None}}, "hyperparameters.epochs"),
        ({"hyperparameters": {"family": "ssdlite"}}, "hyperparameters: .*the run itself sets family"),
        ({"hyperparameters": {"tuned": "true"}}, "hyperparameters: .*the run itself sets tuned"),
        ({"hyperparameters": {"": "3"}}, "hyperparameters"),
        ({"hyperparameters": {"x" * 257: "3"}}, "hyperparameters"),
        ({"hyperparameters": {"x": "3" * 2501}}, "hyperparameters.x"),
        ({"hyperparameters": {"x": "3\n"}}, "hyperparameters.x"),
        ({"hyperparameters": {str(n): "3" for n in range(91)}}, "hyperparameters"),
        ({"minimum_new_labels": -1}, "minimum_new_labels"),
        ({"minimum_new_labels": "many"}, "minimum_new_labels"),
        ({"approval": "perhaps"}, "approval"),
        ({"force": 2}, "force"),
        ({"trigger": "boredom"}, "trigger"),
        ({"epochs": 3}, "epochs: Extra inputs are not permitted"),
        ([], "input: "),
        ("now", "input: "),
        (None, "input: "),
    ],
)
def test_bad_input_names_the_field_and_takes_no_lock(account: Account, given_: Any, field: str) -> None:
    documents = held()
    with pytest.raises(InvalidRequestError, match="the input of the execution is not in order: .*" + field):
        planner(account, documents).plan(given_, EXECUTION)
    assert documents.find(lock.KEY) is None


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Request.read({"tune": "perhaps", "trigger": "boredom", "tuning_jobs": 0})
    assert all(field in str(caught.value) for field in ("tune: ", "trigger: ", "tuning_jobs: "))


@pytest.mark.parametrize("epochs", ["many", "-1", "1.5", ""])
def test_hyperband_needs_whole_epochs(account: Account, epochs: str) -> None:
    with pytest.raises(InvalidRequestError, match="hyperparameters.epochs: .*" + repr(epochs)):
        tuning(account, "Hyperband", hyperparameters={"epochs": epochs})


hyperparameters = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=300),
    st.text(st.characters(codec="utf-8"), max_size=20),
    max_size=4,
)


@given(hyperparameters)
def test_whatever_hyperparameters_are_taken_sagemaker_takes_too(given_: dict[str, str]) -> None:
    try:
        request = Request.read({"hyperparameters": given_})
    except InvalidRequestError:
        assume(False)
    plan = planned(Account(), tune=True, hyperparameters=request.hyperparameters)
    for name, each in jobs_of(plan):
        validate(name, each)
