"""Labelled images: one shape for every source, read in place from a folder, a zip or S3.

    dataset = open_dataset(Path("NEU-DET.zip"))
    dataset.part("test").samples[0].objects

The hash of an image's bytes alone decides which part it belongs to. Copies of one image are therefore always in the
same part, and new images never move an image that is already there. A snapshot stores the part of each image.

Where to look: `dataset` is the shape, `storage` reads the bytes, `formats` reads the labels, `reading` combines the
two, `masks` says which pixels are defective, `checks` finds and repairs problems, `snapshots` freezes a data set,
`export` writes it for other tools, and `report` prints what an import did. `problems` lists what can be wrong.
`generated` draws images from a seed.
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
