"""What SageMaker remembers across restarts: one JSON file, replaced in one step at every change."""

import json
import os
import threading
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Store:
    """Named records by kind ("Model", "TrainingJob", "Endpoint", ...); safe to call from any thread."""

    def __init__(self, file: Path) -> None:
        """`file` is read if it exists. Raises ValueError when it is not what `_save` writes."""
        self._file = file
        self._lock = threading.RLock()
        self._records: dict[str, dict[str, Record]] = json.loads(file.read_text()) if file.exists() else {}

    def get(self, kind: str, name: str) -> Record | None:
        """A copy of the record, or None."""
        with self._lock:
            found = self._records.get(kind, {}).get(name)
            return dict(found) if found is not None else None

    def add(self, kind: str, name: str, record: Record) -> bool:
        """Create; False if the name is taken, and nothing changes."""
        with self._lock:
            if name in self._records.get(kind, {}):
                return False
            self.put(kind, name, record)
            return True

    def put(self, kind: str, name: str, record: Record) -> None:
        """Create or replace."""
        with self._lock:
            self._records.setdefault(kind, {})[name] = record
            self._save()

    def change(self, kind: str, name: str, **members: Any) -> None:
        """Set some members of a record that exists; a member set to None is removed."""
        with self._lock:
            record = self._records.get(kind, {}).get(name)
            if record is not None:
                record.update(members)
                for gone in [member for member, value in record.items() if value is None]:
                    del record[gone]
                self._save()

    def change_from(self, kind: str, name: str, member: str, value: Any, **members: Any) -> bool:
        """Like `change`, but only while `member` has this value; False if it has not."""
        with self._lock:
            record = self._records.get(kind, {}).get(name)
            if record is None or record.get(member) != value:
                return False
            self.change(kind, name, **members)
            return True

    def delete(self, kind: str, name: str) -> bool:
        """True if there was one."""
        with self._lock:
            existed = self._records.get(kind, {}).pop(name, None) is not None
            if existed:
                self._save()
            return existed

    def all(self, kind: str) -> list[Record]:
        """Copies of every record of a kind."""
        with self._lock:
            return [dict(record) for record in self._records.get(kind, {}).values()]

    def _save(self) -> None:
        temporary = self._file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(self._records))
        temporary.replace(self._file)
