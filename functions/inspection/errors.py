"""How judging an image can end other than in a verdict by the rules."""


class NotReadyError(Exception):
    """Something that every image needs is missing for now; the image waits.

    Args:
        message: for the log.
        code: what is missing: `no_endpoint`, `endpoint_busy`, `endpoint_down`, `endpoint_timeout`,
            `rules_missing`, `rules_invalid`, `no_time`.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class ModelError(Exception):
    """The model failed on this image, though it serves others.

    Args:
        message: for people.
        again: whether another try can end otherwise.
    """

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.again = again
