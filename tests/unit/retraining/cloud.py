"""The functions of retraining as Lambda calls them, and the services that they call."""

import json
import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from handlers import (
    retrain_approval,
    retrain_ended,
    retrain_gate,
    retrain_plan,
    retrain_report,
    retrain_rules,
    retrain_smoke,
)
from retraining.documents import Documents
from tests.inspection_support import Context, http
from tests.unit.retraining.account import Account
from tests.unit.retraining.template import ACCOUNT, REGION, Stack

EXECUTION = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:press-retrain:one"
RULES_PARAMETER, HOURS_PARAMETER = "/press/rules", "/press/endpoint"
RULES = '{"version": "1", "classes": {"dent": {"severity": "critical"}}}'
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
HANDLERS: dict[str, tuple[ModuleType, str]] = {
    "Plan": (retrain_plan, "_planner"),
    "Gate": (retrain_gate, "_gate"),
    "Approval": (retrain_approval, "_approval"),
    "Smoke": (retrain_smoke, "_smoke_test"),
    "Rules": (retrain_rules, "_rules"),
    "Report": (retrain_report, "_reporter"),
    "Aftermath": (retrain_ended, "_aftermath"),
}


def variables(name: str) -> list[str]:
    """Return the names of a function's environment variables."""
    return list(
        Stack(
            {},
            {},
            {"ArtefactsBucket": "", "OperationsTopic": "", "RulesParameter": "", "HoursParameter": ""},
        ).environment(f"{name}Function")
    )


class Cloud(Account):
    """S3 and SNS by moto, the rest in memory.

    Attributes:
        needs: The permissions of the calls so far: action, resource, and S3's prefix.
    """

    def __init__(self) -> None:
        super().__init__()
        self.needs: set[tuple[str, str, str]] = set()
        self.s3, self.sns, self.ssm = boto3.client("s3"), boto3.client("sns"), boto3.client("ssm")
        self.topic = self.sns.create_topic(Name="press-operations")["TopicArn"]
        for name in ("artefacts", "images"):
            self.s3.create_bucket(
                Bucket=name,
                CreateBucketConfiguration={"LocationConstraint": REGION},
            )
            self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        self.documents = Documents(self.s3, "artefacts")
        roles = {f"{name}Role": f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("Training", "SageMaker")}
        self.stack = Stack(
            {
                "ArtefactsBucket": "artefacts",
                "ImagesBucket": "images",
                "OperationsTopic": self.topic,
                "RulesParameter": RULES_PARAMETER,
                "HoursParameter": HOURS_PARAMETER,
            },
            {"ArtefactsBucket": "arn:aws:s3:::artefacts", "ImagesBucket": "arn:aws:s3:::images", **roles}
            | {
                "RetrainStateMachine": "press-retrain"
            },  # its name, which is the only attribute that roles read
            {"TrainingImageUri": "loupe-train:1", "RetrainFamilies": "ssdlite"},
        )

        self.reset()

    def reset(self) -> None:
        """Clean up for the next test. To create all resources again takes a second."""
        for resources in (self.jobs, self.endpoints, self.configs, self.models, self.tags, self.executions):
            resources.clear()
        self.executions[EXECUTION] = "RUNNING"
        self.endpoint: Callable[[Any], Any] = lambda _: http(500, b"")
        for item in list(self.documents.listing("")):
            self.s3.delete_object(Bucket="artefacts", Key=item["Key"])
        self._topic().sent_notifications.clear()
        for name, value in ((RULES_PARAMETER, RULES), (HOURS_PARAMETER, "{}")):
            self.ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)

    def _topic(self) -> Any:
        return sns_backends[DEFAULT_ACCOUNT_ID][REGION].topics[self.topic]

    def call(self, name: str, event: Any, **environment: str | None) -> Any:
        """Call a function as Lambda does for the first time. environment: variables that differ; None for missing."""
        module, cached = HANDLERS[name]
        getattr(module, cached).cache_clear()
        self.needs.clear()
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in {**self.stack.environment(f"{name}Function"), **environment}.items():
                if value is not None:
                    patch.setenv(variable, value)
            return module.handler(json.loads(json.dumps(event)), Context())

    def published(self) -> list[tuple[str, str]]:
        """Return the subject and the message of each notice."""
        return [(subject, body) for _, body, subject, _, _ in self._topic().sent_notifications]

    # The permission for each request that botocore is about to send.

    def answer(self, model: Any, params: dict[str, Any]) -> Any:
        request = json.loads(params["body"])
        if model.service_model.service_name == "sagemaker":
            self._need(f"sagemaker:{model.name}", _sagemaker(model.name, request))
        else:
            self._need(f"states:{model.name}", request["executionArn"])
        return super().answer(model, params)

    def invoke(self, request: Any) -> Any:
        name = request.url.split("/endpoints/")[1].split("/")[0]
        self._need("sagemaker:InvokeEndpoint", f"{SAGEMAKER}:endpoint/{name}")
        return self.endpoint(request)

    def publish(self, params: dict[str, Any], **_: Any) -> None:
        self._need("sns:Publish", params["body"]["TopicArn"])

    def before_ssm(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self._need(f"ssm:{model.name}", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{params['Name']}")

    def before_s3(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        bucket = f"arn:aws:s3:::{params['Bucket']}"
        if model.name == "ListObjectsV2":
            self._need("s3:ListBucket", bucket, params["Prefix"])
        else:
            self._need(f"s3:{model.name}", f"{bucket}/{params['Key']}")

    def after_s3(self, parsed: dict[str, Any], **_: Any) -> None:
        """Note that a missing key needs the permission to list it: without it S3 answers 403, not 404."""
        if parsed.get("Error", {}).get("Code") == "NoSuchKey":
            self._need("s3:ListBucket", "arn:aws:s3:::artefacts", parsed["Error"]["Key"])

    def _need(self, action: str, resource: str, prefix: str = "") -> None:
        self.needs.add((action, resource, prefix))


def start(patch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Make all resources, and let the clients of the functions reach them."""
    # moto would read the endpoint's images as text, so the test answers instead.
    core: Any = {"mock_credentials": False, "passthrough": {"urls": [r"https://(api|runtime)\.sagemaker\."]}}
    for name in (variable for function in HANDLERS for variable in variables(function)):
        patch.delenv(name, raising=False)
    patch.setenv("AWS_ACCESS_KEY_ID", "AKIACANARYCREDENTIAL")
    if "AWS_SECRET_ACCESS_KEY" not in os.environ:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    patch.setenv("AWS_DEFAULT_REGION", REGION)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        patch.delenv(name, raising=False)
    boto3.setup_default_session()
    assert boto3.DEFAULT_SESSION
    with mock_aws(config={"core": core}):
        cloud, events = Cloud(), boto3.DEFAULT_SESSION.events
        for service in ("sagemaker", "sfn"):
            events.register_first(
                f"before-call.{service}", lambda model, params, **_: cloud.answer(model, params)
            )
        events.register(
            "before-send.sagemaker-runtime.InvokeEndpoint", lambda request, **_: cloud.invoke(request)
        )
        events.register("before-call.sns.Publish", cloud.publish)
        events.register("before-parameter-build.s3", cloud.before_s3)
        events.register("before-parameter-build.ssm", cloud.before_ssm)
        events.register("after-call.s3.GetObject", cloud.after_s3)
        yield cloud
    for module, cached in HANDLERS.values():
        getattr(module, cached).cache_clear()
    boto3.setup_default_session()


def _sagemaker(operation: str, request: dict[str, Any]) -> str:
    if operation == "ListTags":
        return str(request["ResourceArn"])
    if operation == "DescribeModelPackage":
        return str(request["ModelPackageName"])
    if operation == "ListModelPackages":
        return f"{SAGEMAKER}:model-package/{request['ModelPackageGroupName']}/*"
    if operation.startswith("List"):
        return "*"
    (name,) = request.values()
    kinds = {
        "TrainingJob": "training-job",
        "HyperParameterTuningJob": "hyper-parameter-tuning-job",
        "ProcessingJob": "processing-job",
        "Endpoint": "endpoint",
        "EndpointConfig": "endpoint-config",
        "Model": "model",
    }
    return f"{SAGEMAKER}:{kinds[operation.removeprefix('Describe').removeprefix('Stop').removeprefix('Delete')]}/{name}"
