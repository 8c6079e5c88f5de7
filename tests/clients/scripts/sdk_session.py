"""Print what the SageMaker SDK takes from the configuration file that `loupe env` wrote; version 2 and 3.

Usage: sdk_session.py
"""

import json
import os
from importlib.metadata import version

import boto3
import botocore.exceptions

third = version("sagemaker").startswith("3.")
if third:
    from sagemaker.core.common_utils import resolve_value_from_config
    from sagemaker.core.config.config import load_sagemaker_config
    from sagemaker.core.config.config_schema import TELEMETRY_OPT_OUT_PATH
    from sagemaker.core.helper.session_helper import Session, get_execution_role
    from sagemaker.core.processing import Processor
    from sagemaker.serve import ModelBuilder
    from sagemaker.train import ModelTrainer
else:
    from sagemaker.config import load_sagemaker_config
    from sagemaker.config.config_schema import TELEMETRY_OPT_OUT_PATH
    from sagemaker.estimator import Estimator
    from sagemaker.model import Model
    from sagemaker.processing import Processor
    from sagemaker.session import Session, get_execution_role
    from sagemaker.utils import resolve_value_from_config

# It validates the file by the schema of this version, which allows no key that it does not know.
session = Session(sagemaker_config=load_sagemaker_config())
shape = {"instance_count": 1, "instance_type": "ml.m5.large", "sagemaker_session": session}
image = os.environ["LOUPE_TRAINING_IMAGE"]
roles = {"processor": Processor(image_uri=image, **shape).role}
if third:
    roles["trainer"] = ModelTrainer(training_image=image, sagemaker_session=session).role
    builder = ModelBuilder(
        image_uri=os.environ["LOUPE_SERVING_IMAGE"],
        s3_model_data_url="s3://bucket/model.tar.gz",
        role_arn=os.environ["LOUPE_SERVING_ROLE_ARN"],
        sagemaker_session=session,
    )
    roles["model"] = builder.role_arn
else:
    roles["trainer"] = Estimator(image, **shape).role
    roles["model"] = Model(image, "s3://bucket/model.tar.gz", sagemaker_session=session).role
caller = boto3.client("sts").get_caller_identity()
quiet = resolve_value_from_config(
    config_path=TELEMETRY_OPT_OUT_PATH, default_value=False, sagemaker_session=session
)
result = {
    "bucket": session.default_bucket(),
    "prefix": session.default_bucket_prefix,
    "quiet": quiet,
    "roles": roles,
    "account": caller["Account"],
    "buckets": [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]],
}
# What docs/clients.md names as calls whose address nothing changes.
fixed = []
for call in (lambda: get_execution_role(session), session.account_id):
    try:
        call()
    except (OSError, botocore.exceptions.BotoCoreError) as error:
        fixed.append(str(error))
print("\n" + json.dumps(result | {"fixed": fixed}))
