"""Ask with the SageMaker SDK 2 for what Loupe's images and the local cloud do not do, and print what they say.

Usage: sdk2_refusals.py MODEL, a model.tar.gz
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import sagemaker
from botocore.exceptions import ClientError
from sagemaker import image_uris
from sagemaker.async_inference import AsyncInferenceConfig
from sagemaker.estimator import Estimator
from sagemaker.jumpstart.estimator import JumpStartEstimator
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.processing import ScriptProcessor
from sagemaker.pytorch import PyTorch

session = sagemaker.Session()
image, instance_type = os.environ["LOUPE_TRAINING_IMAGE"], os.environ["LOUPE_EVALUATION_INSTANCE_TYPE"]
script = Path("train.py")
script.write_text("print('mine')\n")
data = session.upload_data(str(script), key_prefix="sdk2-refusals/data")
model = session.upload_data(sys.argv[1], key_prefix="sdk2-refusals/model")


def with_a_script() -> None:
    Estimator(
        image, instance_count=1, instance_type=instance_type, entry_point="train.py", source_dir="."
    ).fit({"train": data})


def of_a_framework() -> None:
    PyTorch(
        entry_point="train.py",
        framework_version="2.0",
        py_version="py310",
        instance_count=1,
        instance_type=instance_type,
        role=os.environ["LOUPE_TRAINING_ROLE_ARN"],
    ).fit({"train": data})


def with_an_image_of_aws() -> None:
    uri = image_uris.retrieve("object-detection", session.boto_region_name)
    Estimator(uri, instance_count=1, instance_type=instance_type).fit({"train": data})


def of_jumpstart() -> None:
    JumpStartEstimator(model_id="pytorch-od1-fasterrcnn-resnet50-fpn").fit({"training": data})


def process_with_a_script() -> None:
    ScriptProcessor(image_uri=image, command=["python3"], instance_count=1, instance_type=instance_type).run(
        code="train.py"
    )


def serve_asynchronously() -> None:
    served = Model(image_uri=os.environ["LOUPE_SERVING_IMAGE"], model_data=model, sagemaker_session=session)
    served.deploy(1, instance_type, async_inference_config=AsyncInferenceConfig())


def invoke_asynchronously() -> None:
    runtime = session.sagemaker_runtime_client
    runtime.invoke_endpoint_async(EndpointName=os.environ["LOUPE_ENDPOINT"], InputLocation=model)


def look_for_lineage() -> None:
    Predictor(os.environ["LOUPE_ENDPOINT"], session).endpoint_context()


def answer(ask: Callable[[], None]) -> list[str]:
    try:
        ask()
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["Error"]["Message"]]
    return ["", "done"]


asked = (
    with_a_script,
    of_a_framework,
    with_an_image_of_aws,
    of_jumpstart,
    process_with_a_script,
    serve_asynchronously,
    invoke_asynchronously,
    look_for_lineage,
)
print(json.dumps({ask.__name__: answer(ask) for ask in asked}))
