"""Saves MiniStack's state every two seconds, so that `kill -9` loses no more than that.

MiniStack saves only when it ends in an orderly way (except objects in S3, which it writes to disk at once).
"""

import copy
import hashlib
import importlib
import json
import logging
import re
import threading
import time
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core.persistence import _json_default, _state_format_version

from localcloud.home import files
from localcloud.home.space import Space
from localcloud.ministack import packed_items

logger = logging.getLogger(__name__)

INTERVAL_S = 2.0
_LAST_ATTEMPTS = 5
# At most this share of the time is spent on saving: with a large table the interval becomes longer instead.
_MAX_SHARE = 0.05
# Nothing continues the creation or update of a stack after a restart, and CloudFormation refuses to begin another one.
# So the stacks are saved as they were before, until the creation or update has ended.
_UNFINISHED_STACK = re.compile(rb'"StackStatus": "(?!REVIEW_)\w+_IN_PROGRESS"')
# Services whose get_state only copies. Their live state can be serialised in one C call instead: a deep copy of
# 2,000 records blocks every request for half a second, writing them for 50 ms, and copying our stack takes longer than
# everything else of a save.
_COPYING_SERVICES = (
    *("cloudformation", "cloudfront", "cloudwatch", "cloudwatch_logs", "cognito", "dynamodb"),
    *("iam", "s3", "sqs", "stepfunctions"),
)


class _Copy:
    """The copy module, except that deepcopy returns its argument to the thread that saves."""

    def __init__(self) -> None:
        self.saving = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(copy, name)

    def deepcopy(self, value: Any, *arguments: Any) -> Any:
        if getattr(self.saving, "now", False):
            return value
        return copy.deepcopy(value, *arguments)


class Autosave:
    """Saves in a thread from `start` to `stop`."""

    def __init__(self, folder: Path, space: Space) -> None:
        """Initialize; nothing is saved before `start`.

        Args:
            folder: MiniStack's STATE_DIR.
            space: Is told when the disk is full.
        """
        self._folder, self._space = folder, space
        self._stopping = threading.Event()
        self._saved_digests: dict[str, bytes] = {}
        self._copy = _Copy()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="loupe-autosave")

    def start(self) -> None:
        """Start saving, in the place of MiniStack."""
        # MiniStack would save everything once more when it ends, changed or not, which takes long.
        app.PERSIST_STATE = False
        for name in _COPYING_SERVICES:
            module: Any = importlib.import_module(f"ministack.services.{name}")
            module.copy = self._copy
        self._thread.start()

    def stop(self) -> None:
        """Save once more, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def save(self) -> bool:
        """Write the state of every service that has changed since the last time; from any thread.

        Returns:
            Whether all could be read; one that changes meanwhile cannot.
        """
        with self._lock:
            save_dict = app._build_persistence_save_dict()
            # A record says that its alert was sent. So the tables are read before the queues and written after them:
            # whenever the cloud is killed, the message of such an alert is kept, or the record does not say so yet.
            services = sorted(save_dict, key=lambda service: service != "dynamodb")
            self._copy.saving.now = True
            try:
                texts = {service: self._read(service, save_dict[service]) for service in services}
            finally:
                self._copy.saving.now = False
            if texts.get("sqs", b"") is None:
                texts["dynamodb"] = None
            for service in reversed(services):
                self._write(service, texts[service])
        return None not in texts.values()

    def _run(self) -> None:
        pause = INTERVAL_S
        while not self._stopping.wait(pause):
            # The thread's own time: on a busy machine others' work must not make the interval longer.
            began = time.thread_time()
            self._try_to_save()
            pause = max(INTERVAL_S, (time.thread_time() - began) / _MAX_SHARE)
        for _ in range(_LAST_ATTEMPTS):
            if self._try_to_save():
                break

    def _try_to_save(self) -> bool:
        try:
            saved = self.save()
        except OSError as error:  # a full disk: the former state stays, and the next attempt follows
            self._space.failed(error)
            return False
        except Exception:  # the next attempt follows
            logger.exception("autosave failed")
            return False
        self._space.written()
        return saved

    def _read(self, service: str, get_state: Any) -> bytes | None:
        """Return the text of a service's state; empty if there is none to be saved, None if it changed meanwhile."""

        def encode() -> str:
            state = get_state()
            if state is None:
                return ""
            wrapped = {"__ministack_format__": _state_format_version(service), "payload": state}
            return json.dumps(wrapped, default=_json_default)

        try:
            text = (packed_items.saved_text(encode) if service == "dynamodb" else encode()).encode()
        except RuntimeError:  # changed while it was read: the next attempt follows
            logger.info("autosave: %s was busy", service)
            return None
        return b"" if service == "cloudformation" and _UNFINISHED_STACK.search(text) else text

    def _write(self, service: str, text: bytes | None) -> None:
        if not text:
            return
        digest = hashlib.blake2b(text, digest_size=16).digest()
        if digest != self._saved_digests.get(service):
            files.replace(self._folder / f"{service}.json", text)
            self._saved_digests[service] = digest
