"""Loaded by each process of a function under test, through PYTHONPATH: makes its calls of AWS fail as it is told.

The interface is tests/faults/__init__.py. This file imports nothing of ours but its neighbour.
"""

import os

if "LOUPE_TEST_FAULTS" in os.environ:
    import faulty_calls

    faulty_calls.install(os.environ["LOUPE_TEST_FAULTS"])
