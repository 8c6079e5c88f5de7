"""Where a run stands, on disk: what a killed job goes on from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import Optimizer

from training.job.errors import TrainingError


class CheckpointError(TrainingError):
    """The checkpoints belong to another run."""


@dataclass
class State:
    """Where a run stands after an epoch. seconds: spent in epochs so far, over all starts."""

    epoch: int = 0
    step: int = 0
    best_map: float = -1.0
    best_epoch: int = 0
    seconds: float = 0.0


class Checkpoints:
    """The last epoch's whole state and the best epoch's averaged weights, in one folder.

    Each file is replaced in one step, so a kill leaves the old one or the new one.
    identity: what must be the same for a run to go on from here.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._last, self._best, self._identity = folder / "last.pt", folder / "best.safetensors", identity

    def resume(self, model: nn.Module, average: nn.Module, optimiser: Optimizer) -> State:
        """Loads the last epoch into the three, if there is one. Raises CheckpointError if it is another run's."""
        if not self._last.exists():
            return State()
        content = torch.load(self._last, map_location="cpu", weights_only=True)
        if content["identity"] != self._identity:
            raise CheckpointError(
                f"{self._last} is of a run with other hyperparameters or data; "
                "remove it to start anew, or train elsewhere"
            )
        model.load_state_dict(content["model"])
        average.load_state_dict(content["average"])
        optimiser.load_state_dict(content["optimiser"])
        return State(**content["state"])

    def save(self, model: nn.Module, average: nn.Module, optimiser: Optimizer, state: State) -> None:
        """Keeps the state after an epoch."""
        self._last.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "identity": self._identity,
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "state": asdict(state),
        }
        temporary = self._last.with_suffix(".part")
        torch.save(content, temporary)
        temporary.replace(self._last)

    def save_best(self, model: nn.Module) -> None:
        """Keeps the weights that validated best so far."""
        self._best.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._best.with_suffix(".part")
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, temporary)
        temporary.replace(self._best)

    def load_best(self, model: nn.Module) -> None:
        """Puts those weights into `model`."""
        model.load_state_dict(load_file(self._best))
