"""Batch generation: prompts → a folder of videos, drawings, a manifest and a contact sheet.

The folder is the state. The names of a video's files contain a hash of all inputs (model, caption, seed, drawing,
settings), and files are written atomically; so the names show which videos an interrupted run has finished, and another
model or prompt never overwrites a video.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from sketch2video.curves import CurveSequence, to_animated_svg
from sketch2video.errors import UserError
from sketch2video.files import remove_partial, replacing, sha256_of_file, sha256_of_value, sharing
from sketch2video.generation.contact_sheet import write_contact_sheet, write_moving_sheet
from sketch2video.generation.prompt_drawings import load_drawing
from sketch2video.generation.prompts import Prompt
from sketch2video.inputs.targets import check_folder_target
from sketch2video.media.codec import probe_video
from sketch2video.media.writing import write_gif, write_video
from sketch2video.params import FitParams, RequestParams, SketchParams
from sketch2video.sketches import made_by

VERSION = 2
"""Increased whenever the same prompt gives another video."""

ENDINGS = {"video": ".mp4", "gif": ".gif"}
"""File name extensions of a video's files, by their names in the manifest."""
SKETCH_ENDINGS = {"sketch_video": ".sketch.mp4", "sketch_svg": ".sketch.svg"}
"""Further files of systems that generate drawings."""
MANIFEST = "manifest.jsonl"
CONTACT_SHEET, MOVING_SHEET = "contact_sheet.png", "contact_sheet.webp"

SKETCH_SCALE = 4
"""Pixels of a sketch video for one pixel of the model's frames, along each axis; curves have any resolution."""
KEY_DIGITS = 12
SLUG_LENGTH = 48


@dataclass(frozen=True)
class Model:
    """A pipeline and its origin.

    Attributes:
        pipeline: pipeline of any system.
        reference: name or folder that the user gave.
        version: version of the registered model; None for a folder.
        content_hash: hash of the pipeline's files.
    """

    pipeline: Any
    reference: str
    version: str | None
    content_hash: str


@dataclass(frozen=True)
class Request:
    """One video to be generated.

    Attributes:
        caption: the caption.
        seed: random seed.
        num_frames: T; None: the model's default length.
        fps: frame rate.
        curves: the user's drawing, T frames; None: the model generates one.
    """

    caption: str
    seed: int
    num_frames: int | None
    fps: float
    curves: CurveSequence | None = None


@dataclass(frozen=True)
class Video:
    """A generated video.

    Attributes:
        frames: uint8 (T, S, S, 3) RGB.
        curves: its drawing, T frames; None if the system uses none.
        fps: frame rate.
    """

    frames: np.ndarray
    curves: CurveSequence | None
    fps: float


def generate_videos(pipeline: Any, requests: Sequence[Request], params: RequestParams) -> list[Video]:
    """Generate videos in one call: all have the same length, and all or none have a drawing of the user's.

    A video does not depend on the other requests in the call, up to the rounding of floating-point sums.
    """
    curves = [request.curves for request in requests if request.curves is not None]
    out = pipeline(
        [request.caption for request in requests],
        num_frames=None if curves else requests[0].num_frames,
        fps=[request.fps for request in requests],
        **pipeline.call_arguments(params),
        generator=[torch.Generator().manual_seed(request.seed) for request in requests],
        output_type="np",
        **({"curves": curves} if curves else {}),
    )
    frames = (np.asarray(out.frames) * 255).round().astype(np.uint8)
    rates = (request.fps for request in requests)
    drawn = out.curves or [None] * len(frames)
    return [Video(*each) for each in zip(frames, drawn, rates, strict=True)]


def batches(kinds: Sequence[Hashable], batch_size: int) -> Iterator[list[int]]:
    """Batches of indices of items of the same kind, at most ``batch_size`` each, in order."""
    groups: dict[Hashable, list[int]] = {}
    for index, kind in enumerate(kinds):
        groups.setdefault(kind, []).append(index)
    for group in groups.values():
        for start in range(0, len(group), batch_size):
            yield group[start : start + batch_size]


def seeds_of(prompts: Sequence[Prompt], seed: int) -> list[int]:
    """The seed of each prompt: its own, or a hash of ``seed`` and the prompt; equal prompts have different seeds.

    A prompt's seed does not depend on other prompts.
    """
    seeds, seen = [], dict[Prompt, int]()
    for prompt in prompts:
        if prompt.seed is None:
            alike = replace(prompt, row=0)
            seen[alike] = seen.get(alike, 0) + 1
            name = prompt.sketch.name if prompt.sketch else None
            digest = sha256_of_value([seed, prompt.caption, prompt.num_frames, name, seen[alike]])
            seeds.append(int(digest[:8], 16))
        else:
            seeds.append(prompt.seed)
    return seeds


def slug(caption: str) -> str:
    """A caption as part of a file's name: lower-case ASCII letters, digits and hyphens; "video" if there are none."""
    return re.sub(r"[^a-z0-9]+", "-", caption.lower()).strip("-")[:SLUG_LENGTH].strip("-") or "video"


@dataclass(frozen=True)
class _Job:
    """A prompt of the batch, its key and its output files."""

    prompt: Prompt
    seed: int
    key: str
    stem: str
    output: Path
    endings: dict[str, str]

    @property
    def files(self) -> dict[str, Path]:
        return {name: self.output / f"{self.stem}{ending}" for name, ending in self.endings.items()}

    @property
    def done(self) -> bool:
        return all(path.is_file() for path in self.files.values())

    def write(self, video: Video) -> None:
        files = self.files
        if video.curves is not None:
            height, width = (SKETCH_SCALE * side for side in video.frames.shape[1:3])
            ink = video.curves.render(height, width, SKETCH_SCALE)
            write_video(files["sketch_video"], np.repeat(255 - ink[..., None], 3, axis=-1), video.fps)
            with replacing(files["sketch_svg"]) as draft:
                svg = to_animated_svg(video.curves, video.fps, height, width, SKETCH_SCALE)
                draft.write_text(svg, encoding="utf-8")
        write_gif(files["gif"], video.frames, video.fps)
        write_video(files["video"], video.frames, video.fps)


def generate_batch(
    model: Model,
    prompts: Sequence[Prompt],
    output: Path,
    params: RequestParams,
    *,
    seed: int,
    sketch: SketchParams,
    fit: FitParams,
) -> list[dict[str, Any]]:
    """Generate a video for every prompt into a folder; existing videos are kept.

    The output of each prompt is an mp4 and a GIF and, if the system generates drawings, its drawing as mp4 and as
    animated SVG. ``manifest.jsonl`` has a row for each of these prompts in their order, ``contact_sheet.png`` and
    ``.webp``, which moves, show all of them. Files of other prompts or models in the folder are kept and not listed.

    Prompts are divided into batches in the same way whether or not some of them are finished, so that an interrupted
    run gives the same bytes as an uninterrupted one.

    Args:
        model: the model.
        prompts: the prompts.
        output: the folder; created if needed.
        params: arguments of the pipeline's call.
        seed: seed of prompts without a seed of their own; see :func:`seeds_of`.
        sketch: parameters of the extraction of lines from the user's photographs.
        fit: parameters of the fit of the user's drawings.

    Returns:
        The rows of the manifest.

    Raises:
        UserError: a drawing cannot be used, or the folder is not writable.
    """
    draws = model.pipeline.control.draws
    if not draws and (with_sketch := next((prompt for prompt in prompts if prompt.sketch is not None), None)):
        raise UserError(
            f"row {with_sketch.row} of the prompts names a sketch, but {model.reference} follows none;"
            " leave the column out or name a sketch model"
        )
    longest = model.pipeline.longest
    too_long = (prompt for prompt in prompts if longest and (prompt.num_frames or 0) > longest)
    if prompt := next(too_long, None):
        raise UserError(
            f"row {prompt.row} of the prompts has num_frames {prompt.num_frames}, but {model.reference} makes"
            f" {longest}; lower it, or train the model with text_ldm.known_frames"
        )
    check_folder_target(output, "output")
    output.mkdir(parents=True, exist_ok=True)
    remove_partial(output)
    settings = params.deciding()
    lines = {"sketch": made_by(sketch), "fit": fit.model_dump()}
    jobs = [
        _job(index, prompt, chosen, {"model": model.content_hash, "settings": settings}, lines, output, draws)
        for index, (prompt, chosen) in enumerate(zip(prompts, seeds_of(prompts, seed), strict=True))
    ]

    def row(index: int) -> dict[str, Any]:
        job = jobs[index]
        video = probe_video(job.files["video"])
        return {
            "index": index,
            "caption": job.prompt.caption,
            "seed": job.seed,
            "num_frames": video.frames,
            "fps": video.fps,
            "sketch": job.prompt.sketch.name if job.prompt.sketch else None,
            **{name: path.name for name, path in job.files.items()},
            "model": model.reference,
            "model_version": model.version,
            "model_hash": model.content_hash,
            "settings": settings,
            "key": job.key,
        }

    with sharing(output, partial(_follow_order, jobs)):
        rows = {index: row(index) for index, job in enumerate(jobs) if job.done}
        with tqdm(total=len(jobs), initial=len(rows), desc="generate", unit="video") as bar:
            for batch in batches([(p.num_frames, p.sketch is not None) for p in prompts], params.batch_size):
                if rows.keys() >= set(batch):
                    continue
                requests = []
                for job in (jobs[index] for index in batch):
                    request = Request(job.prompt.caption, job.seed, job.prompt.num_frames, params.fps)
                    if job.prompt.sketch is not None:
                        frames = job.prompt.num_frames or model.pipeline.sample_frames
                        with _naming_row(job.prompt):
                            drawing = load_drawing(job.prompt.sketch, frames, model.pipeline.sample_size, sketch, fit)
                        request = replace(request, curves=drawing.curves, fps=drawing.fps or params.fps)
                    requests.append(request)
                for index, video in zip(batch, generate_videos(model.pipeline, requests, params), strict=True):
                    if index not in rows:
                        jobs[index].write(video)
                        rows[index] = row(index)
                        bar.update()
                _write_manifest(output, rows)
        _write_manifest(output, rows)
        everything = [rows[index] for index in range(len(jobs))]
        tiles = [_tile(output, each) for each in everything]
        write_contact_sheet(output / CONTACT_SHEET, tiles)
        write_moving_sheet(output / MOVING_SHEET, tiles)
        return everything


def _job(
    index: int,
    prompt: Prompt,
    seed: int,
    made_of: dict[str, Any],
    lines: dict[str, Any],
    output: Path,
    draws: bool,
) -> _Job:
    made_of |= {"version": VERSION, "caption": prompt.caption, "seed": seed, "num_frames": prompt.num_frames}
    if prompt.sketch is not None:
        with _naming_row(prompt):
            digest = sha256_of_file(prompt.sketch)
        made_of |= {"drawing": digest, "suffix": prompt.sketch.suffix.lower(), **lines}
    key = sha256_of_value(made_of)[:KEY_DIGITS]
    endings = ENDINGS | (SKETCH_ENDINGS if draws else {})
    return _Job(prompt, seed, key, f"{index:04d}-{slug(prompt.caption)}-{key}", output, endings)


@contextmanager
def _naming_row(prompt: Prompt) -> Iterator[None]:
    """Add the row of the prompts to errors about its drawing."""
    try:
        yield
    except UserError as error:
        raise UserError(f"row {prompt.row} of the prompts: {error}") from error
    except OSError as error:
        reason = f"{prompt.sketch} cannot be read ({error.strerror})"
        raise UserError(f"row {prompt.row} of the prompts: {reason}; check the file") from error


def _follow_order(jobs: Sequence[_Job], alone: bool) -> None:
    """Rename files of prompts whose index in the prompts file has changed.

    They are copied instead if other processes use the folder, which may rely on the names.
    """
    current = {path for job in jobs for path in job.files.values()}
    for job in jobs:
        for name, path in job.files.items():
            before = (other for other in job.output.glob(f"*-{job.key}{job.endings[name]}") if other not in current)
            if not path.exists() and (other := next(before, None)) is not None:
                if alone:
                    other.replace(path)
                    continue
                with replacing(path) as draft:
                    shutil.copyfile(other, draft)


def _write_manifest(output: Path, rows: dict[int, dict[str, Any]]) -> None:
    with replacing(output / MANIFEST) as draft:
        lines = (f"{json.dumps(rows[index], ensure_ascii=False)}\n" for index in sorted(rows))
        # Names that are not UTF-8 become JSON's escapes.
        draft.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")


def _tile(output: Path, row: dict[str, Any]) -> tuple[str, list[Path]]:
    return row["caption"], [output / row[name] for name in ("sketch_video", "video") if name in row]
