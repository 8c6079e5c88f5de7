"""Tune hyperparameters with the SageMaker SDK 2: fit, analytics, attach, the best estimator, deploy, delete.

Usage: sdk2_tune.py FOLDER, a folder of labelled pictures
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner
from sdk2_serving import judged

pictures = Path(sys.argv[1])
session = sagemaker.Session()
data = session.upload_data(str(pictures), key_prefix="sdk2-tune/data")
fixed = {"family": "ssdlite", "input_size": 128, "epochs": 1, "workers": 0, "validate_every": 1}
estimator = Estimator(
    os.environ["LOUPE_TRAINING_IMAGE"],
    instance_count=1,
    instance_type=os.environ["LOUPE_EVALUATION_INSTANCE_TYPE"],
    hyperparameters=fixed | {"tuned": True},
)
tuner = HyperparameterTuner(
    estimator,
    "val:map",
    {"learning_rate": ContinuousParameter(0.001, 0.01), "batch_size": CategoricalParameter([4, 8])},
    metric_definitions=[{"Name": "val:map", "Regex": r"val:map=([0-9.]+)"}],
    max_jobs=2,
    max_parallel_jobs=2,
    base_tuning_job_name="sdk2",
)
with contextlib.redirect_stdout(io.StringIO()):
    # With the estimator's class as hyperparameters, by which `attach` finds it again.
    tuner.fit({"train": data}, include_cls_metadata=True)
    attached = HyperparameterTuner.attach(tuner.latest_tuning_job.name)
    best = attached.best_estimator()
    _, answer = judged(attached, pictures)
jobs = attached.analytics().dataframe()
print(
    json.dumps(
        {
            "best": attached.best_training_job(),
            "instance_type": attached.estimator.instance_type,
            "fixed": attached.estimator.hyperparameters(),
            "tuned": best.hyperparameters(),
            "model": best.model_data,
            "statuses": jobs["TrainingJobStatus"].tolist(),
            "columns": jobs.columns.tolist(),
            "answer": answer,
        }
    )
)
