"""The retrain state machine from trigger to end: what a run comes to, and what the world does meanwhile."""

import json
from typing import Any

import pytest

from statemachine.definition import Definition, load
from tests.unit.statemachine.account import CHAMPION, ENDPOINT, Account, Endpoint, Fault
from tests.unit.statemachine.ways import (
    Run,
    a_person_approves,
    a_person_rejects,
    fails_its_smoke_test,
    first_model,
    first_model_fails_its_smoke_test,
    stays_safe,
    the_endpoint_failed_before,
    the_swap_never_ends,
    tuned_too,
)


def test_a_better_model_is_promoted(start: Run) -> None:
    ended = start()
    stays_safe(ended)
    assert (ended.status, ended.decision, ended.serves) == ("SUCCEEDED", "promoted", "new")
    assert ended.output["champion_before"] == CHAMPION
    assert ended.output["endpoint_model"] in ended.account.models
    assert ended.account.scaled == []
    (package,) = ended.account.packages
    assert package["CustomerMetadataProperties"]["model_name"] == ended.output["endpoint_model"]


def test_what_is_no_better_is_not_registered(start: Run) -> None:
    def worse(account: Account) -> None:
        account.quality["ssdlite"] = 0.45

    ended = start(worse)
    stays_safe(ended)
    assert (ended.decision, ended.serves, ended.versions) == ("kept", "champion", [])


def test_first_model_brings_its_endpoint_and_its_scaling(start: Run) -> None:
    ended = start(first_model)
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("promoted", "new")
    assert ended.output["champion_before"] is None
    assert ended.account.scaled == ["RegisterScalableTarget", "PutScalingPolicy"]


def test_nothing_new_trains_nothing_and_tells_nobody(start: Run) -> None:
    ended = start(lambda account: {"minimum_new_labels": 100})
    assert (ended.status, ended.decision) == ("SUCCEEDED", "nothing_new")
    assert ended.account.visited == ["Plan"]
    assert ended.account.notices == []


def test_a_second_run_ends_at_once(start: Run) -> None:
    def busy(account: Account) -> None:
        account.at_work = "arn:aws:states:us-east-1:000000000000:execution:retrain:other"
        account.documents.write("retraining/lock.json", {"execution": account.at_work})

    ended = start(busy)
    assert (ended.status, ended.decision) == ("SUCCEEDED", "already_running")
    assert ended.account.visited == ["Plan"]


def test_an_input_that_asks_for_nonsense_fails_with_its_reason(start: Run) -> None:
    ended = start(lambda account: {"families": ["yolo"]})
    assert (ended.status, ended.output["Error"]) == ("FAILED", "InvalidRequestError")
    assert "unknown family 'yolo'" in ended.output["Cause"]
    assert "unknown family 'yolo'" in ended.notice
    assert "Traceback" not in ended.notice


def test_a_candidate_that_fails_does_not_keep_the_other_from_winning(start: Run) -> None:
    def one_fails(account: Account) -> dict[str, Any]:
        account.failing_jobs = {"-ssdlite": "AlgorithmError: loss is nan"}
        account.quality["dfine_nano"] = 0.7
        return {"families": ["ssdlite", "dfine_nano"]}

    ended = start(one_fails)
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("promoted", "new")
    errors = {each["id"]: each["error"] for each in ended.output["candidates"]}
    assert errors == {"ssdlite": "AlgorithmError: loss is nan", "dfine_nano": None}


@pytest.mark.parametrize("tune", [False, True])
def test_all_candidates_fail_and_the_champion_stays(start: Run, tune: bool) -> None:
    def all_fail(account: Account) -> dict[str, Any]:
        account.failing_jobs = {"-ssdlite": "out of memory", "-hpo": "no training job completed"}
        return {"tune": tune}

    ended = start(all_fail)
    stays_safe(ended)
    assert (ended.status, ended.decision, ended.serves) == ("SUCCEEDED", "kept", "champion")
    assert "out of memory" in ended.notice
    assert ("no training job completed" in ended.notice) == tune


def test_a_champion_that_cannot_be_evaluated_is_not_replaced(start: Run) -> None:
    def no_figures(account: Account) -> None:
        account.failing_jobs = {"-eval-champion": "the artefact is gone"}

    ended = start(no_figures)
    stays_safe(ended)
    assert (ended.status, ended.serves, ended.versions) == ("FAILED", "champion", [])
    assert "the artefact is gone" in ended.notice


def test_what_was_trained_and_evaluated_is_not_made_again(start: Run) -> None:
    first = start(fault=Fault("Gate", "BrokenReportError"))
    assert first.status == "FAILED"

    def as_it_was_left(account: Account) -> None:
        account.records, account.documents = first.account.records, first.account.documents

    second = start(as_it_was_left)
    assert second.decision == "promoted"
    assert not {"Train", "Evaluate"} & set(second.account.visited)


def test_an_endpoint_that_was_deleted_meanwhile_is_made_anew(start: Run) -> None:
    def deleted(account: Account) -> None:
        account.meanwhile["DescribeEndpoint"] = lambda: setattr(account, "endpoint", None)

    ended = start(deleted)
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("promoted", "new")
    assert "CreateEndpoint" in ended.account.visited


def test_a_model_that_was_deployed_meanwhile_is_not_replaced(start: Run) -> None:
    def deployed(account: Account) -> None:
        account.models["by-hand"], account.configs["by-hand"] = "s3://x/model.tar.gz", "by-hand"
        account.meanwhile["DescribeEndpoint"] = lambda: setattr(account, "endpoint", Endpoint("by-hand"))

    ended = start(deployed)
    assert (ended.status, ended.decision) == ("SUCCEEDED", "kept")
    assert "by-hand" in ended.notice
    assert ended.account.endpoint == Endpoint("by-hand")
    assert ended.versions == ["Rejected"]


def test_an_endpoint_that_had_failed_is_made_anew(start: Run) -> None:
    ended = start(the_endpoint_failed_before)
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("promoted", "new")
    assert ended.account.deleted == [CHAMPION]


def test_an_endpoint_that_is_being_changed_is_waited_for(start: Run) -> None:
    def scaled(account: Account) -> None:
        changing = Endpoint(CHAMPION, "Updating", ahead=[("InService", CHAMPION, None)])
        account.meanwhile["DescribeEndpoint"] = lambda: setattr(account, "endpoint", changing)

    ended = start(scaled)
    stays_safe(ended)
    assert ended.decision == "promoted"
    assert "WaitForEndpoint" in ended.entered


@pytest.mark.parametrize("status", ["SystemUpdating", "Failed"])
def test_an_endpoint_that_never_comes_to_rest_is_given_up(start: Run, status: str) -> None:
    def busy(account: Account) -> None:
        account.meanwhile["DescribeEndpoint"] = lambda: setattr(
            account, "endpoint", Endpoint(CHAMPION, status)
        )
        account._DeleteEndpoint = lambda request: None  # type: ignore[method-assign]

    ended = start(busy)
    assert (ended.status, ended.output["Error"]) == ("FAILED", "EndpointBusy")
    assert status in ended.notice
    assert ended.versions == ["Rejected"]


def test_an_alarm_during_the_swap_brings_the_champion_back(start: Run) -> None:
    def alarmed(account: Account) -> None:
        account.swap = "fails"

    ended = start(alarmed)
    stays_safe(ended)
    assert (ended.status, ended.decision, ended.serves) == ("SUCCEEDED", "rolled_back", "champion")
    assert "An alarm went into ALARM state" in ended.notice
    assert ended.versions == ["Rejected"]


def test_an_endpoint_that_does_not_come_up_is_removed(start: Run) -> None:
    def broken(account: Account) -> None:
        first_model(account)
        account.creation = "fails"

    ended = start(broken)
    stays_safe(ended)
    assert (ended.decision, ended.account.endpoint) == ("rolled_back", None)
    assert "ping health check" in ended.notice


def test_a_failed_smoke_test_brings_the_champion_back(start: Run) -> None:
    ended = start(fails_its_smoke_test)
    stays_safe(ended)
    assert (ended.status, ended.decision, ended.serves) == ("SUCCEEDED", "rolled_back", "champion")
    assert "on s3://a/b.jpg the endpoint finds" in ended.notice
    (package,) = ended.account.packages
    assert "\n" not in package["ApprovalDescription"], "the registry takes one line"


def test_a_failed_smoke_test_of_the_first_model_leaves_no_endpoint(start: Run) -> None:
    ended = start(first_model_fails_its_smoke_test)
    stays_safe(ended)
    assert (ended.decision, ended.account.endpoint) == ("rolled_back", None)


def test_a_rollback_that_fails_once_is_begun_anew(start: Run) -> None:
    def twice(account: Account) -> None:
        fails_its_smoke_test(account)
        account.meanwhile["RollBack"] = lambda: setattr(account, "swap", "fails")

    ended = start(twice)
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("rolled_back", "champion")
    assert ended.account.visited.count("RollBack") == 2


def test_a_person_approves_and_it_goes_live(start: Run) -> None:
    ended = start(a_person_approves)
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("promoted", "new")
    asked = ended.account.documents.find(f"retraining/approvals/{ended.output['run']}.json")
    assert asked
    assert asked[0]["version"] == "1"
    assert any("approve" in str(notice["Subject"]) for notice in ended.account.notices)


def test_a_person_rejects_and_the_champion_stays(start: Run) -> None:
    ended = start(a_person_rejects)
    stays_safe(ended)
    assert (ended.decision, ended.serves, ended.versions) == ("rejected", "champion", ["Rejected"])
    assert ended.account.packages[0]["ApprovalDescription"] == "not approved: look at picture 12"


def test_nobody_answers_and_the_champion_stays(start: Run) -> None:
    short: Definition = json.loads(json.dumps(load()))
    short["States"]["AskApproval"]["TimeoutSeconds"] = 0.01
    ended = start(lambda account: {"approval": True}, definition=short)
    stays_safe(ended)
    assert (ended.decision, ended.serves, ended.versions) == ("rejected", "champion", ["Rejected"])
    assert "nobody approved it within a week" in ended.notice


def test_where_nobody_could_be_asked_nobody_is_waited_for(start: Run) -> None:
    def unasked(account: Account) -> dict[str, Any]:
        def fail(token: str) -> None:
            raise RuntimeError("the topic is gone")

        account.answer = fail
        return {"approval": True}

    short: Definition = json.loads(json.dumps(load()))
    short["States"]["AskApproval"]["TimeoutSeconds"] = 1
    ended = start(unasked, definition=short)
    stays_safe(ended)
    assert (ended.status, ended.output["Error"], ended.serves) == ("FAILED", "RuntimeError", "champion")
    assert "the topic is gone" in ended.notice


def test_a_tuned_candidate_costs_what_all_of_its_jobs_took(start: Run) -> None:
    plain, tuned = start(tuned_too).output["candidates"]
    assert (plain["seconds"], tuned["seconds"]) == (3600, 7200)


def test_a_swap_that_never_ends_is_given_up(start: Run) -> None:
    ended = start(the_swap_never_ends)
    assert (ended.status, ended.output["Error"]) == ("FAILED", "SwapTimeout")
    assert ended.serves == "champion"
    assert ended.versions == ["Rejected"]
    assert ended.account.visited.count("AwaitSwap") * 300 > 4 * 3600, "longer than SageMaker's own patience"


def test_an_endpoint_that_never_comes_up_is_named_to_a_person(start: Run) -> None:
    """SageMaker refuses to delete what it is making."""

    def stuck(account: Account) -> None:
        first_model(account)
        account.creation = "never ends"

    ended = start(stuck)
    assert (ended.status, ended.output["Error"]) == ("FAILED", "EndpointNotDeleted")
    assert ENDPOINT in ended.notice


def test_an_endpoint_that_comes_up_too_late_is_deleted(start: Run) -> None:
    def late(account: Account) -> None:
        first_model(account)
        account.creation = "never ends"

        def come_up() -> None:
            account.endpoint = Endpoint(account._there().config)

        account.meanwhile["DeleteEndpoint"] = lambda: account.meanwhile.update(DeleteEndpoint=come_up)

    ended = start(late)
    stays_safe(ended)
    assert (ended.decision, ended.account.endpoint) == ("rolled_back", None)
