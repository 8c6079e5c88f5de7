"""SageMaker on one laptop: jobs, tuning, the model registry, endpoints and InvokeEndpoint.

A job and an endpoint's server are programs of the container contract, run as child processes; no answer is
canned. This is the only emulator that we write; MiniStack has no SageMaker.
"""

from localcloud.sagemaker.api import SageMaker

__all__ = ["SageMaker"]
