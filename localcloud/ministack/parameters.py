"""Changes to MiniStack's SSM: the history names who wrote each version, and a deployment keeps what was changed."""

import json
from typing import Any

from ministack.core.iam_evaluator import caller_arn
from ministack.services import ssm
from ministack.services.cloudformation import provisioners

_TYPE = "AWS::SSM::Parameter"


def apply() -> None:
    """Patch MiniStack."""
    _name_the_writer()
    _keep_values()


def _name_the_writer() -> None:
    """Name who wrote a version; MiniStack names the account's root, also for those that a function wrote."""
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


def _keep_values() -> None:
    """Leave a parameter as it is when a stack is updated in which only its tags are others.

    The tag that a stack has here, and all its resources with it, changes with each deployment. MiniStack would write
    the template's value again, and the rules that people have changed would be lost.
    """
    handler = provisioners._RESOURCE_HANDLERS[_TYPE]
    update = handler["update"]

    def update_what_has_changed(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], *arguments: Any, **options: Any
    ) -> Any:
        if _without_tags(old) == _without_tags(new):
            return physical_id, provisioners._ssm_attrs(
                physical_id, provisioners._ssm_put_data(physical_id, new)
            )
        return update(physical_id, old, new, *arguments, **options)

    provisioners._RESOURCE_HANDLERS[_TYPE] = handler | {"update": update_what_has_changed}


def _without_tags(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name != "Tags"}
