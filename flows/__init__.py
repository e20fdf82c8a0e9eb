"""Prefect flows: names, retries, artifacts and MLflow runs; no maths."""

from sketch2video.tracking.databases import set_prefect_database
from sketch2video.tracking.environment import quiet

# Before any flow imports Prefect, which reads its settings on import and may send telemetry.
quiet()
set_prefect_database()
