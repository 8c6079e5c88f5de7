"""What stops a run before or beside its jobs. The class names are what the state machine catches and reports."""


class RetrainingError(Exception):
    """Base: its message is a sentence for people that says what to do next."""


class InvalidRequestError(RetrainingError):
    """The execution's input asks for something that does not exist, or is out of bounds."""


class LabelledDataError(RetrainingError):
    """There is nothing to learn from, or nothing to test on."""


class BrokenReportError(RetrainingError):
    """An evaluation's report cannot be read, or lacks what the gate must know."""


class SmokeTestError(RetrainingError):
    """The live endpoint does not find on the golden set what the evaluation found."""
