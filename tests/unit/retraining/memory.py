"""Documents in memory, for property tests."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from retraining.documents import Documents


class MemoryDocuments(Documents):
    """Documents of the bucket `artefacts`, as JSON texts by key."""

    def __init__(self, documents: Mapping[str, Any]) -> None:
        """Store documents. A text is stored unchanged, so that it may be invalid JSON."""
        texts: Any = {
            key: document if isinstance(document, str) else json.dumps(document)
            for key, document in documents.items()
        }
        super().__init__(texts, "artefacts")

    @property
    def _texts(self) -> dict[str, str]:
        texts: Any = self.s3
        return texts  # type: ignore[no-any-return]

    def find(self, key: str) -> tuple[Any, str] | None:
        return (json.loads(self._texts[key]), "etag") if key in self._texts else None

    def write(self, key: str, document: Any, *, if_match: str | None = None, new: bool = False) -> bool:
        if new and key in self._texts:
            return False
        self._texts[key] = json.dumps(document, allow_nan=False)
        return True

    def listing(self, prefix: str) -> Iterator[Any]:
        for key in sorted(self._texts):
            if key.startswith(prefix):
                yield {"Key": key, "LastModified": datetime(2026, 3, 2, tzinfo=UTC)}
