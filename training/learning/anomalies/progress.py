"""What a person reads while an anomaly model is learned."""

from __future__ import annotations

from collections.abc import Mapping
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

    def _done(self, fields: Mapping[str, Any]) -> str:
        training, calibration = fields["training"], fields["calibration"]
        overkill, escape = calibration["overkill"], calibration["escape"]
        line = (
            f"done in {training['seconds']:.0f} s, peak memory {training['peak_memory_mib']} MiB: "
            f"threshold from {calibration['method']}; of the good ones {_share(overkill)} are above it"
        )
        return line + (f", of the bad ones {_share(escape)} below it" if escape else "") + "; export verified"


def _share(fields: Mapping[str, Any]) -> str:
    low, high = fields["interval"]
    return f"{fields['count']} of {fields['of']} (so {low:.1%} to {high:.1%} of all)"
