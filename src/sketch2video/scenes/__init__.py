"""The embedded scenes and their truth."""
