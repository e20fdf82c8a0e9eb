"""Classifiers that say what a clip or a drawing shows."""
