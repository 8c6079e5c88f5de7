"""The SageMaker endpoint, and what its errors mean for an image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError
from pydantic import BaseModel, Field, ValidationError

from inspection.errors import ModelError, NotReadyError, UnreadableError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

# The container says these of a request that it has no time for; everything else below 500 is about the image.
_BUSY = frozenset({429, 503})
_SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})


class Detection(BaseModel):
    """One found defect: box = [x1, y1, x2, y2] in pixels of the upright image, score 0..1."""

    label: str
    score: float = Field(ge=0, le=1)
    box: tuple[float, float, float, float]

    @property
    def area(self) -> float:
        """Square pixels."""
        x1, y1, x2, y2 = self.box
        return max(0.0, x2 - x1) * max(0.0, y2 - y1)


class Model(BaseModel):
    """Which model judged."""

    name: str
    version: str


class _Size(BaseModel):
    width: int
    height: int


class Prediction(BaseModel):
    """The endpoint's answer, best detection first; image = size of the upright image."""

    model: Model
    image: _Size
    detections: list[Detection]
    quality: dict[str, float] = {}
    timings_ms: dict[str, float] = {}


class Detector:
    """Calls the endpoint.

    Throttling, 5xx of the service and broken connections are tried again by botocore with jitter; what is left
    after that is sorted into three: the image's fault, this model's fault on this image, or not ready.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html#API_runtime_InvokeEndpoint_Errors
    """

    # Two attempts of 20 s at most fit into the function's 60 s beside the reads and writes.
    CONFIG: ClassVar[Config] = Config(
        connect_timeout=2,
        read_timeout=20,
        max_pool_connections=16,
        retries={"mode": "standard", "total_max_attempts": 2},
    )
    SECONDS_NEEDED: ClassVar[float] = 45.0

    def __init__(
        self, runtime: SageMakerRuntimeClient, sagemaker: SageMakerClient, endpoint_name: str
    ) -> None:
        self._runtime = runtime
        self._sagemaker = sagemaker
        self._endpoint_name = endpoint_name

    def detect(self, data: bytes, content_type: str) -> Prediction:
        """What the model sees in an image.

        Raises:
            UnreadableError: the container refuses the image.
            NotReadyError: there is no endpoint, or it is busy, updating or down.
            ModelError: the model failed on this image, or answered what is no answer.
        """
        try:
            reply = self._runtime.invoke_endpoint(
                EndpointName=self._endpoint_name,
                ContentType=content_type,
                Accept="application/json",
                Body=data,
            )
            return Prediction.model_validate_json(reply["Body"].read())
        except ClientError as error:
            raise self._sorted(error) from error
        except (HTTPClientError, ConnectionError) as error:
            raise NotReadyError(f"the endpoint does not answer: {type(error).__name__}") from error
        except ValidationError as error:
            raise ModelError(
                f"the model's answer does not fit the contract: {error.error_count()} errors"
            ) from error

    def _sorted(self, error: ClientError) -> Exception:
        code = error.response["Error"]["Code"]
        response: Any = error.response
        if code == "ModelError":
            status = int(response.get("OriginalStatusCode", 500))
            if status in _BUSY:
                return NotReadyError(f"the container is busy ({status})")
            if 400 <= status < 500:
                return _refusal(response.get("OriginalMessage", ""), status)
            return ModelError(f"the model failed with status {status}")
        if code == "ValidationError":
            # Said of a name that does not exist as well as of a request that can never work.
            if self._serves():
                return ModelError(
                    f"the endpoint refuses the request: {error.response['Error'].get('Message', '')}"
                )
            return NotReadyError("there is no endpoint in service yet")
        if code in ("AccessDeniedException", "AccessDenied"):
            return error
        return NotReadyError(f"the endpoint answers {code}")

    def _serves(self) -> bool:
        try:
            described = self._sagemaker.describe_endpoint(EndpointName=self._endpoint_name)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationException":
                return False
            raise
        return described["EndpointStatus"] in _SERVING


def _refusal(original: str, status: int) -> UnreadableError:
    """The container's `{"error": {"code", "message"}}` as our error."""
    try:
        said = json.loads(original)["error"]
        return UnreadableError(str(said["code"]), str(said["message"]))
    except (ValueError, KeyError, TypeError):
        return UnreadableError("refused", f"the model container refuses the image with status {status}")
