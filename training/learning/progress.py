"""How a training run tells where it is: lines for machines in a job, readable ones by hand."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

from training.job.container import emit


class Progress(Protocol):
    """What a run reports to."""

    def event(self, name: str, fields: Mapping[str, Any]) -> None:
        """Something that happens once: start, pretrained, resume, early_stop, done."""

    def epoch(self, metrics: Mapping[str, float], about: Mapping[str, float]) -> None:
        """An epoch's end. metrics: epoch, loss and, where it was validated, val:map and val:map50."""


class EventLines:
    """JSON lines, and a line `name=value …` an epoch for SageMaker's metric definitions."""

    def event(self, name: str, fields: Mapping[str, Any]) -> None:
        emit(name, fields)
        if (
            name == "done" and "validation" in fields
        ):  # tuning judges a job by the last value of its metric: that of what it leaves
            sys.stdout.write(f"val:map={fields['validation']['map']}\n")
            sys.stdout.flush()

    def epoch(self, metrics: Mapping[str, float], about: Mapping[str, float]) -> None:
        emit("epoch", {**metrics, **about})
        sys.stdout.write(" ".join(f"{name}={value}" for name, value in metrics.items()) + "\n")
        sys.stdout.flush()


class Readable:
    """One line an epoch, with the time left."""

    def event(self, name: str, fields: Mapping[str, Any]) -> None:
        sys.stdout.write(getattr(self, f"_{name}")(fields) + "\n")
        sys.stdout.flush()

    def epoch(self, metrics: Mapping[str, float], about: Mapping[str, float]) -> None:
        left = (about["epochs"] - metrics["epoch"]) * about["seconds"]
        line = f"epoch {metrics['epoch']:3}/{about['epochs']}  loss {metrics['loss']:.3f}"
        if "val:map" in metrics:
            line += f"  mAP {metrics['val:map']:.3f}  mAP50 {metrics['val:map50']:.3f}"
        line += f"  {about['seconds']:.0f} s, waiting for data {about['waiting_share']:.0%}, {left / 60:.0f} min left"
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

    def _pretrained(self, fields: Mapping[str, Any]) -> str:
        backbone = fields["backbone"]
        line = (
            f"started from {fields['source']}: {fields['loaded']} of {fields['of']} tensors loaded, "
            f"{backbone['loaded']} of the backbone's {backbone['of']}"
        )
        fresh = ", ".join(fields["not_loaded"])
        return line + (f"; from scratch: {fresh}" if fresh else "")

    def _resume(self, fields: Mapping[str, Any]) -> str:
        return f"going on after epoch {fields['after_epoch']}"

    def _early_stop(self, fields: Mapping[str, Any]) -> str:
        return f"stopped after epoch {fields['epoch']}: no better mAP since epoch {fields['best_epoch']}"

    def _done(self, fields: Mapping[str, Any]) -> str:
        training = fields["training"]
        line = f"done in {training['seconds'] / 60:.1f} min, peak memory {training['peak_memory_mib']} MiB: "
        if scores := fields.get("validation"):
            line += f"mAP {scores['map']:.3f}, mAP50 {scores['map50']:.3f} on the validation part "
        else:
            line += "validated on nothing, as the validation part was learned from "
        line += f"(epoch {fields['best_epoch']}); export verified"
        if any(fields["box_offset"]):
            across, down = fields["box_offset"]
            line += f"; boxes moved by ({across:+}, {down:+}) px to where the labels are"
        return line
