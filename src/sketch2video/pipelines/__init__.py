"""Base classes and functions shared by the pipelines of all systems."""
