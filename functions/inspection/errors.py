"""Errors of an inspection: reasons why an image gets no verdict from the rules, at least for now."""


class NotReadyError(Exception):
    """Something that every image needs is missing for now, so the image must wait.

    Attributes:
        code: What is missing: `no_endpoint`, `endpoint_busy`, `endpoint_down`, `endpoint_timeout`,
            `rules_missing`, `rules_invalid`, `no_time`.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class ModelError(Exception):
    """The model failed on this image, although it serves others.

    Attributes:
        retryable: Whether another attempt may succeed.
    """

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable
