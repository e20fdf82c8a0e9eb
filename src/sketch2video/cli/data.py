"""Commands that create, choose and check data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sketch2video.cli.app import DATA, PARAMETERS, STAGES, app
from sketch2video.errors import UserError, printable


@app.command(rich_help_panel=STAGES)
def ingest() -> None:
    """Cut videos, or the embedded scenes, into clips (data/clips), and take in captioned images (data/images)."""
    from sketch2video.data.ingest.stage import ingest_all as run
    from sketch2video.params import load_params

    run(load_params())


@app.command(rich_help_panel=STAGES)
def sketch() -> None:
    """Draw the lines of every frame: data/sketches."""
    from sketch2video.params import load_params
    from sketch2video.sketches.stage import sketch as run

    run(load_params())


@app.command(rich_help_panel=STAGES)
def fit() -> None:
    """Fit the equation to every drawing, with strokes tracked through time: data/curves."""
    from sketch2video.curves.fitting.stage import fit as run
    from sketch2video.params import load_params

    run(load_params())


@app.command(rich_help_panel=STAGES)
def validate() -> None:
    """Check clips and curves; bad data ends the run here, with the rows named."""
    from sketch2video.data.validation.expectations import validate as run
    from sketch2video.params import load_params

    run(load_params())


@app.command(rich_help_panel=PARAMETERS)
def profile(
    name: Annotated[str | None, typer.Argument(help="A file of profiles/, without its ending.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Name the profiles and exit.")] = False,
) -> None:
    """Write a profile's differences into params.yaml (`git checkout params.yaml` brings the defaults back)."""
    from sketch2video.profiles import apply_profile, profile_names

    if list_:
        for known in profile_names():
            typer.echo(known)
        return
    if name is None:
        raise UserError(f"name a profile: {', '.join(profile_names())}")
    apply_profile(name)
    typer.echo(f"params.yaml now has the profile {name}; `git diff params.yaml` shows what changed")


@app.command(rich_help_panel=PARAMETERS)
def source(
    captions: Annotated[
        str,
        typer.Argument(
            metavar="CSV|FOLDER|synthetic",
            help="A CSV path_to_video,caption[,label][,split][,path_to_control] with paths relative to it, a folder of"
            " UCF-101, MSR-VTT or Sprites as published, or the embedded scenes.",
        ),
    ],
) -> None:
    """Choose the videos: a CSV of captions, a folder of a known data set, or `synthetic` for the embedded scenes.

    Prints lengths, sizes and rates from the videos' headers, and the rows that cannot be used.
    """
    from sketch2video.data.sources.layouts import read_source
    from sketch2video.data.sources.preview import preview
    from sketch2video.params import load_params
    from sketch2video.profiles import edit_params, source_params

    changes = source_params(captions)
    chosen = load_params().ingest.model_copy(update=changes)
    lines = []
    if chosen.source not in ("synthetic", "sprites"):
        lines = preview(read_source(chosen), chosen.min_frames, chosen.max_rejected)
    edit_params({"ingest": changes}, source=captions)
    typer.echo(f"params.yaml now takes its videos from {printable(captions)}; `dvc repro` does the rest")
    for line in lines:
        typer.echo(line)


@app.command(rich_help_panel=DATA)
def check(
    prompts: Annotated[Path | None, typer.Option(help="A prompts file for what follows training.")] = None,
) -> None:
    """Check what a long run needs before it starts: folders, prompts, the store of runs."""
    from sketch2video.params import load_params
    from sketch2video.preflight import check as run

    run(load_params(), prompts)


@app.command(rich_help_panel=DATA)
def captions(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 24,
) -> None:
    """Print captions that training did not see, one a line: a prompts file for `sketch2video generate`."""
    from sketch2video.data.clips.shards import read_table
    from sketch2video.inputs.caption_lines import caption_line

    table = read_table("data/clips/clips.parquet")
    for caption in table.loc[table["split"] == "test", "caption"].drop_duplicates().head(limit):
        # Bytes, since prompts are UTF-8 for any encoding of the terminal.
        typer.echo(f"{caption_line(caption)}\n".encode(), nl=False)
