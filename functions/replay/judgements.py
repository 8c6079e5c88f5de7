"""A record's judgement: what a replay replaces, what stays, and what the history keeps of it."""

from __future__ import annotations

from typing import Any

from contract.inspections import Verdict
from inspection.inspector import MODEL_ERROR, MODEL_TIMEOUT
from inspection.objects import DELETED
from inspection.records import Inspection, Record

# What a judgement is, for the history.
_JUDGEMENT = (
    *("verdict", "severity", "reasons", "detections", "model", "anomaly", "quality", "doubts"),
    *("rules_version", "inspected_at", "picture"),
)
# What belongs to the image, to its first inspection, or to people, whatever a model says.
_STAYS = frozenset(
    (
        *(
            "image",
            "version_id",
            "id",
            "sequencer",
            "line",
            "station",
            "serial",
            "captured_at",
            "received_at",
        ),
        *("time_id", "expires_at", "alert", "thumbnail", "view_key", "review", "acknowledged", "replayed"),
    )
)
# Why an image keeps its judgement: it is gone, or the model could not judge it now.
_NO_JUDGEMENT = frozenset({DELETED, MODEL_ERROR, MODEL_TIMEOUT})


def obstacle(inspection: Inspection) -> str | None:
    """Return why an image keeps the judgement that it has; None if it has a new one.

    An image that was deleted, or on which the model fails, was judged well once. It does not become unreadable, or a
    case for a person, by a replay.
    """
    codes = {reason.code for reason in inspection.judgement.reasons}
    return next(iter(sorted(codes & _NO_JUDGEMENT)), None)


def is_same(old: Record, new: Record) -> bool:
    """Return whether the same model and the same rules have judged: then nothing is new."""
    names = ("verdict", "rules_version", "model")
    return all(old.get(name) == new.get(name) for name in names)


def changes(old: Record, new: Record) -> tuple[dict[str, Any], list[str]]:
    """Return the fields that get the new judgement, and the names of those that go.

    What another function adds to the record at the same time, such as the mark of its alert, is not among them.
    """
    fields = {name: value for name, value in new.items() if name not in _STAYS}
    gone = [name for name in old if name not in fields and name not in _STAYS]
    return fields, sorted(gone)


def kept(old: Record) -> dict[str, Any]:
    """Return what the history keeps of a judgement."""
    return {name: old[name] for name in _JUDGEMENT if name in old}


def told(new: Record) -> dict[str, Any]:
    """Return what the history says of the judgement that replaces it; the record itself has the rest."""
    return {name: new[name] for name in ("verdict", "severity", "model", "rules_version") if name in new}


def outcome(old: Record, new: Record) -> list[str]:
    """Return under which names an image is counted.

    `pass>fail` says how its verdict has changed. `differs` counts the images about which a person has decided
    otherwise.
    """
    names = [f"{old['verdict']}>{new['verdict']}"]
    decided = (old.get("review") or {}).get("verdict")
    if decided is not None:
        names.append("reviewed")
    certain = (Verdict.PASS, Verdict.FAIL)
    if decided in certain and new["verdict"] in certain and decided != new["verdict"]:
        names.append("differs")
    return names
