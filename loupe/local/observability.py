"""Functions' logs on disk and in bounds, and metrics from where AWS would take them."""


def bridge() -> None:
    """To follow."""
