"""Runs one program of the container contract so that it never outlives the local cloud.

    python -P program_wrapper.py MODULE

Standard input is a pipe whose other end only the local cloud has. The kernel closes it however the cloud ends,
also after `kill -9`; when the pipe closes, this program ends. (On Linux a parent death signal would do the same; a
pipe works on macOS too.) This file imports nothing of ours: it runs in the model's process, where each import
costs memory and start-up time.
"""

import os
import runpy
import signal
import sys
import threading


def end_with(pipe: int) -> None:
    """Wait until the pipe closes, then end the whole process group (a program may have workers)."""
    while os.read(pipe, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    pipe = os.dup(0)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    threading.Thread(target=end_with, args=(pipe,), daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
