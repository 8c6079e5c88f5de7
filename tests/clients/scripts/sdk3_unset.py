"""Start with the SageMaker SDK 3 what it does unasked, and print what it says about the role.

Usage: sdk3_unset.py, without the settings of `loupe env` for the SDK
"""

import json
import os
import threading

from sagemaker.core.helper.iam_role_resolver import RoleValidationError
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import OutputDataConfig

said = ""
settings = {
    "training_image": os.environ["LOUPE_TRAINING_IMAGE"],
    "role": os.environ["LOUPE_TRAINING_ROLE_ARN"],
    "output_data_config": OutputDataConfig(
        s3_output_path=f"s3://{os.environ['LOUPE_ARTEFACTS_BUCKET']}/sagemaker"
    ),
}
try:
    ModelTrainer(**settings)
except RoleValidationError as error:
    said = str(error)
os.environ["SAGEMAKER_VALIDATE_ROLE"] = "false"
ModelTrainer(**settings).train(dry_run=True)
for thread in threading.enumerate():
    if thread.name == "sagemaker-telemetry":
        thread.join()
print("\n" + json.dumps({"said": said}))
