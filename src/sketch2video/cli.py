"""The command line: data stages for DVC, and edits of ``params.yaml`` for people."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sketch2video.errors import UserError, border, printable

# Commands import what they run, so that `--help` answers at once.

app = typer.Typer(
    name="sketch2video",
    help="Text to hand-drawn sketch to video. The commands read params.yaml in the current folder; "
    "`dvc repro` runs the stages in order.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

STAGES = "Stages (run by DVC)"
PARAMETERS = "Parameters"
DATA = "Data"
DRAWINGS = "Drawings (in any folder)"
SCORES = "Scores"


def _show_version(wanted: bool) -> None:
    if wanted:
        from sketch2video import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    from sketch2video.tracking.environment import quiet

    quiet()


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

    What the videos' headers say is shown: lengths, sizes, rates, and the rows that cannot be used.
    """
    from sketch2video.data.sources.layouts import read_source
    from sketch2video.data.sources.preview import preview
    from sketch2video.params import load_params
    from sketch2video.profiles import edit_params, wanted_source

    wanted = wanted_source(captions)
    ingest = load_params().ingest.model_copy(update=wanted)
    lines = []
    if ingest.source not in ("synthetic", "sprites"):
        lines = preview(read_source(ingest), ingest.min_frames, ingest.max_rejected)
    edit_params({"ingest": wanted}, source=captions)
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
    """Print captions that training did not see, one a line: a prompts file for `python -m flows.generate`."""
    from sketch2video.data.clips.shards import read_table
    from sketch2video.inputs.caption_lines import caption_line

    table = read_table("data/clips/clips.parquet")
    for caption in table.loc[table["split"] == "test", "caption"].drop_duplicates().head(limit):
        # Bytes, since prompts are UTF-8 whatever the terminal's encoding is.
        typer.echo(f"{caption_line(caption)}\n".encode(), nl=False)


@app.command(rich_help_panel=DRAWINGS)
def equation(
    path: Annotated[Path, typer.Argument(metavar="PHOTO_OR_VIDEO", help="A picture, a line drawing or a clip.")],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="svg|latex|desmos|json|png|gif",
            help="By default that of --output's ending, else latex. Of a video, svg and gif move, json has all frames,"
            " and latex, desmos and png show the first.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of the terminal.")] = None,
    frames: Annotated[int, typer.Option(min=2, help="Frames of a video, spread evenly over its time.")] = 16,
    frame: Annotated[int | None, typer.Option(help="Only this one of them, in any format; the first is 0.")] = None,
    size: Annotated[
        int, typer.Option(min=8, help="Longer side in px at which lines are looked for, in line drawings twice that.")
    ] = 160,
    budget: Annotated[
        int | None, typer.Option(min=8, max=299, help="Most numbers a frame, in place of fit.budget.")
    ] = None,
    strokes: Annotated[int | None, typer.Option(min=1, help="Most strokes a frame, in place of fit.strokes.")] = None,
) -> None:
    """Print a picture's equation, to be graphed elsewhere: LaTeX, Desmos, SVG, JSON, or the drawing as PNG or GIF.

    Aspect and size are those of the picture. How it is drawn is said by the sections sketch and fit of params.yaml, and
    outside a project's folder by the same defaults.
    """
    from sketch2video.curves.exports.files import STILL, TEXTS, format_of, write
    from sketch2video.curves.exports.picture import equation_of
    from sketch2video.params import find_params
    from sketch2video.sketches import draw_lines, extract_sketches

    name = format_of(format_, output)
    params = find_params()
    extract = partial(draw_lines, sketch=params.sketch) if params else extract_sketches
    fit = params.fit.tracking() if params else {}
    fit |= {key: value for key, value in (("budget", budget), ("strokes", strokes)) if value is not None}
    drawn = equation_of(path, frames, size, extract, fit)
    if frame is not None or name in STILL:
        drawn = drawn.only(frame or 0)
    if output is None:
        typer.echo(TEXTS[name](drawn), nl=False)
    else:
        write(drawn, name, output)
    typer.echo(drawn.summary(), err=True)


@app.command(rich_help_panel=SCORES)
def score(
    real: Annotated[Path, typer.Argument(help="A folder of videos, or a CSV path_to_video[,caption].")],
    generated: Annotated[Path, typer.Argument(help="Likewise.")],
    i3d: Annotated[
        Path | None, typer.Option(envvar="SKETCH2VIDEO_I3D", help="Weights of I3D for Kinetics-400: fvd and kvd.")
    ] = None,
    resize: Annotated[str, typer.Option(help="For I3D: tensorflow, short_side_crop or straight.")] = "tensorflow",
    c3d: Annotated[
        Path | None, typer.Option(envvar="SKETCH2VIDEO_C3D", help="Weights of C3D for UCF-101, with --c3d-mean: is.")
    ] = None,
    c3d_mean: Annotated[
        Path | None, typer.Option(envvar="SKETCH2VIDEO_C3D_MEAN", help="C3D's mean clip (mean2.npz).")
    ] = None,
    is_variant: Annotated[str, typer.Option(help="How C3D is fed: tgan or tganv2.")] = "tgan",
    is_splits: Annotated[int, typer.Option(min=1, help="Parts that the inception score is averaged over.")] = 1,
    videomae: Annotated[
        str | None, typer.Option(help="Folder or hub id of a fine-tuned VideoMAE: cd_fvd.", metavar="FOLDER|ID")
    ] = None,
    clip: Annotated[
        str | None, typer.Option(help="Folder or hub id of a CLIP: clipsim, of captions.", metavar="FOLDER|ID")
    ] = None,
    frames: Annotated[int, typer.Option(min=2, help="Frames a video, where the network leaves the choice.")] = 16,
    sampling: Annotated[
        str, typer.Option(help="Which frames: the first, or spread evenly (the embedded judge: always spread).")
    ] = "first",
    stride: Annotated[int, typer.Option(min=1, help="With `first`: one frame in so many.")] = 1,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples for the intervals; 0 for none.")] = 100,
    json: Annotated[Path, typer.Option(help="Where scores and protocols are written.")] = Path("scores.json"),
    cache: Annotated[
        Path | None, typer.Option(help="Where features are kept; by default in the user's cache folder.")
    ] = None,
) -> None:
    """Score generated videos against real ones: any two folders or CSVs.

    Without weights the embedded judge compares them (fvd_embedded, kvd_embedded), offline.
    """
    from sketch2video.files import write_json
    from sketch2video.inputs.targets import check_file_target, check_folder_target
    from sketch2video.scoring import score as scoring
    from sketch2video.scoring.video_sets import list_videos
    from sketch2video.scoring.wanted import wanted_scores

    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sketch2video" / "features"
    check_file_target(json, "--json")
    check_folder_target(cache, "--cache")
    sets = list_videos(real), list_videos(generated)
    wanted = wanted_scores(
        i3d=i3d,
        resize=resize,
        c3d=c3d,
        c3d_mean=c3d_mean,
        is_variant=is_variant,
        is_splits=is_splits,
        videomae=videomae,
        clip=clip,
        frames=frames,
        sampling=sampling,
        stride=stride,
    )
    scores, left_out = scoring.score_sets(*sets, wanted, cache, bootstrap)
    # The table comes first: whatever happens to the file, the work is not lost.
    typer.echo(scoring.table(scores))
    for extractor, reasons in left_out.items():
        for path, reason in reasons.items():
            typer.echo(f"left out ({extractor}): {printable(path)} {reason}")
    write_json(json, scoring.as_json(scores, left_out, {"real": str(real), "generated": str(generated)}))
    typer.echo(f"scores with their protocols: {printable(json)}")


@app.command(rich_help_panel=SCORES)
def compare(
    systems: Annotated[
        list[str] | None, typer.Argument(metavar="[SYSTEM]...", help="Only these; by default all that were evaluated.")
    ] = None,
    reports: Annotated[Path, typer.Option(help="Folder of the reports.")] = Path("reports"),
) -> None:
    """Put all systems that were evaluated into one table: reports/systems.html, .csv and .json.

    Systems that were not evaluated alike are refused. An evaluation ends with the same for the systems that were.
    """
    from sketch2video.evaluation.compare import compare as run

    typer.echo(run(reports, systems or ()))
    typer.echo(f"with intervals, costs and clips: {reports}/systems.html")


def main() -> None:
    """Run the command line; what a user can fix ends it with one line on stderr and exit code 2."""
    with suppress(AttributeError):  # stdout may be replaced by something simpler
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    with border("sketch2video"):
        app()
