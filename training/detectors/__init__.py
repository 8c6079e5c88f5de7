"""Detector families.

`families` has one module for each family, `architectures` the code that several families share, and `base` the
interface of a family. `registry` finds a family by its name.
"""

from training.detectors.base import Detector, PublicWeights, Recipe, Target

__all__ = ["Detector", "PublicWeights", "Recipe", "Target"]
