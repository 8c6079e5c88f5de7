"""How a detector learns: loading, augmentation, the training loop, checkpoints, weights, export."""
