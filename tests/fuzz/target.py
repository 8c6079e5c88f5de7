"""What the fuzzer attacks: each module of this folder with a `TARGET`.

A target is one place where bytes from outside come in. For any bytes it answers in time, in bounded memory, as it
promises: `broken` returns what went wrong.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import tests.fuzz
from tests.fuzz.mutation import mutate

Mutation = Callable[[bytes, random.Random, list[bytes]], bytes]


@dataclass(frozen=True)
class Target:
    """One place where bytes from outside come in. Its functions are at the top of a module: processes import them.

    Attributes:
        name: The name of its module.
        promises: The rows of docs/reliability.md that it proves.
        seeds: Returns whole inputs, in a fixed order. Mutations begin with them.
        broken: Tries an input. Returns what went wrong; None if nothing did. Any exception is a finding, too.
        mutate: Makes an input from one seed, with a random generator and all the seeds.
        seconds: An input that takes longer is a finding, and its process is ended.
        mib: An input after which the process has so much more memory than after the seeds is a finding.
        examples: How many inputs the fast tests try: as many as take about a second.
    """

    name: str
    promises: tuple[int, ...]
    seeds: Callable[[], list[bytes]]
    broken: Callable[[bytes], str | None]
    mutate: Mutation = field(default=mutate)
    seconds: float = 10.0
    mib: float = 600.0
    examples: int = 100

    def input(self, seed: int) -> bytes:
        """Return the input of a number: a seed as it is, or mutated."""
        rng = random.Random(seed)  # noqa: S311 - not a secret
        seeds = self.seeds()
        return self.mutate(rng.choice(seeds), rng, seeds)


def targets() -> list[Target]:
    """Return every target, by name."""
    modules = [
        importlib.import_module(f"tests.fuzz.{module.name}")
        for module in pkgutil.iter_modules(tests.fuzz.__path__)
        if not module.name.startswith(("test_", "__"))
    ]
    return [module.TARGET for module in modules if hasattr(module, "TARGET")]
