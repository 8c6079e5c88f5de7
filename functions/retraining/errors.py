"""The errors that stop a run. The state machine catches them and reports them by the names of these classes."""


class RetrainingError(Exception):
    """Base class. The message is a sentence for people that says what to do next."""


class InvalidRequestError(RetrainingError):
    """The input of the execution asks for something that does not exist, or is out of bounds."""


class LabelledDataError(RetrainingError):
    """There is nothing to train on, or nothing to test on."""


class BrokenReportError(RetrainingError):
    """The report of an evaluation cannot be read, or lacks what the gate needs."""


class SmokeTestError(RetrainingError):
    """On the golden set, the live endpoint does not find what the evaluation found."""


class NotWaitingError(RetrainingError):
    """A person answers a run that does not wait for an answer."""
