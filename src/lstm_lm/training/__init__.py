"""One training: the loop, its steps, its checkpoints, its results."""
