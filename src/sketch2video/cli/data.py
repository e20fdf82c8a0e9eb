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


@app.command(rich_help_panel=PARAMETERS)
def base(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|ID",
            help="A pretrained video model: a folder, or a hub id such as Wan-AI/Wan2.1-T2V-1.3B-Diffusers, which is"
            " downloaded to data/bases.",
        ),
    ],
) -> None:
    """Choose the pretrained video model that the system adapted_video teaches to follow drawings."""
    from sketch2video.bases.download import fetch_base
    from sketch2video.profiles import edit_params

    found = fetch_base(source)
    edit_params({"adapted_video": {"base": Path(found.source).as_posix()}}, source=source)
    typer.echo(
        f"params.yaml now adapts {found.title} in {printable(found.source)}; its videos have {found.frame_step}n + 1"
        f" frames and sides of multiples of {found.side_step} px; `dvc repro systems/adapted_video/dvc.yaml` does the"
        " rest"
    )


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
    limit: Annotated[int, typer.Option(min=1, help="At most so many, evenly spread over the held-out clips.")] = 24,
) -> None:
    """Print captions that training did not see, one a line: a prompts file for `sketch2video generate`."""
    from sketch2video.data.clips.shards import evenly_spread, read_table
    from sketch2video.inputs.caption_lines import caption_line

    table = read_table("data/clips/clips.parquet")
    held_out = table[table["split"] == "test"].drop_duplicates("caption")
    for caption in evenly_spread(held_out, limit)["caption"]:
        # Bytes, since prompts are UTF-8 for any encoding of the terminal.
        typer.echo(f"{caption_line(caption)}\n".encode(), nl=False)


@app.command(rich_help_panel=DATA)
def dataset(
    folder: Annotated[Path, typer.Argument(help="A new folder, or one that this command made.")],
    to: Annotated[
        str | None,
        typer.Option(help="The trainer: diffsynth, diffsynth-vace, videox-fun, musubi, ltx or finetrainers."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV|FOLDER",
            help="A CSV path_to_video,caption[,split] or a folder of UCF-101 or MSR-VTT; by default as in params.yaml.",
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="Of the clips, px; by default the trainer's.")
    ] = None,
    frames: Annotated[int | None, typer.Option(help="Of a clip; by default the trainer's.")] = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second; by default the trainer's.")] = None,
    lines: Annotated[
        str | None, typer.Option(help="white-on-black or black-on-white; by default as the trainer's model expects.")
    ] = None,
    cut: Annotated[str, typer.Option(help="Part of a video: middle, start, pieces (several clips) or whole.")] = (
        "middle"
    ),
    contrast: Annotated[
        float | None, typer.Option(help="Change across an edge that starts a line; lower draws more (sketch.contrast).")
    ] = None,
    min_length: Annotated[
        float | None, typer.Option(help="Shortest line, frame widths; lower draws more (sketch.min_length).")
    ] = None,
    split: Annotated[str, typer.Option(help="Rows: train (without those of the split test), test or all.")] = "train",
    workers: Annotated[int | None, typer.Option(min=0, help="Processes; 0: one a core (base.workers).")] = None,
) -> None:
    """Write captioned videos as a data set for another project's trainer, with their sketches as control videos.

    The folder's README.md has the command that trains. Finished videos are kept when the command runs again.
    """
    import shlex
    import sys

    from sketch2video.data.sources.layouts import find_source
    from sketch2video.params import BaseParams, find_params
    from sketch2video.trainer_data.dataset import write_dataset
    from sketch2video.trainer_data.options import settings_of, sketch_of, trainer_of

    settings = settings_of(trainer_of(to), size, frames, fps, lines, cut)
    if split not in ("train", "test", "all"):
        raise UserError(f"--split: {printable(split)} is unknown; choose train, test or all")
    params = find_params()
    sketch = sketch_of(params.sketch if params else None, contrast, min_length)
    where = params.base if params else BaseParams(seed=0, size=16, frames=2, workers=0, cluster=None)
    found = find_source(source, params.ingest if params else None)
    summary = write_dataset(
        to or "",
        found,
        folder,
        settings,
        sketch,
        split=split,
        where=where if workers is None else where.model_copy(update={"workers": workers}),
        command=shlex.join(["sketch2video", *sys.argv[1:]]),
    )
    for line in summary.lines(folder, found.unit):
        typer.echo(line)
