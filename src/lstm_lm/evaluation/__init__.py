"""What the models know of a passage, token by token; the units of their cells; the texts that they write."""
