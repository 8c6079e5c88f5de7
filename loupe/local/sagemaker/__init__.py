"""SageMaker on one laptop: models, endpoint configurations, endpoints and InvokeEndpoint.

An endpoint is a real server: the container's `serve` program as a child process. This is the only
emulator of ours; everything else is MiniStack's.
"""

from loupe.local.sagemaker.api import SageMaker

__all__ = ["SageMaker"]
