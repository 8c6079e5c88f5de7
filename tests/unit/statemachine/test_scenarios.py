"""The retrain state machine from trigger to end: how a run ends, also if the world changes meanwhile."""

import json
from typing import Any

import pytest

from statemachine.definition import Definition, load
from tests.unit.statemachine.account import CHAMPION, ENDPOINT, Account, Endpoint, Fault
from tests.unit.statemachine.scenarios import (
    Start,
    a_person_approves,
    a_person_rejects,
    an_anomaly_model,
    assert_safe,
    fails_its_smoke_test,
    first_model,
    first_model_fails_its_smoke_test,
    nothing_to_test_an_anomaly_model_on,
    the_endpoint_failed_before,
    the_swap_never_ends,
    tuned_too,
)


def test_a_better_model_is_promoted(start: Start) -> None:
    outcome = start()
    assert_safe(outcome)
    assert (outcome.status, outcome.decision, outcome.serves) == ("SUCCEEDED", "promoted", "new")
    assert outcome.output["champion_before"] == CHAMPION
    assert outcome.output["endpoint_model"] in outcome.account.models
    assert outcome.account.scaled == ["RegisterScalableTarget", "PutScalingPolicy"]
    (package,) = outcome.account.packages
    assert package["CustomerMetadataProperties"]["model_name"] == outcome.output["endpoint_model"]


def test_the_new_model_and_its_version_name_the_data_set(start: Start) -> None:
    outcome = start()
    (package,) = outcome.account.packages
    assert outcome.account.new_tags["loupe:dataset"] == "default"
    assert package["CustomerMetadataProperties"]["dataset"] == "default"
    assert "AskApproval" not in outcome.entered


def test_a_champion_of_another_data_set_is_replaced_only_by_a_person_who_knows_both(start: Start) -> None:
    def other_product(account: Account) -> None:
        a_person_approves(account)
        account.champion_dataset = "bottles"

    outcome = start(other_product)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("promoted", "new")
    assert "AskApproval" in outcome.entered
    note = "the champion was trained on the data set bottles, this model on default"
    assert note in outcome.notice
    assert any(note in reason for reason in outcome.output["reasons"])


def test_a_model_that_is_not_better_is_not_registered(start: Start) -> None:
    def worse(account: Account) -> None:
        account.quality["ssdlite"] = 0.45

    outcome = start(worse)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves, outcome.versions) == ("kept", "champion", [])


def test_the_first_model_gets_an_endpoint_and_autoscaling(start: Start) -> None:
    outcome = start(first_model)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("promoted", "new")
    assert outcome.output["champion_before"] is None
    assert outcome.account.scaled == ["RegisterScalableTarget", "PutScalingPolicy"]


def test_without_new_labels_nothing_is_trained_and_no_notice_is_sent(start: Start) -> None:
    outcome = start(lambda account: {"minimum_new_labels": 100})
    assert (outcome.status, outcome.decision) == ("SUCCEEDED", "nothing_new")
    assert outcome.account.visited == ["Plan"]
    assert outcome.account.notices == []


@pytest.mark.promise(18)
def test_a_second_run_ends_at_once(start: Start) -> None:
    def busy(account: Account) -> None:
        account.running_execution = "arn:aws:states:us-east-1:000000000000:execution:retrain:other"
        account.documents.write("retraining/lock.json", {"execution": account.running_execution})

    outcome = start(busy)
    assert (outcome.status, outcome.decision) == ("SUCCEEDED", "already_running")
    assert outcome.account.visited == ["Plan"]


def test_an_invalid_request_fails_with_its_reason(start: Start) -> None:
    outcome = start(lambda account: {"families": ["yolo"]})
    assert (outcome.status, outcome.output["Error"]) == ("FAILED", "InvalidRequestError")
    assert "unknown family 'yolo'" in outcome.output["Cause"]
    assert "unknown family 'yolo'" in outcome.notice
    assert "Traceback" not in outcome.notice


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ({"ExitMessage": "DatasetError: no test images"}, "DatasetError: no test images"),
        ({"ExitMessage": ""}, "AlgorithmError: , exit code: 1"),
        ({}, "AlgorithmError: , exit code: 1"),
    ],
)
def test_a_failed_evaluation_is_reported_with_its_programs_own_reason(
    start: Start, job: dict[str, Any], reason: str
) -> None:
    answer = json.dumps(
        {"ProcessingJobStatus": "Failed", "FailureReason": "AlgorithmError: , exit code: 1", **job}
    )
    outcome = start(lambda account: None, Fault("Evaluate", "States.TaskFailed", cause=answer))
    assert_safe(outcome)
    assert outcome.output["Cause"].endswith(f"so no candidate can be shown to be better: {reason}")
    assert reason in outcome.notice


def test_a_candidate_that_fails_does_not_stop_the_other_from_winning(start: Start) -> None:
    def one_fails(account: Account) -> dict[str, Any]:
        account.failing_jobs = {"-ssdlite": "AlgorithmError: loss is nan"}
        account.quality["dfine_nano"] = 0.7
        return {"families": ["ssdlite", "dfine_nano"]}

    outcome = start(one_fails)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("promoted", "new")
    errors = {candidate["id"]: candidate["error"] for candidate in outcome.output["candidates"]}
    assert errors == {"ssdlite": "AlgorithmError: loss is nan", "dfine_nano": None}


@pytest.mark.parametrize("tune", [False, True])
def test_if_all_candidates_fail_the_champion_stays(start: Start, tune: bool) -> None:
    def all_fail(account: Account) -> dict[str, Any]:
        account.failing_jobs = {"-ssdlite": "out of memory", "-hpo": "no training job completed"}
        return {"tune": tune}

    outcome = start(all_fail)
    assert_safe(outcome)
    assert (outcome.status, outcome.decision, outcome.serves) == ("SUCCEEDED", "kept", "champion")
    assert "out of memory" in outcome.notice
    assert ("no training job completed" in outcome.notice) == tune


def test_a_champion_that_cannot_be_evaluated_is_not_replaced(start: Start) -> None:
    def no_figures(account: Account) -> None:
        account.failing_jobs = {"-eval-champion": "the artefact is gone"}

    outcome = start(no_figures)
    assert_safe(outcome)
    assert (outcome.status, outcome.serves, outcome.versions) == ("FAILED", "champion", [])
    assert "the artefact is gone" in outcome.notice


@pytest.mark.promise(18)
def test_finished_jobs_are_not_run_again(start: Start) -> None:
    first = start(fault=Fault("Gate", "BrokenReportError"))
    assert first.status == "FAILED"

    def as_the_first_run_left_it(account: Account) -> None:
        account.records, account.documents = first.account.records, first.account.documents

    second = start(as_the_first_run_left_it)
    assert second.decision == "promoted"
    assert not {"Train", "Evaluate"} & set(second.account.visited)


def test_an_endpoint_that_was_deleted_meanwhile_is_created_again(start: Start) -> None:
    def deleted(account: Account) -> None:
        account.meanwhile["DescribeEndpoint"] = lambda: setattr(account, "endpoint", None)

    outcome = start(deleted)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("promoted", "new")
    assert "CreateEndpoint" in outcome.account.visited


def test_a_model_that_was_deployed_meanwhile_is_not_replaced(start: Start) -> None:
    def deployed(account: Account) -> None:
        account.models["by-hand"], account.configs["by-hand"] = "s3://x/model.tar.gz", "by-hand"
        account.meanwhile["DescribeEndpoint"] = lambda: setattr(account, "endpoint", Endpoint("by-hand"))

    outcome = start(deployed)
    assert (outcome.status, outcome.decision) == ("SUCCEEDED", "kept")
    assert "by-hand" in outcome.notice
    assert outcome.account.endpoint == Endpoint("by-hand")
    assert outcome.versions == ["Rejected"]


def test_an_endpoint_that_had_failed_is_created_again(start: Start) -> None:
    outcome = start(the_endpoint_failed_before)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("promoted", "new")
    assert outcome.account.deleted == [CHAMPION]


def test_the_swap_waits_for_an_endpoint_that_is_being_changed(start: Start) -> None:
    def scaled(account: Account) -> None:
        changing = Endpoint(CHAMPION, "Updating", upcoming=[("InService", CHAMPION, None)])
        account.meanwhile["DescribeEndpoint"] = lambda: setattr(account, "endpoint", changing)

    outcome = start(scaled)
    assert_safe(outcome)
    assert outcome.decision == "promoted"
    assert "WaitForEndpoint" in outcome.entered


@pytest.mark.parametrize("status", ["SystemUpdating", "Failed"])
def test_the_swap_gives_up_on_an_endpoint_that_stays_busy(start: Start, status: str) -> None:
    def busy(account: Account) -> None:
        account.meanwhile["DescribeEndpoint"] = lambda: setattr(
            account, "endpoint", Endpoint(CHAMPION, status)
        )
        account._DeleteEndpoint = lambda request: None  # type: ignore[method-assign]

    outcome = start(busy)
    assert (outcome.status, outcome.output["Error"]) == ("FAILED", "EndpointBusy")
    assert status in outcome.notice
    assert outcome.versions == ["Rejected"]


@pytest.mark.promise(16)
def test_an_alarm_during_the_swap_brings_the_champion_back(start: Start) -> None:
    def alarmed(account: Account) -> None:
        account.swap = "fails"

    outcome = start(alarmed)
    assert_safe(outcome)
    assert (outcome.status, outcome.decision, outcome.serves) == ("SUCCEEDED", "rolled_back", "champion")
    assert "An alarm went into ALARM state" in outcome.notice
    assert outcome.versions == ["Rejected"]


def test_an_endpoint_that_does_not_come_up_is_removed(start: Start) -> None:
    def broken(account: Account) -> None:
        first_model(account)
        account.creation = "fails"

    outcome = start(broken)
    assert_safe(outcome)
    assert (outcome.decision, outcome.account.endpoint) == ("rolled_back", None)
    assert "ping health check" in outcome.notice


def test_a_failed_smoke_test_brings_the_champion_back(start: Start) -> None:
    outcome = start(fails_its_smoke_test)
    assert_safe(outcome)
    assert (outcome.status, outcome.decision, outcome.serves) == ("SUCCEEDED", "rolled_back", "champion")
    assert "on s3://a/b.jpg the endpoint finds" in outcome.notice
    (package,) = outcome.account.packages
    assert "\n" not in package["ApprovalDescription"], "the registry takes one line"


def test_a_failed_smoke_test_of_the_first_model_leaves_no_endpoint(start: Start) -> None:
    outcome = start(first_model_fails_its_smoke_test)
    assert_safe(outcome)
    assert (outcome.decision, outcome.account.endpoint) == ("rolled_back", None)


def test_a_rollback_that_fails_once_is_repeated(start: Start) -> None:
    def twice(account: Account) -> None:
        fails_its_smoke_test(account)
        account.meanwhile["RollBack"] = lambda: setattr(account, "swap", "fails")

    outcome = start(twice)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("rolled_back", "champion")
    assert outcome.account.visited.count("RollBack") == 2


def test_after_an_approval_the_model_goes_live(start: Start) -> None:
    outcome = start(a_person_approves)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("promoted", "new")
    asked = outcome.account.documents.find(f"retraining/approvals/{outcome.output['run']}.json")
    assert asked
    assert asked[0]["version"] == "1"
    assert any("approve" in str(notice["Subject"]) for notice in outcome.account.notices)


def test_an_anomaly_model_goes_live_beside_the_detector_with_its_kind_and_its_figures(start: Start) -> None:
    outcome = start(an_anomaly_model)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("promoted", "new")
    assert "AskApproval" not in outcome.entered
    metadata = outcome.account.packages[0]["CustomerMetadataProperties"]
    assert (metadata["kind"], metadata["image_auroc"], metadata["caught_at_zero_overkill"]) == (
        "both",
        "0.95",
        "0.87",
    )
    # The next training of the detector's family starts from it.
    assert (metadata["family"], outcome.account.new_tags["loupe:family"]) == ("ssdlite", "ssdlite")


def test_where_no_test_image_shows_a_defect_a_person_is_asked_whatever_the_request_says(
    start: Start,
) -> None:
    outcome = start(nothing_to_test_an_anomaly_model_on)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("promoted", "new")
    assert "AskApproval" in outcome.entered
    assert any("a person must decide" in str(notice["Message"]) for notice in outcome.account.notices)


def test_after_a_rejection_the_champion_stays(start: Start) -> None:
    outcome = start(a_person_rejects)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves, outcome.versions) == ("rejected", "champion", ["Rejected"])
    assert outcome.account.packages[0]["ApprovalDescription"] == "not approved: look at picture 12"


def test_without_an_answer_the_champion_stays(start: Start) -> None:
    short: Definition = json.loads(json.dumps(load()))
    short["States"]["AskApproval"]["TimeoutSeconds"] = 0.01
    outcome = start(lambda account: {"approval": True}, definition=short)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves, outcome.versions) == ("rejected", "champion", ["Rejected"])
    assert "nobody approved it within a week" in outcome.notice


def test_if_nobody_could_be_asked_the_run_does_not_wait(start: Start) -> None:
    def unasked(account: Account) -> dict[str, Any]:
        def fail(token: str) -> None:
            raise RuntimeError("the topic is gone")

        account.answer = fail
        return {"approval": True}

    short: Definition = json.loads(json.dumps(load()))
    short["States"]["AskApproval"]["TimeoutSeconds"] = 1
    outcome = start(unasked, definition=short)
    assert_safe(outcome)
    assert (outcome.status, outcome.output["Error"], outcome.serves) == ("FAILED", "RuntimeError", "champion")
    assert "the topic is gone" in outcome.notice


def test_the_cost_of_a_tuned_candidate_counts_all_its_jobs(start: Start) -> None:
    plain, tuned = start(tuned_too).output["candidates"]
    assert (plain["seconds"], tuned["seconds"]) == (3600, 7200)


def test_a_swap_that_never_ends_fails_the_run(start: Start) -> None:
    outcome = start(the_swap_never_ends)
    assert (outcome.status, outcome.output["Error"]) == ("FAILED", "SwapTimeout")
    assert outcome.serves == "champion"
    assert outcome.versions == ["Rejected"]
    assert outcome.account.visited.count("AwaitSwap") * 300 > 4 * 3600, "longer than SageMaker's own limit"


def test_a_notice_names_an_endpoint_that_never_comes_up(start: Start) -> None:
    """SageMaker refuses to delete an endpoint that is being created."""

    def stuck(account: Account) -> None:
        first_model(account)
        account.creation = "never ends"

    outcome = start(stuck)
    assert (outcome.status, outcome.output["Error"]) == ("FAILED", "EndpointNotDeleted")
    assert ENDPOINT in outcome.notice


def test_an_endpoint_that_comes_up_too_late_is_deleted(start: Start) -> None:
    def late(account: Account) -> None:
        first_model(account)
        account.creation = "never ends"

        def come_up() -> None:
            account.endpoint = Endpoint(account._existing_endpoint().config)

        account.meanwhile["DeleteEndpoint"] = lambda: account.meanwhile.update(DeleteEndpoint=come_up)

    outcome = start(late)
    assert_safe(outcome)
    assert (outcome.decision, outcome.account.endpoint) == ("rolled_back", None)
