"""Prompts to requests to files."""
