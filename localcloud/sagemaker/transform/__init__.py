"""Transform jobs: a model judges every object under a prefix."""
