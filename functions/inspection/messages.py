"""What an alert says: one document for machines, and from it the texts for people."""

from __future__ import annotations

import json
from typing import Any

from contract.figures import percent
from contract.notices import MAX_SUBJECT, length, shorten
from contract.notices import subject as as_subject
from contract.text import plain
from inspection.findings import Finding, findings
from inspection.records import Record
from inspection.rules import Kind

_MAX_SMS = 140  # characters
# In the JSON document. SNS takes 256 KiB, attributes included, and a label may be 800 bytes in each of six copies.
_MAX_DEFECTS = 30
_MAX_DEFECTS_IN_TEXT = 10
TEXT_PROTOCOLS = ("default", "email")
JSON_PROTOCOLS = ("sqs", "http", "https", "lambda", "email-json", "firehose")


def describe(record: Record, picture_url: str | None) -> dict[str, Any]:
    """Return the alert for machines. Every message about an image version has the same `alert_id`.

    Names come from keys, labels and models, and people read them: control characters are removed. `image` is exact.
    """
    defects = [finding for finding in findings(record) if finding.kind is Kind.DEFECT]
    model = record.get("model")
    return {
        "alert_id": record["id"],
        "verdict": record["verdict"],
        "severity": record.get("severity"),
        "line": plain(record["line"]),
        "station": plain(record["station"]),
        "serial": plain(record["serial"]),
        "defect_count": len(defects),
        "defects": [_describe_defect(defect) for defect in defects[:_MAX_DEFECTS]],
        "image": record["image"],
        "version_id": record["version_id"],
        "model": {name: plain(str(value)) for name, value in model.items()} if model else None,
        "rules_version": plain(record.get("rules_version") or "") or None,
        "captured_at": record.get("captured_at"),
        "inspected_at": record["inspected_at"],
        "picture_url": picture_url,
    }


def _describe_defect(defect: Finding) -> dict[str, Any]:
    return {
        "label": plain(defect.label),
        "score": defect.score,
        "fail_score": defect.fail_score,
        "box": defect.box,
        "severity": defect.severity,
    }


def message(document: dict[str, Any]) -> str:
    """Return the message for every protocol: https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html."""
    bodies = (
        dict.fromkeys(TEXT_PROTOCOLS, text(document))
        | {"sms": sms(document)}
        | dict.fromkeys(JSON_PROTOCOLS, json.dumps(document, ensure_ascii=False))
    )
    return json.dumps(bodies, ensure_ascii=False)


def subject(document: dict[str, Any]) -> str:
    """Return the subject, such as `MAJOR defect on line-1/top: scratches (4711)`.

    If it is too long, it names the worst class only, so that the serial is not cut off.
    """
    labels = _labels(document) or ["defect"]
    for named in (" + ".join(labels), f"{labels[0]} + {len(labels) - 1} more"):
        wanted = f"{_headline(document)}: {named} ({document['serial']})"
        if length(wanted) <= MAX_SUBJECT:
            break
    return as_subject(wanted)


def sms(document: dict[str, Any]) -> str:
    """Return the alert as one text message."""
    labels = ", ".join(_labels(document))
    return shorten(f"{_headline(document)}: {labels}. Serial {document['serial']}", _MAX_SMS)


def text(document: dict[str, Any]) -> str:
    """Return the alert for people: place, part and defects first, then the picture, then the details."""
    shown = document["defects"][:_MAX_DEFECTS_IN_TEXT]
    more = document["defect_count"] - len(shown)
    model = document["model"] or {}
    return "\n".join(
        [
            _headline(document),
            "",
            f"Line:     {document['line']}",
            f"Station:  {document['station']}",
            f"Serial:   {document['serial']}",
            f"Taken:    {document['captured_at'][:19].replace('T', ' ')} UTC",
            "",
            "Defects:",
            *map(_defect_line, shown),
            *([f"  and {more} more"] if more > 0 else []),
            "",
            "Picture with the defects framed:",
            document["picture_url"] or "  none, because the image could not be read again",
            "",
            f"Image:    {plain(document['image'])} (version {document['version_id']})",
            f"Model:    {model.get('name')} {model.get('version')}, rules {document['rules_version']}",
            f"Alert:    {document['alert_id']}",
        ]
    )


def _defect_line(defect: dict[str, Any]) -> str:
    sure, _ = percent(defect["score"], defect["fail_score"])
    x1, y1, x2, y2 = defect["box"]
    return (
        f"  {defect['label']}, {sure} sure, {defect['severity']}, at x {x1:.0f}-{x2:.0f}, y {y1:.0f}-{y2:.0f}"
    )


def attributes(document: dict[str, Any]) -> Any:
    """Return what subscription filter policies can use: line, verdict, severity, and the classes of the defects."""
    strings: dict[str, Any] = {
        name: {"DataType": "String", "StringValue": str(document[name])}
        for name in ("line", "verdict", "severity")
        if document[name]
    }
    labels = json.dumps(_labels(document), ensure_ascii=False)
    return strings | {"defect": {"DataType": "String.Array", "StringValue": labels}}


def _headline(document: dict[str, Any]) -> str:
    return f"{str(document['severity']).upper()} defect on {document['line']}/{document['station']}"


def _labels(document: dict[str, Any]) -> list[str]:
    """Return the classes of the defects, worst first, each once."""
    return list(dict.fromkeys(defect["label"] for defect in document["defects"]))
