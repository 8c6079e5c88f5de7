"""How good a picture must be for a `pass`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from contract.endpoint import BIT_DEPTHS
from contract.figures import beside, percent
from inspection.strict import Strict


class PictureRule(Strict):
    """How good a picture must be for a `pass`. By default one that is nearly black or nearly white is not.

    The measures are in the endpoint's `quality`. On real pictures (NEU-DET's 1,440 of steel, 118 of toys on white)
    exposure is from 0.13 to 0.986, and at most 89 % of the pixels are clipped.

    Attributes:
        least_sharpness: Variance of the Laplacian. It falls when the lens is out of focus.
        least_exposure: Mean brightness, 0..1.
        most_exposure: Mean brightness, 0..1.
        most_clipped: Share of pixels that are black or white, 0..1.
        bit_depth: The bits that the camera stores in 16-bit files that do not state it. It is no limit, but without it
            such a picture is too dark to believe.
    """

    least_sharpness: float = Field(0, ge=0, allow_inf_nan=False)
    least_exposure: float = Field(0.04, ge=0, le=1)
    most_exposure: float = Field(0.99, ge=0, le=1)
    most_clipped: float = Field(0.95, ge=0, le=1)
    bit_depth: int | None = Field(None, ge=BIT_DEPTHS[0], le=BIT_DEPTHS[-1])

    @model_validator(mode="after")
    def _least_below_most(self) -> Self:
        if self.least_exposure > self.most_exposure:
            raise ValueError("least_exposure must not be above most_exposure")
        return self

    def faults(self, quality: Mapping[str, float]) -> list[str]:
        """Return what is wrong with a picture, as sentences. A measure that is missing is no fault."""
        sharpness, exposure = quality.get("sharpness"), quality.get("exposure")
        clipped = quality.get("clipped")
        faults = []
        if sharpness is not None and sharpness < self.least_sharpness:
            shown = beside(sharpness, self.least_sharpness, 0)
            faults.append("blurred: sharpness {} is below {}".format(*shown))
        if exposure is not None and exposure < self.least_exposure:
            faults.append("too dark: exposure {} is below {}".format(*beside(exposure, self.least_exposure)))
        if exposure is not None and exposure > self.most_exposure:
            faults.append("too bright: exposure {} is above {}".format(*beside(exposure, self.most_exposure)))
        if clipped is not None and clipped > self.most_clipped:
            shown = percent(clipped, self.most_clipped)
            faults.append("clipped: {} of the pixels are black or white, at most {}".format(*shown))
        return faults
