"""Prefect flows: names, retries, artifacts and MLflow runs; no maths."""

from sketch2video.tracking.environment import quiet

quiet()  # before any flow imports Prefect, which would report its first import
