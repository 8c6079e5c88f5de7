"""The rules in their SSM parameter."""

from __future__ import annotations

import functools
from threading import Lock
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from pydantic import ValidationError

from inspection.errors import NotReadyError
from inspection.rules import Rules
from inspection.rules_document import problems

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


class RulesParameter:
    """Reads the rules from the SSM parameter, and caches them."""

    def __init__(self, client: SSMClient, name: str, cache_seconds: int) -> None:
        self._provider = SSMProvider(boto3_client=client)
        self._name = name
        self._cache_seconds = cache_seconds
        # All threads of a batch find the cache stale at the same moment; one read is enough.
        self._lock = Lock()

    def current(self) -> Rules:
        """Return the rules in force.

        Raises:
            NotReadyError: The rules cannot be read, or are not valid. Images wait, so that no verdict is based
                on rules that nobody intended.
        """
        try:
            with self._lock:
                return _parse(str(self._provider.get(self._name, max_age=self._cache_seconds)))
        except GetParameterError as error:
            raise NotReadyError(f"the rules cannot be read: {error}", "rules_missing") from error
        except ValidationError as error:
            reasons = "; ".join(problems(error))
            raise NotReadyError(
                f"the rules in {self._name} are not valid: {reasons}", "rules_invalid"
            ) from error


@functools.lru_cache(maxsize=2)
def _parse(text: str) -> Rules:
    return Rules.model_validate_json(text)
