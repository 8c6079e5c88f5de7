"""Judge a folder by a model of the SageMaker SDK 2: upload, Model.transformer() with its default output, download.

Usage: sdk2_transformer.py FOLDER
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import boto3
import sagemaker
from sagemaker.model import Model
from sagemaker.s3 import S3Downloader

control = boto3.client("sagemaker")
endpoint = control.describe_endpoint(EndpointName=os.environ["LOUPE_ENDPOINT"])
config = control.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
serving = control.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])["PrimaryContainer"]
session = sagemaker.Session()
pictures = session.upload_data(sys.argv[1], key_prefix="sdk2-transformer/in")
model = Model(
    serving["Image"],
    model_data=serving["ModelDataUrl"],
    role=os.environ["LOUPE_TRAINING_ROLE_ARN"],
    sagemaker_session=session,
)
with contextlib.redirect_stdout(io.StringIO()):
    transformer = model.transformer(
        1,
        os.environ["LOUPE_EVALUATION_INSTANCE_TYPE"],
        accept="application/json",
        env={"LOUPE_ANSWER_UNREADABLE": "1", "LOUPE_WORKERS": "1"},
    )
    transformer.transform(pictures, content_type="image/jpeg", logs=False)
    transformer.delete_model()
answers = Path("sdk2-answers")
S3Downloader.download(transformer.output_path, str(answers), sagemaker_session=session)
print(
    json.dumps(
        {
            "output": transformer.output_path,
            "errors": {
                file.name: json.loads(file.read_text()).get("error", {}).get("code")
                for file in answers.iterdir()
            },
        }
    )
)
