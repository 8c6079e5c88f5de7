"""Ask with the SageMaker SDK 3 for what Loupe's images and the local cloud do not do, and print what they say.

Usage: sdk3_refusals.py
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import ClientError
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.jumpstart.configs import JumpStartConfig
from sagemaker.core.processing import ScriptProcessor
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode

session = Session()
image = os.environ["LOUPE_TRAINING_IMAGE"]
compute = Compute(instance_type=os.environ["LOUPE_EVALUATION_INSTANCE_TYPE"], instance_count=1)
code = Path("code")
code.mkdir(exist_ok=True)
(code / "train.py").write_text("print('mine')\n")
data = [InputData(channel_name="train", data_source=session.upload_data("code", key_prefix="sdk3-refusals"))]


def with_source_code() -> None:
    source = SourceCode(source_dir="code", entry_script="train.py")
    ModelTrainer(training_image=image, compute=compute, source_code=source).train(data)


def with_an_image_of_aws() -> None:
    uri = image_uris.retrieve(
        "pytorch",
        session.boto_region_name,
        version="2.5.1",
        py_version="py311",
        instance_type="ml.m5.xlarge",
        image_scope="training",
    )
    ModelTrainer(training_image=uri, compute=compute).train(data)


def of_jumpstart() -> None:
    config = JumpStartConfig(model_id="pytorch-od1-fasterrcnn-resnet50-fpn")
    ModelTrainer.from_jumpstart_config(config).train(data)


def process_with_a_script() -> None:
    ScriptProcessor(
        image_uri=image,
        command=["python3"],
        instance_count=1,
        instance_type=os.environ["LOUPE_EVALUATION_INSTANCE_TYPE"],
    ).run(code="code/train.py")


def answer(ask: Callable[[], None]) -> list[str]:
    try:
        ask()
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["Error"]["Message"]]
    return ["", "done"]


asked = (with_source_code, with_an_image_of_aws, of_jumpstart, process_with_a_script)
print("\n" + json.dumps({ask.__name__: answer(ask) for ask in asked}))
