"""The command line. Each file has the commands of one subject."""

from sketch2video.cli import data, drawings, models, scores
from sketch2video.cli.app import app, main

__all__ = ["app", "data", "drawings", "main", "models", "scores"]
