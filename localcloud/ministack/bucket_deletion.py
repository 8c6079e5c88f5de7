"""A stack cannot delete a bucket that is not empty, as on AWS: MiniStack's CloudFormation deletes what is in it.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html (Delete stack fails)
"""

import uuid
from typing import Any

from ministack.services import s3
from ministack.services.cloudformation import provisioners

_TYPE = "AWS::S3::Bucket"


def apply() -> None:
    """Patch MiniStack."""
    handler = provisioners._RESOURCE_HANDLERS[_TYPE]
    delete = handler["delete"]

    def delete_if_empty(name: str, properties: dict[str, Any]) -> None:
        bucket = s3._buckets.get(name)
        if bucket is not None and (bucket["objects"] or s3._bucket_has_versions(name)):
            # MiniStack writes the message of a ValueError into the stack's events.
            raise ValueError(
                'Resource handler returned message: "The bucket you tried to delete is not empty. You must delete '
                f'all versions in the bucket. (Service: S3, Status Code: 409, Request ID: {uuid.uuid4()})" '
                "(HandlerErrorCode: GeneralServiceException)"
            )
        delete(name, properties)

    provisioners._RESOURCE_HANDLERS[_TYPE] = handler | {"delete": delete_if_empty}
