"""What all stages use: parameters, files that are written whole, signals, devices, numerics."""
