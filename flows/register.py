"""Registration: ``python -m flows.register``. Not a stage: the registry must be right whatever DVC skips."""

from __future__ import annotations

import argparse
from pathlib import Path

from prefect.artifacts import create_markdown_artifact

from flows.common import execute, recorded, stage_flow
from flows.systems import find_system
from sketch2video.params import load_params
from sketch2video.tracking.gate import pass_gate
from sketch2video.tracking.registry import register_version
from sketch2video.tracking.runs import tracked_run


@stage_flow
def register(model: str | None = None) -> dict[str, str]:
    """Make a pipeline folder a version of the registered model, and the champion if it passes the gate.

    Args:
        model: folder of the assembled pipeline; default: that of the system ``register.system``.
    """
    params = load_params()
    folder = Path(model) if model else find_system(params.register_.system, params).pipeline
    with tracked_run("register", recorded(params, "register", "evaluate")) as run:
        version = register_version(folder, params.register_.name, params.generate, run)
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
    parser.add_argument("--model", help="folder of the assembled pipeline (that of register.system)")
    execute(register, **vars(parser.parse_args()))
