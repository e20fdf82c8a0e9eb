"""What is remembered: MLflow runs (:mod:`~sketch2video.tracking.runs`), the registry, and an environment that is quiet.

Nothing is re-exported here: :mod:`~sketch2video.tracking.environment` must be importable before MLflow is.
"""
