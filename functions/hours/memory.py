"""What must outlast the endpoint: the configuration with which it comes back, and a person's wish."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from contract.inspections import timestamp

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants instead of the hours.

    Attributes:
        run: Whether the endpoint shall run.
        until: Until when; None until the next wish.
    """

    run: bool
    until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Return whether the wish still holds."""
        return self.until is None or at < self.until


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered.

    Attributes:
        resting: The name of the configuration with which the endpoint comes back; None unless it rests.
        wish: What a person wants.
    """

    resting: str | None = None
    wish: Wish | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> State:
        """Return the state in a JSON document."""
        wish = document.get("wish")
        until = wish and wish.get("until")
        return cls(
            document.get("resting"),
            Wish(bool(wish["run"]), datetime.fromisoformat(until) if until else None) if wish else None,
        )

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        wish = self.wish
        until = wish and wish.until
        return {
            "resting": self.resting,
            "wish": wish and {"run": wish.run, "until": until and timestamp(until.astimezone(UTC))},
        }


@dataclass(frozen=True, slots=True)
class Memory:
    """Keeps the state in an SSM parameter.

    Attributes:
        client: The SSM client.
        name: The parameter.
    """

    client: SSMClient
    name: str

    def read(self) -> State:
        """Return the state."""
        return State.of(json.loads(self.client.get_parameter(Name=self.name)["Parameter"]["Value"]))

    def write(self, state: State) -> None:
        """Store the state."""
        self.client.put_parameter(
            Name=self.name, Value=json.dumps(state.document()), Type="String", Overwrite=True
        )
