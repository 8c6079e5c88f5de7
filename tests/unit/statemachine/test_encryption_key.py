"""With a key of one's own, what a run makes is encrypted by it; without one, no request names a key."""

import json
from typing import Any

import jsonata
import pytest

from contract.instances import takes_volume_key
from localcloud.sources import REPOSITORY
from tests.unit.statemachine.engine import SUBSTITUTIONS

KEY = "arn:aws:kms:us-east-1:000000000000:key/1234abcd"
SOURCE = (REPOSITORY / "statemachine/retrain.asl.json").read_text()
CANDIDATE = {"evaluation": {"output": "s3://b/reports/r/a"}}
INSTANCES = [
    "ml.c6i.xlarge",
    "ml.c5d.large",
    "ml.g5.xlarge",
    "ml.m5.large",
    "ml.g4dn.xlarge",
    "ml.p3.2xlarge",
]


def evaluated(value: Any, **variables: Any) -> Any:
    """Return a part of the definition with its expressions evaluated."""
    if isinstance(value, dict):
        return {name: evaluated(item, **variables) for name, item in value.items()}
    if not (isinstance(value, str) and value.startswith("{%")):
        return value
    expression = jsonata.Jsonata.jsonata(value[2:-2].strip())
    for name, given in variables.items():
        expression.assign(name, given)
    return expression.evaluate(None)


def requests(key: str, instance: str) -> tuple[Any, Any, Any]:
    """Return the members of the requests that name a key: the evaluation's output and host, and the endpoint's."""
    text = SOURCE
    changed = {"EncryptionKey": key, "EvaluationInstanceType": instance, "HostingInstanceType": instance}
    for name, value in (SUBSTITUTIONS | changed).items():
        text = text.replace(f"${{{name}}}", value)
    states = json.loads(text)["States"]
    evaluation = states["Candidates"]["ItemProcessor"]["States"]["Evaluate"]["Arguments"]
    return (
        evaluated(evaluation["ProcessingOutputConfig"], candidate=CANDIDATE),
        evaluated(evaluation["ProcessingResources"], candidate=CANDIDATE)["ClusterConfig"],
        evaluated(states["CreateEndpointConfig"]["Arguments"], model="m"),
    )


@pytest.mark.promise(24)
@pytest.mark.parametrize("instance", INSTANCES)
def test_a_run_encrypts_reports_and_volumes_with_the_key_where_sagemaker_takes_it(instance: str) -> None:
    output, host, endpoint = requests(KEY, instance)
    assert output["KmsKeyId"] == KEY
    assert output["Outputs"][0]["S3Output"]["S3Uri"] == "s3://b/reports/r/a"
    wanted = KEY if takes_volume_key(instance) else None
    assert (host.get("VolumeKmsKeyId"), endpoint.get("KmsKeyId")) == (wanted, wanted)
    assert (host["InstanceType"], host["InstanceCount"], host["VolumeSizeInGB"]) == (instance, 1, 30)
    (variant,) = endpoint["ProductionVariants"]
    assert (variant["ModelName"], variant["InitialInstanceCount"]) == ("m", 2)


def test_without_a_key_no_request_names_one() -> None:
    assert "Key" not in json.dumps(requests("", "ml.c6i.xlarge"))
