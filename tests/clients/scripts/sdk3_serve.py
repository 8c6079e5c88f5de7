"""Deploy a model with the SageMaker SDK 3, let it judge a picture, register it, delete all, and print what was there.

Usage: sdk3_serve.py MODEL PICTURE, a model.tar.gz and a picture
"""

import json
import os
import sys
from pathlib import Path

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, ModelPackage, ModelPackageGroup
from sagemaker.serve.model_builder import ModelBuilder

NAME, GROUP = "sdk3-served", "sdk3"

session = Session()
artefact = session.upload_data(sys.argv[1], key_prefix="sdk3/model")
builder = ModelBuilder(
    image_uri=os.environ["LOUPE_SERVING_IMAGE"],
    s3_model_data_url=artefact,
    role_arn=os.environ["LOUPE_TRAINING_ROLE_ARN"],
    sagemaker_session=session,
    instance_type=os.environ["LOUPE_HOSTING_INSTANCE_TYPE"],
)
builder.build(model_name=NAME)
endpoint = builder.deploy(endpoint_name=NAME, initial_instance_count=1, wait=False)
# The builder itself would look every 30 seconds only.
endpoint.wait_for_status("InService", poll=1)
status = endpoint.endpoint_status
answer = endpoint.invoke(body=Path(sys.argv[2]).read_bytes(), content_type="image/jpeg")
detections = json.loads(answer.body.read())["detections"]

group = ModelPackageGroup.create(model_package_group_name=GROUP)
package = builder.register(
    model_package_group_name=GROUP,
    content_types=["image/jpeg"],
    response_types=["application/json"],
    inference_instances=[os.environ["LOUPE_HOSTING_INSTANCE_TYPE"]],
    approval_status="PendingManualApproval",
)
version = ModelPackage.get(package)
version.update(model_approval_status="Approved")
approved = ModelPackage.get(package).model_approval_status


def listed() -> list[str]:
    """Return which of the resources are there."""
    return [
        *(f"endpoint {each.endpoint_name}" for each in Endpoint.get_all(name_contains=NAME)),
        *(f"config {each.endpoint_config_name}" for each in EndpointConfig.get_all(name_contains=NAME)),
        *(f"model {each.model_name}" for each in Model.get_all(name_contains=NAME)),
        *(
            f"group {each.model_package_group_name}"
            for each in ModelPackageGroup.get_all()
            if each.model_package_group_name == GROUP
        ),
    ]


before = listed()
config = endpoint.endpoint_config_name
endpoint.delete()
endpoint.wait_for_delete(poll=1)
EndpointConfig.get(config).delete()
Model.get(NAME).delete()
version.delete()
group.delete()
group.wait_for_delete(poll=1)
# The SDK's panels do not end their line.
print(
    "\n"
    + json.dumps(
        {
            "status": status,
            "variant": answer.invoked_production_variant,
            "detections": detections,
            "package": package,
            "approved": approved,
            "before": before,
            "after": listed(),
        }
    )
)
