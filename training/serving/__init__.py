"""The endpoint: HTTP routes, worker processes or batches, images by reference, metrics, settings."""
