"""Whether there is anything to train, and errors that stop a plan before any job."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contract.keys import FORMER_LAST_RUN, LOCK, last_run
from localcloud.sagemaker.validation import validate
from retraining.documents import Documents
from retraining.errors import InvalidRequestError, LabelledDataError, RetrainingError
from retraining.labelled import Snapshot
from retraining.request import Request
from tests.unit.retraining.account import Account
from tests.unit.retraining.planning import BASE, EXECUTION, jobs_of, planned, planner, stored
from tests.unit.retraining.snapshots import BOX, LABELS, label, sample, sha, snapshot, taken

STRATEGIES = ["Bayesian", "Hyperband", "Random"]


# ---------------------------------------------------------------- nothing new


def finished(documents: Documents, plan: dict[str, Any]) -> None:
    """Store what the report writes about the last run."""
    last = {
        "run": plan["run"],
        "report": "s3://artefacts/reports/r/report.html",
        "finished_at": "2026-03-02T08:00:00+00:00",
        "snapshot": plan["snapshot"]["uri"],
        "settings": plan["settings"],
    }
    assert documents.write(last_run(plan["snapshot"]["dataset"]), last)


def test_the_same_data_and_settings_are_nothing_new(account: Account) -> None:
    documents = stored()
    plan = planned(account, documents)
    finished(documents, plan)
    again = planned(account, documents)
    assert again["status"] == "nothing_new"
    assert again["result"] == {
        "status": "SUCCEEDED",
        "decision": "nothing_new",
        "reasons": [f"data and settings are those of run {plan['run']} of 2026-03-02T08:00:00+00:00"],
        "run": plan["run"],
        "snapshot": plan["snapshot"] | {"new_labels": 0},
        "report": "s3://artefacts/reports/r/report.html",
    }


def test_a_promoted_model_alone_is_nothing_new(account: Account) -> None:
    documents = stored()
    finished(documents, planned(account, documents))
    account.deployed("press-2")
    account.serve("press-2")
    assert planned(account, documents)["status"] == "nothing_new"


def test_force_plans_even_if_nothing_is_new(account: Account) -> None:
    documents = stored()
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
def test_other_settings_are_new(account: Account, change: dict[str, Any]) -> None:
    documents = stored()
    finished(documents, planned(account, documents))
    assert planned(account, documents, **change)["status"] == "train"


def test_other_tuning_settings_are_new_to_a_run_that_tunes(account: Account) -> None:
    documents = stored()
    finished(documents, planned(account, documents, tune=True))
    assert planned(account, documents, tune=True)["status"] == "nothing_new"
    assert planned(account, documents, tune=True, tuning_jobs=3)["status"] == "train"
    assert planned(account, documents, tune=True, settings={"tuning_strategy": "Random"})["status"] == "train"


def test_the_stack_s_own_families_requested_by_name_are_nothing_new(account: Account) -> None:
    documents = stored()
    finished(documents, planned(account, documents))
    assert planned(account, documents, families=["ssdlite"])["status"] == "nothing_new"


@pytest.mark.parametrize(("required", "status"), [(0, "train"), (2, "train"), (3, "nothing_new")])
def test_too_few_new_labels_are_nothing_new(account: Account, required: int, status: str) -> None:
    documents = stored()
    finished(documents, planned(account, documents))
    for name in ("a", "b"):
        documents.write(f"labels/{sha(name)}.json", label(sha(name), ("dent", BOX)))
    plan = planned(account, documents, minimum_new_labels=required)
    assert plan["status"] == status
    if status == "train":
        assert plan["snapshot"]["new_labels"] == 2
    else:
        assert plan["result"]["reasons"] == ["2 images were labelled since the last run; 3 are required"]


def test_before_the_first_run_every_image_is_new(account: Account) -> None:
    plan = planned(account, minimum_new_labels=len(BASE["images"]))
    assert (plan["status"], plan["snapshot"]["new_labels"]) == ("train", len(BASE["images"]))
    more = planned(account, minimum_new_labels=len(BASE["images"]) + 1)
    assert more["result"]["report"] is None


def test_if_the_last_run_s_snapshot_is_gone_every_image_is_new(account: Account) -> None:
    documents = stored()
    plan = planned(account, documents)
    gone = plan["snapshot"] | {"uri": "s3://artefacts/gone.json"}
    finished(documents, plan | {"snapshot": gone})
    assert planned(account, documents)["snapshot"]["new_labels"] == len(BASE["images"])


def test_the_plan_contains_the_snapshot_s_parts_and_labels(account: Account) -> None:
    plan = planned(account)
    parts = Snapshot(BASE, "").parts
    assert plan["snapshot"] == {
        "dataset": "default",
        "id": BASE["id"],
        "uri": f"s3://artefacts/labelled/snapshots/{BASE['id'][:16]}.json",
        "images": 60,
        "train": parts["train"],
        "validation": parts["validation"],
        "test": parts["test"],
        "labels": ["dent", "scratch"],
        "new_labels": 60,
        "waiting": {},
    }


# ---------------------------------------------------------------- data sets


OTHER = snapshot(90)
BOTH = {f"labelled/snapshots/press-2/{OTHER['id'][:16]}.json": OTHER}


def test_a_run_trains_on_the_stack_s_data_set_or_on_the_one_that_the_request_names(account: Account) -> None:
    def trained(**options: Any) -> tuple[str, int, str]:
        plan = planned(account, stored(more=BOTH), **options)
        return plan["snapshot"]["dataset"], plan["snapshot"]["images"], plan["candidates"][0]["dataset"]

    assert trained() == ("default", 60, "default")
    assert trained(dataset="press-2") == ("press-2", 90, "press-2")
    assert trained(settings={"dataset_name": "press-2"}) == ("press-2", 90, "press-2")


def test_a_run_on_another_data_set_is_new_and_each_data_set_has_its_own_last_run(account: Account) -> None:
    documents = stored(more=BOTH)
    finished(documents, planned(account, documents))
    other = planned(account, documents, dataset="press-2")
    assert (other["status"], other["snapshot"]["new_labels"]) == ("train", 90)
    finished(documents, other)
    assert planned(account, documents)["status"] == "nothing_new"
    assert planned(account, documents, dataset="press-2")["status"] == "nothing_new"


def test_the_last_run_from_before_data_sets_had_names_counts_for_the_default_one(account: Account) -> None:
    documents = stored(more=BOTH)
    finished(documents, planned(account, documents))
    stored_run = documents.find(last_run("default"))
    assert stored_run is not None
    documents = stored(more=BOTH | {FORMER_LAST_RUN: stored_run[0]})
    assert planned(account, documents)["status"] == "nothing_new"
    assert planned(account, documents, dataset="press-2")["status"] == "train"


@pytest.mark.parametrize(
    ("champion", "request_approval", "asks"),
    [
        ("press-2", None, True),
        ("press-2", False, False),
        ("default", None, False),
        (None, None, False),
    ],
)
def test_a_model_never_replaces_one_of_another_data_set_without_a_person(
    account: Account, champion: str | None, request_approval: bool | None, asks: bool
) -> None:
    account.deployed("press-1", dataset=champion)
    account.serve("press-1")
    plan = planned(account, approval=request_approval)
    assert plan["champion"]["dataset"] == champion
    assert plan["approval"] is asks


# ---------------------------------------------------------------- errors


def test_while_another_execution_runs_nothing_is_planned(account: Account) -> None:
    documents = stored()
    other = EXECUTION.replace("one", "other")
    account.executions[other] = "RUNNING"
    documents.write(LOCK, {"execution": other})
    assert planned(account, documents) == {
        "status": "already_running",
        "result": {
            "status": "SUCCEEDED",
            "decision": "already_running",
            "reasons": [f"another run is in progress: {other}"],
        },
    }
    assert account.operations() == {"DescribeExecution"}


def test_a_retried_step_makes_the_same_plan(documents: Documents, account: Account) -> None:
    documents.write(f"labelled/snapshots/{BASE['id'][:16]}.json", BASE)
    assert planned(account, documents) == planned(account, documents)


def test_a_stack_without_a_training_container_says_what_to_do(account: Account) -> None:
    with pytest.raises(RetrainingError) as caught:
        planned(account, settings={"training_image_uri": ""})
    assert str(caught.value) == (
        "the stack has no training container: push the image that `make images` builds to ECR, and set the "
        "stack's parameter TrainingImageUri to it"
    )


def test_an_unknown_family_in_the_stack_s_parameter_is_named(account: Account) -> None:
    with pytest.raises(InvalidRequestError, match=r"RetrainFamilies names 'ssdlight'; known are .*ssdlite"):
        planned(account, settings={"families": "ssdlite,ssdlight"})


def test_data_on_which_no_model_can_be_tested_stop_the_plan(account: Account) -> None:
    untested = taken([sample(f"{n}.png", *LABELS) for n in range(60)], (*LABELS, "rust"))
    with pytest.raises(LabelledDataError, match=r"no test image in .* shows rust"):
        planned(account, stored(untested))


def test_a_class_that_people_have_labelled_too_seldom_waits_and_does_not_stop_the_others(
    account: Account,
) -> None:
    rust, dent = label(sha("rust"), ("rust", BOX)), label(sha("new"), ("dent", BOX))
    documents = stored(more={"labels/1.json": rust, "labels/2.json": dent})

    plan = planned(account, documents)

    assert plan["status"] == "train"
    assert (plan["snapshot"]["images"], plan["snapshot"]["labels"]) == (61, ["dent", "scratch"])
    assert plan["snapshot"]["waiting"] == {"rust": 1}
    few = planned(account, documents, minimum_new_labels=100)["result"]["reasons"]
    assert few == [
        "61 images were labelled since the last run; 100 are required; too few yet to train and to test the class: "
        "1 image with rust"
    ]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"families": "ssdlite"}, "families"),
        ({"families": ["ssdlight"]}, "families: .*unknown family 'ssdlight'; known are .*ssdlite"),
        ({"families": [1]}, "families.0"),
        ({"dataset": "Press 2"}, "dataset: .*'Press 2' is not a name for a data set: use lower-case letters"),
        ({"dataset": ""}, "dataset: .*'' is not a name"),
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
def test_invalid_input_names_the_field_and_takes_no_lock(account: Account, document: Any, field: str) -> None:
    documents = stored()
    with pytest.raises(InvalidRequestError, match="the input of the execution is not valid: .*" + field):
        planner(account, documents).plan(document, EXECUTION)
    assert documents.find(LOCK) is None


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Request.read({"tune": "perhaps", "trigger": "boredom", "tuning_jobs": 0})
    assert all(field in str(caught.value) for field in ("tune: ", "trigger: ", "tuning_jobs: "))


hyperparameters = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=300),
    st.text(st.characters(codec="utf-8"), max_size=20),
    max_size=4,
)


@given(hyperparameters)
def test_sagemaker_accepts_all_hyperparameters_that_a_request_accepts(values: dict[str, str]) -> None:
    try:
        request = Request.read({"hyperparameters": values})
    except InvalidRequestError:
        assume(False)
    plan = planned(Account(), tune=True, hyperparameters=request.hyperparameters)
    for name, job_request in jobs_of(plan):
        validate(name, job_request)
