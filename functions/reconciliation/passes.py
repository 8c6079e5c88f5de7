"""The comparison on a schedule: it goes through the whole bucket, over several invocations if one is not enough.

What is known to have its record is not read from the table again: the next comparison begins with the oldest image
that had none. So each image costs about one read, whatever the schedule.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from contract.announcements import oldest_expected
from contract.inspections import timestamp
from reconciliation.reconciler import Findings, Reconciler, Span
from reconciliation.versions import Marker

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# The first comparison of a stack goes back so far; `loupe reconcile --since` goes further.
_FIRST = timedelta(days=7)
# A message is received at most five times, and hidden for six minutes each time (template.yaml). An image that is older
# has its record, waits for the endpoint, or is a dead letter.
SETTLED = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Memory:
    """What one invocation tells the next.

    Attributes:
        settled: Images that were uploaded earlier have their record.
        span: What the comparison in progress compares; None if there is none in progress.
        marker: How far it has come.
        oldest: When its oldest missing image was uploaded.
    """

    settled: datetime | None = None
    span: Span | None = None
    marker: Marker | None = None
    oldest: datetime | None = None

    @classmethod
    def of(cls, text: str) -> Memory:
        """Return the memory in a JSON document."""
        document = json.loads(text)
        span, marker = document.get("span"), document.get("marker")
        return cls(
            _time(document.get("settled")),
            Span(datetime.fromisoformat(span["since"]), datetime.fromisoformat(span["before"]))
            if span
            else None,
            Marker(**marker) if marker else None,
            _time(document.get("oldest")),
        )

    def text(self) -> str:
        """Return the JSON document."""
        span = {name: timestamp(time) for name, time in asdict(self.span).items()} if self.span else None
        document = {
            "settled": timestamp(self.settled) if self.settled else None,
            "span": span,
            "marker": asdict(self.marker) if self.marker else None,
            "oldest": timestamp(self.oldest) if self.oldest else None,
        }
        return json.dumps(document, ensure_ascii=False)


@dataclass(frozen=True)
class Passes:
    """Compares, a part in each invocation.

    Attributes:
        reconciler: Compares.
        ssm: The SSM client.
        parameter: The name of the parameter with the memory.
        retention_days: After how many days a record is deleted.
        now: Returns the time.
    """

    reconciler: Reconciler
    ssm: SSMClient
    parameter: str
    retention_days: int
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def go_on(self, seconds: float) -> Findings:
        """Begin a comparison, or go on with the one in progress. Nothing is remembered while many images wait."""
        memory = self._read()
        span = memory.span or self.span(memory.settled or self.now() - _FIRST)
        found = self.reconciler.compare(span, memory.marker, seconds)
        if found.obstacle:
            return found
        oldest = min(filter(None, (memory.oldest, found.oldest)), default=None)
        if found.end:
            self._write(replace(memory, span=span, marker=found.end, oldest=oldest))
        else:
            self._write(Memory(settled=oldest or max(span.since, span.before)))
        return found

    def span(self, since: datetime, settled: timedelta = SETTLED) -> Span:
        """Return what can be compared now: not what may have had a record that has expired, nor what is on its way."""
        now = self.now()
        return Span(max(since, oldest_expected(now, self.retention_days)), now - settled)

    def _read(self) -> Memory:
        return Memory.of(self.ssm.get_parameter(Name=self.parameter)["Parameter"]["Value"])

    def _write(self, memory: Memory) -> None:
        self.ssm.put_parameter(Name=self.parameter, Value=memory.text(), Type="String", Overwrite=True)


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
