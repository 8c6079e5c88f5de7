"""A stack with an endpoint and a registry, on moto's SageMaker."""

import json
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from loupe.stack import endpoint
from loupe.stack.target import Target

HOSTING = {
    "VariantName": "Line",
    "InstanceType": "ml.g4dn.xlarge",
    "InitialInstanceCount": 3,
    "InferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-2",
}
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/serve:2"


def rules_document(version: str) -> dict[str, Any]:
    """Return rules of which each version has its own scores: `a` 0.1, `b` 0.2 and so on."""
    score = (ord(version[0]) - ord("a") + 1) / 10
    return {
        "version": version,
        "default": {"fail_score": 0.5, "review_score": 0.3},
        "classes": {"dent": {"fail_score": score, "review_score": score / 2}},
    }


class Stack:
    """A stack with an endpoint and a registry.

    Attributes:
        updates: The UpdateEndpoint requests.
        status: Any other value than InService: an update fails, and SageMaker returns to the old model.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.updates: list[dict[str, Any]] = []
        self.status = "InService"
        target.sagemaker.create_model_package_group(ModelPackageGroupName="press")

    @property
    def endpoint(self) -> Any:
        """moto's own object, because moto does not implement UpdateEndpoint."""
        return sagemaker_backends["123456789012"]["eu-central-1"].endpoints["press"]

    def update(self, request: dict[str, Any]) -> dict[str, str]:
        self.updates.append(request)
        if self.status == "InService":
            self.endpoint.endpoint_config_name = request["EndpointConfigName"]
        return {"EndpointArn": "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/press"}

    def upload_artefact(self, name: str) -> str:
        key = f"models/{name}/model.tar.gz"
        self.target.s3.put_object(Bucket="artefacts", Key=key, Body=b"model")
        return f"s3://artefacts/{key}"

    def register(
        self,
        name: str,
        status: str = "Approved",
        before: str | None = None,
        model: bool = True,
        artefact: str | None = None,
        rules: tuple[str, str] | None = None,
    ) -> str:
        """Register a version of the run `name`, and return the name of its SageMaker model.

        Args:
            name: The run.
            status: The approval status.
            before: The SageMaker model that served before.
            model: Whether the SageMaker model exists.
            artefact: The run whose artefact it has; None for its own.
            rules: The versions of the rules before and after its promotion.
        """
        uri, model_name = self.upload_artefact(artefact or name), f"press-{name}"
        metadata = {
            "run": name,
            "family": "ssdlite",
            "dataset": "bottles",
            "tuned": "true",
            "map": "0.4123",
            "model_name": model_name,
        }
        report: dict[str, Any] = {"champion_before": before, "rules": None}
        if rules:
            metadata["rules_proposal"] = f"s3://artefacts/reports/{name}/ssdlite/rules.json"
            report["rules"] = {
                moment: {"version": version, "uri": f"s3://artefacts/reports/{name}/rules-{moment}.json"}
                for moment, version in zip(("before", "after"), rules, strict=True)
            }
            for moment, version in zip(("before", "after"), rules, strict=True):
                self.put_json(f"reports/{name}/rules-{moment}.json", rules_document(version))
            self.put_json(f"reports/{name}/ssdlite/evaluation.json", {"model": {"version": f"onnx-{name}"}})
        self.put_json(f"reports/{name}/report.json", report)
        self.target.sagemaker.create_model_package(
            ModelPackageGroupName="press",
            ModelApprovalStatus=status,  # type: ignore[arg-type]
            CustomerMetadataProperties=metadata,
            InferenceSpecification={"Containers": [{"Image": IMAGE, "ModelDataUrl": uri}]},
        )
        if model:
            self.create_model(model_name, uri)
        return model_name

    def put_json(self, key: str, document: Any) -> None:
        self.target.s3.put_object(Bucket="artefacts", Key=key, Body=json.dumps(document).encode())

    def put_rules(self, document: dict[str, Any]) -> None:
        """Change the rules, as a person does."""
        self.target.ssm.put_parameter(
            Name="/press/rules", Value=json.dumps(document), Type="String", Overwrite=True
        )

    @property
    def rules(self) -> dict[str, Any]:
        """The rules in force."""
        value = self.target.ssm.get_parameter(Name="/press/rules")["Parameter"]["Value"]
        document: dict[str, Any] = json.loads(value)
        return document

    def create_model(self, name: str, uri: str) -> None:
        self.target.sagemaker.create_model(
            ModelName=name,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": uri, "Environment": {"LOG_LEVEL": "INFO"}},
            ExecutionRoleArn="arn:aws:iam::123456789012:role/sagemaker",
        )

    def serve(self, model: str) -> None:
        client, config = self.target.sagemaker, f"{model}-config"
        variant: Any = {**HOSTING, "ModelName": model}
        client.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant])
        client.create_endpoint(EndpointName="press", EndpointConfigName=config)

    def serves(self) -> str:
        current = endpoint.describe(self.target)
        assert current is not None
        return current.model_name
