"""The report of a run, as JSON, as a page and as a notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from contract.keys import REPORTS, last_run
from contract.s3 import split
from retraining import champion, losers, registry
from retraining.assessment import FIGURES
from retraining.documents import Documents
from retraining.retention import keep_last

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

_HEADLINES = {
    "promoted": "A better model serves",
    "kept": "The champion stays: no candidate was shown better",
    "rejected": "The champion stays: the candidate was not approved",
    "rolled_back": "The champion is back: the candidate failed once it was live",
    "restored": "An earlier version serves again",
}
_WITHOUT_CHAMPION = {
    "promoted": "The first model serves",
    "kept": "No model serves yet: no candidate passed the gate",
    "rejected": "No model serves yet: the candidate was not approved",
    "rolled_back": "No model serves yet: the candidate failed once it was live",
}


@dataclass(frozen=True)
class Reporter:
    """Writes the report of a run, deletes former models, and marks the models that lost.

    Attributes:
        documents: The artefacts bucket.
        s3: Stores the page.
        sagemaker: The SageMaker client.
        endpoint_name: The stack's endpoint.
        model_package_group: Where versions are registered.
        kept_models: How many former models stay, ready for a rollback.
    """

    documents: Documents
    s3: S3Client
    sagemaker: SageMakerClient
    endpoint_name: str
    model_package_group: str
    kept_models: int

    def finish(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """Write the report, note the run as the last one, and clear up: former models after a promotion, and losers.

        Args:
            run: `plan`, `candidates`, `gate`, `decision`, `reasons`, `package` and `rules`, as the state machine has
                them.

        Returns:
            The output of the execution.
        """
        plan = run["plan"]
        result = self._result(run)
        if plan["status"] == "serve":
            # Nothing was trained: there is no candidate to report about, and the last training is still the last.
            return result | {"report": None}
        folder = f"{REPORTS}{plan['run']}"
        self.documents.write(f"{folder}/report.json", result)
        self.s3.put_object(
            Bucket=self.documents.bucket,
            Key=f"{folder}/report.html",
            Body=page(result).encode(),
            ContentType="text/html; charset=utf-8",
        )
        last = {name: result[name] for name in ("run", "report", "finished_at")}
        self.documents.write(
            last_run(plan["snapshot"]["dataset"]),
            last | {"snapshot": plan["snapshot"]["uri"], "settings": plan["settings"]},
        )
        if run["decision"] == "promoted":
            keep_last(self.sagemaker, self.endpoint_name, self.kept_models)
        losers.mark(self.documents, self.s3, plan["run"], self._kept_artefacts())
        return result

    def _kept_artefacts(self) -> set[str]:
        """Return the artefacts of every registered version, and of what serves."""
        versions = registry.versions(self.sagemaker, self.model_package_group, self.endpoint_name)
        serving = champion.find(self.sagemaker, self.endpoint_name)
        return {version.artefact for version in versions} | ({serving.artefact} if serving else set())

    def _result(self, run: Mapping[str, Any]) -> dict[str, Any]:
        plan = run["plan"]
        serving = champion.find(self.sagemaker, self.endpoint_name)
        prices = self._prices(run)
        candidates = [
            _candidate(candidate, opinion, prices)
            for candidate, opinion in zip(run["candidates"], run["gate"]["opinions"], strict=True)
        ]
        costs = [candidate["cost_usd"] for candidate in candidates if candidate["cost_usd"] is not None]
        return {
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
            "report": self.documents.uri(f"{REPORTS}{plan['run']}/report.html"),
            "package": run.get("package"),
            "rules": run.get("rules"),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def _prices(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """Return the dated price list of the first evaluation that can be read. Empty if there is none.

        The local cloud's jobs run on this machine, so the price of their instance type is nobody's cost.
        """
        if ".amazonaws." not in self.sagemaker.meta.endpoint_url:
            return {}
        for candidate, opinion in zip(run["candidates"], run["gate"]["opinions"], strict=True):
            # Without a kind the gate could not read the evaluation: it is missing or damaged.
            if opinion["kind"] is None:
                continue
            if stored := self.documents.find(split(candidate["report"])[1]):
                prices: dict[str, Any] = stored[0].get("prices", {})
                return prices
        return {}


def _candidate(
    candidate: Mapping[str, Any], opinion: Mapping[str, Any], prices: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a candidate for the report, with the cost of its training."""
    seconds, instance = candidate.get("seconds"), candidate.get("instance_type")
    price = prices.get("instances", {}).get(instance)
    cost = round(seconds / 3600 * price, 4) if seconds is not None and price is not None else None
    return {
        **{name: candidate.get(name) for name in ("id", "family", "tuned", "artefact", "error")},
        "job": candidate["name"],
        **{name: opinion[name] for name in FIGURES},
        "seconds": seconds,
        "instance_type": instance,
        "cost_usd": cost,
        "promotable": opinion["promotable"],
        "for": opinion["for"],
        "against": opinion["against"],
    }


def _headline(result: Mapping[str, Any]) -> str:
    return (_HEADLINES if result["champion_before"] else _WITHOUT_CHAMPION)[result["decision"]]


def rules_sentences(rules: Mapping[str, Any] | None) -> list[str]:
    """Return what became of the rules. None: the run did not come so far."""
    if rules is None:
        return []
    if rules["applied"]:
        before, after = rules["before"]["version"], rules["after"]["version"]
        first = f"Rules: version {after} with the model's operating points is in force; before: {before}."
        return [first, *(f"  {note}" for note in rules["notes"])]
    return [
        f"Rules: the model's operating points are not in force: {rules['reason']}.",
        "The rates above hold only with them. To put them into force (for a stack on AWS, add --stack NAME):",
        f"  {apply_command(rules)}",
    ]


def apply_command(rules: Mapping[str, Any]) -> str:
    """Return the command that puts a model's operating points into force."""
    return f"loupe rules set --scores {rules['proposal']}"


def notice(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the subject (ASCII, at most 100 characters) and the message for the operations topic."""
    lines = [_headline(result) + ".", ""]
    for candidate in result["candidates"]:
        lines.append(f"{candidate['id']}: {_figures(candidate)}")
        lines += [f"  + {reason}" for reason in candidate["for"]]
        lines += [f"  - {reason}" for reason in candidate["against"]]
    lines += [
        "",
        *result["reasons"],
        "",
        f"Data set: {result['snapshot']['dataset']}",
        *rules_sentences(result["rules"]),
        f"Serving: {result['endpoint_model'] or 'no model'}",
        *([f"Report: {result['report']}"] if result["report"] else []),
    ]
    subject = f"Loupe retraining {result['run']}: {result['decision'].replace('_', ' ')}"
    return {"subject": subject[:100], "message": "\n".join(lines)}


def _figures(candidate: Mapping[str, Any]) -> str:
    """Return the figures of a candidate that its kind has."""
    names = {"map": "mAP", "image_auroc": "image AUROC"}
    texts = [f"{name} {candidate[key]:.3f}" for key, name in names.items() if candidate[key] is not None]
    return ", ".join(texts) or "no figures"


def page(result: Mapping[str, Any]) -> str:
    """Return the report as an HTML page."""
    rows = [*result["candidates"], result["champion"] or {}]
    # The bars show mAP, or image AUROC where no model knows classes.
    measure = "map" if any(row.get("map") is not None for row in rows) else "image_auroc"
    ends = [(row.get(f"{measure}_interval") or [0, row.get(measure) or 0])[1] for row in rows]
    return _template().render(
        result=result,
        headline=_headline(result),
        rules=rules_sentences(result["rules"]),
        measure=measure,
        whole_images=any(row.get("image_auroc") is not None for row in rows),
        top=max(*ends, 0.01),
    )


# A template takes a quarter of a second to compile.
@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")
