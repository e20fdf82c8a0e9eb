"""The text-only system."""
