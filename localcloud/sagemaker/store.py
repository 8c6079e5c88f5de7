"""What SageMaker remembers across restarts: one JSON file, replaced in one step at every change."""

import json
import threading
from pathlib import Path
from typing import Any

from localcloud.home import files

Record = dict[str, Any]


class Store:
    """Named records by kind ("Model", "TrainingJob", "Endpoint", ...); safe to call from any thread."""

    def __init__(self, file: Path) -> None:
        """Read the file if it exists.

        Raises:
            ValueError: If the file is not a store's.
        """
        self._file = file
        self._lock = threading.RLock()
        self._closed = False
        self._records = _read(file)

    def get(self, kind: str, name: str) -> Record | None:
        """Return a copy of the record, or None."""
        with self._lock:
            record = self._records.get(kind, {}).get(name)
            return dict(record) if record is not None else None

    def all(self, kind: str) -> list[Record]:
        """Return copies of every record of a kind."""
        with self._lock:
            return [dict(record) for record in self._records.get(kind, {}).values()]

    def add(self, kind: str, name: str, record: Record) -> bool:
        """Create a record; return False, and change nothing, if the name is taken."""
        with self._lock:
            if name in self._records.get(kind, {}):
                return False
            self.put(kind, name, record)
            return True

    def put(self, kind: str, name: str, record: Record) -> None:
        """Create or replace a record."""
        with self._lock:
            self._records.setdefault(kind, {})[name] = record
            self._save()

    def change(self, kind: str, name: str, **members: Any) -> None:
        """Set some members of a record if it exists; a member set to None is removed."""
        with self._lock:
            record = self._records.get(kind, {}).get(name)
            if record is not None:
                record.update(members)
                for removed in [member for member, value in record.items() if value is None]:
                    del record[removed]
                self._save()

    def change_if(self, kind: str, name: str, member: str, value: Any, **members: Any) -> bool:
        """Set some members as `change` does, but only if `member` has this value; return whether it has."""
        with self._lock:
            record = self._records.get(kind, {}).get(name)
            if record is None or record.get(member) != value:
                return False
            self.change(kind, name, **members)
            return True

    def delete(self, kind: str, name: str) -> bool:
        """Delete a record; return whether it existed."""
        with self._lock:
            existed = self._records.get(kind, {}).pop(name, None) is not None
            if existed:
                self._save()
            return existed

    def close(self) -> None:
        """Leave the file as it is from now on: what happens while the cloud stops happens again after its start."""
        with self._lock:
            self._closed = True

    def _save(self) -> None:
        if self._closed:
            return
        try:
            files.replace(self._file, json.dumps(self._records))
        except OSError:
            # On a full disk. What is not kept has not happened, and can be tried again.
            self._records = _read(self._file)
            raise


def _read(file: Path) -> dict[str, dict[str, Record]]:
    records: dict[str, dict[str, Record]] = json.loads(file.read_text()) if file.exists() else {}
    return records
