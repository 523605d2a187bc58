"""What all stages use: parameters, atomic files, signals, devices, numerics."""
