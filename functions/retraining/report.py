"""The end of a run: what it came to, as JSON, as a page, and as a notice; and the former models tidied away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contract.keys import LAST_RUN, REPORTS
from contract.s3 import split
from retraining import champion
from retraining.documents import Documents
from retraining.retention import keep_last

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

# What the work that Loupe began with paid for each model: its notebook's table, AWS on demand.
ORIGIN_USD = {"SSD": 1.5, "SSD, tuned": 30.6, "Faster R-CNN": 4.6, "Faster R-CNN, tuned": 92.0}
_HEADLINES = {
    "promoted": "A better model serves",
    "kept": "The champion stays: no candidate was shown better",
    "rejected": "The champion stays: the candidate was not approved",
    "rolled_back": "The champion is back: the candidate failed once it was live",
}
_WITHOUT_CHAMPION = {
    "promoted": "The first model serves",
    "kept": "No model serves yet: no candidate passed the gate",
    "rejected": "No model serves yet: the candidate was not approved",
    "rolled_back": "No model serves yet: the candidate failed once it was live",
}


@dataclass(frozen=True)
class Reporter:
    """Writes the report of a run."""

    documents: Documents
    s3: S3Client
    sagemaker: SageMakerClient
    endpoint_name: str
    kept_models: int

    def finish(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """The execution's output and its notice.

        run: `plan`, `candidates`, `gate`, `decision`, `reasons` and `package`, as the state machine has them.
        """
        plan = run["plan"]
        serving = champion.find(self.sagemaker, self.endpoint_name)
        prices = self._prices(run)
        candidates = [
            _candidate(candidate, opinion, prices)
            for candidate, opinion in zip(run["candidates"], run["gate"]["opinions"], strict=True)
        ]
        costs = [each["cost_usd"] for each in candidates if each["cost_usd"] is not None]
        folder = f"{REPORTS}{plan['run']}"
        result: dict[str, Any] = {
            "status": "SUCCEEDED",
            "decision": run["decision"],
            "run": plan["run"],
            "reasons": list(run["reasons"]),
            "champion_before": plan["champion"]["model"] if plan["champion"] else None,
            "endpoint_model": serving.model if serving else None,
            "snapshot": plan["snapshot"],
            "candidates": candidates,
            "champion": run["gate"]["champion"],
            "cost_usd": round(sum(costs), 4) if costs else None,
            "prices_of": prices.get("date"),
            "report": self.documents.uri(f"{folder}/report.html"),
            "package": run.get("package"),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.documents.write(f"{folder}/report.json", result)
        self.s3.put_object(
            Bucket=self.documents.bucket,
            Key=f"{folder}/report.html",
            Body=page(result).encode(),
            ContentType="text/html; charset=utf-8",
        )
        last = {name: result[name] for name in ("run", "report", "finished_at")}
        self.documents.write(
            LAST_RUN, last | {"snapshot": plan["snapshot"]["uri"], "settings": plan["settings"]}
        )
        if run["decision"] == "promoted":
            keep_last(self.sagemaker, self.endpoint_name, self.kept_models)
        return result

    def _prices(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """The dated price list that came along with the evaluations."""
        for each, opinion in zip(run["candidates"], run["gate"]["opinions"], strict=True):
            # What the gate could not read is not there, or damaged.
            if opinion["map"] is not None and (found := self.documents.find(split(each["report"])[1])):
                prices: dict[str, Any] = found[0].get("prices", {})
                return prices
        return {}


def _candidate(
    candidate: Mapping[str, Any], opinion: Mapping[str, Any], prices: Mapping[str, Any]
) -> dict[str, Any]:
    seconds, instance = candidate.get("seconds"), candidate.get("instance_type")
    price = prices.get("instances", {}).get(instance)
    cost = round(seconds / 3600 * price, 4) if seconds is not None and price is not None else None
    return {
        **{name: candidate.get(name) for name in ("id", "family", "tuned", "artefact", "error")},
        "job": candidate["name"],
        "map": opinion["map"],
        "map_interval": opinion["map_interval"],
        "map50": opinion["map50"],
        "seconds": seconds,
        "instance_type": instance,
        "cost_usd": cost,
        "promotable": opinion["promotable"],
        "for": opinion["for"],
        "against": opinion["against"],
    }


def _headline(result: Mapping[str, Any]) -> str:
    return (_HEADLINES if result["champion_before"] else _WITHOUT_CHAMPION)[result["decision"]]


def notice(result: Mapping[str, Any]) -> dict[str, str]:
    """Subject (ASCII, at most 100 characters) and message for the operations topic."""
    lines = [_headline(result) + ".", ""]
    for each in result["candidates"]:
        scored = "no mAP" if each["map"] is None else f"mAP {each['map']:.3f}"
        lines.append(f"{each['id']}: {scored}")
        lines += [f"  + {reason}" for reason in each["for"]]
        lines += [f"  - {reason}" for reason in each["against"]]
    lines += [
        "",
        *result["reasons"],
        "",
        f"Serving: {result['endpoint_model'] or 'no model'}",
        f"Report: {result['report']}",
    ]
    subject = f"Loupe retraining {result['run']}: {result['decision'].replace('_', ' ')}"
    return {"subject": subject[:100], "message": "\n".join(lines)}


def page(result: Mapping[str, Any]) -> str:
    """The report as one HTML page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = [*result["candidates"], result["champion"] or {}]
    ends = [(each.get("map_interval") or [0, each.get("map") or 0])[1] for each in rows]
    return environment.get_template("report.html").render(
        result=result, headline=_headline(result), origin=ORIGIN_USD, top=max(*ends, 0.01)
    )
