"""The SageMaker endpoint, and what its errors mean for an image."""

from __future__ import annotations

import json
import random
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
from pydantic import AfterValidator, BaseModel, Field, ValidationError, ValidationInfo, field_validator

from contract.endpoint import attributes
from contract.images import UnreadableError
from inspection.clients import ENDPOINT_SECONDS
from inspection.errors import ModelError, NotReadyError
from inspection.heat_maps import HeatMap

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

# The container answers 429 if all its places are taken, 408 if the image did not arrive in time, and 503 if it is not
# ready or has lost the process that judged the image. Any other status below 500 is about the image.
_BUSY = frozenset({408, 429, 503})
# What must be left after the endpoint's time: the message of an image that must wait is sent again, perhaps twice.
_RESERVE_SECONDS = 8.0
_SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})
# How SageMaker says so: https://github.com/aws/amazon-sagemaker-examples/issues/293. For a moment after a start it may
# say so of an endpoint that is described as being in service.
_MISSING = re.compile(r"\bEndpoint \S+ of account \S+ not found")

# Rounded before it is judged, because the record holds six decimal places: record and verdict must agree.
_ROUNDED = AfterValidator(lambda number: round(number, 6))

# A number that DynamoDB can store: not NaN and not infinity, which Python's json module may write.
Number = Annotated[float, Field(ge=-1e9, le=1e9), _ROUNDED]
Score = Annotated[float, Field(ge=0, le=1), _ROUNDED]
Measures = Annotated[dict[Annotated[str, Field(max_length=50)], Number], Field(max_length=50)]


class Detection(BaseModel):
    """A defect that the model found.

    Attributes:
        label: The class.
        score: Confidence, 0..1.
        box: x1, y1, x2, y2 in pixels of the upright image.
        model: The name of the model that found it, if two models answered.
    """

    label: str = Field(min_length=1, max_length=200)
    score: Score
    box: tuple[Number, Number, Number, Number]
    model: str | None = Field(None, max_length=200)

    @property
    def area(self) -> float:
        """The area of the box in square pixels."""
        x1, y1, x2, y2 = self.box
        return max(0.0, x2 - x1) * max(0.0, y2 - y1)


class Model(BaseModel):
    """The model that answered."""

    name: str = Field(max_length=500)
    version: str = Field(max_length=500)


class Size(BaseModel):
    """Width and height of the upright image in pixels, and its format if the container reports it."""

    width: int = Field(ge=1)
    height: int = Field(ge=1)
    format: str | None = Field(None, max_length=20)


class Doubt(BaseModel):
    """A reason to doubt what the model says about a picture.

    Attributes:
        message: A sentence for people.
    """

    message: str = Field(min_length=1, max_length=500)


class Anomaly(BaseModel):
    """What an anomaly model says about a picture as a whole.

    Attributes:
        score: How unusual the picture is, calibrated to 0..1. None if it shows another product or none.
        distance: The same as the model measures it.
        model: The anomaly model.
        heat_map: A small PNG, stretched over the upright image: the brighter, the more unusual.
    """

    # A model that leaves it out does not fit the contract.
    score: Score | None
    distance: Number
    model: Model
    heat_map: HeatMap | None = None


class Prediction(BaseModel):
    """The endpoint's answer.

    Attributes:
        model: The model that answered.
        image: Size of the upright image.
        detections: Highest score first.
        anomaly: What the anomaly model says, if there is one.
        quality: Measures of the picture, such as `sharpness`.
        warnings: Why the model may be blind on this picture.
        timings_ms: Milliseconds by stage.
    """

    model: Model
    image: Size
    detections: Annotated[list[Detection], Field(max_length=500)]
    anomaly: Anomaly | None = None
    quality: Measures = {}
    warnings: Annotated[list[Doubt], Field(max_length=20)] = []
    timings_ms: Measures = {}

    @field_validator("detections")
    @classmethod
    def _have_places(cls, detections: list[Detection], info: ValidationInfo) -> list[Detection]:
        """Refuse an answer with a box that is no part of the picture.

        If its corners are the wrong way round, it has no area, and would pass as too small for a defect.
        """
        size: Size | None = info.data.get("image")
        for x1, y1, x2, y2 in (detection.box for detection in detections):
            if x2 < x1 or y2 < y1:
                raise ValueError("a box is x1, y1, x2, y2 with x1 <= x2 and y1 <= y2")
            if x2 < 0 or y2 < 0 or (size and (x1 > size.width or y1 > size.height)):
                raise ValueError("a box is beside the picture")
        return detections


class _RefusedError(ModelError):
    """An endpoint in service refuses a request."""


class Detector:
    """Calls the endpoint, and sorts its errors.

    botocore retries throttled calls, 5xx of the service and broken connections, with jitter. This class retries
    a busy container, because botocore does not know the container's status codes. An error that remains has one
    of three causes: the image, the model on this image, or an endpoint that is not ready.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html#API_runtime_InvokeEndpoint_Errors
    """

    # The longest pauses between attempts, in seconds.
    BUSY_PAUSES: ClassVar[tuple[float, ...]] = (0.2, 0.6, 1.8)

    def __init__(
        self, runtime: SageMakerRuntimeClient, sagemaker: SageMakerClient, endpoint_name: str
    ) -> None:
        self._runtime = runtime
        self._sagemaker = sagemaker
        self._endpoint_name = endpoint_name

    def detect(
        self,
        data: bytes,
        content_type: str,
        deadline: float,
        bit_depth: int | None = None,
        inspection: str | None = None,
        trace: str | None = None,
    ) -> Prediction:
        """Return the model's detections in an image, with the heat map if there is an anomaly model.

        Args:
            data: The body of the request: the image, or a reference to it.
            content_type: The MIME type of `data`.
            deadline: On the clock of time.monotonic(). No attempt starts that might not end some seconds before it.
            bit_depth: Of the camera, for 16-bit files that do not state it.
            inspection: The id of the image's record, by which the container's log line is found.
            trace: The id of the trace that this call belongs to.

        Raises:
            UnreadableError: The container refuses the image.
            NotReadyError: There is no endpoint, it is busy, updating or down, or too little time is left.
            ModelError: The model failed on this image, or its answer does not fit the contract.
        """
        known: dict[str, Any] = {}
        known["CustomAttributes"] = attributes(bit_depth, inspection, trace, heat_map=True)
        if inspection:
            # With data capture on the endpoint, the captured picture has the id too.
            known["InferenceId"] = inspection
        for pause in (*self.BUSY_PAUSES, None):
            if deadline - time.monotonic() < ENDPOINT_SECONDS + _RESERVE_SECONDS:
                raise NotReadyError("too little time is left in this invocation", "no_time")
            try:
                return self._invoke(data, content_type, known)
            except NotReadyError as error:
                if error.code != "endpoint_busy" or pause is None:
                    raise
                time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
        raise AssertionError("the last attempt returns or raises")

    def _invoke(self, data: bytes, content_type: str, known: dict[str, Any]) -> Prediction:
        with suppress(_RefusedError):
            return self._ask(data, content_type, known)
        try:
            # It may have come into service after it had refused, and before it was described.
            return self._ask(data, content_type, known)
        except _RefusedError as error:
            # A refusal that names the endpoint says nothing about the image.
            if _MISSING.search(str(error)):
                raise NotReadyError("there is no endpoint in service", "no_endpoint") from error
            raise

    def _ask(self, data: bytes, content_type: str, known: dict[str, Any]) -> Prediction:
        try:
            reply = self._runtime.invoke_endpoint(
                EndpointName=self._endpoint_name,
                ContentType=content_type,
                Accept="application/json",
                Body=data,
                **known,
            )
            return Prediction.model_validate_json(reply["Body"].read())
        except ClientError as error:
            raise self._translate(error) from error
        except ReadTimeoutError as error:
            raise NotReadyError("the endpoint takes too long", "endpoint_timeout") from error
        except BotoCoreError as error:
            raise NotReadyError(
                f"the endpoint does not answer: {type(error).__name__}", "endpoint_down"
            ) from error
        except ValidationError as error:
            # The model may have named a field itself.
            field = ".".join(map(str, error.errors(include_url=False)[0]["loc"]))[:200]
            raise ModelError(
                f"the model's answer does not fit the contract at `{field}`", retryable=True
            ) from error

    def _translate(self, error: ClientError) -> Exception:
        """Return the error of ours that a ClientError stands for."""
        code = error.response["Error"]["Code"]
        response: Any = error.response
        if code == "ModelError":
            # SageMaker reports 0 for a container that did not answer within its minute.
            status = int(response.get("OriginalStatusCode", 500))
            if status in _BUSY:
                return NotReadyError(f"the container is busy ({status})", "endpoint_busy")
            if 400 <= status < 500:
                return _refusal(response.get("OriginalMessage", ""), status)
            return ModelError(f"the model failed with status {status}", retryable=True)
        if code == "ValidationError":
            # The same code stands for an endpoint that does not exist and for a request that can never succeed.
            if self.is_serving():
                message = error.response["Error"].get("Message", "")
                return _RefusedError(f"the endpoint refuses the request: {message}", retryable=False)
            return NotReadyError("there is no endpoint in service", "no_endpoint")
        # Throttling, a failure of the service, a model that is loading, a missing permission: not about the image.
        return NotReadyError(f"the endpoint answers {code}", "endpoint_down")

    def is_serving(self) -> bool:
        """Return whether the endpoint is in a state in which it answers."""
        try:
            description = self._sagemaker.describe_endpoint(EndpointName=self._endpoint_name)
        except (ClientError, BotoCoreError):
            # It is missing, or its state cannot be read now, for example because every waiting image asks for it.
            # The images wait in both cases.
            return False
        return description["EndpointStatus"] in _SERVING


def _refusal(original_message: str, status: int) -> UnreadableError:
    """Return the container's `{"error": {"code", "message"}}` as our error."""
    try:
        error = json.loads(original_message)["error"]
        return UnreadableError(str(error["code"])[:100], str(error["message"])[:1000])
    except (ValueError, KeyError, TypeError):
        return UnreadableError("refused", f"the model container refuses the image with status {status}")
