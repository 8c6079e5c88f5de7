"""The functions of retraining on moto, with the environment and the permissions that template.yaml declares."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from contract.endpoint import MAX_BODY_BYTES
from handlers import retrain_rules
from retraining.errors import (
    BrokenReportError,
    InvalidRequestError,
    LabelledDataError,
    RetrainingError,
    SmokeTestError,
)
from tests.inspection_support import detection, http, jpeg, prediction
from tests.unit.retraining.account import BEGAN
from tests.unit.retraining.cloud import (
    EXECUTION,
    HANDLERS,
    HOURS_PARAMETER,
    SAGEMAKER,
    Cloud,
    start,
    variables,
)
from tests.unit.retraining.evaluations import evaluation, proposal
from tests.unit.retraining.snapshots import BOX, label, sha, snapshot
from tests.unit.retraining.template import OWN, Stack

ENDPOINT = "press-detector"
OTHER = EXECUTION.replace(":one", ":other")
VERSION = "0123456789ab"
BASE = snapshot()
SECRET = "canary-secret-of-the-function"
LAMBDA = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
PUBLISHES = {"sns:Publish", "kms:GenerateDataKey", "kms:Decrypt"}  # the topic is encrypted


@pytest.fixture(scope="module")
def _cloud() -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield from start(patch)


@pytest.fixture
def cloud(_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setattr("time.sleep", lambda _: None)
    _cloud.reset()
    return _cloud


def imported(cloud: Cloud) -> None:
    cloud.documents.write(f"labelled/snapshots/{BASE['id'][:16]}.json", BASE)


def serving(cloud: Cloud, number: int = 1) -> str:
    name = f"{ENDPOINT}-{number:012x}-{number:06x}"
    cloud.deployed(name, day=number, family="ssdlite")
    cloud.serve(name)
    return name


def registered(cloud: Cloud) -> None:
    """Register version 1, which does not serve."""
    arn = f"{SAGEMAKER}:model-package/{cloud.stack.environment('PlanFunction')['MODEL_PACKAGE_GROUP']}/1"
    cloud.answers["ListModelPackages"] = lambda _: {"ModelPackageSummaryList": [{"ModelPackageArn": arn}]}
    cloud.answers["DescribeModelPackage"] = lambda _: {
        "ModelPackageArn": arn,
        "ModelPackageVersion": 1,
        "CreationTime": BEGAN,
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {"Containers": [{"ModelDataUrl": "s3://artefacts/models/1/model.tar.gz"}]},
        "CustomerMetadataProperties": {"rules_proposal": "s3://artefacts/reports/r/ssdlite/rules.json"},
    }


def plan(cloud: Cloud, request: Any = None, **environment: str | None) -> Any:
    event = {"request": {} if request is None else request, "execution": EXECUTION}
    return cloud.call("Plan", event, **environment)


def results(cloud: Cloud, planned: dict[str, Any], *scores: float | None) -> list[dict[str, Any]]:
    """Return what the Map makes of a plan's candidates, and store their evaluations. None: the training failed."""
    finished = []
    for candidate, score in zip(planned["candidates"], scores, strict=True):
        uri = f"{candidate['evaluation']['output']}/evaluation.json"
        if score is not None:
            cloud.documents.write(uri.removeprefix("s3://artefacts/"), evaluation(score))
        finished.append(
            {
                **{name: candidate[name] for name in ("id", "family", "tuned", "name")},
                "artefact": f"s3://artefacts/models/{planned['run']}/{candidate['name']}/output/model.tar.gz",
                "seconds": 600,
                "instance_type": "ml.g5.xlarge",
                "report": uri if score is not None else None,
                "error": None if score is not None else "CapacityError: no instance",
            }
        )
    return finished


def champion(cloud: Cloud, planned: dict[str, Any], score: float) -> dict[str, Any]:
    uri = f"{planned['champion']['evaluation']['output']}/evaluation.json"
    cloud.documents.write(uri.removeprefix("s3://artefacts/"), evaluation(score))
    return {"report": uri, "error": None}


# ---------------------------------------------------------------- the functions


def test_plan_uses_the_names_and_the_settings_of_the_stack(cloud: Cloud) -> None:
    imported(cloud)
    planned = plan(cloud, {"tune": True})
    assert planned["status"] == "train"
    assert [candidate["id"] for candidate in planned["candidates"]] == ["ssdlite", "ssdlite-tuned"]
    assert all(candidate["name"].startswith(f"{OWN}-") for candidate in planned["candidates"])
    job = planned["candidates"][0]["job"]
    assert job["AlgorithmSpecification"]["TrainingImage"] == "loupe-train:1"
    assert job["ResourceConfig"] == {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 50}
    assert (job["EnableManagedSpotTraining"], planned["approval"], planned["champion"]) == (True, False, None)
    json.dumps(planned, allow_nan=False)


def test_plan_of_a_second_execution_says_that_another_is_running(cloud: Cloud) -> None:
    imported(cloud)
    cloud.executions[OTHER] = "RUNNING"
    cloud.documents.write("retraining/lock.json", {"execution": OTHER})
    assert plan(cloud)["result"]["decision"] == "already_running"


def test_plan_explains_what_is_wrong(cloud: Cloud) -> None:
    with pytest.raises(InvalidRequestError, match="tune"):
        plan(cloud, {"tune": "perhaps"})
    with pytest.raises(LabelledDataError, match="loupe import"):
        plan(cloud)


def test_plan_on_a_stack_without_a_training_container_says_so(cloud: Cloud) -> None:
    """The template's default."""
    imported(cloud)
    bare = Stack(cloud.stack.refs, cloud.stack.arns, {})
    with pytest.raises(RetrainingError, match="TrainingImageUri"):
        plan(cloud, **bare.environment("PlanFunction"))


def test_gate_decides_by_the_bounds_of_the_stack(cloud: Cloud) -> None:
    imported(cloud)
    serving(cloud)
    planned = plan(cloud, {"families": ["ssdlite", "dfine_nano"]})
    event = {
        "candidates": results(cloud, planned, None, 0.6),
        "champion": champion(cloud, planned, 0.5),
    }
    decided = cloud.call("Gate", event)
    assert (decided["decision"], decided["winner"]) == ("promote", 1)
    json.dumps(decided, allow_nan=False)
    assert cloud.call("Gate", event, MARGIN="0.2")["decision"] == "keep"
    assert cloud.call("Gate", event, LATENCY_BUDGET_MS="10")["decision"] == "keep"


def test_gate_stops_the_run_if_the_champion_was_not_evaluated(cloud: Cloud) -> None:
    event = {"candidates": [], "champion": {"report": None, "error": "CapacityError"}}
    with pytest.raises(BrokenReportError, match="CapacityError"):
        cloud.call("Gate", event)


def test_approval_stores_the_token_and_notifies_the_operations_topic(cloud: Cloud) -> None:
    question = {
        "token": "the-token",
        "run": "0123456789ab",
        "package": f"{SAGEMAKER}:model-package/press/4",
        "winner": "ssdlite",
        "reasons": ["ssdlite: better"],
    }
    assert cloud.call("Approval", question) is None
    stored = cloud.documents.find("retraining/approvals/0123456789ab.json")
    assert stored is not None
    assert (stored[0]["token"], stored[0]["version"]) == ("the-token", "4")
    ((subject, message),) = cloud.published()
    assert subject == "Loupe: approve model version 4?"
    assert "loupe approve 4" in message
    assert "X-Amz-Signature=" in message


def golden(cloud: Cloud, data: bytes, uri: str = "s3://artefacts/labelled/images/a.jpg") -> dict[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    cloud.s3.put_object(Bucket=bucket, Key=key, Body=data)
    report = evaluation(golden=[{"uri": uri, "detections": [detection()]}])
    cloud.documents.write("reports/r/ssdlite/evaluation.json", report)
    return {"report": "s3://artefacts/reports/r/ssdlite/evaluation.json"}


def test_smoke_sends_the_golden_set_through_the_live_endpoint(cloud: Cloud) -> None:
    event = golden(cloud, jpeg())
    cloud.endpoint = lambda _: http(200, prediction(detection(), model={"name": "steel", "version": VERSION}))
    assert cloud.call("Smoke", event) == {"images": 1, "version": VERSION}
    cloud.endpoint = lambda _: http(200, prediction(model={"name": "steel", "version": VERSION}))
    with pytest.raises(SmokeTestError, match=r"scratches 0\.90"):
        cloud.call("Smoke", event)


def test_smoke_names_the_version_of_an_image_by_reference(cloud: Cloud) -> None:
    event = golden(cloud, jpeg() + bytes(MAX_BODY_BYTES))
    sent = []

    def answer(request: Any) -> Any:
        sent.append(json.loads(request.body))
        return http(200, prediction(detection(), model={"name": "steel", "version": VERSION}))

    cloud.endpoint = answer
    cloud.call("Smoke", event)
    (reference,) = (body["s3"] for body in sent)
    stored = cloud.s3.get_object(
        Bucket=reference["bucket"], Key=reference["key"], VersionId=reference["version_id"]
    )
    assert stored["ContentLength"] > MAX_BODY_BYTES


def ended(cloud: Cloud, decision: str = "promoted") -> dict[str, Any]:
    """Return what the state machine passes to the report."""
    imported(cloud)
    name = serving(cloud)
    planned = plan(cloud)
    listed = results(cloud, planned, 0.6)
    gate = cloud.call("Gate", {"candidates": listed, "champion": champion(cloud, planned, 0.5)})
    for number in range(2, 9):
        serving(cloud, number)
    assert planned["champion"]["model"] == name
    return {
        "plan": planned,
        "candidates": listed,
        "gate": gate,
        "decision": decision,
        "reasons": gate["reasons"],
        "package": f"{SAGEMAKER}:model-package/press/4",
    }


def test_report_stores_the_result_and_deletes_former_models(cloud: Cloud) -> None:
    event = ended(cloud)
    reply = cloud.call("Report", event)
    json.dumps(reply, allow_nan=False)
    assert reply["result"]["decision"] == "promoted"
    assert reply["notice"]["subject"].startswith("Loupe retraining ")
    keys = {item["Key"].partition("/")[2] for item in cloud.documents.listing("reports/")}
    run = event["plan"]["run"]
    assert {f"{run}/report.json", f"{run}/report.html"} <= keys
    assert len(cloud.models) == 4  # the one that serves, and KeptModels


def test_after_the_report_the_same_run_is_nothing_new(cloud: Cloud) -> None:
    event = ended(cloud)
    report = cloud.call("Report", event)["result"]["report"]
    again = plan(cloud)
    assert again["status"] == "nothing_new"
    assert again["result"]["report"] == report


def rules_event(cloud: Cloud, action: str) -> dict[str, str]:
    cloud.documents.write("reports/r/ssdlite/evaluation.json", evaluation())
    cloud.documents.write("reports/r/ssdlite/rules.json", proposal())
    report = "s3://artefacts/reports/r/ssdlite/evaluation.json"
    return {"action": action, "run": "r", "version": "r-abcdef", "report": report}


def test_rules_are_staged_applied_and_stored(cloud: Cloud) -> None:
    assert cloud.call("Rules", rules_event(cloud, "stage")) == {"pause": 30}
    result = cloud.call("Rules", rules_event(cloud, "apply"))
    json.dumps(result, allow_nan=False)
    assert (result["applied"], result["after"]["version"]) == (True, "r-abcdef")
    assert cloud.call("Rules", rules_event(cloud, "withdraw")) is None
    with pytest.raises(ValueError, match="'forget'"):
        cloud.call("Rules", rules_event(cloud, "forget"))


def test_outside_the_endpoints_hours_a_swap_waits_for_images(cloud: Cloud) -> None:
    now = datetime.now(UTC)
    begins, ends = (f"{now + timedelta(hours=hours):%H:%M}" for hours in (2, 4))
    hours = {"ENDPOINT_HOURS": f"MON-SUN {begins}-{ends}", "ENDPOINT_TIMEZONE": "UTC"}
    retrain_rules._shifts.cache_clear()
    try:
        staged = cloud.call("Rules", rules_event(cloud, "stage"), **hours)
    finally:
        retrain_rules._shifts.cache_clear()
    assert 119 * 60 < staged["pause"] <= 121 * 60


def test_a_run_at_night_compares_with_the_model_that_comes_back(cloud: Cloud) -> None:
    imported(cloud)
    name = f"{ENDPOINT}-{1:012x}-{1:06x}"
    cloud.deployed(name, day=1, family="ssdlite")
    cloud.ssm.put_parameter(Name=HOURS_PARAMETER, Value=json.dumps({"resting": name}), Overwrite=True)
    assert plan(cloud)["champion"]["model"] == name


def test_rules_stay_if_the_stack_says_so(cloud: Cloud) -> None:
    event = rules_event(cloud, "apply")
    assert not cloud.call("Rules", event, APPLY_PROPOSED_RULES="false")["applied"]


# ---------------------------------------------------------------- the environment


@pytest.mark.parametrize(
    ("name", "variable"), [(name, variable) for name in HANDLERS for variable in variables(name)]
)
def test_a_missing_variable_is_named_and_no_secret_shown(cloud: Cloud, name: str, variable: str) -> None:
    with pytest.raises(ValidationError, match=rf"\b{variable}\b") as caught:
        cloud.call(name, {"request": {}, "execution": EXECUTION}, **{variable: None})
    assert SECRET not in str(caught.value)
    assert "input" not in str(caught.value).lower()


@pytest.mark.parametrize(
    ("name", "variable", "value"),
    [
        ("Plan", "TUNING_STRATEGY", "Grid"),
        ("Plan", "SPOT", "sometimes"),
        ("Plan", "TRAINING_MAX_SECONDS", "soon"),
        ("Plan", "NAME_PREFIX", ""),
        ("Gate", "MARGIN", "-1"),
        ("Gate", "LATENCY_BUDGET_MS", "0"),
        ("Report", "KEPT_MODELS", "0"),
        ("Rules", "APPLY_PROPOSED_RULES", "perhaps"),
    ],
)
def test_an_invalid_variable_is_named(cloud: Cloud, name: str, variable: str, value: str) -> None:
    with pytest.raises(ValidationError, match=rf"\b{variable}\b"):
        cloud.call(name, {"request": {}, "execution": EXECUTION}, **{variable: value})


# ---------------------------------------------------------------- the permissions


def check(cloud: Cloud, role: str, calls: set[tuple[str, str, str]]) -> set[str]:
    """Check that a role allows each call on its resource. Return the actions."""
    for action, resource, prefix in sorted(calls):
        context = {"prefix": prefix} if prefix else {}
        assert cloud.stack.allows(role, action, resource, **context), (role, action, resource, prefix)
    return {action for action, _, _ in calls}


def test_the_role_of_plan_allows_exactly_its_calls(cloud: Cloud) -> None:
    calls: set[tuple[str, str, str]] = set()
    with pytest.raises(LabelledDataError):
        plan(cloud)
    calls |= cloud.needs
    imported(cloud)
    plan(cloud)
    calls |= cloud.needs
    serving(cloud)
    for key in (sha("new"), sha("newer")):
        cloud.documents.write(f"labels/{key}.json", label(key, ("dent", BOX)))
    cloud.documents.write("retraining/lock.json", {"execution": OTHER})
    cloud.executions[OTHER] = "FAILED"
    first = plan(cloud, {"tune": True, "families": ["ssdlite", "dfine_nano"]})
    calls |= cloud.needs
    for candidate in first["candidates"]:
        cloud.job(candidate["name"], "InProgress")
        cloud.job(candidate["evaluation"]["name"], "InProgress")
    plan(cloud, {"tune": True, "families": ["ssdlite", "dfine_nano"]})
    calls |= cloud.needs
    registered(cloud)
    assert plan(cloud, {"serve": 1})["status"] == "serve"
    calls |= cloud.needs

    assert check(cloud, "PlanRole", calls) | LAMBDA == cloud.stack.actions("PlanRole")


def test_the_role_of_gate_allows_exactly_its_calls(cloud: Cloud) -> None:
    gone = {"id": "a", "report": "s3://artefacts/reports/r/a/evaluation.json", "error": None}
    cloud.call("Gate", {"candidates": [gone], "champion": None})
    assert check(cloud, "GateRole", cloud.needs) | LAMBDA == cloud.stack.actions("GateRole")


def test_the_role_of_approval_allows_exactly_its_calls_and_its_link(cloud: Cloud) -> None:
    question = {"token": "t", "run": "r", "package": "arn/4", "winner": "a", "reasons": []}
    cloud.call("Approval", question)
    link = ("s3:GetObject", "arn:aws:s3:::artefacts/reports/r/a/evaluation.html", "")
    actions = check(cloud, "ApprovalRole", cloud.needs | {link})
    assert actions | PUBLISHES | LAMBDA == cloud.stack.actions("ApprovalRole")


def test_the_role_of_smoke_allows_exactly_its_calls(cloud: Cloud) -> None:
    calls: set[tuple[str, str, str]] = set()
    no_endpoint = http(400, {"Message": "Endpoint not found"}, "ValidationError")
    cloud.endpoint = lambda _: no_endpoint
    for uri in ("s3://artefacts/labelled/images/a.jpg", "s3://images/incoming/line-1/top/SN1.jpg"):
        event = golden(cloud, jpeg(), uri)
        with pytest.raises(SmokeTestError, match="no endpoint in service"):
            cloud.call("Smoke", event)
        calls |= cloud.needs
    assert check(cloud, "SmokeRole", calls) | LAMBDA == cloud.stack.actions("SmokeRole")


def test_the_role_of_rules_allows_exactly_its_calls(cloud: Cloud) -> None:
    calls: set[tuple[str, str, str]] = set()
    gone = {
        "action": "apply",
        "run": "r",
        "version": "v",
        "report": "s3://artefacts/reports/gone/evaluation.json",
    }
    for event in (gone, rules_event(cloud, "stage"), rules_event(cloud, "apply")):
        cloud.call("Rules", event)
        calls |= cloud.needs
    assert check(cloud, "RulesRole", calls) | LAMBDA == cloud.stack.actions("RulesRole")


def test_the_role_of_report_allows_exactly_its_calls(cloud: Cloud) -> None:
    event = ended(cloud)
    registered(cloud)
    for name in ("loser", "winner"):
        cloud.documents.write(f"models/{event['plan']['run']}/{name}/output/model.tar.gz", {})
    version = cloud.answers["DescribeModelPackage"]({})
    version["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] = cloud.documents.uri(
        f"models/{event['plan']['run']}/winner/output/model.tar.gz"
    )
    cloud.answers["DescribeModelPackage"] = lambda _: version
    cloud.call("Report", event)
    assert check(cloud, "ReportRole", cloud.needs) | LAMBDA == cloud.stack.actions("ReportRole")


def test_the_role_of_the_aftermath_allows_exactly_its_calls(cloud: Cloud) -> None:
    cloud.executions[EXECUTION] = "ABORTED"
    cloud.job(f"{OWN}-ssdlite", "InProgress")
    cloud.call("Aftermath", {"detail": {"executionArn": EXECUTION}})
    actions = check(cloud, "AftermathRole", cloud.needs)
    assert actions | PUBLISHES | LAMBDA == cloud.stack.actions("AftermathRole")


def test_the_report_of_a_run_without_a_readable_evaluation_needs_no_other_permission(cloud: Cloud) -> None:
    """The role may not list, so S3 would answer 403 for a missing key, and no report would be written."""
    event = ended(cloud, "kept")
    (candidate,) = event["candidates"]
    candidate["report"] = "s3://artefacts/reports/gone/evaluation.json"
    event["gate"] = cloud.call("Gate", {"candidates": [candidate], "champion": None})
    cloud.call("Report", event)
    check(cloud, "ReportRole", cloud.needs)


def test_the_check_of_permissions_finds_a_missing_one(cloud: Cloud) -> None:
    allows = cloud.stack.allows
    assert allows("PlanRole", "s3:PutObject", "arn:aws:s3:::artefacts/retraining/lock.json")
    assert not allows("PlanRole", "s3:PutObject", "arn:aws:s3:::artefacts/retraining/last/default.json")
    assert not allows("PlanRole", "s3:GetObject", "arn:aws:s3:::images/incoming/a.jpg")
    assert not allows("PlanRole", "s3:ListBucket", "arn:aws:s3:::artefacts", prefix="annotated/")
    assert not allows("PlanRole", "s3:ListBucket", "arn:aws:s3:::artefacts")
    assert not allows("PlanRole", "sagemaker:StopTrainingJob", f"{SAGEMAKER}:training-job/their-job")
    assert not allows("ReportRole", "sagemaker:DeleteModel", f"{SAGEMAKER}:model/other-detector-1")
    assert not allows("ReportRole", "sagemaker:DeleteEndpoint", f"{SAGEMAKER}:endpoint/{ENDPOINT}")
