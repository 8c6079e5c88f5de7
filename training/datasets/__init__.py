"""Labelled images: one shape for every source, read in place from a folder, a zip or S3.

    dataset = open_dataset(Path("NEU-DET.zip"))
    dataset.part("test").samples[0].objects

A part is chosen by the hash of the image's bytes alone, so copies of one image never land on two sides,
and adding images moves none of those already there. A snapshot says itself which part an image is in.
"""

from training.datasets.dataset import Box, Dataset, Object, Sample
from training.datasets.problems import DatasetError, Problem
from training.datasets.reading import FORMATS, Reading, open_dataset, read

__all__ = [
    "FORMATS",
    "Box",
    "Dataset",
    "DatasetError",
    "Object",
    "Problem",
    "Reading",
    "Sample",
    "open_dataset",
    "read",
]
