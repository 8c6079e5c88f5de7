"""Why a letter is dead: what the function has logged about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from contract.text import counted
from loupe.stack.dead_letters.letters import Letter
from loupe.stack.logs import StackLogs
from loupe.stack.target import Target

# For each, CloudWatch searches the log; it does so a few times in a second.
MOST_EXPLAINED = 20
_EARLIER = timedelta(minutes=1)
_BAD = ("WARNING", "ERROR", "CRITICAL")
# A stream's function is invoked eleven times, with pauses, before its batch is given up.
_LATER = timedelta(hours=1)


class Causes:
    """Explains letters by the functions' logs."""

    def __init__(self, target: Target) -> None:
        """Initialize; nothing is read yet."""
        self._logs = StackLogs(target)

    def of(self, letter: Letter) -> str | None:
        """Return what the function said last about a letter; None if it said nothing that is still in the log."""
        if letter.batch:
            return self._of_batch(letter.function, letter.batch.arrived_first)
        for identity in letter.inspections:
            if said := self._last(letter.function, letter.sent_at - _EARLIER, identity):
                return said
        return None

    def _of_batch(self, function: str, since: datetime) -> str | None:
        return self._last(function, since - _EARLIER, None, since + _LATER)

    def _last(
        self, function: str, since: datetime, text: str | None, until: datetime | None = None
    ) -> str | None:
        if function not in self._logs.sources():
            return None
        bad = [
            line
            for line in self._logs.read([function], since, text)
            if line.level in _BAD and (until is None or line.at <= until)
        ]
        return _first_line(bad[-1].message) if bad else None


def _first_line(message: str) -> str:
    """Return what a message says, without its traceback and without what only programs read.

    >>> _first_line("no answer code=ClientError message_id=7 inspection=8 Traceback (most recent call last):\\n  File")
    'no answer'
    """
    line = message.strip().splitlines()[0] if message.strip() else ""
    for name in (" code=", " message_id=", " inspection=", " Traceback "):
        line = line.partition(name)[0]
    return line.strip()


def next_step(letter: Letter, why: str | None, options: str) -> str:
    """Return what to do about a letter, as a sentence with its command.

    Args:
        letter: The letter.
        why: What the function said about it.
        options: The options that name the stack.
    """
    if letter.batch:
        records = counted(letter.batch.size, "record")
        return f"Mend the cause, then let {records} be processed again: loupe dlq redrive{options}"
    if not letter.images:
        drop = f"loupe dlq drop{options} {letter.id[:8]}"
        return f"It announces no image. See it: loupe dlq --json{options}; remove it: {drop}"
    look = f"loupe logs --id {letter.inspections[0]}{options}"
    if why is None:
        return f"The function ended without a word, by its time or memory limit. See: {look}"
    return f"Mend the cause ({look}), then: loupe dlq redrive{options}"


def explained(target: Target, letters: Sequence[Letter]) -> dict[str, str | None]:
    """Return why letters are dead, by their ids; of many only of the first."""
    causes = Causes(target)
    return {letter.id: causes.of(letter) for letter in letters[:MOST_EXPLAINED]}
