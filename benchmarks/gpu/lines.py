"""The figures of a run, one JSON line each, and the same as Markdown.

python -m benchmarks.gpu.lines OUT                     writes OUT/table.md
python -m benchmarks.gpu.lines OUT --note PART TEXT    adds a line that says why a part has no figures

Standard library only, so that it runs wherever there is a Python.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FILE = "lines.jsonl"
_OK, _SKIPPED, _FAILED = "ok", "skipped", "failed"
_HEADS: dict[str, tuple[tuple[str, str], ...]] = {
    "bare": (
        ("what", "variant"), ("images_per_s", "images/s"), ("p50_ms", "p50 of a run, ms"), ("why", "remark"),
    ),
    "endpoint": (
        ("what", "endpoint"), ("images_per_s", "images/s"), ("share_of_bare", "share of bare"), ("p50_ms", "p50, ms"),
        ("p99_ms", "p99, ms"), ("why", "remark"),
    ),
    "train": (
        ("what", "training"), ("map", "mAP[.5:.95]"), ("map50", "mAP50"), ("epochs", "epochs"), ("seconds", "s"),
        ("why", "remark"),
    ),
}  # fmt: skip


class Lines:
    """Writes the lines of one part."""

    def __init__(self, out: Path, part: str) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._file, self._part = out / _FILE, part

    def add(self, what: str, **figures: object) -> None:
        """Write a line with figures; it is on the disk when this returns."""
        self._write({"part": self._part, "what": what, "state": _OK, **figures})

    def skipped(self, what: str, why: str) -> None:
        """Write that something cannot be measured here."""
        self._write({"part": self._part, "what": what, "state": _SKIPPED, "why": why})

    def failed(self, what: str, why: str) -> None:
        """Write that something went wrong."""
        self._write({"part": self._part, "what": what, "state": _FAILED, "why": why})

    def _write(self, line: dict[str, Any]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def read(out: Path) -> list[dict[str, Any]]:
    """Return the lines of a run. A last line that a kill has cut short is left out."""
    file = out / _FILE
    found = []
    for text in file.read_text("utf-8").splitlines() if file.is_file() else ():
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return found


def markdown(lines: list[dict[str, Any]]) -> str:
    """Return a run as Markdown: the machine, then a table for each part."""
    parts = ["## On a GPU\n"]
    checks = [line for line in lines if line["part"] == "check"]
    parts += [f"- {line['what']}: {line.get('value', line.get('why', ''))}\n" for line in checks]
    for part in _HEADS:
        rows = [line for line in lines if line["part"] == part]
        if rows:
            parts += ["\n", *_table(part, rows)]
    return "".join(parts)


def _table(part: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    heads = _HEADS[part]
    yield f"| {' | '.join(head for _, head in heads)} |\n"
    yield f"|{'---|' * len(heads)}\n"
    for row in rows:
        yield f"| {' | '.join(_cell(row, name) for name, _ in heads)} |\n"


def _cell(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if name == "why" and row["state"] != _OK:
        return f"{row['state']}: {value}".replace("|", "/").replace("\n", " ")
    if value is None:
        return ""
    return (
        f"{value:.0%}"
        if name == "share_of_bare"
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def main(arguments: list[str] | None = None) -> None:
    """Write the table, or add a line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.lines", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--note", nargs=2, metavar=("PART", "TEXT"))
    options = parser.parse_args(arguments)
    if options.note:
        part, text = options.note
        Lines(options.out, part).failed("the part", text)
    (options.out / "table.md").write_text(markdown(read(options.out)), "utf-8")


if __name__ == "__main__":
    main()
