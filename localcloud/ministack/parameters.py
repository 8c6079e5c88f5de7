"""A change to MiniStack's SSM: the history of a parameter names who wrote each version."""

import json
from typing import Any

from ministack.core.iam_evaluator import caller_arn
from ministack.services import ssm


def apply() -> None:
    """Patch MiniStack, which names the account's root for every version, also for those that a function wrote."""
    put = ssm._put_parameter

    def put_and_sign(data: dict[str, Any]) -> Any:
        answer = put(data)
        writer = caller_arn()
        if answer[0] == 200 and writer:
            version = json.loads(answer[2])["Version"]
            for entry in ssm._parameter_history[data["Name"]]:
                if entry["Version"] == version:
                    entry["LastModifiedUser"] = writer
        return answer

    ssm._put_parameter = put_and_sign
