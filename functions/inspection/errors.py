"""How judging an image can end other than in a verdict by the rules."""


class UnreadableError(Exception):
    """The image cannot be judged, now or later; its record says why.

    Args:
        code: stable, for programs: `empty_image`, `too_large`, `unsupported_format`, `corrupt_image`, ...
        message: for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NotReadyError(Exception):
    """Something that every image needs is missing for now (endpoint, rules, time); the image waits."""


class ModelError(Exception):
    """The model failed on this image, though it serves others."""
