"""Runs one program of the container contract so that it never outlives the local cloud.

    python -P container.py MODULE

Standard input is a pipe whose other end only the local cloud holds. The kernel closes it however the
cloud ends, `kill -9` included; the pipe's end is this program's end. (Linux could do that by a parent
death signal; a pipe works on macOS as well.) This file imports nothing of ours: it runs in the model's
process, where each import is memory and start-up time.
"""

import os
import runpy
import signal
import sys
import threading


def watch(pipe: int) -> None:
    """Wait for the cloud's end, then end the whole process group (a program may have workers)."""
    while os.read(pipe, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    pipe = os.dup(0)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    threading.Thread(target=watch, args=(pipe,), daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
