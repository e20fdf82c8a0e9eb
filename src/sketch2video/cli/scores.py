"""Commands that score and compare."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sketch2video.cli.app import SCORES, app
from sketch2video.errors import printable


@app.command(rich_help_panel=SCORES)
def score(
    real: Annotated[Path, typer.Argument(help="A folder of videos, or a CSV path_to_video[,caption].")],
    generated: Annotated[Path, typer.Argument(help="The same for the generated videos.")],
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
    is_variant: Annotated[str, typer.Option(help="C3D's preprocessing: tgan or tganv2.")] = "tgan",
    is_splits: Annotated[int, typer.Option(min=1, help="Splits over which the inception score is averaged.")] = 1,
    videomae: Annotated[
        str | None, typer.Option(help="Folder or hub id of a fine-tuned VideoMAE: cd_fvd.", metavar="FOLDER|ID")
    ] = None,
    clip: Annotated[
        str | None, typer.Option(help="Folder or hub id of a CLIP: clipsim, of captions.", metavar="FOLDER|ID")
    ] = None,
    judge: Annotated[
        Path | None,
        typer.Option(help="Judge of labels (models/shared/judge): faithfulness, for CSVs with columns of labels."),
    ] = None,
    control: Annotated[
        bool,
        typer.Option(
            "--control",
            help="How videos follow their drawings (control_px, control_found, control_f1): those that `generate` wrote"
            " beside them, or the column path_to_control.",
        ),
    ] = False,
    control_size: Annotated[
        int | None,
        typer.Option(
            min=16,
            help="With --control: side in px of the compared frames; by default that of the first generated video, at"
            " most 256.",
        ),
    ] = None,
    frames: Annotated[int, typer.Option(min=2, help="Frames of a video, unless the network determines them.")] = 16,
    sampling: Annotated[
        str, typer.Option(help="Sampling of frames: first, or spread evenly (the embedded judge: always spread).")
    ] = "first",
    stride: Annotated[int, typer.Option(min=1, help="With `first`: distance of successive frames.")] = 1,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples for the intervals; 0 for none.")] = 100,
    json: Annotated[Path, typer.Option(help="Output file of scores and protocols.")] = Path("scores.json"),
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the features; by default in the user's cache folder.")
    ] = None,
) -> None:
    """Score generated videos against real ones: any two folders or CSVs.

    Without weights the embedded judge compares them (fvd_embedded, kvd_embedded), offline.
    """
    from sketch2video.files import write_json
    from sketch2video.inputs.targets import check_file_target, check_folder_target
    from sketch2video.scoring import score as scoring
    from sketch2video.scoring.control_extractor import natural_size
    from sketch2video.scoring.requested import requested_scores
    from sketch2video.scoring.video_sets import list_videos

    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sketch2video" / "features"
    check_file_target(json, "--json")
    check_folder_target(cache, "--cache")
    sets = list_videos(real), list_videos(generated)
    requests = requested_scores(
        i3d=i3d,
        resize=resize,
        c3d=c3d,
        c3d_mean=c3d_mean,
        is_variant=is_variant,
        is_splits=is_splits,
        videomae=videomae,
        clip=clip,
        judge=judge,
        control=(control_size or natural_size(sets[1])) if control else None,
        frames=frames,
        sampling=sampling,
        stride=stride,
    )
    scores, left_out = scoring.score_sets(*sets, requests, cache, bootstrap)
    # The table is printed first, so that it is not lost if the file cannot be written.
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
    """Compare all systems with an evaluation in one table: reports/systems.html, .csv and .json.

    Systems with different protocols raise an error. Every evaluation updates the table of comparable systems.
    """
    from sketch2video.evaluation.compare import compare as run

    typer.echo(run(reports, systems or ()))
    typer.echo(f"with intervals, costs and clips: {reports}/systems.html")
