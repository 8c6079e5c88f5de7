"""Train, tune and evaluate with the SageMaker SDK 3, as a user does, and print what came of it.

Usage: sdk3_jobs.py FOLDER, a folder of labelled pictures
"""

import json
import os
import sys

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import ContinuousParameter
from sagemaker.core.processing import Processor
from sagemaker.core.resources import TrainingJob
from sagemaker.core.shapes import (
    MetricDefinition,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData
from sagemaker.train.tuner import HyperparameterTuner

ROOT = "/opt/ml/processing"
METRIC, REGEX = "val:map", "val:map=([0-9.]+)"

session = Session()
data = session.upload_data(sys.argv[1], key_prefix="sdk3/data")
channels = [InputData(channel_name="train", data_source=data)]


def trainer(name: str) -> ModelTrainer:
    """Return what trains; the role and the bucket are those of `loupe env`."""
    return ModelTrainer(
        training_image=os.environ["LOUPE_TRAINING_IMAGE"],
        base_job_name=name,
        compute=Compute(instance_type=os.environ["LOUPE_TRAINING_INSTANCE_TYPE"], instance_count=1),
        hyperparameters={
            "family": "ssdlite",
            "input_size": 128,
            "epochs": 1,
            "batch_size": 8,
            "workers": 0,
            "validate_every": 1,
        },
    )


def train() -> dict[str, object]:
    training = trainer("sdk3").with_metric_definitions([MetricDefinition(name=METRIC, regex=REGEX)])
    training.train(input_data_config=channels, wait=True, logs=True)
    job = TrainingJob.get(training._latest_training_job.training_job_name)
    return {
        "status": job.training_job_status,
        "role": job.role_arn,
        "artefact": job.model_artifacts.s3_model_artifacts,
        "metrics": {metric.metric_name: metric.value for metric in job.final_metric_data_list},
        "billable": job.billable_time_in_seconds,
        "listed": job.training_job_name in [each.training_job_name for each in TrainingJob.get_all()],
    }


def tune() -> dict[str, object]:
    tuner = HyperparameterTuner(
        model_trainer=trainer("sdk3-tuned"),
        objective_metric_name=METRIC,
        metric_definitions=[{"Name": METRIC, "Regex": REGEX}],
        hyperparameter_ranges={
            "learning_rate": ContinuousParameter(0.0001, 0.01, scaling_type="Logarithmic")
        },
        max_jobs=2,
        max_parallel_jobs=2,
        base_tuning_job_name="sdk3",
    )
    tuner.tune(inputs=channels, wait=True)
    table = tuner.analytics().dataframe()
    return {
        "status": tuner.describe().hyper_parameter_tuning_job_status,
        "best": tuner.best_training_job(),
        "jobs": list(table["TrainingJobName"]),
        "rates": list(table["learning_rate"]),
    }


def evaluate(artefact: str) -> dict[str, object]:
    def given(name: str, uri: str) -> ProcessingInput:
        place = ProcessingS3Input(
            s3_uri=uri,
            local_path=f"{ROOT}/input/data/{name}",
            s3_data_type="S3Prefix",
            s3_input_mode="File",
        )
        return ProcessingInput(input_name=name, s3_input=place)

    report = f"s3://{session.default_bucket()}/{session.default_bucket_prefix}/sdk3/report"
    written = ProcessingS3Output(s3_uri=report, local_path=f"{ROOT}/output/data", s3_upload_mode="EndOfJob")
    processor = Processor(
        image_uri=os.environ["LOUPE_TRAINING_IMAGE"],
        entrypoint=["python", "-m", "training.evaluate"],
        instance_count=1,
        instance_type=os.environ["LOUPE_EVALUATION_INSTANCE_TYPE"],
        env={"LOUPE_ML_ROOT": ROOT},
        base_job_name="sdk3-evaluate",
    )
    processor.run(
        inputs=[given("model", artefact), given("test", data)],
        outputs=[ProcessingOutput(output_name="report", s3_output=written)],
        logs=True,
    )
    file = f"{session.default_bucket_prefix}/sdk3/report/evaluation.json"
    read = json.loads(session.read_s3_file(session.default_bucket(), file))
    return {"split": read["split"], "trained_on": read["trained_on_this_dataset"], "images": read["images"]}


trained = train()
# The SDK's panels do not end their line.
print(
    "\n"
    + json.dumps(
        {
            "bucket": session.default_bucket(),
            "data": data,
            "trained": trained,
            "tuned": tune(),
            "evaluated": evaluate(str(trained["artefact"])),
        }
    )
)
