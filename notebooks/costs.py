"""What models cost: the origin's table (mAP, run time, billable time, US dollars), with the models of a run beside it.

The prices are dated (billing.py). A laptop costs nothing.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import billing

_TRAINING = Path(__file__).parents[1] / "loupe" / "cost" / "training.json"
ORIGINS_PICTURES = "NEU-DET"
# A space at which no line is broken.
_TIED = "\u00a0"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes:
        model: Its name.
        pictures: Those on which it was evaluated.
        map: mAP[.5:.95]; None if it was not evaluated.
        interval: The 95 % confidence interval of the mAP; None if it is not known.
        map50: mAP at an overlap of one half.
        run_hours: From the start of the first job to the end of the last one.
        billable_hours: Of all jobs and instances together.
        dollars: For the billable hours; None if a price is not recorded.
        machine: On what it ran.
        saved: The share of the training time that spot instances did not bill.
        p50_ms: The time of one image in the model, in milliseconds.
        is_origin: Whether it is a row of the origin.
    """

    model: str
    pictures: str
    map: float | None
    interval: tuple[float, float] | None
    map50: float | None
    run_hours: float
    billable_hours: float
    dollars: float | None
    machine: str
    saved: float = 0.0
    p50_ms: float | None = None
    is_origin: bool = False


def origin() -> list[Row]:
    """Return the origin's rows: SSD and Faster R-CNN on NEU-DET, each with and without tuning."""
    document = json.loads(_TRAINING.read_text("utf-8"))["origin"]
    return [
        Row(
            model=row["model"],
            pictures=ORIGINS_PICTURES,
            map=row["map"],
            interval=None,
            map50=row["map50"],
            run_hours=row["run_hours"],
            billable_hours=row["hours"],
            dollars=row["dollars"],
            machine=document["machine"],
            is_origin=True,
        )
        for row in document["rows"]
    ]


def row(model: Mapping[str, Any], *, data: str, region: str, local: bool) -> Row:
    """Return the row of a model.

    Args:
        model: `model` (its name), `jobs` (descriptions as `billing.job` takes them; of a tuned model, those of the
            tuning), and, where they are known, `map`, `map_interval`, `map50` and `p50_ms`; `use`, if it is not
            "training".
        data: The pictures on which it was evaluated.
        region: Where the jobs ran.
        local: They ran on this laptop, whatever instance types they name.
    """
    jobs = [billing.job(description) for description in model["jobs"]]
    trained, billed = (
        sum(each.instances * seconds for each, seconds in zip(jobs, column, strict=True))
        for column in ([each.seconds for each in jobs], [each.billable for each in jobs])
    )
    dollars, machine = (
        (0.0, "this laptop") if local else billing.price_of(jobs, model.get("use", "training"), region)
    )
    interval = model.get("map_interval")
    return Row(
        model=_line(model["model"]),
        pictures=_line(data),
        map=model.get("map"),
        interval=tuple(interval) if interval else None,
        map50=model.get("map50"),
        run_hours=billing.run_seconds(jobs) / 3600,
        billable_hours=billed / 3600,
        dollars=dollars,
        machine=machine,
        saved=0.0 if local or trained <= billed else 1 - billed / trained,
        p50_ms=model.get("p50_ms"),
    )


@dataclass(frozen=True)
class Table:
    """The table; a notebook shows it, and a page takes it as Markdown.

    Attributes:
        rows: The origin's, then ours.
    """

    rows: Sequence[Row]

    @property
    def data(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        return [asdict(each) for each in self.rows]

    @property
    def ours(self) -> list[Row]:
        """The rows that are not the origin's."""
        return [each for each in self.rows if not each.is_origin]

    @property
    def dollars(self) -> float | None:
        """What ours cost together; None if the price of one is not recorded."""
        costs = [each.dollars for each in self.ours]
        return sum(cost for cost in costs if cost is not None) if None not in costs else None

    @property
    def notes(self) -> list[str]:
        """What a reader must know to compare the rows."""
        others = sorted({each.pictures for each in self.ours if not is_origins(each.pictures)})
        notes = [
            "Run time: from the first job's start to the last one's end. Billable time: all jobs together."
        ]
        if others and len(self.ours) < len(self.rows):
            notes.append(
                f"The origin's models were evaluated on {ORIGINS_PICTURES}, "
                f"those of this run on {' and '.join(others)}: their mAPs cannot be compared."
            )
        if any(each.dollars for each in self.ours):
            notes.append("List prices in US dollars, on demand, without storage and taxes.")
        if any(each.dollars is None for each in self.ours):
            notes.append("No price is recorded for an instance: loupe cost --refresh looks it up.")
        return notes

    def _repr_html_(self) -> str:
        names, sides = _columns(self.rows)
        head = "".join(
            f'<th align="{side}">{html.escape(name)}</th>' for name, side in zip(names, sides, strict=True)
        )
        body = "".join(
            "<tr>"
            + "".join(
                f'<td align="{side}">{html.escape(cell)}</td>'
                for cell, side in zip(_cells(each, names), sides, strict=True)
            )
            + "</tr>"
            for each in self.rows
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"

    def _repr_markdown_(self) -> str:
        names, sides = _columns(self.rows)
        marks = [{"left": "---", "right": "---:"}[side] for side in sides]
        lines = [names, marks, *([_markdown(cell) for cell in _cells(each, names)] for each in self.rows)]
        return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + ["", *self.notes]) + "\n"


def comparison_table(
    models: Sequence[Mapping[str, Any]], *, data: str, region: str, local: bool, with_origin: bool = True
) -> Table:
    """Return the origin's table, with the models of a run.

    Args:
        models: As `row` takes them.
        data: The pictures on which they were evaluated. If it begins with "NEU-DET", their mAPs are compared with the
            origin's.
        region: Where the jobs ran.
        local: They ran on this laptop.
        with_origin: Also show the origin's rows.
    """
    ours = [row(model, data=data, region=region, local=local) for model in models]
    return Table([*(origin() if with_origin else []), *ours])


def is_origins(pictures: str) -> bool:
    """Whether mAPs on these pictures can be compared with the origin's."""
    return pictures.startswith(ORIGINS_PICTURES)


def _columns(rows: Iterable[Row]) -> tuple[list[str], list[str]]:
    """Return the names of the columns, and on which side their text stands."""
    names = ["model", "mAP", "mAP50", "run time, h", "billable time, h", "cost, US$", "on"]
    if any(each.p50_ms is not None for each in rows):
        names.insert(3, "one image, ms")
    return names, ["left" if name in ("model", "on") else "right" for name in names]


def _cells(row: Row, names: Sequence[str]) -> list[str]:
    interval = f" [{row.interval[0]:.3f},{_TIED}{row.interval[1]:.3f}]" if row.interval else ""
    spot = f"spot saved {row.saved:.0%}" if row.saved else ""
    cells = {
        "model": f"origin: {row.model}" if row.is_origin else row.model,
        "mAP": _figure(row.map, ".3f") + interval,
        "mAP50": _figure(row.map50, ".3f"),
        "one image, ms": _figure(row.p50_ms, ".0f"),
        "run time, h": _hours(row.run_hours),
        "billable time, h": _hours(row.billable_hours, spot),
        "cost, US$": "–" if row.dollars is None else _dollars(row.dollars),
        "on": row.machine,
    }
    return [cells[name] for name in names]


def _line(text: str) -> str:
    r"""Return a name on one line, without control characters.

    >>> _line("SSD\n\u202e2")
    'SSD 2'
    """
    return " ".join("".join(letter for letter in text if letter.isprintable() or letter.isspace()).split())


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _hours(hours: float, remark: str = "") -> str:
    r"""Return hours, with minutes beside them where hours alone say little, and with a remark.

    >>> _hours(10), _hours(0.0305), _hours(0.25, "spot saved 60%"), _hours(0)
    ('10.0', '0.03 (1.8\xa0min)', '0.25 (15.0\xa0min; spot saved 60%)', '0')
    """
    figure = f"{hours:.1f}" if hours >= 0.5 else f"{hours:.2f}" if hours else "0"
    remarks = [*([f"{hours * 60:.1f}{_TIED}min"] if 0 < hours < 0.5 else []), *([remark] if remark else [])]
    return f"{figure} ({'; '.join(remarks)})" if remarks else figure


def _dollars(dollars: float) -> str:
    """Return dollars; what is less than a cent is not nothing.

    >>> _dollars(30.6), _dollars(0), _dollars(0.004)
    ('30.60', '0', '< 0.01')
    """
    if not dollars:
        return "0"
    return f"{dollars:.2f}" if dollars >= 0.01 else "< 0.01"


def _markdown(cell: str) -> str:
    r"""Return text in which nothing is markup.

    >>> print(_markdown("a|b*<i>_c_"))
    a\|b\*&lt;i&gt;\_c\_
    """
    return re.sub(r"([\\`*_{}\[\]|~#$])", r"\\\1", html.escape(cell, quote=False))
