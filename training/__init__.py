"""The programs of the container: train, evaluate and serve a defect detector."""
