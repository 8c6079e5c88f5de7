"""What a person reads while an anomaly model is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.learning.progress import Sentences


class Readable(Sentences):
    """A sentence for each event."""

    def _start(self, fields: Mapping[str, Any]) -> str:
        settings, data = fields["hyperparameters"], fields["dataset"]
        bad = data["validation"]
        use = f", {bad} bad ones to place the threshold" if bad else ", no bad ones"
        return (
            f"{settings['family']} at {settings['input_size']} px: "
            f"{data['train']} good pictures to learn from{use}; a memory of {settings['memory']} places"
        )

    def _pictures(self, fields: Mapping[str, Any]) -> str:
        return f"{fields['doing']} {fields['done']} of {fields['of']} pictures"

    def _shapes(self, fields: Mapping[str, Any]) -> str:
        return (
            f"the pictures are from {fields['narrowest']} to {fields['widest']} times as wide as high, and all are "
            "stretched to a square: one model for each shape sees better"
        )

    def _few(self, fields: Mapping[str, Any]) -> str:
        same = f" ({fields['same']} more show exactly the same)" if fields["same"] else ""
        return (
            f"only {fields['good']} different good pictures{same}: the threshold is a rough guess; "
            "about twenty are a good start"
        )

    def _outliers(self, fields: Mapping[str, Any]) -> str:
        names = fields["names"]
        line = f"{len(names)} of the good pictures look unlike all others: {_named(names)}; "
        if fields["left_out"]:
            return line + "they are not remembered, so that what they show is still found. Are they good?"
        return line + "so many are rather a variant than mistakes, and are remembered. Are they good?"

    def _unseen(self, fields: Mapping[str, Any]) -> str:
        names = fields["names"]
        found = f"{len(names)} of the bad pictures look like usual good ones"
        return f"{found}, and no threshold finds them: {_named(names)}"

    def _done(self, fields: Mapping[str, Any]) -> str:
        training, calibration = fields["training"], fields["calibration"]
        overkill, doubtful, escape = (calibration[name] for name in ("overkill", "doubtful", "escape"))
        line = (
            f"done in {training['seconds']:.0f} s, peak memory {training['peak_memory_mib']} MiB: "
            f"threshold from {calibration['method']}; of the good ones {_share(overkill)} fail, {_share(doubtful)} "
            "go to review"
        )
        return line + (f"; of the bad ones {_share(escape)} pass" if escape else "") + "; export verified"


def _named(names: Sequence[str], most: int = 5) -> str:
    """Return names for a sentence, the first few of many.

    >>> _named(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def _share(fields: Mapping[str, Any]) -> str:
    low, high = fields["interval"]
    return f"{fields['count']} of {fields['of']} (so {low:.1%} to {high:.1%} of all)"
