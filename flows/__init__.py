"""Prefect flows: names, retries, artifacts and MLflow runs; no maths."""
