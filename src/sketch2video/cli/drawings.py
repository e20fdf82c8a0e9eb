"""Commands on single drawings."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sketch2video.cli.app import DRAWINGS, app


@app.command(rich_help_panel=DRAWINGS)
def equation(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PICTURE_OR_VIDEO", help="A picture, a line drawing, an SVG, a clip, or an equation as JSON."
        ),
    ],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="latex|desmos|desmos-page|geogebra|svg|lottie|html|json|clip-json|plotter-svg|gcode|png|gif",
            help="By default that of --output's ending, else latex. Of a video, plotter-svg, gcode and png show the"
            " first frame; the others move.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of the terminal.")] = None,
    frames: Annotated[int, typer.Option(min=2, help="Most frames of a video, spread evenly over its time.")] = 16,
    frame: Annotated[int | None, typer.Option(help="Only this one of them, in any format; the first is 0.")] = None,
    size: Annotated[
        int, typer.Option(min=8, help="Longer side in px at which lines are detected; twice that for line drawings.")
    ] = 160,
    budget: Annotated[
        int | None, typer.Option(min=8, max=299, help="Most numbers a frame, in place of fit.budget.")
    ] = None,
    strokes: Annotated[int | None, typer.Option(min=1, help="Most strokes a frame, in place of fit.strokes.")] = None,
    colour: Annotated[
        bool, typer.Option("--colour", help="Give each stroke the colour under it, three of the numbers.")
    ] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Root mean square distance in px to the strokes of the frames that formulas with time may have;"
            " larger ones take fewer numbers. By default 0.1, in proportion for frames wider than 640 px.",
        ),
    ] = None,
    plot_size: Annotated[
        float, typer.Option(min=1.0, max=10000.0, help="Longer side of plotted drawings, mm.")
    ] = 180.0,
    pen_up: Annotated[str, typer.Option(help="G-code that lifts the pen.")] = "G0 Z5",
    pen_down: Annotated[str, typer.Option(help="G-code that lowers it, such as 'M3 S90' for a servo.")] = "G1 Z0 F500",
    desmos_key: Annotated[
        str | None, typer.Option(help="Key of Desmos's API for desmos-page; by default that of its examples.")
    ] = None,
) -> None:
    """Print a picture's equation, to be graphed, played or plotted elsewhere.

    LaTeX, Desmos, GeoGebra, SVG, Lottie, an HTML player, JSON, G-code, PNG or GIF. Aspect and size are those of the
    picture. The sections sketch and fit of params.yaml have the settings; outside a project's folder the same defaults
    apply.
    """
    from sketch2video.curves.exports.picture import equation_of
    from sketch2video.curves.exports.plotter import Plot
    from sketch2video.curves.exports.writers import FORMATS, Settings, format_of, summary_of, write
    from sketch2video.errors import UserError
    from sketch2video.params import find_params
    from sketch2video.sketches import draw_lines, extract_sketches

    chosen = format_of(format_, output)
    if colour and not chosen.coloured:
        coloured = ", ".join(name for name, other in FORMATS.items() if other.coloured)
        raise UserError(f"{chosen.name} has no colours; leave out --colour, or choose one of {coloured}")
    params = find_params()
    extract = partial(draw_lines, sketch=params.sketch) if params else extract_sketches
    fit = params.fit.tracking() if params else {}
    fit |= {key: value for key, value in (("budget", budget), ("strokes", strokes)) if value is not None}
    drawn = equation_of(path, frames, size, extract, fit, colour=colour)
    if frame is not None or not chosen.moves:
        drawn = drawn.only(frame or 0)
    settings = Settings(Plot(size=plot_size, pen_up=pen_up, pen_down=pen_down), tolerance, desmos_key)
    if output is None:
        typer.echo(chosen.write(drawn, settings), nl=False)
    else:
        write(drawn, chosen, output, settings)
    typer.echo(summary_of(drawn, chosen, settings), err=True)
