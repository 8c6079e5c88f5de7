"""Executes the notebook on a local cloud of its own, and writes the page docs/notebook-run.md: python -m docs.notebook

It takes as long as the notebook's budget. The pictures are generated, and the page has no other ones. With --executed
it only writes the page, from a notebook that notebooks/execute.py wrote.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from docs.notebook_page import FailedCellError, page

PAGE = Path(__file__).with_name("notebook-run.md")
_ROOT = Path(__file__).parents[1]
_LARGEST = 1_500_000  # bytes, of all pictures together
_PYTHON = _ROOT / ".tools" / "notebook" / "bin" / "python"
_SETTINGS = ("budget=minutes", "weights=offline", "name=page")


def main() -> None:
    """Execute the notebook, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m docs.notebook", description=__doc__)
    parser.add_argument("--executed", type=Path, metavar="FILE", help="an executed notebook")
    parser.add_argument(
        "--set", action="append", metavar="NAME=VALUE", help=f"a parameter ({', '.join(_SETTINGS)})"
    )
    parser.add_argument("--out", type=Path, default=PAGE, help="the page")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="loupe-notebook-"))
    try:
        executed = options.executed or _executed(folder, options.set or _SETTINGS)
        _write(executed, options.out, {str(folder / "home"): "~/loupe", str(_ROOT): "loupe"})
    finally:
        shutil.rmtree(folder)


def _executed(folder: Path, settings: list[str] | tuple[str, ...]) -> Path:
    """Execute the notebook on a local cloud, and return the file with its outputs."""
    if not _PYTHON.exists():
        raise SystemExit(
            "loupe: the notebook's environment is not installed\n       Run: make .tools/notebook/.done"
        )
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = os.environ | {"LOUPE_HOME": str(folder / "home"), "PATH": path}
    file = folder / "executed.ipynb"
    command = [str(_PYTHON), "notebooks/execute.py", str(file)]
    _run("up", "--detach", environment=environment)
    try:
        done = subprocess.run(  # noqa: S603
            [*command, *(part for setting in settings for part in ("--set", setting))],
            check=False,
            cwd=_ROOT,
            env=environment,
        )
    finally:
        _run("down", environment=environment)
    if done.returncode:
        raise SystemExit(
            "loupe: the notebook has failed (see above)\n       Look at it in JupyterLab: make notebook"
        )
    return file


def _run(*arguments: str, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "loupe", *arguments]
    subprocess.run(command, check=True, cwd=_ROOT, env=environment)  # noqa: S603


def _write(executed: Path, out: Path, paths: dict[str, str]) -> None:
    pictures = out.parent / "pictures" / "notebook"
    if pictures.exists():
        shutil.rmtree(pictures)
    notebook = json.loads(executed.read_text("utf-8"))
    try:
        text = page(notebook, pictures, _introduction(notebook), paths)
    except FailedCellError as error:
        raise SystemExit(
            f"loupe: a cell has failed: {error}\n       Look at it in JupyterLab: make notebook"
        ) from error
    size = sum(file.stat().st_size for file in pictures.iterdir())
    if size > _LARGEST:
        raise SystemExit(f"loupe: the pictures have {size:,} bytes, and {_LARGEST:,} at most are allowed")
    out.write_text(text, "utf-8")
    print(f"{out}: {len(text):,} characters; {size:,} bytes of pictures")  # noqa: T201


def _introduction(notebook: dict[str, Any]) -> str:
    changed = "".join(
        "".join(cell["source"])
        for cell in notebook["cells"]
        if "injected-parameters" in cell["metadata"].get("tags", [])
    )
    text = (
        "*This page is a run of [`notebooks/fine_tune_and_compare.ipynb`](../notebooks/fine_tune_and_compare.ipynb) "
        f"on the local cloud of a machine with {os.cpu_count()} cores ({platform.machine()}), without a GPU and "
        "without AWS, on generated pictures. `python -m docs.notebook` writes it. How to run it yourself: "
        "[notebook.md](notebook.md).*"
    )
    if "budget = 'trial'" in changed and "weights = 'offline'" in changed:
        text += (
            "\n\n*It has the smallest budget, which only shows that everything works. Two epochs are enough for the "
            "SSD, which starts from a model of such surfaces, and for none of the others.*"
        )
    return text


if __name__ == "__main__":
    main()
