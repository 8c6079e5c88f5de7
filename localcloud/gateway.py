"""The entrance of the local cloud: an ASGI application in front of MiniStack's.

It refuses what no AWS client sends (requests of web pages, unsigned requests, MiniStack's own administration
paths), and passes the requests for SageMaker, Application Auto Scaling and Service Quotas to our own, under the
same signatures and policies as all others.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote
from xml.sax.saxutils import escape

from ministack import app as ministack_app
from ministack.core import iam_actions, iam_evaluator, responses, router

from contract.endpoint import MAX_BODY_BYTES
from localcloud.bounded import Bounded, discard
from localcloud.daemon_pool import DaemonPool
from localcloud.guard import is_public, refusal
from localcloud.home.space import is_full
from localcloud.ministack.environment import ACCOUNT, REGION
from localcloud.permissions.roles import Check
from localcloud.sagemaker import SageMaker, refusals, service_quotas
from localcloud.sagemaker.api import Answer
from localcloud.sagemaker.authorization import SAGEMAKER, SCALING, Authorization
from localcloud.sagemaker.aws_errors import AwsError
from localcloud.signatures import most_bytes
from localcloud.stopping import stopping

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Query = Mapping[str, list[str]]
_App = Callable[[Scope, Receive, Send], Awaitable[None]]

# What these services are told while the cloud stops would be lost, because their state is saved as it was before.
_CLOSED_BY_STOP = ("SageMaker.", "AnyScaleFrontendService.", "ServiceQuotasV20190624.", "AWSStepFunctions.")
_MAX_BUFFERED = 2 * MAX_BODY_BYTES
_INVOCATIONS = ("/invocations", "/async-invocations", "/invocations-response-stream")


class _Service(NamedTuple):
    """An API of ours, whose requests have a target.

    Attributes:
        prefix: The service in IAM's actions.
        call: Calls an operation with its parameters, and returns its answer.
    """

    prefix: str
    call: Callable[[str, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class _Request:
    """An HTTP request.

    Attributes:
        scope: ASGI's description of it.
        headers: The headers, with names in lower case.
        query: The query parameters.
    """

    scope: Scope
    headers: dict[str, str]
    query: Query


class Gateway:
    """Guards MiniStack, and answers SageMaker's requests."""

    def __init__(self, port: int, root_key: str, sagemaker: SageMaker, services: _App) -> None:
        """Initialize an entrance.

        Args:
            port: The port of the local cloud.
            root_key: The access key of the account's root.
            sagemaker: Our services.
            services: Answers whatever our services do not: MiniStack.
        """
        self.port, self.root_key, self.sagemaker, self._ministack = port, root_key, sagemaker, services
        # By the target's part before the operation.
        self._services = {
            "SageMaker": _Service(SAGEMAKER, sagemaker.call),
            "AnyScaleFrontendService": _Service(SCALING, sagemaker.scaling.call),
            "ServiceQuotasV20190624": _Service(service_quotas.IAM_PREFIX, sagemaker.service_quotas.call),
        }
        self._authorization = Authorization(sagemaker, REGION, ACCOUNT)
        # Its own threads: sixteen slow invocations must not block MiniStack's functions.
        self._threads = DaemonPool(16, thread_name_prefix="loupe-sagemaker")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "lifespan":
            await self._ministack(scope, receive, send)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        key = router.extract_access_key_id(headers, query)
        # MiniStack accepts a missing key, "test" and any 12 digits as the account's root, without a signature.
        signed = key == self.root_key or not iam_evaluator.is_root_access_key(key)
        signed = signed or is_public(scope["method"], scope["path"], headers, query)
        reason = refusal(scope["method"], scope["path"], headers, query, self.port, signed)
        if reason is not None:
            error = AwsError("AccessDeniedException", reason, status=403)
            await _send_error(send, error, request_id=str(uuid.uuid4()))
            return
        try:
            bounded = Bounded(receive, send, most_bytes(scope, headers, query))
        except AwsError as error:
            await discard(receive)
            await _send_error(send, error, str(uuid.uuid4()), of_s3=_is_for_s3(headers, query))
            return
        # Nothing on the loopback interface leaves the machine, so a policy that demands TLS
        # (aws:SecureTransport) is satisfied: the same template deploys here and on AWS.
        scope = {**scope, "scheme": "https"}
        await self._pass_on(_Request(scope, headers, query), bounded.receive, bounded.send)
        if bounded.exceeded:
            too_large = AwsError("EntityTooLarge", "The request is too large.", status=413)
            await _send_error(send, too_large, str(uuid.uuid4()), of_s3=_is_for_s3(headers, query))

    async def _pass_on(self, request: _Request, receive: Receive, send: Send) -> None:
        scope, headers = request.scope, request.headers
        if stopping.is_set() and headers.get("x-amz-target", "").startswith(_CLOSED_BY_STOP):
            error = AwsError("ServiceUnavailable", "The local cloud is stopping.", status=503)
            await _send_error(send, error, request_id=str(uuid.uuid4()), json_error=True)
        elif service := self._services.get(headers.get("x-amz-target", "").partition(".")[0]):
            await self._control_plane(service, request, receive, send)
        elif scope["path"].startswith("/endpoints/") and scope["path"].endswith(_INVOCATIONS):
            await self._invoke_endpoint(request, receive, send)
        elif bucket := refusals.jumpstart_bucket(scope["path"]):
            await _send_no_bucket(send, bucket, refusals.no_jumpstart(bucket))
        else:
            await self._ministack(scope, receive, send)

    async def _control_plane(
        self, service: _Service, request: _Request, receive: Receive, send: Send
    ) -> None:
        operation = request.headers["x-amz-target"].partition(".")[2]
        request_id = str(uuid.uuid4())
        try:
            body = await _read_body(receive)
            parameters = _parse_json(body)
            is_refused = _caller(request, body)
            self._authorization.authorize(service.prefix, operation, parameters, is_refused)
            result = await self._in_thread(service.call, operation, parameters)
        except AwsError as error:
            await _send_error(send, error, request_id, json_error=True)
            return
        answer = Answer(json.dumps(result).encode(), {"content-type": "application/x-amz-json-1.1"})
        await _send(send, 200, answer, request_id)

    async def _invoke_endpoint(self, request: _Request, receive: Receive, send: Send) -> None:
        path = request.scope["path"]
        name = unquote(path.removeprefix("/endpoints/").removesuffix("/invocations"))
        request_id = str(uuid.uuid4())
        try:
            body = await _read_body(receive)
            refusals.check_invocation(path)
            is_refused = _caller(request, body)
            self._authorization.authorize(SAGEMAKER, "InvokeEndpoint", {"EndpointName": name}, is_refused)
            answer = await self._in_thread(self.sagemaker.invoke, name, body, request.headers)
        except AwsError as error:
            await _send_error(send, error, request_id)
            return
        await _send(send, 200, answer, request_id)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        except AwsError:
            raise
        except OSError as error:
            if is_full(error):
                text = f"The disk of the local cloud is full: {error.strerror}"
                raise AwsError("ServiceUnavailable", text, status=503) from error
            logger.exception("SageMaker failed")
            raise AwsError("InternalFailure", f"{type(error).__name__}: {error}", status=500) from error
        except Exception as error:
            logger.exception("SageMaker failed")
            raise AwsError("InternalFailure", f"{type(error).__name__}: {error}", status=500) from error


def _caller(request: _Request, body: bytes) -> Callable[[Check], str | None]:
    """Return what says why the caller may not do something, by MiniStack's IAM, as its own dispatcher does.

    The first call also checks the signature, and raises AwsError if it is not valid.
    """
    scope = request.scope
    access_key = router.extract_access_key_id(request.headers, request.query)
    region = router.extract_region(request.headers, request.query)
    responses.set_request_account_id(ministack_app._request_account_scope(access_key))
    responses.set_request_region(region)
    iam_evaluator.pin_request_origin((scope.get("client") or ("127.0.0.1",))[0], True)
    raw_path = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
    iam_evaluator.pin_signed_request(scope["method"], raw_path, request.query, scope["headers"])
    iam_evaluator.pin_signed_body(body)

    def refusal_of(check: Check) -> str | None:
        service = check.action.partition(":")[0]
        denied = iam_evaluator.enforce(
            access_key,
            check.action,
            service,
            region,
            resource_arn=check.resource,
            service_context=dict(check.context),
        )
        if isinstance(denied, iam_evaluator.AuthError):
            raise AwsError(denied.code, denied.message, status=403)
        if denied is None:
            return None
        return check.refusal or iam_actions.identity_denial_message(
            check.action, denied.principal_arn, check.resource, denied.decision == "Deny"
        )

    return refusal_of


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        parameters = json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", "The request is not JSON.") from error
    if not isinstance(parameters, dict):
        raise AwsError("SerializationException", "The request is not a JSON object.")
    return parameters


async def _read_body(receive: Receive) -> bytes:
    """Return the whole body. What exceeds SageMaker's limit is read but not kept. Raises AwsError."""
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise AwsError("ValidationError", "The request ended early.")
        size += len(message.get("body", b""))
        if size <= _MAX_BUFFERED:
            chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    if size > _MAX_BUFFERED:
        raise AwsError("ValidationError", f"HTTP content length exceeded {MAX_BODY_BYTES} bytes.", status=413)
    return b"".join(chunks)


def _is_for_s3(headers: Mapping[str, str], query: Query) -> bool:
    credentials = [headers.get("authorization", ""), *query.get("X-Amz-Credential", [])]
    earlier = "AWSAccessKeyId" in query or credentials[0].startswith("AWS ")
    return earlier or any("/s3/aws4_request" in credential for credential in credentials)


async def _send_error(
    send: Send, error: AwsError, request_id: str, json_error: bool = False, of_s3: bool = False
) -> None:
    if of_s3:
        await _send_s3_error(send, error, request_id)
        return
    message_key = "message" if json_error else "Message"
    content = {"__type": error.code, message_key: error.message, **error.members}
    content_type = "application/x-amz-json-1.1" if json_error else "application/json"
    headers = {"content-type": content_type, "x-amzn-ErrorType": error.code}
    await _send(send, error.status, Answer(json.dumps(content).encode(), headers), request_id)


async def _send(send: Send, status: int, answer: Answer, request_id: str) -> None:
    headers = {**answer.headers, "content-length": str(len(answer.body)), "x-amzn-RequestId": request_id}
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": answer.body})


async def _send_no_bucket(send: Send, bucket: str, message: str) -> None:
    """Answer as S3 does about a bucket that does not exist."""
    error = AwsError("NoSuchBucket", message, status=404, BucketName=bucket)
    await _send_s3_error(send, error, str(uuid.uuid4()))


async def _send_s3_error(send: Send, error: AwsError, request_id: str) -> None:
    members = {"Code": error.code, "Message": error.message, **error.members, "RequestId": request_id}
    content = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in members.items())
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{content}</Error>'
    answer = Answer(document.encode(), {"content-type": "application/xml"})
    await _send(send, error.status, answer, request_id)
