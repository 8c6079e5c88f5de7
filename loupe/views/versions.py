"""The model versions in the registry."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from loupe.stack.registry import Version
from loupe.views.console import out
from loupe.views.figures import score


def show_versions(versions: list[Version], group: str, endpoint_model: str | None) -> None:
    """Print the versions, and what the endpoint serves.

    Args:
        versions: Newest first.
        group: The model package group's name.
        endpoint_model: The SageMaker model that the endpoint serves; None if there is no endpoint.
    """
    if versions:
        out.print(_table(versions, group))
    else:
        out.print(
            f"The registry {escape(group)} has no version yet. Import labelled images (loupe import PATH), "
            "then start a run (loupe retrain --wait).",
            soft_wrap=True,
        )
    if endpoint_model is None:
        out.print("There is no endpoint yet.")
    elif not any(version.serving for version in versions):
        out.print(
            f"The endpoint serves {escape(endpoint_model)}, which was deployed by hand and has no version."
        )


def _table(versions: list[Version], group: str) -> Table:
    table = Table(title=f"Versions in {group}", title_justify="left", expand=False)
    for name in ("version", "status", "family", "tuned", "mAP", "created", "run", "serves"):
        table.add_column(name, no_wrap=True)
    for version in versions:
        document = version.document()
        table.add_row(
            str(version.number),
            version.status,
            escape(document["family"] or "-"),
            {True: "yes", False: "no", None: "-"}[document["tuned"]],
            score(version.map),
            f"{version.created:%Y-%m-%d %H:%M}",
            escape(document["run"] or "-"),
            Text("now", "bold green") if version.serving else "",
        )
    return table
