"""Tracking with MLflow: runs (:mod:`~sketch2video.tracking.runs`), the registry, and environment variables.

Nothing is re-exported here: :mod:`~sketch2video.tracking.environment` must be importable before MLflow.
"""
