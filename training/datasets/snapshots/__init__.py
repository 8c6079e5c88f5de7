"""Freezes a data set: each image gets its part, and an immutable document lists the images."""
