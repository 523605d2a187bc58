"""One training: the loop, its steps, its checkpoints, what it leaves."""
