"""Measure a model by a processing job of the SageMaker SDK 2, register it, serve the version, delete all.

Usage: sdk2_register.py MODEL FOLDER, a model.tar.gz and a folder of labelled pictures
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.model import Model, ModelPackage
from sagemaker.predictor import Predictor
from sagemaker.processing import ProcessingInput, ProcessingJob, ProcessingOutput, Processor
from sagemaker.s3 import S3Downloader
from sagemaker.serializers import IdentitySerializer

model_file, pictures = Path(sys.argv[1]), Path(sys.argv[2])
session = sagemaker.Session()
client = session.sagemaker_client
data = session.upload_data(str(pictures), key_prefix="sdk2-register/data")
artefact = session.upload_data(str(model_file), key_prefix="sdk2-register/model")

ROOT = "/opt/ml/processing"
processor = Processor(
    image_uri=os.environ["LOUPE_TRAINING_IMAGE"],
    entrypoint=["python", "-m", "training.evaluate"],
    instance_count=1,
    instance_type=os.environ["LOUPE_EVALUATION_INSTANCE_TYPE"],
    env={"LOUPE_ML_ROOT": ROOT},
    base_job_name="sdk2",
)
log = io.StringIO()
with contextlib.redirect_stdout(log):
    processor.run(
        inputs=[
            ProcessingInput(artefact, f"{ROOT}/input/data/model", input_name="model"),
            ProcessingInput(data, f"{ROOT}/input/data/test", input_name="test"),
        ],
        outputs=[ProcessingOutput(output_name="report", source=f"{ROOT}/output/data")],
        logs=True,
    )
job = ProcessingJob.from_processing_name(session, processor.latest_job.job_name)
report = json.loads(S3Downloader.read_file(f"{job.outputs[0].destination}/evaluation.json", session))

group = "sdk2"
model = Model(
    image_uri=os.environ["LOUPE_SERVING_IMAGE"],
    model_data=artefact,
    sagemaker_session=session,
    predictor_cls=Predictor,
)
package = model.register(
    content_types=["image/jpeg"],
    response_types=["application/json"],
    inference_instances=[os.environ["LOUPE_EVALUATION_INSTANCE_TYPE"]],
    model_package_group_name=group,
    approval_status="PendingManualApproval",
    description="by the SDK 2",
)
version = ModelPackage(
    role=os.environ["LOUPE_SERVING_ROLE_ARN"],
    model_package_arn=package.model_package_arn,
    sagemaker_session=session,
    predictor_cls=Predictor,
)
before = client.describe_model_package(ModelPackageName=version.model_package_arn)["ModelApprovalStatus"]
version.update_approval_status("Approved", approval_description="looked at")
with contextlib.redirect_stdout(io.StringIO()):
    predictor = version.deploy(
        1,
        os.environ["LOUPE_EVALUATION_INSTANCE_TYPE"],
        serializer=IdentitySerializer("image/jpeg"),
        deserializer=JSONDeserializer(),
    )
    answer = predictor.predict(next(pictures.glob("images/*.jpg")).read_bytes())
after = client.describe_model_package(ModelPackageName=version.model_package_arn)
predictor.delete_model()
predictor.delete_endpoint()
version.delete_model_package() if hasattr(version, "delete_model_package") else client.delete_model_package(
    ModelPackageName=version.model_package_arn
)
client.delete_model_package_group(ModelPackageGroupName=group)
groups = client.list_model_package_groups()["ModelPackageGroupSummaryList"]
print(
    json.dumps(
        {
            "log": log.getvalue(),
            "inputs": [job_input.input_name for job_input in job.inputs],
            "report": report,
            "before": before,
            "after": [after["ModelApprovalStatus"], after["ApprovalDescription"]],
            "answer": answer,
            "groups": [entry["ModelPackageGroupName"] for entry in groups],
        }
    )
)
