"""Buckets carry the tags of their stack, as on AWS: by them a bucket that outlives its stack is found again.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html
"""

from collections.abc import Callable
from typing import Any

from ministack.services import s3
from ministack.services.cloudformation import provisioners

_TYPE = "AWS::S3::Bucket"


def apply() -> None:
    """Patch MiniStack, whose CloudFormation leaves a bucket's tags out."""
    provisioners._STACK_TAG_PROPERTY[_TYPE] = ("Tags", "list")
    handler = provisioners._RESOURCE_HANDLERS[_TYPE]
    provisioners._RESOURCE_HANDLERS[_TYPE] = handler | {
        "create": _tagging(handler["create"], properties_at=1),
        "update": _tagging(handler["update"], properties_at=2),
    }


def _tagging(provision: Callable[..., Any], properties_at: int) -> Callable[..., Any]:
    """Return a provisioner that also stores the tags; `properties_at` is the place of the new properties."""

    def provision_and_tag(*arguments: Any, **options: Any) -> Any:
        answer = provision(*arguments, **options)
        tags = arguments[properties_at].get("Tags", [])
        s3._bucket_tags[answer[0]] = {tag["Key"]: tag["Value"] for tag in tags}
        return answer

    return provision_and_tag
