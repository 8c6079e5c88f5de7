"""The base of every error that a user of these programs can cause or fix."""

from __future__ import annotations


class TrainingError(Exception):
    """A job cannot continue; the message gives what is wrong, in which file, and what to do."""
