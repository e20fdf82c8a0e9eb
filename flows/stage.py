"""Run a stage of a system: ``python -m flows.stage train_autoencoder sketch_ldm``.

``dvc.yaml`` calls it. With a Prefect server (``PREFECT_API_URL``) it runs as a flow with the stage's name, else as a
plain function.
"""

from __future__ import annotations

import argparse
import os

from sketch2video.errors import border
from sketch2video.stages.run import run_stage


def main() -> None:
    """Run the stage given on the command line."""
    parser = argparse.ArgumentParser(prog="python -m flows.stage", description="Run a stage of a system")
    parser.add_argument("stage", help="such as train_autoencoder, assemble or evaluate")
    parser.add_argument("system", help="such as sketch_ldm, or shared")
    arguments = parser.parse_args()
    if not os.environ.get("PREFECT_API_URL"):
        with border(arguments.stage):
            run_stage(arguments.stage, arguments.system)
        return
    from flows.common import execute, publish, stage_flow

    def stage(name: str, system: str) -> dict[str, float]:
        values = run_stage(name, system)
        publish(f"{system}-{name}", values)
        return values

    stage.__name__ = arguments.stage
    execute(stage_flow(stage), arguments.stage, arguments.system)


if __name__ == "__main__":
    main()
