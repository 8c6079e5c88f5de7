"""What runs in the container: train, evaluate and serve a defect detector."""
