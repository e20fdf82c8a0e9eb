"""The embedded scenes and their ground truth."""
