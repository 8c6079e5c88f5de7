"""Judge a folder by the SageMaker SDK's Transformer: with a bad picture, again with its error kept, and stopped.

Usage: judge_folder.py 2|3 FOLDER NAME, a version of the SDK, a folder of pictures, and where it goes under batch/
"""

import contextlib
import io
import json
import logging
import os
import sys
from pathlib import Path

import boto3

if sys.argv[1] == "2":
    from sagemaker import Session
    from sagemaker.exceptions import UnexpectedStatusException as FailedError
    from sagemaker.transformer import Transformer
else:
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.transformer import Transformer
    from sagemaker.core.utils.exceptions import FailedStatusError as FailedError

s3, control = boto3.client("s3"), boto3.client("sagemaker")
bucket, base = os.environ["LOUPE_ARTEFACTS_BUCKET"], f"batch/{sys.argv[3]}"
for picture in Path(sys.argv[2]).iterdir():
    s3.upload_file(str(picture), bucket, f"{base}/in/{picture.name}")
endpoint = control.describe_endpoint(EndpointName=os.environ["LOUPE_ENDPOINT"])
config = control.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
session = Session()


def judge(output: str, *, logs: bool = False, wait: bool = True, **environment: str) -> Transformer:
    """Start a job, and wait for its end."""
    transformer = Transformer(
        config["ProductionVariants"][0]["ModelName"],
        instance_count=1,
        instance_type=os.environ["LOUPE_EVALUATION_INSTANCE_TYPE"],
        strategy="SingleRecord",
        output_path=f"s3://{bucket}/{base}/{output}",
        env={"LOUPE_WORKERS": "1", **environment},
        base_transform_job_name="folder",
        sagemaker_session=session,
    )
    transformer.transform(f"s3://{bucket}/{base}/in/", content_type="image/jpeg", logs=logs, wait=wait)
    return transformer


def outputs(output: str) -> dict[str, object]:
    """Return the answers under an output path, by the picture's name."""
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{base}/{output}/").get("Contents", [])
    return {
        entry["Key"].rpartition("/")[2]: json.load(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"])
        for entry in listed
    }


log, failure = io.StringIO(), ""
# SDK 2 prints the job's log, SDK 3 writes it into its own.
logger = logging.getLogger("sagemaker.core.resources")
logger.setLevel(logging.INFO)
logger.addHandler(logging.StreamHandler(log))
with contextlib.redirect_stdout(log):
    try:
        judge("out", logs=True)
    except FailedError as error:
        failure = str(error)
with contextlib.redirect_stdout(io.StringIO()):
    kept = judge("kept", LOUPE_ANSWER_UNREADABLE="1")
    job = kept.latest_transform_job
    name = job.name if sys.argv[1] == "2" else job.transform_job_name
    attached = Transformer.attach(name, session)
    stopped = judge("stopped", wait=False)
    stopped.stop_transform_job()
    last = stopped.latest_transform_job
    last_name = last.name if sys.argv[1] == "2" else last.transform_job_name
    stopped_status = control.describe_transform_job(TransformJobName=last_name)["TransformJobStatus"]
print(
    json.dumps(
        {
            "failure": failure,
            "log": log.getvalue(),
            "out": outputs("out"),
            "kept": outputs("kept"),
            "attached": [attached.model_name, attached.strategy, attached.output_path],
            "model": config["ProductionVariants"][0]["ModelName"],
            "stopped": [stopped_status, outputs("stopped")],
        }
    )
)
