"""S3 URIs, and how S3's events name an object."""

from urllib.parse import unquote_plus

UNVERSIONED = "null"  # S3's name of the version in a bucket without versioning


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


def decode(event_key: str) -> str:
    """Decode the key of an S3 event once: it is URL-encoded, with `+` for a space.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html

    Raises:
        UnicodeDecodeError: The bytes are not UTF-8. S3 never sends such a key.

    >>> decode("incoming/a%2Bb+c.jpg")
    'incoming/a+b c.jpg'
    """
    return unquote_plus(event_key, errors="strict")
