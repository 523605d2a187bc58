"""What `make` calls around the pipeline."""
