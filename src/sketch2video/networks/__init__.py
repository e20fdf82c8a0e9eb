"""What networks of several folders are built from."""
