"""Makes SageMaker known to MiniStack's Step Functions and CloudFormation."""

from localcloud.sagemaker import executions, stacks, steps
from localcloud.sagemaker.api import SageMaker


def connect(sagemaker: SageMaker) -> None:
    """Let state machines and templates use `sagemaker`; executions that a former run left go on."""
    steps.connect(sagemaker)
    stacks.connect(sagemaker)
    executions.go_on()
