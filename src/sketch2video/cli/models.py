"""Commands that train, evaluate, register and use models.

With a Prefect server (``PREFECT_API_URL``) they run as its flows, else directly.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from sketch2video.cli.app import MODELS, app
from sketch2video.errors import UserError
from sketch2video.guard import guarded

System = Annotated[str | None, typer.Option(help="The system; by default sketch_ldm, or shared for shared parts.")]


@app.command(rich_help_panel=MODELS)
def train(
    part: Annotated[
        str | None, typer.Argument(help="A network or data of a system, such as video_ldm or latents.")
    ] = None,
    system: System = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Describe all systems and parts, or those of --system.")
    ] = False,
) -> None:
    """Make a part of a system from the present data. `dvc repro` does the same if the part is out of date."""
    if list_:
        _list_parts(system)
    elif part is None:
        raise UserError("name a part; `sketch2video train --list` describes them")
    else:
        _run_stage(part, system)


@app.command(rich_help_panel=MODELS)
def assemble(system: Annotated[str | None, typer.Argument(help="By default sketch_ldm.")] = None) -> None:
    """Assemble a system's pipeline from its trained parts: models/SYSTEM/pipeline."""
    _run_stage("assemble", system)


@app.command(rich_help_panel=MODELS)
def evaluate(system: Annotated[str | None, typer.Argument(help="By default sketch_ldm.")] = None) -> None:
    """Evaluate a system's pipeline on the test split: reports/SYSTEM/index.html."""
    _run_stage("evaluate", system)


@app.command(rich_help_panel=MODELS)
def register(
    model: Annotated[
        str | None, typer.Option(help="A pipeline's or a system's folder; by default of register.system.")
    ] = None,
) -> None:
    """Register a pipeline as a version of the registered model, and as champion if it passes the gate."""
    if _as_flow("flows.register", *_option("--model", model)):
        return
    from sketch2video.stages.register import register as run

    run(model)


@app.command(rich_help_panel=MODELS)
def generate(
    prompts: Annotated[str, typer.Argument(help="A .txt, .csv or .jsonl file with one prompt a row.")],
    model: Annotated[
        str | None,
        typer.Option(help="models:/name@alias, models:/name/version or a folder (generate.model)."),
    ] = None,
    output: Annotated[str | None, typer.Option(help="Folder for the videos; by default generate.output.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of prompts without one of their own; by default base.seed.")
    ] = None,
) -> None:
    """Generate videos for a prompts file; existing videos in the output folder are kept."""
    options = [*_option("--model", model), *_option("--output", output), *_option("--seed", seed)]
    if _as_flow("flows.generate", *options, "--", prompts):
        return
    from sketch2video.stages.generate import generate as run

    run(prompts, model, output, seed)


@app.command(rich_help_panel=MODELS)
def studio(
    model: Annotated[
        str | None,
        typer.Option(help="The model offered first: models:/name@alias, models:/name/version or a folder."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="By default the first free one from 8420 on.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to bind to; others than this machine can reach only others.")] = (
        "127.0.0.1"
    ),
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    output: Annotated[Path, typer.Option(help="Folder of the gallery.")] = Path("outputs/studio"),
) -> None:
    """Serve the page to type, draw, change strokes and paint videos, until Ctrl-C."""
    from sketch2video.studio.server import serve

    serve(model, port, host, output, browser)


@app.command(rich_help_panel=MODELS)
def up() -> None:
    """Start Prefect server, deployments, worker and MLflow server on 127.0.0.1, until Ctrl-C."""
    _flow("flows.server", "up")


def _run_stage(name: str, system: str | None) -> None:
    from sketch2video.systems.registry import DEFAULT, is_shared
    from sketch2video.systems.spec import SHARED

    owner = system or (SHARED if is_shared(name) else DEFAULT)
    if _as_flow("flows.stage", name, owner):
        return
    from sketch2video.stages.run import run_stage

    for metric, value in run_stage(name, owner).items():
        typer.echo(f"{metric} {value:.6g}")


def _list_parts(system: str | None) -> None:
    from sketch2video.params import load_params
    from sketch2video.systems.registry import find_system, parts_of, system_names
    from sketch2video.systems.spec import SHARED

    params = load_params()
    for owner in [system] if system else [SHARED, *system_names()]:
        about = "parts that several systems share"
        if owner != SHARED:
            spec = find_system(owner)
            about = f"{spec.title}, control: {spec.control(params)}"
        typer.echo(f"{owner}: {about}")
        for part in parts_of(owner):
            typer.echo(f"  {part.name:18} {part.title}")


def _option(name: str, value: object) -> list[str]:
    return [] if value is None else [f"{name}={value}"]


def _as_flow(module: str, *arguments: str) -> bool:
    """Run a flow if a Prefect server is set; returns whether it is. Exits with the flow's code if it fails."""
    if not os.environ.get("PREFECT_API_URL") or not Path(*module.split(".")).with_suffix(".py").is_file():
        return False
    _flow(module, *arguments)
    return True


def _flow(module: str, *arguments: str) -> None:
    # Flows belong to the project's folder, not to this package, which does not import them.
    code = subprocess.run([sys.executable, "-m", module, *arguments], env=guarded(os.environ)).returncode
    if code:
        raise typer.Exit(code)
