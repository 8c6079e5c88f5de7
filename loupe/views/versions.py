"""The model versions in the registry."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from loupe.stack.registry import Version
from loupe.views.console import out, table
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
            f"The registry {group} has no version yet. Import labelled images (loupe import PATH), "
            "then start a run (loupe retrain --wait).",
            soft_wrap=True,
        )
    if endpoint_model is None:
        out.print("There is no endpoint yet.")
    elif not any(version.serving for version in versions):
        out.print(
            f"The endpoint serves {endpoint_model}, which was deployed by hand and has no version.",
            soft_wrap=True,
        )


def _table(versions: list[Version], group: str) -> Table:
    grid = table(
        f"Versions in {group}",
        figures=("version", "serves", "status", "mAP", "AUROC", "created", "run"),
        names=("family", "kind", "tuned"),
    )
    for version in versions:
        document = version.document()
        grid.add_row(
            str(version.number),
            _share(version.share),
            version.status,
            score(version.map),
            score(version.image_auroc),
            f"{version.created.astimezone():%Y-%m-%d %H:%M}",
            document["run"] or "-",
            document["family"] or "-",
            document["kind"] or "-",
            {True: "yes", False: "no", None: "-"}[document["tuned"]],
        )
    return grid


def _share(share: float) -> Text:
    """Return what a version serves; during a swap two versions serve a part of the images each."""
    if share >= 1:
        return Text("now", "bold green")
    return Text(f"{share:.0%}" if share else "", "bold yellow")
