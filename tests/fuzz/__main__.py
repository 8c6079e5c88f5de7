"""Fuzz whatever takes bytes from outside: for any bytes it answers in time, in bounded memory, as it promises.

    python -m tests.fuzz --minutes 10 [--target NAME]... [--seed N] [--keep FOLDER]

The time is divided among the targets. An input that breaks a promise is kept, beside a text that says how, and the
exit status is 1. `tests/fuzz/test_targets.py` does the same for a second a target.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

from tests.fuzz.runner import Score, fuzz
from tests.fuzz.target import targets
from tests.promises import Tried, last_line, record

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Fuzz for some minutes. Returns the exit status."""
    # As for the tests; the processes take it over.
    sys.path[:0] = [str(ROOT), str(ROOT / "functions")]
    known = {target.name: target for target in targets()}
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--target", action="append", choices=sorted(known), help="may be given several times")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6 * 10**6)
    parser.add_argument(
        "--keep", type=Path, default=Path("build/fuzz"), help="for inputs that break a promise"
    )
    options = parser.parse_args()
    chosen = [known[name] for name in dict.fromkeys(options.target or sorted(known))]
    sys.stdout.write(f"seed {options.seed}\n")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    scores = fuzz(chosen, options.minutes * 60, options.seed, options.keep, cores, _tell)
    rows: dict[int, dict[str, Tried]] = defaultdict(dict)
    for target in chosen:
        for row in target.promises:
            rows[row][f"tests/fuzz/{target.name}.py::TARGET"] = Tried(scores[target.name].tried)
    record("fuzz", rows)
    failed = sum(len(score.findings) for score in scores.values())
    sys.stdout.write(last_line(rows, Tried(sum(score.tried for score in scores.values())), failed) + "\n")
    return 1 if failed else 0


def _tell(name: str, score: Score) -> None:
    sys.stdout.write(f"{name}: {score.tried:,} inputs, {len(score.findings)} findings\n")
    for path, reason in score.findings:
        sys.stdout.write(f"  {path}: {reason.strip().splitlines()[-1]}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
