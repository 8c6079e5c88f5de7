"""The functions of the small chain. A test's event (without Records) runs one action with the role's permissions."""

import json
import logging
import os
import sys
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.exceptions import BotoCoreError, ClientError

CLIENTS = {name: boto3.client(name) for name in ("s3", "dynamodb", "sagemaker-runtime", "sns")}
THREADS = ThreadPoolExecutor(8)


class TeapotError(Exception):
    pass


def inspect(event, context):
    if "Records" not in event:
        return act(event)
    failed = [message_id for message_id in THREADS.map(inspect_image, event["Records"]) if message_id]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def inspect_image(message):
    try:
        for record in json.loads(message["body"]).get("Records", []):
            s3 = record["s3"]
            key = urllib.parse.unquote_plus(s3["object"]["key"])
            image = CLIENTS["s3"].get_object(
                Bucket=s3["bucket"]["name"], Key=key, VersionId=s3["object"]["versionId"]
            )
            answer = CLIENTS["sagemaker-runtime"].invoke_endpoint(
                EndpointName="allowed", Body=image["Body"].read(), ContentType="image/jpeg"
            )
            verdict = json.load(answer["Body"])
            item = {
                "image": {"S": key},
                "model": {"S": verdict["model"]},
                "size": {"N": str(verdict["size"])},
            }
            CLIENTS["dynamodb"].put_item(TableName=os.environ["TABLE"], Item=item)
    except (BotoCoreError, ClientError):
        logging.exception("not inspected")
        return message["messageId"]
    return None


def act(event):
    if event["do"] == "raise":
        raise TeapotError("short and stout")
    if event["do"] == "emit":
        directive = {"Namespace": "Test", "Dimensions": [["line"]], "Metrics": [{"Name": "Emitted"}]}
        values = {"line": "a", "Emitted": event["value"]}
        return sys.stdout.write(json.dumps({"_aws": {"CloudWatchMetrics": [directive]}, **values}) + "\n")
    if event["do"] == "sleep":
        CLIENTS["dynamodb"].put_item(TableName=os.environ["TABLE"], Item={"image": {"S": "asleep"}})
        return time.sleep(event["seconds"])
    if event["do"] == "environment":
        return dict(os.environ)
    answer = CLIENTS[event["service"]].__getattribute__(event["do"])(**event["with"])
    return {"status": answer["ResponseMetadata"]["HTTPStatusCode"]}


def alert(event, context):
    failed = []
    for record in event["Records"]:
        key = record["dynamodb"]["NewImage"]["image"]["S"]
        if "poison" in key:
            failed.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
        elif "defect" in key:
            CLIENTS["sns"].publish(TopicArn=os.environ["TOPIC"], Message=key)
    return {"batchItemFailures": failed}
