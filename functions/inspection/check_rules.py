"""Check a rules document: python -m inspection.check_rules < request.json

`loupe rules` runs this program, so that the rules are checked by the code that applies them.

The request, on standard input, is a JSON object:

- `new`: the text of the document.
- `current`: the text of the rules in force; null if there are none.
- `scores_as`: a version name. With it, only the scores of the classes in `new` are put into `current`, under this name.
- `used`: version names. With them, the document gets a name that is none of these.

The answer is a JSON object: `problems` (sentences; if there are any, nothing else), `document` (what would be in
force), `rules` (the same, with all values of each class) and `notes` (sentences).
"""

from __future__ import annotations

import json
import sys
from typing import Any

from inspection.rules_document import (
    RulesDocumentError,
    complete,
    in_place_of,
    notes,
    parse,
    scores_of,
    unused_name,
    validate,
    with_scores,
)


def check(request: dict[str, Any]) -> dict[str, Any]:
    """Answer a request."""
    try:
        document, remarks = _wanted(request, _current(request["current"]))
        return {"problems": [], "document": document, "rules": complete(validate(document)), "notes": remarks}
    except RulesDocumentError as error:
        return {"problems": error.problems}


def _current(text: str | None) -> dict[str, Any] | None:
    """Return the document in force; None if it is not valid, because then it can only be replaced."""
    try:
        return parse(text) if text is not None else None
    except RulesDocumentError:
        return None


def _wanted(request: dict[str, Any], current: dict[str, Any] | None) -> tuple[dict[str, Any], list[str]]:
    """Return the document that would be in force, and what to know about it."""
    document, remarks = parse(request["new"]), list[str]()
    if request.get("scores_as"):
        if current is None:
            raise RulesDocumentError(["the rules in force are not valid, so no scores can be put into them"])
        scores = scores_of(document)
        document = with_scores(current, request["scores_as"], scores)
        remarks = notes(validate(current), scores)
    if "used" in request:
        document["version"] = unused_name(document["version"], request["used"])
    return in_place_of(document, current), remarks


def main() -> None:
    """Answer the request on standard input."""
    sys.stdout.write(json.dumps(check(json.load(sys.stdin)), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
