"""Faults in the functions of a local cloud, without a switch in the product.

A local cloud runs its functions in processes of their own. `Faults.install` sets variables of each function, through
Lambda's own API, so that its processes load `worker/sitecustomize.py`, as Python does with any file of that name. The
file registers a handler of botocore's `before-send` event in each client, and the handler follows the orders of a file
that the test rewrites at any time:

    faults = Faults(tmp_path / "faults")
    faults.install(target)                                   # once; it outlives a restart of the cloud
    faults.order(Fault("dynamodb", "PutItem", "throttle", share=0.05), Fault("sns", "*", "reset after", first=20))
    ...                                                      # images go through the chain
    faults.clear()
    tried(images=500, faults=faults.injected)

Which calls fail is decided by the seed and the number of the call, so a run is repeated exactly as far as the calls
come in the same order. `faults.injected` is the number of faults of all orders so far, of all processes.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from loupe.stack.target import Target

WORKER = Path(__file__).with_name("worker")
ORDERS = "LOUPE_TEST_FAULTS"
# What a name with "after" does: AWS does what it was asked, and the answer is lost.
What = Literal[
    "throttle",  # the service's own error for it, status 400 (S3: 503)
    "error",  # status 500
    "unavailable",  # status 503
    "reset",  # the connection is closed without an answer
    "reset after",
    "time-out",  # no answer in time, without the wait
    "time-out after",
    "slow",  # after `seconds`
    "exit",  # the process ends at once, as by `kill -9`, and takes the whole batch along
    "exit after",
    "answer",  # status 200 with `body`
]


@dataclass(frozen=True)
class Fault:
    """One kind of fault, and which calls it meets.

    Attributes:
        service: boto3's name of the service, such as `sagemaker-runtime`; `*` for all.
        operation: The operation, such as `PutItem`; `*` for all.
        what: What happens to the call. Each attempt of botocore is a call.
        share: The share of the calls, 0..1, that it happens to.
        first: At most so many calls, counted from the order; None for no limit.
        function: A part of the name of the functions in lower case, such as `inspect`; empty for all.
        seconds: For `slow`.
        body: For `answer`.
    """

    service: str
    operation: str
    what: What
    share: float = 1.0
    first: int | None = None
    function: str = ""
    seconds: float = 1.0
    body: str = ""

    def __post_init__(self) -> None:
        assert self.what in get_args(What), self.what
        assert 0 <= self.share <= 1


class Faults:
    """Gives orders to the functions of a local cloud, and counts what they did.

    Attributes:
        folder: Has the orders and the counts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._generation = 0
        self.clear()

    def install(self, target: Target, **variables: str) -> None:
        """Let all functions of the stack follow the orders.

        Args:
            target: The stack.
            variables: More environment variables for each function.
        """
        added = {"PYTHONPATH": str(WORKER), ORDERS: str(self.folder), **variables}
        for page in target.functions.get_paginator("list_functions").paginate():
            for function in page["Functions"]:
                present = function.get("Environment", {}).get("Variables", {})
                target.functions.update_function_configuration(
                    FunctionName=function["FunctionName"], Environment={"Variables": present | added}
                )

    def order(self, *faults: Fault, seed: int = 1) -> None:
        """Replace the orders: from the next call of any function on, these faults happen. The first that fits, wins."""
        self._generation += 1
        named = [
            asdict(fault) | {"name": f"{self._generation}-{index}"} for index, fault in enumerate(faults)
        ]
        # Replaced, so that no process reads half of it.
        draft = self.folder / "orders.new"
        draft.write_text(json.dumps({"seed": seed, "faults": named}))
        os.replace(draft, self.folder / "orders.json")

    def clear(self) -> None:
        """Let all calls pass."""
        self.order()

    @property
    def injected(self) -> int:
        """The number of faults that happened, of all orders."""
        return sum(file.stat().st_size for file in self.folder.glob("*.injected"))

    @property
    def injected_now(self) -> int:
        """The number of faults that happened by the present orders."""
        return sum(file.stat().st_size for file in self.folder.glob(f"{self._generation}-*.injected"))

    def wait_for(self, count: int, timeout_s: float = 120) -> None:
        """Wait until so many faults have happened by the present orders."""
        deadline = time.monotonic() + timeout_s
        while self.injected_now < count:
            assert time.monotonic() < deadline, (
                f"{self.injected_now} of {count} faults in {timeout_s} seconds"
            )
            time.sleep(0.1)


def by_share(share: float, **changes: Any) -> tuple[Fault, ...]:
    """Return one fault of each kind for all calls, together this share of them: the mix of an ordinary bad day."""
    kinds: tuple[What, ...] = (
        "throttle",
        "error",
        "unavailable",
        "reset",
        "reset after",
        "time-out",
        "time-out after",
    )
    return tuple(Fault("*", "*", what, share / len(kinds), **changes) for what in kinds)
