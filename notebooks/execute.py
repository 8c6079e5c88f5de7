"""Executes the notebook without a browser: python notebooks/execute.py OUT.ipynb --set budget=trial --set name=mine"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOK = Path(__file__).with_name("fine_tune_and_compare.ipynb")
_CELL_SECONDS = 6 * 3600
_KERNEL_SECONDS = 300


def main() -> int:
    """Execute the notebook, and write it with its outputs, also if a cell fails; return the exit status."""
    parser = argparse.ArgumentParser(description="Execute the notebook, and keep its outputs.")
    parser.add_argument("out", type=Path, help="file for the executed notebook")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the notebook"
    )
    parser.add_argument("--until", metavar="CELL", help="the id of the last cell to execute")
    options = parser.parse_args()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    _set_parameters(notebook, dict(setting.partition("=")[::2] for setting in options.set))
    if options.until:
        last = next(number for number, cell in enumerate(notebook.cells) if cell.id == options.until)
        notebook.cells = notebook.cells[: last + 1]
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        startup_timeout=_KERNEL_SECONDS,
        timeout=_CELL_SECONDS,
        coalesce_streams=True,
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
        on_cell_start=lambda cell, cell_index: _say(cell),
    )
    try:
        client.execute()
    except CellExecutionError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, options.out)
    return 0


def _set_parameters(notebook: nbformat.NotebookNode, values: dict[str, str]) -> None:
    """Add a cell behind the one with the tag `parameters`, as papermill does it."""
    place = next(n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    cell = nbformat.v4.new_code_cell(
        source, id="injected-parameters", metadata={"tags": ["injected-parameters"]}
    )
    notebook.cells.insert(place + 1, cell)


def _say(cell: nbformat.NotebookNode) -> None:
    if cell.cell_type == "code":
        sys.stderr.write(f"{cell.id}\n")


if __name__ == "__main__":
    raise SystemExit(main())
