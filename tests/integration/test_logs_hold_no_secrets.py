"""No function writes image bytes, credentials, tokens, links, comments or addresses into its log, whatever fails.

Each function runs with such canaries in everything that it handles: once undisturbed, and once for each kind of AWS
call that it makes with that call refused. What it writes is searched: standard output, which has the logs and the
metrics, the log records of all libraries, and the traceback of an error that it does not catch, which Lambda logs.
"""

from __future__ import annotations

import base64
import logging
import re
import traceback
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from contract.inspections import Verdict
from handlers import alert, inspect, observability
from tests.api_support import call, event, forget, jwt, send
from tests.inspection_support import jpeg, message, model_error
from tests.integration.api_cloud import ApiCloud
from tests.integration.api_cloud import start as start_api
from tests.integration.moto_cloud import DEFECT, DOUBTFUL, Cloud, detect_by_grey
from tests.integration.reconcile_stage import Stage as Reconciling
from tests.integration.reconcile_stage import start as start_reconciling
from tests.integration.test_retraining_handlers import (
    EXECUTION,
    SAGEMAKER,
    ended,
    golden,
    imported,
    rules_event,
)
from tests.integration.test_retraining_handlers import _cloud as _retraining  # noqa: F401  # a fixture
from tests.stack_template import stack_template
from tests.unit.hours.stage import Stage as Hours
from tests.unit.hours.test_keeper import EVENING
from tests.unit.retraining.cloud import Cloud as Retraining

ROOT = Path(__file__).parents[2]
CANARY = {
    "pixels": "canary-in-the-pixels",
    "access key": "AKIACANARYCREDENTIAL",
    "secret key": "canary-secret-of-the-function",
    "session token": "canary-session-token",
    "password": "Canary-password-1",
    "new password": "Canary-password-2",
    "access token": "canary.access.token",
    "refresh token": "canary-refresh-token",
    "task token": "canary-task-token",
    "comment": "canary comment of a reviewer",
    "address": "canary@example.com",
}
# What any presigned link has.
LINK = ("X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token")
pytestmark = pytest.mark.promise(26)
Scenario = Callable[[], object]


def spellings(text: str) -> set[str]:
    """Return how a text may stand in a log: as it is, in a URL, in base64."""
    coded = base64.b64encode(text.encode()).decode().rstrip("=")
    return {text, quote(text, safe=""), coded}


def leaks(log: str) -> set[str]:
    """Return the names of what a log must not hold."""
    found = {name for name, text in CANARY.items() if any(way in log for way in spellings(text))}
    return found | {part for part in LINK if part in log}


class Watch:
    """Runs scenarios with AWS calls that are refused, and keeps what is written."""

    def __init__(self, patch: pytest.MonkeyPatch, capsys: Any, caplog: Any, tried: Any) -> None:
        self._capsys, self._caplog, self._tried = capsys, caplog, tried
        self._lines: list[str] = []
        emit = logging.StreamHandler.emit

        # The loggers have taken their stream when they were imported, so what they write passes capsys by. With their
        # own formatters a record has all its fields, as in the log.
        def keep(handler: Any, record: logging.LogRecord) -> None:
            self._lines.append(handler.format(record))
            emit(handler, record)

        patch.setattr(logging.StreamHandler, "emit", keep)
        self._made: list[str] = []
        self._refused: str | None = None
        self._faults = 0
        original = BaseClient._make_api_call  # type: ignore[attr-defined]

        def make(client: Any, operation: str, parameters: Any) -> Any:
            self._made.append(operation)
            if operation == self._refused:
                self._faults += 1
                error: Any = {
                    "Error": {"Code": "AccessDeniedException", "Message": "not authorized to do this"}
                }
                raise ClientError(error, operation)
            return original(client, operation, parameters)

        patch.setattr(BaseClient, "_make_api_call", make)

    def search(self, scenario: Scenario, refusing: Collection[str] | None = None) -> str:
        """Run a scenario undisturbed, and with each kind of call refused; check what is written. Return that.

        Args:
            scenario: The scenario.
            refusing: The calls that are refused; None for each that it makes.
        """
        self._made.clear()
        log = self._run(scenario, None)
        made = set(self._made)
        for operation in sorted(made if refusing is None else made & set(refusing)):
            log += self._run(scenario, operation)
        assert leaks(log) == set()
        self._tried(faults=self._faults)
        return log

    def _run(self, scenario: Scenario, refused: str | None) -> str:
        self._refused, raised = refused, ""
        try:
            scenario()
        except Exception:  # noqa: BLE001  # as Lambda, which logs it
            raised = traceback.format_exc()
        self._refused = None
        written = "\n".join([*self._capsys.readouterr(), self._caplog.text, *self._lines, raised])
        self._caplog.clear()
        self._lines.clear()
        return written


@pytest.fixture
def watch(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tried: Any,
) -> Watch:
    for name in ("access key", "secret key", "session token"):
        variable = {
            "access key": "ACCESS_KEY_ID",
            "secret key": "SECRET_ACCESS_KEY",
            "session token": "SESSION_TOKEN",
        }
        monkeypatch.setenv(f"AWS_{variable[name]}", CANARY[name])
    for name in ("SERVICE_NAME", "METRICS_NAMESPACE"):
        monkeypatch.setenv(f"POWERTOOLS_{name}", "Loupe")
    # A refused call is not made again after a pause.
    monkeypatch.setattr("time.sleep", lambda _: None)
    return Watch(monkeypatch, capsys, caplog, tried)


def photograph(shade: int) -> bytes:
    return jpeg(shade=shade, comment=CANARY["pixels"].encode())


# --- the functions of an inspection ---


@pytest.mark.parametrize(
    "refusing",
    [("GetObject", "Publish"), pytest.param(None, marks=pytest.mark.nightly)],
    ids=["some", "each"],
)
def test_inspect_and_alert(cloud: Cloud, watch: Watch, refusing: Collection[str] | None) -> None:
    images = [photograph(DEFECT), photograph(DOUBTFUL), CANARY["pixels"].encode(), photograph(DEFECT)[:-30]]

    inspect._inspector.cache_clear()
    alert._alerts.cache_clear()

    def judge_and_alert() -> None:
        cloud.reset()
        announced = [
            cloud.put(f"incoming/a/b/{n}.jpg", data, Metadata={"operator": CANARY["address"]})
            for n, data in enumerate(images)
        ]
        for answer in (model_error(500, message=CANARY["pixels"]), None):
            cloud.endpoint = (lambda _, answer=answer: answer) if answer else detect_by_grey  # type: ignore[misc]
            cloud.inspect(*(message(one, number=n) for n, one in enumerate(announced)))
        cloud.alert()

    written = watch.search(judge_and_alert, refusing)
    assert "AccessDenied" in written
    judge_and_alert()
    assert [part for part in LINK if part in str(cloud.published())]  # there was something to leak


@pytest.fixture
def reconciling(cloud: Cloud) -> Iterator[Reconciling]:
    yield from start_reconciling(cloud)


def test_reconcile(reconciling: Reconciling, watch: Watch) -> None:
    reconciling.reset()
    reconciling.cloud.put("incoming/a/b/1.jpg", photograph(DEFECT), Metadata={"operator": CANARY["address"]})
    assert "compared the bucket" in watch.search(reconciling.ask)


def test_hours(watch: Watch) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stage = Hours(patch)

        def rest() -> None:
            stage.serve()
            stage.look(EVENING)

        assert "the endpoint's hours" in watch.search(rest)


# --- the API, and what counts for it ---


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiCloud]:
    """The API with a user pool: Maria has an address, and Bob a password that an administrator gave."""
    for cloud in start_api(monkeypatch):
        pool = boto3.client("cognito-idp")
        identity = pool.create_user_pool(PoolName="loupe")["UserPool"]["Id"]
        flows: Any = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
        client = pool.create_user_pool_client(UserPoolId=identity, ClientName="page", ExplicitAuthFlows=flows)
        for name in ("maria", "bob"):
            pool.admin_create_user(
                UserPoolId=identity,
                Username=name,
                TemporaryPassword=CANARY["password"],
                UserAttributes=[{"Name": "email", "Value": CANARY["address"]}],
            )
        pool.admin_set_user_password(
            UserPoolId=identity, Username="maria", Password=CANARY["password"], Permanent=True
        )
        ssm = boto3.client("ssm")
        ssm.put_parameter(Name="/loupe/rules", Value='{"version": "1"}', Type="String", Overwrite=True)
        settings = {
            "USER_POOL_ID": identity,
            "USER_POOL_CLIENT_ID": client["UserPoolClient"]["ClientId"],
            "RULES_PARAMETER": "/loupe/rules",
            "RULES_CACHE_SECONDS": "30",
            "ENDPOINT_NAME": "detector",
            "STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:retrain",
            "MODEL_PACKAGE_GROUP": "loupe",
            "DATASET_NAME": "default",
            "STACK_NAME": "loupe",
            "PICTURE_LINK_HOURS": "12",
            "ENDPOINT_HOURS": "",
            "ENDPOINT_TIMEZONE": "UTC",
        }
        for variable, value in settings.items():
            monkeypatch.setenv(variable, value)
        yield cloud


def sign_in_and_out() -> None:
    page = {"X-Requested-With": "loupe"}
    cookies = [f"loupe_refresh={CANARY['refresh token']}"]
    for name, password in (("maria", "password"), ("maria", "new password"), ("bob", "password")):
        send(event("POST", "/session", body={"username": name, "password": CANARY[password]}))
    session = {
        "username": "bob",
        "session": CANARY["session token"] * 2,
        "new_password": CANARY["new password"],
    }
    send(event("POST", "/session/password", body=session))
    for method, path in (("POST", "/session/refresh"), ("DELETE", "/session")):
        send(event(method, path, headers=page, cookies=cookies))
    # Bodies and cookies that are not what they should be.
    send(
        event(
            "POST", "/session", body={"username": [CANARY["address"]], "password": {"p": CANARY["password"]}}
        )
    )
    send(event("POST", "/session", body=f"{{{CANARY['password']}"))
    send(event("POST", "/session/refresh", headers=page, cookies=[CANARY["refresh token"]]))


def review(cloud: ApiCloud) -> None:
    token = {"Authorization": f"Bearer {CANARY['access token']}"}
    record = cloud.add("incoming/line-1/top/SN1.jpg", Verdict.REVIEW, data=photograph(DOUBTFUL))
    path, comment = f"/reviews/{record['id']}", CANARY["comment"]
    claimed = call("POST", f"{path}/claim", "reviewer", body={}, headers=token)
    version = claimed.body.get("version", 1)
    for decision in (
        {"version": version, "verdict": "fail", "objects": [{"label": comment, "box": [1, 1, 1, 1]}]},
        {"version": version, "verdict": comment, "comment": {"no": comment}},
        {"version": version, "verdict": "pass", "comment": comment},
    ):
        call("POST", f"{path}/decision", "reviewer", body=decision, headers=token)
    call(
        "POST",
        f"/inspections/{record['id']}/acknowledgement",
        "operator",
        body={"comment": comment},
        headers=token,
    )
    for shown in (
        "/reviews",
        f"/inspections/{record['id']}",
        "/inspections",
        "/labels",
        "/health",
        "/runs",
        "/models",
    ):
        call("GET", shown, "viewer", headers=token, query={"cursor": CANARY["access token"]})
        call("GET", shown, "viewer", headers=token)


def change_rules() -> None:
    rules = call("GET", "/rules", "viewer").body
    body = {
        "document": {"version": CANARY["comment"]},
        "number": rules.get("number", 1),
        "comment": CANARY["comment"],
    }
    call("PUT", "/rules", "admin", body=body)
    call("PUT", "/rules", "admin", body={"document": CANARY["comment"]})
    call("POST", "/rules/rollback", "admin", body={"to": 9, "number": 9, "comment": CANARY["comment"]})
    call("POST", "/runs/run-1/reject", "admin", body={"comment": CANARY["comment"]})
    send(event("POST", "/rules/preview", body=CANARY["comment"], authorizer=jwt("viewer")))


def test_api_and_track(people: ApiCloud, watch: Watch) -> None:
    forget()
    written = watch.search(sign_in_and_out)
    written += watch.search(lambda: review(people), refusing=())
    written += watch.search(change_rules, refusing=())
    assert "a request failed" in written


@pytest.mark.nightly
def test_api_and_track_with_each_call_refused(people: ApiCloud, watch: Watch) -> None:
    forget()
    for scenario in (lambda: review(people), change_rules):
        assert "AccessDenied" in watch.search(scenario)


# --- the functions of a retraining ---


@pytest.fixture
def retraining(_retraining: Retraining, monkeypatch: pytest.MonkeyPatch) -> Retraining:  # noqa: F811
    _retraining.reset()
    return _retraining


def questions(cloud: Retraining) -> list[Scenario]:
    """Return what the functions are asked, each with canaries in it."""
    asked = {
        "token": CANARY["task token"],
        "run": "0123456789ab",
        "package": f"{SAGEMAKER}:model-package/press/4",
        "winner": "ssdlite",
        "reasons": [CANARY["comment"]],
    }

    def plan_and_report() -> None:
        cloud.reset()
        imported(cloud)
        report = ended(cloud)
        report["reasons"] = [f"not approved: rejected by {CANARY['address']}: {CANARY['comment']}"]
        cloud.call("Report", report)

    def end() -> None:
        cloud.executions[EXECUTION] = "ABORTED"
        cloud.call("Aftermath", {"detail": {"executionArn": EXECUTION}})

    def judge() -> None:
        cloud.endpoint = lambda _: model_error(500, message=CANARY["pixels"])
        cloud.call("Smoke", golden(cloud, photograph(DEFECT)))

    def change_rules() -> None:
        for action in ("stage", "apply", "withdraw"):
            cloud.call("Rules", rules_event(cloud, action))

    return [plan_and_report, end, judge, change_rules, lambda: cloud.call("Approval", asked)]


def test_the_functions_of_a_retraining(retraining: Retraining, watch: Watch) -> None:
    for question in questions(retraining):
        watch.search(question, refusing=())
    assert [part for part in LINK if part in str(retraining.published())]  # there was something to leak


@pytest.mark.slow
def test_the_functions_of_a_retraining_with_each_call_refused(retraining: Retraining, watch: Watch) -> None:
    assert "AccessDenied" in "".join(watch.search(question) for question in questions(retraining))


# --- all of them, and their traces ---


def test_every_function_of_the_template_is_searched() -> None:
    template = stack_template()
    functions = {
        name for name, one in template["Resources"].items() if one["Type"] == "AWS::Serverless::Function"
    }
    here = {"Inspect", "Alert", "Track", "Api", "Hours", "Reconcile"}
    in_the_local_cloud = {"Replay"}  # tests/system/test_logs_hold_no_secrets.py
    retraining = {"Plan", "Gate", "Approval", "Smoke", "Rules", "Report", "Aftermath"}
    assert functions == {f"{name}Function" for name in here | retraining | in_the_local_cloud}


def test_a_trace_has_what_lambda_itself_notes_and_nothing_of_ours() -> None:
    """X-Ray's SDK and Powertools' Tracer would note answers, errors and annotations, and no function uses them."""
    sources = [file.read_text() for file in (ROOT / "functions").rglob("*.py")]
    assert len(sources) > 100
    assert not re.search(r"aws_xray_sdk|\bTracer\b|opentelemetry", "".join(sources))
    template = stack_template()
    logging = template["Resources"]["RetrainStateMachine"]["Properties"]["Logging"]
    assert logging["IncludeExecutionData"] is False


def test_the_search_sees_the_fields_of_a_log_line_the_metrics_and_an_error_that_nobody_catches(
    watch: Watch,
) -> None:
    def say() -> None:
        observability.logger.warning("a line", extra={"field": "in a field"})
        observability.publish_reconciliation({"announced": 1, "here": "in an answer"})
        raise ValueError("in an error")

    written = watch.search(say)
    for part in ('"message":"a line"', "in a field", "in an answer", "Reannounced", "in an error"):
        assert part in written


def test_the_search_finds_each_canary_in_each_spelling(tried: Any) -> None:
    for name, text in CANARY.items():
        for way in spellings(text):
            tried(inputs=1)
            assert name in leaks(f'{{"level":"ERROR","message":"x {way} y"}}')
    assert leaks("https://b/k?X-Amz-Signature=0a") == {"X-Amz-Signature"}
    assert leaks("nothing") == set()
