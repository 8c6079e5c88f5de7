"""Training: hyperparameters, data, augmentation, the training loop, checkpoints, pretrained weights, export."""
