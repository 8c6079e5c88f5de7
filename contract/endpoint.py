"""The model's endpoint, and requests to it."""

import json

# https://docs.aws.amazon.com/general/latest/gr/sagemaker.html
MAX_BODY_BYTES = 6 * 1024 * 1024
# The alarms in template.yaml and the state machine use the same name. A canary needs a name that never changes.
VARIANT_NAME = "AllTraffic"


def reference(bucket: str, key: str, version_id: str) -> tuple[bytes, str]:
    """Return the body and the content type of a request that refers to an image in S3.

    This is for images larger than MAX_BODY_BYTES. The container reads them with its own role.
    """
    location = {"bucket": bucket, "key": key, "version_id": version_id}
    return json.dumps({"s3": location}).encode(), "application/json"
