"""Examples of the documentation that are more than a few lines."""
