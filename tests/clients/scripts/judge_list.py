"""Judge the pictures of a list by boto3, as docs/batch-transform.md shows, and print the answers as a table.

Usage: judge_list.py FOLDER
"""

import json
import os
import sys
from pathlib import Path

import boto3

s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
bucket = os.environ["LOUPE_ARTEFACTS_BUCKET"]
keys = []
for picture in sorted(Path(sys.argv[1]).iterdir()):
    keys.append(f"batch/list/in/{picture.name}")
    s3.upload_file(str(picture), bucket, keys[-1])
lines = [json.dumps({"s3": {"bucket": bucket, "key": key}}) for key in keys]
s3.put_object(Bucket=bucket, Key="batch/list/list.jsonl", Body="\n".join(lines).encode())

endpoint = sagemaker.describe_endpoint(EndpointName=os.environ["LOUPE_ENDPOINT"])
config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
sagemaker.create_transform_job(
    TransformJobName="list",
    ModelName=config["ProductionVariants"][0]["ModelName"],
    TransformInput={
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/batch/list/list.jsonl"}
        },
        "ContentType": "application/json",
        "SplitType": "Line",
    },
    TransformOutput={
        "S3OutputPath": f"s3://{bucket}/batch/list/out",
        "Accept": "application/json",
        "AssembleWith": "Line",
    },
    DataProcessing={"JoinSource": "Input"},
    Environment={"LOUPE_ANSWER_UNREADABLE": "1", "LOUPE_WORKERS": "1"},
    TransformResources={"InstanceType": os.environ["LOUPE_EVALUATION_INSTANCE_TYPE"], "InstanceCount": 1},
)
waiter = sagemaker.get_waiter("transform_job_completed_or_stopped")
waiter.wait(TransformJobName="list", WaiterConfig={"Delay": 1, "MaxAttempts": 200})
table = s3.get_object(Bucket=bucket, Key="batch/list/out/list.jsonl.out")["Body"].read().decode()
rows = []
for line in table.splitlines():
    row = json.loads(line)
    answer = row["SageMakerOutput"]
    rows.append(
        {
            "key": row["s3"]["key"],
            "error": answer.get("error", {}).get("code"),
            "detections": answer.get("detections", []),
        }
    )
print(json.dumps(rows))
