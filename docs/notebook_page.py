"""Makes a page of Markdown, as GitHub shows it, from an executed notebook."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from contract.text import plain_lines

# Longer output is folded.
_MOST_LINES = 12
_QUALITY = 82
_HEADING_LINK = re.compile(r"\]\(#([^)]*)\)")
_NO_ANCHOR = re.compile(r"[^\w-]")
_FILE_LINK = re.compile(r"\]\(\.\./([^)]*)\)")


class FailedCellError(Exception):
    """A cell of the notebook ended with an error."""


def page(notebook: Mapping[str, Any], pictures: Path, introduction: str, paths: Mapping[str, str]) -> str:
    """Return the page, and write its pictures.

    Args:
        notebook: The executed notebook, as JSON.
        pictures: The folder of the pictures, below the page's folder.
        introduction: A paragraph below the title.
        paths: What replaces each path of this machine.

    Raises:
        FailedCellError: A cell has failed: such a run is no page.
    """
    pictures.mkdir(parents=True, exist_ok=True)
    parts = list(_parts(notebook["cells"], pictures))
    title, rest = parts[0].split("\n", 1)
    text = "\n\n".join([title, introduction, rest.strip(), *parts[1:]]) + "\n"
    # The longest first: one may be the beginning of another.
    for path, name in sorted(paths.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(path, name)
    return text


def _parts(cells: Iterable[Mapping[str, Any]], pictures: Path) -> Iterator[str]:
    for number, cell in enumerate(cells):
        tags = cell["metadata"].get("tags", [])
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            yield _links(source)
        elif source:
            if "injected-parameters" in tags:
                yield "Changed for this run:"
            code = _fenced(source, "python")
            yield _folded("Code", code) if "hide-input" in tags else code
            # A picture is called after its cell, so that it keeps its name when others come before it.
            name = str(cell.get("id", number))
            outputs = list(filter(None, _outputs(cell["outputs"], pictures / name)))
            if outputs and "hide-output" in tags:
                yield _folded("Output", "\n\n".join(outputs))
            else:
                yield from outputs


def _links(text: str) -> str:
    """Let links to headings and files lead where they do on GitHub, from the folder docs.

    >>> _links("[a](#1.-Where,-what) [b](../docs/families.md) [c](../functions/x.json)")
    '[a](#1-where-what) [b](families.md) [c](../functions/x.json)'
    """
    text = _HEADING_LINK.sub(lambda link: f"](#{_NO_ANCHOR.sub('', link[1].lower())})", text)
    return _FILE_LINK.sub(lambda link: f"]({_from_docs(link[1])})", text)


def _from_docs(file: str) -> str:
    return file.removeprefix("docs/") if file.startswith("docs/") else f"../{file}"


def _outputs(outputs: Iterable[Mapping[str, Any]], picture: Path) -> Iterator[str]:
    written: list[str] = []
    for count, output in enumerate([*outputs, {"output_type": "end"}], 1):
        kind = output["output_type"]
        if kind == "stream":
            written.append("".join(output["text"]))
            continue
        if written:
            yield _text("".join(written))
            written = []
        if kind == "error":
            raise FailedCellError(plain_lines(f"{output['ename']}: {output['evalue']}"))
        if kind in ("display_data", "execute_result"):
            yield _shown(
                output["data"], output.get("metadata", {}), picture.with_name(f"{picture.name}-{count}.webp")
            )


def _shown(data: Mapping[str, Any], metadata: Mapping[str, Any], picture: Path) -> str:
    """Return what a cell shows, in the form that GitHub shows best."""
    if png := data.get("image/png"):
        with Image.open(io.BytesIO(base64.b64decode("".join(png)))) as image:
            image.convert("RGB").save(picture, "WEBP", quality=_QUALITY, method=6)
        alt = re.sub(r"[\[\]\n]", " ", metadata.get("image/png", {}).get("alt", "")).strip()
        return f"![{alt}]({picture.parent.parent.name}/{picture.parent.name}/{picture.name})"
    if markdown := data.get("text/markdown"):
        return "".join(markdown).strip()
    return _text("".join(data.get("text/plain", "")))


def _text(written: str) -> str:
    """Return output as it stands in a terminal at its end, folded if it is long."""
    # What a carriage return goes back over is written over: a progress bar leaves its last state.
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in written.split("\n")]
    lines = plain_lines("\n".join(lines)).strip("\n").split("\n")
    # A terminal wipes the frames of a spinner, which are letters of Braille.
    lines = (
        "\n".join(line for line in lines if not re.match("[\u2800-\u28ff] ", line)).strip("\n").split("\n")
    )
    if lines == [""]:
        return ""
    block = _fenced("\n".join(lines), "text")
    return block if len(lines) <= _MOST_LINES else _folded(f"Output: {len(lines)} lines", block)


def _fenced(text: str, language: str) -> str:
    """Return a block of code, whatever fences are in it."""
    longest = max((len(fence) for fence in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _folded(summary: str, text: str) -> str:
    """Return what GitHub shows after a click. Markdown inside HTML needs empty lines around it."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"
