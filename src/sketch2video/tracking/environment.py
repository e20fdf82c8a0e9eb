"""Environment variables of the libraries: no telemetry, less output. Must not import slow libraries."""

from __future__ import annotations

import os

_DEFAULTS = {
    # Telemetry. The general switch is read by Prefect, MLflow ("true" alone counts) and the Hugging Face libraries; the
    # others are each library's own.
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "true",
    "ITERATIVE_DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Output: progress bars for small files, messages about database tables.
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "TOKENIZERS_PARALLELISM": "true",
    # A temporary server needs longer than Prefect's 20 s on a busy machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


def quiet() -> None:
    """Switch off telemetry and unneeded output of Prefect, MLflow, DVC, Great Expectations, Gradio and Hugging Face.

    Must be called before these libraries are imported. Variables that the user has set are kept.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
