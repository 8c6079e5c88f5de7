"""What the SageMaker SDK 3 asks for in vain is refused before anything runs, and the message says what works."""

import pytest

from tests.clients.bench import Bench

pytestmark = pytest.mark.clients


def test_what_does_not_run_here_is_refused_with_what_does(bench: Bench) -> None:
    said = bench.script("notebook", "sdk3_refusals")
    expected = {
        "with_source_code": ("ValidationException", "no scripts (channel sm_drivers)"),
        "with_an_image_of_aws": ("ValidationException", "pytorch-training:2.5.1-cpu-py311 is not Loupe's"),
        "of_jumpstart": ("UnknownOperationException", "JumpStart's hubs are not in the local cloud"),
        "process_with_a_script": (
            "ValidationException",
            "no scripts (/opt/ml/processing/input/code/train.py)",
        ),
    }
    assert set(said) == set(expected)
    for asked, (code, words) in expected.items():
        assert said[asked][0] == code, asked
        assert words in said[asked][1], asked
        assert "What works: " in said[asked][1], asked
