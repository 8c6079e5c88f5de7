"""Detector families, and what they are made of.

`families` holds one module for each; `architectures` what several of them share; `base` what each must offer.
"""

from training.detectors.base import Detector, PublicWeights, Recipe, Target

__all__ = ["Detector", "PublicWeights", "Recipe", "Target"]
