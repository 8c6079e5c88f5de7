"""Draws the rooms of the repository into docs/architecture.md, as Mermaid: python -m docs.rooms

An arrow is an import, read from the code. Arrows that follow from others are left out, and so are those to
`contract`, which every room imports. https://mermaid.js.org/syntax/flowchart.html
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import grimp

PAGE = Path(__file__).with_name("architecture.md")
BEGIN, END = "<!-- rooms -->", "<!-- /rooms -->"
ROOT_PACKAGES = (
    "api",
    "contract",
    "handlers",
    "hours",
    "inspection",
    "localcloud",
    "loupe",
    "reconciliation",
    "replay",
    "retraining",
    "review",
    "tracking",
    "training",
)
_FUNCTIONS = ("api", "handlers", "hours", "inspection", "reconciliation", "retraining", "review", "tracking")
_WITH_FLOORS = ("localcloud", "loupe", "training")
# Modules beside a room's packages: its programs, its entry point, or the room itself.
_TOP_FLOOR = {"training": "programs", "loupe": "cli", "localcloud": "cloud"}
_SHARED = "contract"


def room_of(module: str) -> tuple[str, str]:
    """Return the folder of the repository and the floor in it that a module belongs to.

    >>> room_of("training.evaluation.metrics"), room_of("training.train"), room_of("inspection.rules")
    (('training', 'evaluation'), ('training', 'programs'), ('functions', 'inspection'))
    """
    top, *rest = module.split(".")
    if top in _FUNCTIONS:
        return "functions", top
    if top not in _WITH_FLOORS:
        return top, ""
    folder = Path(__file__).parents[1] / top
    return (top, rest[0]) if rest and (folder / rest[0]).is_dir() else _top_of(top)


def _top_of(room: str) -> tuple[str, str]:
    return room, _TOP_FLOOR.get(room, "")


def arrows() -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Return which floor imports which."""
    graph = grimp.build_graph(*ROOT_PACKAGES, cache_dir=None)
    found: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for module in sorted(graph.modules):
        importer = room_of(module)
        for imported in graph.find_modules_directly_imported_by(module):
            target = room_of(imported)
            # Packages never import a program beside them, so what they import there is a base of the whole room, as
            # the errors are. It would draw an arrow from everything.
            is_base = target == _top_of(importer[0]) or imported.endswith(".errors")
            if target != importer and target[0] != _SHARED and not is_base:
                found[importer].add(target)
    return found


def picture() -> str:
    """Return the flowchart."""
    direct = arrows()
    floors = sorted({*direct, *(target for targets in direct.values() for target in targets)})
    lines = ["flowchart TD"]
    for folder in sorted({folder for folder, _ in floors}):
        lines += [f'  subgraph {folder}["{folder}/"]', "    direction TB"]
        lines += [f'    {_name(floor)}["{floor[1]}"]' for floor in floors if floor[0] == folder]
        lines.append("  end")
    lines.append(f'  {_SHARED}["{_SHARED}/: what all of them agree on"]')
    lines += [f"  {_name(source)} --> {_name(target)}" for source, target in _reduced(direct)]
    lines += [f"  {folder} ==> {_SHARED}" for folder in sorted({folder for folder, _ in floors})]
    return "\n".join(lines) + "\n"


def _name(floor: tuple[str, str]) -> str:
    return "_".join(floor)


def _reduced(
    direct: dict[tuple[str, str], set[tuple[str, str]]],
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """The arrows, without those that a longer way says already."""

    def reachable(floor: tuple[str, str]) -> set[tuple[str, str]]:
        seen: set[tuple[str, str]] = set()
        front = set(direct.get(floor, set()))
        while front:
            seen |= front
            front = set[tuple[str, str]]().union(*(direct.get(each, set()) for each in front)) - seen
        return seen

    for source in sorted(direct):
        indirect = set[tuple[str, str]]().union(*(reachable(target) for target in direct[source]))
        for target in sorted(direct[source] - indirect):
            yield source, target


def drawn_into(page: str) -> str:
    """Return the page with the picture between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n```mermaid\n{picture()}```\n{END}{after}"


def main() -> None:
    """Write the page. With --check, only say whether it is current, by the exit status."""
    # The functions' packages are not installed.
    sys.path.insert(0, str(PAGE.parents[1] / "functions"))
    page = PAGE.read_text()
    current = drawn_into(page)
    if "--check" in sys.argv[1:]:
        raise SystemExit(page != current)
    PAGE.write_text(current)


if __name__ == "__main__":
    main()
