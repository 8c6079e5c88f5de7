"""Train and deploy as notebooks for the SageMaker SDK 2 do: fit with its logs, metrics, attach, predict, delete.

Usage: sdk2_train.py FOLDER, a folder of labelled pictures
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import sagemaker
from sagemaker.analytics import TrainingJobAnalytics
from sagemaker.estimator import Estimator
from sdk2_serving import judged

pictures = Path(sys.argv[1])
session = sagemaker.Session()
data = session.upload_data(str(pictures), key_prefix="sdk2-train/data")
settings = {"input_size": 128, "epochs": 1, "batch_size": 8, "workers": 0, "validate_every": 1}
estimator = Estimator(
    os.environ["LOUPE_TRAINING_IMAGE"],
    instance_count=1,
    instance_type=os.environ["LOUPE_TRAINING_INSTANCE_TYPE"],
    # Strings as the estimators for frameworks write them.
    hyperparameters=settings | {"family": json.dumps("ssdlite"), "name": json.dumps("sdk2")},
    metric_definitions=[{"Name": "val:map", "Regex": r"val:map=([0-9.]+)"}],
    base_job_name="sdk2",
)
log = io.StringIO()
with contextlib.redirect_stdout(log):
    estimator.fit({"train": data}, logs="All")
name = estimator.latest_training_job.name
metrics = TrainingJobAnalytics(name, ["val:map"]).dataframe()

attached = Estimator.attach(name)
with contextlib.redirect_stdout(io.StringIO()):
    endpoint, answer = judged(attached, pictures)
print(
    json.dumps(
        {
            "log": log.getvalue(),
            "metrics": metrics["metric_name"].unique().tolist(),
            "model": attached.model_data,
            "key": attached.output_kms_key,
            "family": attached.hyperparameters()["family"],
            "endpoint": endpoint,
            "answer": answer,
        }
    )
)
