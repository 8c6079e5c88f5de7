"""What the account may use at once, against what the stack needs.

https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html: a quota without a value of
its own is not among the applied ones, so the defaults are read too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from contract.families import ANOMALY_FAMILIES
from loupe.account.account import Account
from loupe.account.problem import Problem
from loupe.account.settings import Settings

_SAGEMAKER = "sagemaker"
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: concurrent executions.
_LAMBDA, _CONCURRENCY = "lambda", "L-B99A9384"
# Lambda keeps so much for functions that reserve nothing.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
_UNRESERVED = 100
# Concurrency for the functions beside the inspection: alerts, counting, the API.
_OTHER_FUNCTIONS = 10


@dataclass(frozen=True)
class Need:
    """What the stack needs of a quota.

    Attributes:
        name: The quota's name.
        at_first: The least with which the stack comes up; 0 if it comes up without.
        later: What it needs at its work.
        what_for: What that work is.
    """

    name: str
    at_first: int
    later: int
    what_for: str


def needs(settings: Settings) -> list[Need]:
    """Return what the stack needs of SageMaker's quotas."""
    hosting, training = settings.value("HostingInstanceType"), settings.value("TrainingInstanceType")
    least, most = int(settings.value("EndpointMinInstances")), int(settings.value("EndpointMaxInstances"))
    # Each family is trained and evaluated at the same time as the others.
    families = [name.strip() for name in settings.value("RetrainFamilies").split(",")]
    anomalies = sum(name in ANOMALY_FAMILIES for name in families)
    detectors = len(families) - anomalies
    evaluations = settings.value("EvaluationInstanceType")
    # An anomaly model is trained where models are evaluated, since it needs no GPU.
    jobs = Counter({evaluations: anomalies})
    if detectors:
        jobs[training] += max(detectors, int(settings.value("TuningParallelJobs")))
    spot = "spot training job usage" if settings.value("UseSpotTraining") == "true" else "training job usage"
    return [
        # A swap starts as many new instances as there are old ones.
        Need(
            f"{hosting} for endpoint usage",
            least,
            max(2 * least, most),
            "a swap to another model and autoscaling",
        ),
        *(
            Need(f"{instance} for {spot}", 0, count, "a retraining")
            for instance, count in jobs.items()
            if count
        ),
        Need(f"{evaluations} for processing job usage", 0, len(families), "a retraining"),
    ]


def check(account: Account, settings: Settings) -> list[Problem]:
    """Return which quotas are too small, with the command that asks for more."""
    return [*_check_sagemaker(account, settings), *_check_lambda(account, settings)]


def _check_sagemaker(account: Account, settings: Settings) -> list[Problem]:
    try:
        quotas = _quotas(account)
    except (BotoCoreError, ClientError) as error:
        return [
            Problem(
                "warning",
                f"SageMaker's quotas cannot be read: {error}",
                "Allow servicequotas:ListServiceQuotas and ListAWSDefaultServiceQuotas, or look in the console.",
            )
        ]
    found = []
    for need in needs(settings):
        quota = quotas.get(need.name)
        if quota is None:
            found.append(
                Problem(
                    "warning",
                    f"SageMaker lists no quota {need.name!r} here",
                    "Is that instance type in this region?",
                )
            )
        elif quota["Value"] < need.later:
            blocks = quota["Value"] < need.at_first
            found.append(_too_small(account, quota, need, "error" if blocks else "warning"))
    return found


def _too_small(
    account: Account, quota: Mapping[str, Any], need: Need, level: Literal["error", "warning"]
) -> Problem:
    wanted = need.at_first if level == "error" else need.later
    what_for = "the endpoint" if level == "error" else need.what_for
    return Problem(
        level,
        f"the quota {need.name!r} ({quota['QuotaCode']}) is {quota['Value']:g}, and {what_for} needs {wanted}",
        request(account, _SAGEMAKER, quota["QuotaCode"], need.later),
    )


def request(account: Account, service: str, code: str, value: int) -> str:
    """Return how to ask AWS for more."""
    return (
        f"Ask for more: aws service-quotas request-service-quota-increase --service-code {service} "
        f"--quota-code {code} --desired-value {value} --region {account.region}"
    )


def _quotas(account: Account) -> dict[str, dict[str, Any]]:
    """Return SageMaker's quotas by name, the applied values over the defaults."""
    client = account.client("service-quotas")
    found: dict[str, dict[str, Any]] = {}
    for operation in ("list_aws_default_service_quotas", "list_service_quotas"):
        for page in client.get_paginator(operation).paginate(ServiceCode=_SAGEMAKER):
            found |= {quota["QuotaName"]: quota for quota in page["Quotas"] if "Value" in quota}
    return found


def _check_lambda(account: Account, settings: Settings) -> list[Problem]:
    try:
        limit = account.client("lambda").get_account_settings()["AccountLimit"]
    except (BotoCoreError, ClientError, KeyError) as error:
        return [
            Problem("warning", f"Lambda's limits cannot be read: {error}", "Allow lambda:GetAccountSettings.")
        ]
    wanted, unreserved = (
        int(settings.value("InspectConcurrency")),
        int(limit["UnreservedConcurrentExecutions"]),
    )
    more = request(account, _LAMBDA, _CONCURRENCY, 1000)
    if settings.value("ReserveConcurrency") == "true" and unreserved < wanted + _UNRESERVED:
        return [
            Problem(
                "error",
                f"ReserveConcurrency takes {wanted} of {unreserved} concurrent functions, and Lambda keeps "
                f"{_UNRESERVED} for the others",
                f"Leave it out at first (ReserveConcurrency=false). {more}",
            )
        ]
    if unreserved < wanted + _OTHER_FUNCTIONS:
        return [
            Problem(
                "warning",
                f"the account runs {unreserved} functions at once ({_CONCURRENCY}), and the inspection alone may "
                f"need {wanted}",
                more,
            )
        ]
    return []
