"""Checks a large request by its head, before anything of its body is taken.

MiniStack checks a signature once it has the whole body, and keeps that in memory. For S3, AWS's clients sign a header,
x-amz-content-sha256, with the hash of the body or that there is none, so that their signature can be checked before:
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. For other services the signature covers
the body itself: such a body must be of a key that exists, and no larger than what a service takes.

This is only a first check. MiniStack makes its own, and also looks at the time, the hash and the parts of the body.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from ministack import app as ministack_app
from ministack.core import iam_evaluator, responses, router, sigv4

from localcloud.sagemaker.aws_errors import AwsError

# Of a body that may be read before it is known whose it is.
MAX_UNKNOWN_BYTES = 1024 * 1024
# Of a body that its signature covers. Lambda takes archives of 50 MB, in base64, and no service takes more:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_COVERED_BYTES = 70 * 1024 * 1024
# S3's largest object in one request: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html. It is kept in
# memory, so the local cloud takes what an image and a model need.
MAX_OBJECT_BYTES = 1024 * 1024 * 1024
_HASH, _TOKEN = "x-amz-content-sha256", "x-amz-security-token"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method."
)


def most_bytes(scope: dict[str, Any], headers: Mapping[str, str], query: Mapping[str, list[str]]) -> int:
    """Return how many bytes the body of a request may have.

    Args:
        scope: ASGI's description of the request.
        headers: The headers, with names in lower case.
        query: The query parameters.

    Raises:
        AwsError: The body is large, and the key does not exist or has not signed the request.
    """
    declared = headers.get("content-length", "")
    if "transfer-encoding" not in headers and (
        not declared.isdecimal() or int(declared) <= MAX_UNKNOWN_BYTES
    ):
        return MAX_UNKNOWN_BYTES
    key = router.extract_access_key_id(dict(headers), dict(query))
    if not key:
        return MAX_UNKNOWN_BYTES
    if iam_evaluator.is_root_access_key(key):
        # Its name is as secret as its signature: the entrance knows one alone.
        return MAX_OBJECT_BYTES
    presigned = "X-Amz-Signature" in query and "authorization" not in headers
    parsed = sigv4.parse_query_signature(query) if presigned else sigv4.parse_header_signature(headers)
    if isinstance(parsed, tuple) or parsed.region_set is not None:
        return _of_version_2(scope, headers, query, key)
    token = query.get("X-Amz-Security-Token", [""])[0] if presigned else headers.get(_TOKEN, "")
    credential = iam_evaluator.resolve_credential(parsed.access_key_id, _account(parsed.access_key_id), token)
    if isinstance(credential, iam_evaluator.CredentialResolutionError):
        raise AwsError(credential.code, credential.message, status=403)
    if not presigned and _HASH not in headers:
        return MAX_COVERED_BYTES
    path = _raw_path(scope)
    _, signed = sigv4.header_signing_documents(
        parsed, scope["method"], path, query, headers, b"", presigned=presigned
    )
    signing_key = sigv4.derive_signing_key(
        credential.secret_access_key, parsed.date_stamp, parsed.region, parsed.service
    )
    computed = hmac.new(signing_key, signed.encode(), sha256).hexdigest()
    if not hmac.compare_digest(computed.encode(), parsed.signature.encode()):
        raise AwsError("SignatureDoesNotMatch", _MISMATCH, status=403)
    return MAX_OBJECT_BYTES if parsed.service == "s3" else MAX_COVERED_BYTES


def _of_version_2(
    scope: dict[str, Any], headers: Mapping[str, str], query: Mapping[str, list[str]], key: str
) -> int:
    """Return how many bytes the body may have of a request with S3's earlier signature, which covers no body."""
    if "Signature" not in query and not headers.get("authorization", "").startswith("AWS "):
        return MAX_UNKNOWN_BYTES
    iam_evaluator.pin_signed_request(scope["method"], _raw_path(scope), query, scope["headers"])
    checked = iam_evaluator.authenticate(key, _account(key))
    if checked is None or isinstance(checked, iam_evaluator.AuthError):
        code, message = (checked.code, checked.message) if checked else ("AccessDenied", "Access Denied")
        raise AwsError(code, message, status=403)
    return MAX_OBJECT_BYTES


def _account(key: str) -> str:
    """Return the account of a key, also of a function's or a job's, which has the key of a session."""
    responses.set_request_account_id(ministack_app._request_account_scope(key))
    return str(responses.get_account_id())


def _raw_path(scope: dict[str, Any]) -> str:
    return (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
