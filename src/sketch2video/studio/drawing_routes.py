"""Routes of models and drawings: the list of models, drawing a caption, fitting, equations, files of drawings."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import numpy as np
from fastapi import APIRouter, HTTPException, Query, UploadFile
from fastapi import Path as InPath
from fastapi.responses import Response

from sketch2video.curves import CurveSequence, Equation, to_desmos, to_latex
from sketch2video.curves.exports.json_format import shortest_series
from sketch2video.curves.exports.writers import FORMATS, content_of
from sketch2video.curves.fitting.hand_drawn import fit_hand_drawn
from sketch2video.errors import UserError
from sketch2video.generation.drawings import draw_caption
from sketch2video.params import MAX_NUMBERS_PER_FRAME
from sketch2video.studio.documents import kept_frames, to_curves, to_drawing
from sketch2video.studio.gallery import SIDE
from sketch2video.studio.models import HELP
from sketch2video.studio.schemas import (
    Drawn,
    DrawRequest,
    EquationRequest,
    EquationText,
    ExportRequest,
    FittedStroke,
    Frames,
    Models,
    PenLine,
    Rate,
)
from sketch2video.studio.state import MISSING, PROBLEMS, Shared, as_json
from sketch2video.studio.uploads import fit_upload

router = APIRouter(prefix="/api", responses=PROBLEMS)


@router.get("/models", response_model=Models)
def list_models(studio: Shared) -> Response:
    """All models that can be chosen, the default one first."""
    listed = studio.models.listed()
    return as_json(Models(models=listed, budget=MAX_NUMBERS_PER_FRAME + 1, help=None if listed else HELP))


@router.post("/draw", response_model=Drawn)
async def draw(asked: DrawRequest, studio: Shared) -> Response:
    """Draw a caption, without painting it."""
    begin = time.perf_counter()
    if asked.client is not None:
        studio.worker.drop(asked.client)
    frames, given = asked.frames, None
    if asked.drawing is not None:
        frames, given = asked.drawing.frames, kept_frames(asked.drawing, asked.kept)
    future = studio.with_model(
        asked.model, lambda model: draw_caption(model.pipeline, asked.caption, asked.seed, frames, asked.fps, given)
    )
    curves = await asyncio.wrap_future(future)
    return as_json(_drawn(curves, asked.fps, begin))


@router.post("/fit/stroke", response_model=FittedStroke)
def fit_stroke(line: PenLine) -> Response:
    """Fit a line that was drawn by hand: canonical, closed where it closes, with as few numbers as it needs."""
    try:
        fitted = fit_hand_drawn(np.array(line.points), line.closed)
    except ValueError as error:
        raise UserError(str(error)) from error
    x, y = map(shortest_series, fitted.coefficients)
    return as_json(FittedStroke(x=x, y=y, closed=fitted.closed, numbers=fitted.numbers))


@router.post("/fit/file", response_model=Drawn)
def fit_file(
    file: UploadFile, studio: Shared, frames: Annotated[Frames, Query()] = 16, fps: Annotated[Rate, Query()] = 8.0
) -> Response:
    """Sketch and fit a picture, a clip, an SVG or an equation; ``fps`` is the rate of pictures that stand still."""
    begin = time.perf_counter()
    curves, rate = fit_upload(file.file, frames, studio.params)
    return as_json(_drawn(curves, min(max(rate or fps, 0.1), 120.0), begin))


@router.post("/equation", response_model=EquationText, responses=MISSING)
def equation(asked: EquationRequest) -> Response:
    """The equation as text in the format of another program."""
    curves = _curves(asked)
    numbers = curves.frame_parameters.tolist()
    count = max(numbers) if asked.frame is None else numbers[asked.frame]
    media_type = FORMATS[asked.format].media_type
    return as_json(EquationText(text=_text(curves, asked), numbers=count, media_type=media_type))


@router.post(
    "/export/{format}",
    response_class=Response,
    responses=MISSING
    | {
        200: {
            "description": "the file",
            "content": {media: {} for media in sorted({format_.media_type for format_ in FORMATS.values()})},
        }
    },
)
def export(
    format_: Annotated[str, InPath(alias="format", json_schema_extra={"enum": [*FORMATS]})], asked: ExportRequest
) -> Response:
    """The drawing as a file of a format of ``sketch2video equation``, to be saved."""
    chosen = FORMATS.get(format_)
    if chosen is None:
        raise HTTPException(404, f"there is no such format; choose one of {', '.join(FORMATS)}")
    whole = Equation(_curves(asked), SIDE, SIDE, asked.drawing.fps)
    moves = asked.frame is None and chosen.moves and len(whole.curves) > 1
    shown = whole if moves else whole.only(asked.frame or 0)
    headers = {
        "content-disposition": f'attachment; filename="drawing{chosen.endings[0]}"',
        "cache-control": "no-store",
    }
    return Response(content_of(shown, chosen), headers=headers, media_type=chosen.media_type)


def _curves(asked: ExportRequest) -> CurveSequence:
    """The strokes of a request, with their key frames.

    Raises:
        UserError: there is no such stroke, or no such frame.
    """
    curves = to_curves(asked.drawing)
    if asked.stroke is not None:
        slots = [slot for slot, stroke in enumerate(asked.drawing.strokes) if stroke.id == asked.stroke]
        if not slots:
            raise UserError("there is no such stroke in the drawing")
        curves = CurveSequence(curves.coefficients[:, slots], curves.visibility[:, slots])
    if asked.frame is not None and asked.frame >= len(curves):
        raise UserError(f"there is no frame {asked.frame}; the frames are 0 to {len(curves) - 1}")
    return curves


def _text(curves: CurveSequence, asked: EquationRequest) -> str:
    if asked.format == "latex":
        return to_latex(curves, asked.frame or 0, SIDE, SIDE)
    if asked.format == "desmos":
        return to_desmos(curves, asked.frame or 0, SIDE, SIDE)
    frame = 0 if asked.format == "svg" and asked.frame is None else asked.frame
    still = slice(None) if frame is None else slice(frame, frame + 1)
    fps = asked.drawing.fps if frame is None else None
    shown = Equation(CurveSequence(curves.coefficients[still], curves.visibility[still]), SIDE, SIDE, fps)
    return content_of(shown, FORMATS[asked.format]).decode()


def _drawn(curves: CurveSequence, fps: float, begin: float) -> Drawn:
    drawing = to_drawing(curves, fps)
    numbers = to_curves(drawing).frame_parameters.tolist()
    return Drawn.model_construct(drawing=drawing, numbers=numbers, seconds=round(time.perf_counter() - begin, 4))
