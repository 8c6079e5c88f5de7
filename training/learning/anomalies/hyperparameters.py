"""The hyperparameters of a job that learns an anomaly model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Annotated

from pydantic import Field

from contract.endpoint import BIT_DEPTHS
from training.detectors.registry import anomaly_recipe
from training.job.container import in_a_job
from training.job.hyperparameters import HyperparameterError, JobHyperparameters, parse
from training.learning.hyperparameters import Hyperparameters

_MOST_MEMORY = 50_000


class AnomalyHyperparameters(JobHyperparameters):
    """All settings of a job that learns an anomaly model.

    Attributes:
        family: The kind of anomaly model (docs/families.md).
        name: The model's name in model.json and in each inspection's record.
        weights: The name of the published weights of the backbone, if there is no channel `pretrained`.
        input_size: Side of the model's square input, in pixels. If it is not set, the recipe of the family decides, as
            for `memory`.
        bit_depth: The bits that the cameras store in 16-bit files that do not state it, 8 to 16. The model then expects
            the same of the pictures that it is shown. If it is not set, such pictures stay dark.
        memory: The most places of good pictures that the model remembers.
        overkill_rate: The wanted share of good products that fail.
        escape_rate: With pictures of defective products: the wanted share of them that pass. Good ones that look like
            the others go to review.
        seed: Of the choice of what is remembered.
    """

    family: str = "patchcore_efficientnet_lite0"
    name: Annotated[str, Field(min_length=1)] = "anomaly"
    weights: Annotated[str, Field(min_length=1)] = "imagenet"
    input_size: Annotated[int, Field(ge=1)] = 0
    bit_depth: Annotated[int, Field(ge=BIT_DEPTHS[0], le=BIT_DEPTHS[-1])] = 0
    memory: Annotated[int, Field(ge=10, le=_MOST_MEMORY)] = 0
    overkill_rate: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    escape_rate: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    def completed(self) -> AnomalyHyperparameters:
        """Return a copy in which the family's recipe decides what is not set.

        Raises:
            UnknownFamilyError: There is no such family of anomaly models.
        """
        defaults = asdict(anomaly_recipe(self.family))
        return self.model_copy(
            update={name: value for name, value in defaults.items() if name not in self.model_fields_set}
        )


def read(values: Mapping[str, str], called: Callable[[str, str], str] = in_a_job) -> AnomalyHyperparameters:
    """Read the hyperparameters of a job.

    Args:
        values: The value of each hyperparameter that is set.
        called: Returns how an error names a hyperparameter and its value.

    Raises:
        HyperparameterError: A name is unknown, a value is wrong, or it means something for detectors only.
        UnknownFamilyError: There is no such family of anomaly models.
    """
    for name, value in values.items():
        if name in Hyperparameters.model_fields and name not in AnomalyHyperparameters.model_fields:
            reason = (
                "it has nothing to tune"
                if name == "tuned"
                else "it remembers good pictures in one pass, and trains no weights"
            )
            raise HyperparameterError(
                f"{called(name, value)} is for detectors, and {values['family']} is an anomaly model: {reason}",
                hint=f"Leave {name} out. Anomaly models have {', '.join(_OWN)}.",
            )
    return parse(AnomalyHyperparameters, values, called).completed()


_OWN = [name for name in AnomalyHyperparameters.model_fields if name not in ("family", "name")]
