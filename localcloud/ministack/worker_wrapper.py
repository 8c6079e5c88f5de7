"""Runs one worker of a function so that it never outlives the local cloud.

    python -P worker_wrapper.py PIPE SCRIPT

PIPE is the number of the file descriptor of a pipe whose other end only the local cloud has. The kernel closes it
however the cloud ends, also after `kill -9`; then this program ends, even in the middle of a batch. (Standard input
is a pipe too, but the worker reads it only between two batches.) This file imports nothing of ours.
"""

import os
import runpy
import signal
import sys
import threading


def end_with(pipe: int) -> None:
    """Wait until the pipe closes, then end the whole process group."""
    while os.read(pipe, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    pipe, script = int(sys.argv[1]), sys.argv[2]
    os.set_inheritable(pipe, False)
    threading.Thread(target=end_with, args=(pipe,), daemon=True).start()
    sys.argv = [script]
    runpy.run_path(script, run_name="__main__")
