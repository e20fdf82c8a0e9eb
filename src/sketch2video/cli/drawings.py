"""Commands on single drawings."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sketch2video.cli.app import DRAWINGS, app


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
        int, typer.Option(min=8, help="Longer side in px at which lines are detected; twice that for line drawings.")
    ] = 160,
    budget: Annotated[
        int | None, typer.Option(min=8, max=299, help="Most numbers a frame, in place of fit.budget.")
    ] = None,
    strokes: Annotated[int | None, typer.Option(min=1, help="Most strokes a frame, in place of fit.strokes.")] = None,
) -> None:
    """Print a picture's equation, to be graphed elsewhere: LaTeX, Desmos, SVG, JSON, or the drawing as PNG or GIF.

    Aspect and size are those of the picture. The sections sketch and fit of params.yaml have the settings; outside a
    project's folder the same defaults apply.
    """
    from sketch2video.curves.exports.picture import equation_of
    from sketch2video.curves.exports.writers import STILL, TEXTS, format_of, write
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
