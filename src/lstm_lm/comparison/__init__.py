"""From scratch against the library, in numbers and pictures."""
