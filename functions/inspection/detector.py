"""The SageMaker endpoint, and what its errors mean for an image."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
from pydantic import BaseModel, Field, ValidationError

from contract.images import UnreadableError
from inspection.clients import ENDPOINT_SECONDS
from inspection.errors import ModelError, NotReadyError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

# The container says these of a request that it has no time for; everything else below 500 is about the image.
_BUSY = frozenset({429, 503})
_SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})


# Numbers that DynamoDB can hold; no NaN and no infinity, which JSON of Python's making may contain.
Number = Annotated[float, Field(ge=-1e9, le=1e9)]


class Detection(BaseModel):
    """One found defect: box = [x1, y1, x2, y2] in pixels of the upright image, score 0..1."""

    label: str = Field(min_length=1, max_length=200)
    score: float = Field(ge=0, le=1)
    box: tuple[Number, Number, Number, Number]

    @property
    def area(self) -> float:
        """Square pixels."""
        x1, y1, x2, y2 = self.box
        return max(0.0, x2 - x1) * max(0.0, y2 - y1)


class Model(BaseModel):
    """Which model judged."""

    name: str
    version: str


class Size(BaseModel):
    """Width and height in pixels, and the format, if the container tells it."""

    width: int = Field(ge=1)
    height: int = Field(ge=1)
    format: str | None = Field(None, max_length=20)


class Prediction(BaseModel):
    """The endpoint's answer, best detection first; image = size of the upright image."""

    model: Model
    image: Size
    # DynamoDB takes 400 KB an item.
    detections: Annotated[list[Detection], Field(max_length=500)]
    quality: dict[str, Number] = {}
    timings_ms: dict[str, Number] = {}


class Detector:
    """Calls the endpoint.

    Throttling, 5xx of the service and broken connections are tried again by botocore with jitter, a busy
    container here, since botocore knows nothing of what containers say. What is left after that is sorted into
    three: the image's fault, this model's fault on this image, or not ready.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html#API_runtime_InvokeEndpoint_Errors
    """

    BUSY_PAUSES: ClassVar[tuple[float, ...]] = (0.2, 0.6, 1.8)  # seconds at most before the next try

    def __init__(
        self, runtime: SageMakerRuntimeClient, sagemaker: SageMakerClient, endpoint_name: str
    ) -> None:
        self._runtime = runtime
        self._sagemaker = sagemaker
        self._endpoint_name = endpoint_name

    def detect(self, data: bytes, content_type: str, deadline: float) -> Prediction:
        """What the model sees in an image.

        Args:
            deadline: on time.monotonic()'s clock; no try begins that might not end before it.

        Raises:
            UnreadableError: the container refuses the image.
            NotReadyError: there is no endpoint, or it is busy, updating or down, or there is no time left.
            ModelError: the model failed on this image, or answered what is no answer.
        """
        for pause in (*self.BUSY_PAUSES, None):
            if deadline - time.monotonic() < ENDPOINT_SECONDS:
                raise NotReadyError("too little time is left in this invocation", "no_time")
            try:
                return self._invoke(data, content_type)
            except NotReadyError as error:
                if error.code != "endpoint_busy" or pause is None:
                    raise
                time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
        raise AssertionError("the last try returns or raises")

    def _invoke(self, data: bytes, content_type: str) -> Prediction:
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
        except ReadTimeoutError as error:
            raise NotReadyError("the endpoint takes too long", "endpoint_timeout") from error
        except BotoCoreError as error:
            raise NotReadyError(
                f"the endpoint does not answer: {type(error).__name__}", "endpoint_down"
            ) from error
        except ValidationError as error:
            where = ".".join(map(str, error.errors(include_url=False)[0]["loc"]))
            raise ModelError(
                f"the model's answer does not fit the contract at `{where}`", again=True
            ) from error

    def _sorted(self, error: ClientError) -> Exception:
        code = error.response["Error"]["Code"]
        response: Any = error.response
        if code == "ModelError":
            # 0 is SageMaker's word for a container that did not answer within its minute.
            status = int(response.get("OriginalStatusCode", 500))
            if status in _BUSY:
                return NotReadyError(f"the container is busy ({status})", "endpoint_busy")
            if 400 <= status < 500:
                return _refusal(response.get("OriginalMessage", ""), status)
            return ModelError(f"the model failed with status {status}", again=True)
        if code == "ValidationError":
            # Said of a name that does not exist as well as of a request that can never work.
            if self._serves():
                message = error.response["Error"].get("Message", "")
                return ModelError(f"the endpoint refuses the request: {message}", again=False)
            return NotReadyError("there is no endpoint in service", "no_endpoint")
        # Throttling, a service that fails, a model that is loading, a role that may not: never the image's fault.
        return NotReadyError(f"the endpoint answers {code}", "endpoint_down")

    def _serves(self) -> bool:
        try:
            described = self._sagemaker.describe_endpoint(EndpointName=self._endpoint_name)
        except (ClientError, BotoCoreError):
            # Missing, or nobody can say now, for example since every waiting image asks: then they wait.
            return False
        return described["EndpointStatus"] in _SERVING


def _refusal(original: str, status: int) -> UnreadableError:
    """The container's `{"error": {"code", "message"}}` as our error."""
    try:
        said = json.loads(original)["error"]
        return UnreadableError(str(said["code"]), str(said["message"]))
    except (ValueError, KeyError, TypeError):
        return UnreadableError("refused", f"the model container refuses the image with status {status}")
