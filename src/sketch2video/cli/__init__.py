"""The command line: all that a person types. Each file holds the commands of a subject."""

from sketch2video.cli import data, drawings, models, scores
from sketch2video.cli.app import app, main

__all__ = ["app", "data", "drawings", "main", "models", "scores"]
