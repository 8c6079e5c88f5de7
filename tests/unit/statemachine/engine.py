"""Execute the retrain state machine's definition in MiniStack's own engine, with a scripted account behind it.

The engine reaches the account through the local cloud's own integration; the functions are the real ones, except
for the smoke test.
"""

import contextvars
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from ministack.services import stepfunctions

from handlers import retrain_approval, retrain_gate, retrain_plan, retrain_report, retrain_rules
from localcloud.ministack.step_functions import fail_callbacks_of_failed_functions
from localcloud.sagemaker import step_functions
from localcloud.sagemaker.aws_errors import AwsError
from retraining.approval import Approval
from retraining.findings import Bounds
from retraining.gate import Gate
from retraining.plan import Planner
from retraining.report import Reporter
from retraining.rules import ProposedRules
from retraining.settings import Settings
from statemachine.definition import Definition
from tests.unit.statemachine.account import ENDPOINT, REGION, Account, EndedError

TOPIC = f"arn:aws:sns:{REGION}:000000000000:operations"
SUBSTITUTIONS = {
    "Partition": "aws",
    **{
        f"{name}Function": f"arn:aws:lambda:{REGION}:000000000000:function:{name}"
        for name in ("Plan", "Gate", "Approval", "Smoke", "Rules", "Report")
    },
    "OperationsTopicArn": TOPIC,
    "ModelPackageGroupName": "press-0123",
    "SageMakerRoleArn": "arn:aws:iam::000000000000:role/model",
    "TrainingRoleArn": "arn:aws:iam::000000000000:role/training",
    "TrainingImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/train:1",
    "ServingImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/serve:1",
    "EvaluationInstanceType": "ml.c6i.xlarge",
    "HostingInstanceType": "ml.c6i.xlarge",
    "InferenceAmiVersion": "",
    "EncryptionKey": "",
    "EndpointName": ENDPOINT,
    "MinInstances": "2",
    "MaxInstances": "4",
    "InvocationsPerInstance": "100",
    "CanaryPercent": "10",
    "CanarySeconds": "600",
    "VariantName": "AllTraffic",
    "PollSeconds": "300",
    "AlarmSeconds": "900",
    "EndpointErrorsAlarm": "errors",
    "EndpointLatencyAlarm": "latency",
    "DefectRateAlarm": "defects",
}
_state: contextvars.ContextVar[str] = contextvars.ContextVar("state")


class ScriptedClients:
    """AWS clients whose requests the current account answers; botocore serialises and checks them as for AWS."""

    def __init__(self) -> None:
        session = boto3.Session("testing", "testing", region_name=REGION)
        self.s3, self.sagemaker = session.client("s3"), session.client("sagemaker")
        self.states, self.sns = session.client("stepfunctions"), session.client("sns")
        self.ssm = session.client("ssm")
        self.account: Account | None = None
        for client, answer in (
            (self.sagemaker, self._sagemaker),
            (self.states, self._describe_execution),
            (self.sns, self._publish),
        ):
            service = client.meta.service_model.service_id.hyphenize()
            client.meta.events.register_first(f"before-call.{service}", answer)
        self._buckets = 0

    def open_account(self) -> Account:
        """Return a new account, and make it the current one."""
        self._buckets += 1
        bucket = f"artefacts-{self._buckets}"
        self.s3.create_bucket(Bucket=bucket)
        self.account = Account(self.s3, bucket, self.ssm, f"/press-{self._buckets}/rules")
        return self.account

    def _current_account(self) -> Account:
        assert self.account is not None
        return self.account

    def _sagemaker(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        try:
            return SimpleNamespace(status_code=200), self._current_account().call(
                model.name, json.loads(params["body"])
            )
        except AwsError as error:
            answer = {"Error": {"Code": error.code, "Message": error.message}}
            return SimpleNamespace(status_code=error.status), answer

    def _describe_execution(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        arn = json.loads(params["body"])["executionArn"]
        status = "RUNNING" if arn == self._current_account().running_execution else "SUCCEEDED"
        return SimpleNamespace(status_code=200), {"executionArn": arn, "status": status}

    def _publish(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        self._current_account().notices.append(params["body"])
        return SimpleNamespace(status_code=200), {"MessageId": "1"}

    def patch_functions(self, patch: pytest.MonkeyPatch) -> None:
        """Let the handlers use these clients."""
        account = self._current_account()
        documents = account.documents
        settings = Settings(
            artefacts_bucket=documents.bucket,
            name_prefix="0123",
            dataset_name="default",
            endpoint_name=ENDPOINT,
            model_package_group="press-0123",
            role_arn=SUBSTITUTIONS["TrainingRoleArn"],
            families="ssdlite",
            training_image_uri=SUBSTITUTIONS["TrainingImageUri"],
            training_instance_type="ml.g5.xlarge",
            cpu_instance_type="ml.c5.2xlarge",
            training_max_seconds=3600,
            volume_gib=30,
            encryption_key="",
            spot=True,
            tuning_jobs=4,
            tuning_parallel_jobs=2,
            tuning_strategy="Bayesian",
            approval=False,
            hours_parameter="/press/endpoint",
        )
        planner = Planner(settings, documents, self.sagemaker, self.states)
        gate = Gate(
            documents,
            Bounds(
                margin=0.0, class_bound=0.05, escape_bound=0.02, overkill_bound=0.05, latency_budget_ms=1000.0
            ),
        )
        reporter = Reporter(documents, self.s3, self.sagemaker, ENDPOINT, "press-0123", kept_models=1)
        approval = Approval(documents, self.s3, self.sns, TOPIC)
        rules = ProposedRules(documents, self.ssm, account.rules_parameter, account.applies_rules, 30)
        patch.setattr(retrain_plan, "_planner", lambda: planner)
        patch.setattr(retrain_rules, "_rules", lambda: rules)
        patch.setattr(retrain_rules, "_shifts", lambda: None)
        patch.setattr(retrain_gate, "_gate", lambda: gate)
        patch.setattr(retrain_report, "_reporter", lambda: reporter)
        patch.setattr(retrain_approval, "_approval", lambda: approval)


def run(
    account: Account,
    definition: Definition,
    patch: pytest.MonkeyPatch,
    request: dict[str, Any],
    name: str = "one",
) -> dict[str, Any]:
    """Execute the definition once, under a name of its own, and return what DescribeExecution answers.

    Raises:
        EndedError: The account has ended the execution.
    """
    _reset_engine(patch)
    _connect(account, patch)
    text = json.dumps(definition)
    for variable, value in SUBSTITUTIONS.items():
        text = text.replace(f"${{{variable}}}", value)
    machine = {"name": "retrain", "definition": text, "roleArn": "arn:aws:iam::000000000000:role/states"}
    arn = json.loads(stepfunctions._create_state_machine(machine)[2])["stateMachineArn"]
    # The execution is created first and run below, in this thread.
    with patch.context() as not_yet:
        not_yet.setattr(stepfunctions, "_run_execution", lambda arn: None)
        start = {"stateMachineArn": arn, "name": name, "input": json.dumps(request)}
        execution_arn = json.loads(stepfunctions._start_execution(start)[2])["executionArn"]
    stepfunctions._run_execution(execution_arn)
    execution: dict[str, Any] = stepfunctions._executions[execution_arn]
    return {**execution, "output": json.loads(execution["output"])}


def _reset_engine(patch: pytest.MonkeyPatch) -> None:
    """Empty MiniStack's engine, and let it run in this thread without waiting."""
    # Registers every function of the module, so that everything that is patched below is undone.
    for name, value in vars(stepfunctions).copy().items():
        if callable(value):
            patch.setattr(stepfunctions, name, value)
    for store in ("_state_machines", "_executions", "_task_tokens"):
        patch.setattr(stepfunctions, store, type(getattr(stepfunctions, store))())
    patch.setattr(stepfunctions, "_SFN_WAIT_SCALE", 0)
    patch.setattr(stepfunctions, "time", SimpleNamespace(sleep=lambda seconds: None))
    for slow in ("_emit_execution_status_event", "_validate_definition_jsonata"):
        patch.setattr(stepfunctions, slow, lambda argument: None)
    patch.setattr(
        stepfunctions,
        "_invoke_resource_with_timeout",
        lambda resource, arguments, timeout: stepfunctions._invoke_resource(resource, arguments),
    )


def _connect(account: Account, patch: pytest.MonkeyPatch) -> None:
    """Connect MiniStack's engine to the account through the local cloud's own integration."""
    patch.setattr(
        stepfunctions, "_call_lambda", lambda arn, event: _invoke(account, arn.rpartition(":")[2], event)
    )
    fail_callbacks_of_failed_functions()
    step_functions.connect(account)  # type: ignore[arg-type]
    execute, invoke = stepfunctions._execute_task, stepfunctions._invoke_resource
    call_back = stepfunctions._invoke_with_callback

    def execute_task(state: Any, state_input: Any, execution: Any, context: dict[str, Any]) -> Any:
        name = context["State"]["Name"]
        if account.has_ended:
            raise EndedError
        account.visited.append(name)
        if name in account.meanwhile:
            account.meanwhile.pop(name)()
        token = _state.set(name)
        try:
            result = execute(state, state_input, execution, context)
        finally:
            _state.reset(token)
        if name == account.ends_after:
            account.has_ended = True
            raise EndedError
        return result

    def publish(message: dict[str, Any]) -> dict[str, Any]:
        account.notices.append(message)
        return {"MessageId": "1"}

    def invoke_resource(resource: str, arguments: dict[str, Any]) -> Any:
        if resource.endswith(":sns:publish"):
            return _with_fault(account, lambda: publish(arguments))
        if resource.endswith(":cloudwatch:describeAlarms"):
            return _with_fault(account, lambda: account.describe_alarms(arguments))
        return _with_fault(account, lambda: invoke(resource, arguments))

    def invoke_with_callback(*arguments: Any) -> Any:
        return _with_fault(account, lambda: call_back(*arguments))

    patch.setattr(stepfunctions, "_execute_task", execute_task)
    patch.setattr(stepfunctions, "_invoke_resource", invoke_resource)
    patch.setattr(stepfunctions, "_invoke_with_callback", invoke_with_callback)


def _with_fault(account: Account, call: Callable[[], Any]) -> Any:
    fault = account.fault
    if fault is None or not fault.occurs_in(_state.get()):
        return call()
    if fault.lost:
        call()
    raise stepfunctions._ExecutionError(fault.error, fault.cause)


def _invoke(account: Account, name: str, event: dict[str, Any]) -> Any:
    """Return what a Lambda function answers, or raise its error as Step Functions does."""

    def ask_and_answer(event: dict[str, Any], _: Any) -> None:
        retrain_approval.handler(event, _)
        account.answer(event["token"])

    handlers: dict[str, Callable[..., Any]] = {
        "Plan": retrain_plan.handler,
        "Gate": retrain_gate.handler,
        "Report": retrain_report.handler,
        "Approval": ask_and_answer,
        "Smoke": lambda event, _: account.smoke(event),
        "Rules": retrain_rules.handler,
    }
    try:
        return json.loads(json.dumps(handlers[name](json.loads(json.dumps(event)), None)))
    except Exception as error:
        answer = {"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": []}
        raise stepfunctions._ExecutionError(answer["errorType"], json.dumps(answer)) from error
