"""Saves MiniStack's state every two seconds, so that `kill -9` costs no more than that.

MiniStack saves at its orderly end only (objects in S3 excepted, which it writes to disk at once).
"""

import copy
import hashlib
import importlib
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

INTERVAL_S = 2.0
# Of the time, at most this share is spent on saving: a large table stretches the interval instead.
_SHARE = 0.05
# Services whose get_state only copies, so that one C call may serialise the live state instead: a deep copy
# of 2,000 records holds up every request for half a second, writing them for 50 ms.
_LIVE = ("dynamodb", "cloudwatch", "cloudwatch_logs", "sqs", "s3")


class _Copy:
    """The copy module, but deepcopy in the saving thread returns what it is given."""

    def __init__(self, saver: threading.Thread) -> None:
        self._saver = saver

    def __getattr__(self, name: str) -> Any:
        return getattr(copy, name)

    def deepcopy(self, value: Any, *arguments: Any) -> Any:
        if threading.current_thread() is self._saver:
            return value
        return copy.deepcopy(value, *arguments)


class Autosave:
    """Runs in a thread from `start` to `stop`."""

    def __init__(self, folder: Path) -> None:
        """`folder` is MiniStack's STATE_DIR."""
        self._folder = folder
        self._stopping = threading.Event()
        self._saved: dict[str, bytes] = {}
        self._one_at_a_time = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="loupe-autosave")

    def start(self) -> None:
        """Begin to save."""
        for name in _LIVE:
            module: Any = importlib.import_module(f"ministack.services.{name}")
            module.copy = _Copy(self._thread)
        self._thread.start()

    def stop(self) -> None:
        """End; MiniStack's own save at its end writes the rest."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        pause = INTERVAL_S
        while not self._stopping.wait(pause):
            began = time.thread_time()  # not by the clock: on a busy machine others' work is none of saving's
            try:
                self.save()
            except Exception:  # a full disk, say: try again, rather than never save any more
                logger.exception("autosave failed")
            pause = max(INTERVAL_S, (time.thread_time() - began) / _SHARE)

    def save(self) -> None:
        """Write every service's state that has changed since the last time; from any thread."""
        with self._one_at_a_time:
            self._save()

    def _save(self) -> None:
        from ministack.app import _build_persistence_save_dict
        from ministack.core.persistence import _json_default, _state_format_version

        for service, get_state in _build_persistence_save_dict().items():
            try:
                state = get_state()
                if state is None:
                    continue
                wrapped = {"__ministack_format__": _state_format_version(service), "payload": state}
                text = json.dumps(wrapped, default=_json_default).encode()
            except RuntimeError:  # changed while it was read: there will be a next time
                logger.info("autosave: %s was busy", service)
                continue
            digest = hashlib.blake2b(text, digest_size=16).digest()
            if digest != self._saved.get(service):
                temporary = self._folder / f"{service}.json.{os.getpid()}"
                temporary.write_bytes(text)
                temporary.replace(self._folder / f"{service}.json")
                self._saved[service] = digest
