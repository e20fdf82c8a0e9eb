"""Registration: ``python -m flows.register``."""

from __future__ import annotations

import argparse

from flows.common import execute, show, stage_flow
from sketch2video.stages.register import register as run


@stage_flow
def register(model: str | None = None) -> dict[str, str]:
    """Register a pipeline folder as a version of the registered model, and as champion if it passes the gate.

    Args:
        model: folder of the assembled pipeline, or of a system; default: that of the system ``register.system``.
    """
    decision = run(model)
    rows = "\n".join(f"| {name} | {value} |" for name, value in decision.items())
    show("register", f"| version {decision['version']} | |\n|---|---|\n{rows}\n", "Decision of the gate")
    return decision


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m flows.register", description=register.description)
    parser.add_argument("--model", help="folder of the assembled pipeline (that of register.system)")
    execute(register, **vars(parser.parse_args()))
