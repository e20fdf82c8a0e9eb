"""Registration: ``python -m flows.register``. Not a stage: the registry must be right whatever DVC skips."""

from __future__ import annotations

import argparse
from pathlib import Path

from prefect.artifacts import create_markdown_artifact

from flows.common import MODELS, execute, recorded, stage_flow
from sketch2video.params import load_params
from sketch2video.tracking.gate import pass_gate
from sketch2video.tracking.registry import register_version
from sketch2video.tracking.runs import tracked_run

MODEL = MODELS / "sketch_ldm"


@stage_flow
def register(model: str = str(MODEL)) -> dict[str, str]:
    """Make a pipeline folder a version of the registered model, and the champion if it passes the gate.

    Args:
        model: folder of the assembled pipeline.
    """
    params = load_params()
    with tracked_run("register", recorded(params, "register", "evaluate")) as run:
        version = register_version(Path(model), params.register_.name, params.generate, run)
    decision = pass_gate(params, version)
    rows = "\n".join(f"| {name} | {value} |" for name, value in decision.items())
    create_markdown_artifact(
        key="register", markdown=f"| version {version} | |\n|---|---|\n{rows}\n", description="What the gate decided"
    )
    became = "is the champion" if decision["gate.promoted"] == "True" else "stays a challenger"
    print(f"models:/{params.register_.name}/{version} {became}: {decision['gate.reason']}")
    return decision


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m flows.register", description=register.description)
    parser.add_argument("--model", default=str(MODEL), help="folder of the assembled pipeline (%(default)s)")
    execute(register, **vars(parser.parse_args()))
