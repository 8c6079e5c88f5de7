"""The page of the notebook's run shows what the run showed, as GitHub can show it, and nothing of the machine."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from docs.notebook_page import FailedCellError, page

TITLE = {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "\n", "First."]}


def code(source: str, *outputs: dict[str, Any], tags: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": "cell",
        "metadata": {"tags": list(tags)},
        "source": source,
        "outputs": list(outputs),
    }


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def shown(data: dict[str, str], **metadata: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": metadata}


def rendered(tmp_path: Path, *cells: dict[str, Any], paths: dict[str, str] | None = None) -> str:
    return page({"cells": [TITLE, *cells]}, tmp_path / "pictures" / "notebook", "Introduction.", paths or {})


def test_the_introduction_stands_below_the_title(tmp_path: Path) -> None:
    assert rendered(tmp_path) == "# Title\n\nIntroduction.\n\nFirst.\n"


def test_code_and_its_output_are_blocks_whatever_fences_they_contain(tmp_path: Path) -> None:
    text = rendered(tmp_path, code('print("```")', stream("```\n</details>")))
    assert '````python\nprint("```")\n````' in text
    assert "````text\n```\n</details>\n````" in text


def test_pieces_of_a_stream_are_one_block_and_long_ones_are_folded(tmp_path: Path) -> None:
    pieces = [stream(f"line {number}\n") for number in range(13)]
    assert "<details>" not in rendered(tmp_path, code("x", *pieces[:12]))
    text = rendered(tmp_path, code("x", *pieces))
    assert "<details><summary>Output: 13 lines</summary>\n\n```text\nline 0\nline 1\n" in text


def test_a_progress_bar_leaves_its_last_state_and_no_terminal_escapes(tmp_path: Path) -> None:
    text = rendered(tmp_path, code("x", stream("\r 10 %\r\x1b[32m100 %\x1b[0m\ndone\r\n")))
    assert "```text\n100 %\ndone\n```" in text


def test_the_frames_of_a_spinner_are_not_on_the_page(tmp_path: Path) -> None:
    text = rendered(tmp_path, code("x", stream("\x1b[36m\u280b\x1b[0m waiting\n\u2819 waiting\n\nserves\n")))
    assert "```text\nserves\n```" in text


def test_a_chart_is_a_picture_with_its_text(tmp_path: Path) -> None:
    png = io.BytesIO()
    Image.new("RGB", (8, 4), "red").save(png, "PNG")
    data = {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": "<Chart>"}
    text = rendered(tmp_path, code("chart", shown(data, **{"image/png": {"alt": "mAP [.5:.95]\nof all"}})))
    assert "![mAP  .5:.95  of all](pictures/notebook/cell-1.webp)" in text
    assert "<Chart>" not in text
    with Image.open(tmp_path / "pictures/notebook/cell-1.webp") as picture:
        assert picture.size == (8, 4)


def test_a_table_is_markdown_and_html_without_markdown_is_plain_text(tmp_path: Path) -> None:
    table = {"text/html": "<table>", "text/markdown": "| a |\n| --- |", "text/plain": "Table()"}
    text = rendered(
        tmp_path, code("table", shown(table), shown({"text/html": "<style>", "text/plain": "plain"}))
    )
    assert "\n| a |\n| --- |\n" in text
    assert "<table>" not in text
    assert "<style>" not in text
    assert "```text\nplain\n```" in text


def test_what_the_reader_need_not_see_is_folded(tmp_path: Path) -> None:
    text = rendered(
        tmp_path, code("hidden = 1", tags=("hide-input",)), code("x", stream("noise"), tags=("hide-output",))
    )
    assert "<summary>Code</summary>\n\n```python\nhidden = 1" in text
    assert "<summary>Output</summary>\n\n```text\nnoise" in text


def test_links_lead_where_they_do_on_github(tmp_path: Path) -> None:
    links = "[a](#2.-Prepare-the-pictures) [b](../docs/families.md) [c](../loupe/cli.py) [d](https://example.com/#A.b)"
    text = rendered(tmp_path, {"cell_type": "markdown", "metadata": {}, "source": links})
    assert (
        "[a](#2-prepare-the-pictures) [b](families.md) [c](../loupe/cli.py) [d](https://example.com/#A.b)"
        in text
    )


def test_paths_of_the_machine_are_not_on_the_page(tmp_path: Path) -> None:
    cell = code("x", stream("/home/me/work/main/notebooks and /home/me/work/other"))
    text = rendered(tmp_path, cell, paths={"/home/me/work": "~", "/home/me/work/main": "loupe"})
    assert "loupe/notebooks and ~/other" in text


def test_a_run_with_a_failed_cell_is_no_page(tmp_path: Path) -> None:
    failed = {"output_type": "error", "ename": "ValueError", "evalue": "no \x1b[31mcloud", "traceback": []}
    with pytest.raises(FailedCellError, match="ValueError: no cloud"):
        rendered(tmp_path, code("x", failed))
