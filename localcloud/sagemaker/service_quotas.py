"""The API of Service Quotas for SageMaker's quotas; an increase is granted at once.

https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/Welcome.html
"""

import time
import uuid
from collections.abc import Callable
from typing import Any

from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.quotas import Quotas, defaults, names
from localcloud.sagemaker.store import Record, Store
from localcloud.sagemaker.validation import validate

SERVICE = "service-quotas"
# The service in IAM's actions and in ARNs.
IAM_PREFIX = "servicequotas"
_CODE, _NAME = "sagemaker", "Amazon SageMaker"
_REQUEST = "QuotaChange"
_PAGE_SIZE = 100


class ServiceQuotas:
    """Lists quotas and takes requests for higher ones."""

    def __init__(self, store: Store, quotas: Quotas, region: str, account: str) -> None:
        """Initialize the operations.

        Args:
            store: Where the requests are.
            quotas: The values.
            region: The region in ARNs.
            account: The account in ARNs.
        """
        self._store, self._quotas, self._region, self._account = store, quotas, region, account
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "ListServices": lambda request: {"Services": [{"ServiceCode": _CODE, "ServiceName": _NAME}]},
            "ListServiceQuotas": self._list,
            "GetServiceQuota": lambda request: {"Quota": self._applied(_code(request))},
            "ListAWSDefaultServiceQuotas": self._list_defaults,
            "GetAWSDefaultServiceQuota": lambda request: {"Quota": self._default(_code(request))},
            "RequestServiceQuotaIncrease": self._increase,
            "GetRequestedServiceQuotaChange": self._get_request,
            "ListRequestedServiceQuotaChangeHistory": self._list_requests,
            "ListRequestedServiceQuotaChangeHistoryByQuota": self._list_requests,
        }

    def call(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Call an operation.

        Args:
            name: The operation.
            request: Its parameters.

        Returns:
            Its answer.

        Raises:
            AwsError: If the operation is another, or refuses the request.
        """
        if name not in self._operations:
            raise AwsError("UnknownOperationException", f"The local cloud does not have {SERVICE}:{name}.")
        try:
            validate(name, request, SERVICE)
        except AwsError as error:
            raise AwsError("IllegalArgumentException", error.message) from error
        return self._operations[name](request)

    def resource(self, operation: str, request: dict[str, Any]) -> str:
        """Return the ARN that policies are compared with.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_servicequotas.html
        """
        if operation != "RequestServiceQuotaIncrease":
            return "*"
        return self._arn(f"{request.get('ServiceCode')}/{request.get('QuotaCode')}")

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_service(request)
        wanted = request.get("QuotaCode")
        return _page("Quotas", [code for code in names() if wanted in (None, code)], request, self._applied)

    def _list_defaults(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_service(request)
        return _page("Quotas", list(names()), request, self._default)

    def _applied(self, code: str) -> dict[str, Any]:
        return self._default(code) | {
            "Value": self._quotas.value(names()[code]),
            "QuotaAppliedAtLevel": "ACCOUNT",
        }

    def _default(self, code: str) -> dict[str, Any]:
        return self._identity(code) | {"Value": defaults()[names()[code]], "Adjustable": True}

    def _identity(self, code: str) -> dict[str, Any]:
        return {
            "ServiceCode": _CODE,
            "ServiceName": _NAME,
            "QuotaArn": self._arn(f"{_CODE}/{code}"),
            "QuotaCode": code,
            "QuotaName": names()[code],
            "Unit": "None",
            "GlobalQuota": False,
        }

    def _arn(self, quota: str) -> str:
        return f"arn:aws:{IAM_PREFIX}:{self._region}:{self._account}:{quota}"

    def _increase(self, request: dict[str, Any]) -> dict[str, Any]:
        code, desired = _code(request), request["DesiredValue"]
        with self._quotas.lock:
            if desired <= self._quotas.value(names()[code]):
                raise AwsError(
                    "IllegalArgumentException",
                    "The desired value must be greater than the current quota value.",
                )
            self._quotas.set_value(names()[code], desired)
        now = time.time()
        change = {
            **self._identity(code),
            "Id": uuid.uuid4().hex,
            "DesiredValue": desired,
            "Status": "APPROVED",
            "Created": now,
            "LastUpdated": now,
            "QuotaRequestedAtLevel": "ACCOUNT",
        }
        self._store.put(_REQUEST, str(change["Id"]), change)
        # AWS answers before it decides.
        return {"RequestedQuota": change | {"Status": "PENDING"}}

    def _get_request(self, request: dict[str, Any]) -> dict[str, Any]:
        change = self._store.get(_REQUEST, request["RequestId"])
        if change is None:
            raise _no_such_resource()
        return {"RequestedQuota": change}

    def _list_requests(self, request: dict[str, Any]) -> dict[str, Any]:
        changes = [
            change
            for change in self._store.all(_REQUEST)
            if all(
                request.get(member) in (None, change[member])
                for member in ("ServiceCode", "QuotaCode", "Status")
            )
        ]
        return _page("RequestedQuotas", changes, request, lambda change: change)


def _check_service(request: dict[str, Any]) -> None:
    if request["ServiceCode"] != _CODE:
        raise _no_such_resource()


def _code(request: dict[str, Any]) -> str:
    _check_service(request)
    code = str(request["QuotaCode"])
    if code not in names():
        raise _no_such_resource()
    return code


def _no_such_resource() -> AwsError:
    return AwsError(
        "NoSuchResourceException", "The request failed because the specified service or quota does not exist."
    )


def _page(
    member: str, items: list[Any], request: dict[str, Any], describe: Callable[[Any], Record]
) -> dict[str, Any]:
    token = request.get("NextToken", "0")
    if not token.isdecimal():
        raise AwsError("InvalidPaginationTokenException", "Invalid NextToken.")
    start = int(token)
    end = start + request.get("MaxResults", _PAGE_SIZE)
    page = {member: [describe(item) for item in items[start:end]]}
    return page | ({"NextToken": str(end)} if end < len(items) else {})
