"""Connects SageMaker with MiniStack's Step Functions and CloudFormation."""

from localcloud.sagemaker import cloudformation, step_functions, task_fields
from localcloud.sagemaker.api import SageMaker


def connect(sagemaker: SageMaker) -> None:
    """Let state machines and templates of this process use `sagemaker`."""
    step_functions.connect(sagemaker)
    task_fields.connect()
    cloudformation.connect(sagemaker)
