"""Layers and helpers that networks of several folders share."""
