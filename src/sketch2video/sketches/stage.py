"""The data stage ``sketch``: clips → line drawings."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sketch2video.code import code_digest
from sketch2video.data.clips.derive import Arrays, derive_shards, shards_of
from sketch2video.data.clips.shards import ShardReader, evenly_spread, read_table, write_table
from sketch2video.params import Params, SketchParams
from sketch2video.sketches import classical, learned
from sketch2video.sketches.extract import MODEL, draw_lines, made_by
from sketch2video.sketches.sheet import write_sheet

SHOWN_CLIPS = 6
SHOWN_FRAMES = 2


def sketch(
    params: Params,
    clips: Path = Path("data/clips"),
    sketches: Path = Path("data/sketches"),
    model: Path = MODEL,
    sheet: Path = Path("reports/sketches.png"),
) -> None:
    """Draw every clip: ``sketches.parquet`` and ``shards/*.safetensors``.

    The shards hold ``ink`` uint8 (N, T, S, S), and ``cuts`` as those of the clips do. A clip whose frames, parameters
    and network are unchanged is not drawn again. On ``sheet`` a few clips show how the chosen extractor draws, beside
    the classical one.

    Raises:
        UserError: the clips are missing or damaged, or the requested network was not trained.
    """
    table = derive_shards(
        partial(draw_clip, sketch=params.sketch, model=model.absolute()),
        ("frames", "cuts"),
        clips,
        sketches,
        shards_of(clips),
        made_by(params.sketch, model),
        _code(params.sketch),
        params.base,
        "sketch",
    )
    write_table(table.sort_values("clip_id", ignore_index=True), sketches / "sketches.parquet")
    write_sheet(sheet, _shown(params.sketch, clips, sketches))


def draw_clip(
    clip: Arrays, settings: dict[str, Any], sketch: SketchParams, model: Path
) -> tuple[Arrays, dict[str, float]]:
    """Draw one clip, ``frames`` uint8 (T, S, S, 3) and ``cuts``: its ``ink``, and the fact ``ink_coverage``."""
    ink = draw_lines(clip["frames"], sketch, model)
    return {"ink": ink, "cuts": clip["cuts"]}, {"ink_coverage": float((ink > 127).mean())}


def _code(sketch: SketchParams) -> str:
    """Digest of the code that draws; a change of the other extractor does not repeat the stage."""
    if sketch.extractor == "classical":
        return code_digest(classical)
    return code_digest(learned)


def _shown(sketch: SketchParams, clips: Path, sketches: Path) -> list[tuple[np.ndarray, ...]]:
    """Frames of a few clips, evenly spaced, with classical drawings and, if the extractor is learned, learned ones."""
    table = read_table(clips / "clips.parquet").sort_values("clip_id")
    chosen = evenly_spread(table, SHOWN_CLIPS)
    videos, drawn = ShardReader(clips).batch("frames", chosen), ShardReader(sketches).batch("ink", chosen)
    shown = np.linspace(0, videos.shape[1] - 1, SHOWN_FRAMES + 2).round().astype(int)[1:-1]
    classically = sketch.model_copy(update={"extractor": "classical"})
    return [
        (frames, draw_lines(frames, classically), *([ink] if sketch.extractor == "learned" else []))
        for frames, ink in zip(videos[:, shown], drawn[:, shown], strict=True)
    ]
