"""What a request to the model's endpoint may be."""

import json

# https://docs.aws.amazon.com/general/latest/gr/sagemaker.html
MAX_BODY_BYTES = 6 * 1024 * 1024


def reference(bucket: str, key: str, version_id: str) -> tuple[bytes, str]:
    """Return body and content type of a request for an image that stays in S3.

    An image larger than a request may be is fetched by the container, by its own role.
    """
    where = {"bucket": bucket, "key": key, "version_id": version_id}
    return json.dumps({"s3": where}).encode(), "application/json"
