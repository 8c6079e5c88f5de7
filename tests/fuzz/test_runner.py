"""The fuzzer itself survives what an input does to a process."""

from __future__ import annotations

import os
import time

import pytest

from tests.fuzz import test_runner as this
from tests.fuzz.runner import fuzz
from tests.fuzz.target import Target

WHOLE = b"whole"


def whole():
    return [WHOLE]


def as_it_is(data, rng, seeds):
    return data if rng.random() < 0.5 else b"bad"


def ends(data):
    return None if data == WHOLE else os._exit(3)


def hangs(data):
    while data != WHOLE:
        time.sleep(0.1)


def grows(data):
    if data != WHOLE:
        bytearray(os.urandom(1)) * (200 << 20)


def raises(data):
    return None if data == WHOLE else {}["missing"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (ends, "its process ended with 3"),
        (hangs, "it takes more than 0.5 s"),
        (grows, "are its bound"),
        (raises, "KeyError: 'missing'"),
    ],
)
def test_what_a_target_does_to_its_process_is_a_finding_and_not_the_end(broken, reason, tmp_path):
    # The processes import this module, which pytest has loaded in its own way.
    broken = getattr(this, broken.__name__)
    seconds = 0.5 if "more than 0.5 s" in reason else 60
    bad = Target("bad", (), this.whole, broken, this.as_it_is, seconds=seconds, mib=100)
    heard = []
    scores = fuzz([bad], 60, 1, tmp_path, 1, lambda name, score: heard.append(name), most_findings=2)
    findings = scores["bad"].findings
    assert heard == ["bad"]
    assert scores["bad"].tried >= 2
    assert len(findings) == 2
    for path, why in findings:
        assert path.read_bytes() == b"bad"
        assert why.strip().endswith(reason)
