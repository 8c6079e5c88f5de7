"""S3 URIs."""


def split(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of an S3 URI. The key may be empty.

    Raises:
        ValueError: The text is not an S3 URI.

    >>> split("s3://images/line-1/a.jpg")
    ('images', 'line-1/a.jpg')
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"{uri!r} is not s3://bucket/key")
    return bucket, key


def join(bucket: str, key: str) -> str:
    """Return the S3 URI of a key.

    >>> join("images", "line-1/a.jpg")
    's3://images/line-1/a.jpg'
    """
    return f"s3://{bucket}/{key}"
