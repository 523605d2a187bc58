"""What a model knows: a passage of each split token by token, and the units of its cells along it."""
