"""The reports of a training run: lines for machines in a job, lines for people by hand."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

from contract.text import plain
from training.job.container import emit


class Events(Protocol):
    """Receives the reports of a job that has no epochs."""

    def event(self, name: str, fields: Mapping[str, Any]) -> None:
        """Report something that happens."""


class Progress(Events, Protocol):
    """Receives the reports of a run: start, pretrained, resume, piped, early_stop and done happen once."""

    def epoch(self, metrics: Mapping[str, float], details: Mapping[str, float]) -> None:
        """Report the end of an epoch.

        Args:
            metrics: epoch, loss and, if it was validated, val:map and val:map50.
            details: epochs, seconds, waiting_share, learning_rate, peak_memory_mib.
        """


class JsonLines:
    """JSON lines for machines."""

    def event(self, name: str, fields: Mapping[str, Any]) -> None:
        """Write one JSON line."""
        emit(name, fields)

    def epoch(self, metrics: Mapping[str, float], details: Mapping[str, float]) -> None:
        """Write one JSON line."""
        emit("epoch", {**metrics, **details})


class EventLines(JsonLines):
    """JSON lines, and one line `name=value …` for each epoch, which SageMaker's metric definitions read."""

    def event(self, name: str, fields: Mapping[str, Any]) -> None:
        """Write one JSON line."""
        super().event(name, fields)
        # Tuning rates a job by the last value of its metric, so the exported model's value comes last.
        if name == "done" and "validation" in fields:
            sys.stdout.write(f"val:map={fields['validation']['map']}\n")
            sys.stdout.flush()

    def epoch(self, metrics: Mapping[str, float], details: Mapping[str, float]) -> None:
        """Write one JSON line and one metric line."""
        super().epoch(metrics, details)
        sys.stdout.write(" ".join(f"{name}={value}" for name, value in metrics.items()) + "\n")
        sys.stdout.flush()


class Sentences:
    """One sentence for each event. A subclass has a method `_<name>` for each, which returns its sentence."""

    def event(self, name: str, fields: Mapping[str, Any]) -> None:
        """Write one sentence."""
        sys.stdout.write(plain(getattr(self, f"_{name}")(fields)) + "\n")
        sys.stdout.flush()

    def _pretrained(self, fields: Mapping[str, Any]) -> str:
        backbone = fields["backbone"]
        line = (
            f"started from {fields['source']}: {fields['loaded']} of {fields['of']} tensors loaded, "
            f"{backbone['loaded']} of the backbone's {backbone['of']}"
        )
        not_loaded = ", ".join(fields["not_loaded"])
        return line + (f"; from scratch: {not_loaded}" if not_loaded else "")


class Readable(Sentences):
    """One line for each epoch, with the time left."""

    def epoch(self, metrics: Mapping[str, float], details: Mapping[str, float]) -> None:
        """Write one line."""
        left = (details["epochs"] - metrics["epoch"]) * details["seconds"]
        line = f"epoch {metrics['epoch']:3}/{details['epochs']}  loss {metrics['loss']:.3f}"
        if "val:map" in metrics:
            line += f"  mAP {metrics['val:map']:.3f}  mAP50 {metrics['val:map50']:.3f}"
        line += (
            f"  {details['seconds']:.0f} s, waiting for data {details['waiting_share']:.0%}, "
            f"{left / 60:.0f} min left"
        )
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def _start(self, fields: Mapping[str, Any]) -> str:
        settings, data = fields["hyperparameters"], fields["dataset"]
        dropped = f", {fields['dropped_boxes']} boxes without area dropped" if fields["dropped_boxes"] else ""
        return (
            f"{settings['family']} at {settings['input_size']} px on {fields['device']}: "
            f"{data['train']} images to learn from, {data['validation']} to validate on, "
            f"{len(fields['labels'])} labels{dropped}; {settings['epochs']} epochs"
            + (f" and {settings['cycles']} cycles" if settings["cycles"] else "")
        )

    def _resume(self, fields: Mapping[str, Any]) -> str:
        return f"continuing after epoch {fields['after_epoch']}"

    def _piped(self, fields: Mapping[str, Any]) -> str:
        return (
            f"the shared memory has {fields['free_mib']} MiB free, and batches on their way take "
            f"{fields['needed_mib']} MiB: they come by a pipe, which is a little slower"
        )

    def _early_stop(self, fields: Mapping[str, Any]) -> str:
        return f"stopped after epoch {fields['epoch']}: no better mAP since epoch {fields['best_epoch']}"

    def _done(self, fields: Mapping[str, Any]) -> str:
        training = fields["training"]
        line = f"done in {training['seconds'] / 60:.1f} min, peak memory {training['peak_memory_mib']} MiB: "
        if scores := fields.get("validation"):
            line += f"mAP {scores['map']:.3f}, mAP50 {scores['map50']:.3f} on the validation part "
        else:
            line += "not validated, since the validation part was used for training "
        line += f"(epoch {fields['best_epoch']}); export verified"
        if any(fields["box_offset"]):
            across, down = fields["box_offset"]
            line += f"; boxes moved by ({across:+}, {down:+}) px to match the labels"
        return line
