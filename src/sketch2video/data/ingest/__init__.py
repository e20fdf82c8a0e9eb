"""Source files to clips."""
