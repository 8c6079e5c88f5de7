"""The base of every error that a user of these programs can cause or cure."""

from __future__ import annotations


class TrainingError(Exception):
    """A job cannot go on; the message says what is wrong, with which file, and what to do."""
