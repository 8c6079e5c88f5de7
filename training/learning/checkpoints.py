"""The state of a run on disk, from which a killed job continues."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import Optimizer

from training.job.errors import TrainingError
from training.job.files import whole_file


class CheckpointError(TrainingError):
    """The checkpoints belong to another run."""


@dataclass
class State:
    """The progress of a run after an epoch.

    Attributes:
        epoch: Epochs completed.
        step: The next global step.
        best_map: The best validation mAP so far; -1 before the first validation.
        best_epoch: The epoch of the best mAP.
        seconds: Time spent in epochs, over all starts of the run.
    """

    epoch: int = 0
    step: int = 0
    best_map: float = -1.0
    best_epoch: int = 0
    seconds: float = 0.0


class Checkpoints:
    """The complete state after the last epoch, and the averaged weights of the best epoch, in one folder.

    Each file is replaced in one step, so after a kill the old or the new file is there, whole.

    Attributes:
        epoch: The last epoch in the folder; 0 if there is none.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        """Use `folder`.

        Args:
            folder: Created with the first checkpoint.
            identity: Of the run. Only checkpoints of the same identity are resumed.
        """
        self._last, self._best, self._identity = folder / "last.pt", folder / "best.safetensors", identity
        self.epoch = 0

    def resume(self, model: nn.Module, average: nn.Module, optimiser: Optimizer) -> State:
        """Load the last epoch into the three arguments, if there is a checkpoint, and return its state.

        Raises:
            CheckpointError: The checkpoint belongs to another run.
        """
        if not self._last.exists():
            return State()
        content = torch.load(self._last, map_location="cpu", weights_only=True)
        if content["identity"] != self._identity:
            raise CheckpointError(
                f"{self._last} belongs to a run with other hyperparameters or data; "
                "remove it to start again, or train in another folder"
            )
        self.epoch = content["state"]["epoch"]
        model.load_state_dict(content["model"])
        average.load_state_dict(content["average"])
        optimiser.load_state_dict(content["optimiser"])
        return State(**content["state"])

    def save(self, model: nn.Module, average: nn.Module, optimiser: Optimizer, state: State) -> None:
        """Replace the checkpoint of the last epoch."""
        self._last.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "identity": self._identity,
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "state": asdict(state),
        }
        with whole_file(self._last) as temporary:
            torch.save(content, temporary)
        self.epoch = state.epoch

    def save_best(self, model: nn.Module) -> None:
        """Replace the weights of the best epoch."""
        self._best.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self._best) as temporary:
            save_file({name: value.contiguous() for name, value in model.state_dict().items()}, temporary)

    def load_best(self, model: nn.Module) -> None:
        """Load the weights of the best epoch into `model`."""
        model.load_state_dict(load_file(self._best))
