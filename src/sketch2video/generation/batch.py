"""Batch generation: prompts → a folder of videos, drawings, a manifest and a contact sheet.

The folder is the state: the names of the files show which videos an interrupted run has finished; see
:mod:`sketch2video.generation.layout`.
"""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sketch2video.errors import UserError
from sketch2video.files import remove_partial, replacing, sha256_of_file, sha256_of_value, sharing
from sketch2video.generation.contact_sheet import write_contact_sheet, write_moving_sheet
from sketch2video.generation.layout import ENDINGS, KEY_DIGITS, SKETCH_ENDINGS, VideoFiles, write_manifest
from sketch2video.generation.prompt_drawings import load_drawing, load_still
from sketch2video.generation.prompt_sketches import SKETCH, check_frame
from sketch2video.generation.prompts import Prompt
from sketch2video.generation.videos import Model, Request, generate_videos
from sketch2video.inputs.targets import check_folder_target
from sketch2video.params import FitParams, RequestParams, SketchParams
from sketch2video.sketches import made_by

VERSION = 2
"""Increased whenever the same prompt gives another video."""

CONTACT_SHEET, MOVING_SHEET = "contact_sheet.png", "contact_sheet.webp"


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
            names = [[one.frame, one.name] for one in prompt.sketches] or name
            digest = sha256_of_value([seed, prompt.caption, prompt.num_frames, names, seen[alike]])
            seeds.append(int(digest[:8], 16))
        else:
            seeds.append(prompt.seed)
    return seeds


@dataclass(frozen=True)
class _Job:
    """A prompt of the batch, its seed and its output files."""

    prompt: Prompt
    seed: int
    files: VideoFiles


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
    _check(model, prompts)
    check_folder_target(output, "output")
    output.mkdir(parents=True, exist_ok=True)
    remove_partial(output)
    params = params.completed(model.pipeline.config.get("sampling", {}))
    settings = params.deciding()
    lines = {"sketch": made_by(sketch), "fit": fit.model_dump()}
    jobs = [
        _job(index, prompt, chosen, {"model": model.content_hash, "settings": settings}, lines, output, draws)
        for index, (prompt, chosen) in enumerate(zip(prompts, seeds_of(prompts, seed), strict=True))
    ]

    def row(index: int) -> dict[str, Any]:
        prompt = jobs[index].prompt
        request = Request(prompt.caption, jobs[index].seed, prompt.num_frames, params.fps)
        names = {one.frame: one.name for one in prompt.sketches}
        return jobs[index].files.row(model, request, prompt.sketch.name if prompt.sketch else None, settings, names)

    with sharing(output, partial(_follow_order, jobs)):
        rows = {index: row(index) for index, job in enumerate(jobs) if job.files.exist}
        with tqdm(total=len(jobs), initial=len(rows), desc="generate", unit="video") as bar:
            for batch in batches([_kind(prompt) for prompt in prompts], params.batch_size):
                if rows.keys() >= set(batch):
                    continue
                requests = [_request(jobs[index], model, params, sketch, fit) for index in batch]
                for index, video in zip(batch, generate_videos(model.pipeline, requests, params), strict=True):
                    if index not in rows:
                        jobs[index].files.write(video)
                        rows[index] = row(index)
                        bar.update()
                write_manifest(output, (rows[index] for index in sorted(rows)))
        write_manifest(output, (rows[index] for index in sorted(rows)))
        everything = [rows[index] for index in range(len(jobs))]
        tiles = [_tile(output, each) for each in everything]
        write_contact_sheet(output / CONTACT_SHEET, tiles)
        write_moving_sheet(output / MOVING_SHEET, tiles)
        return everything


def _check(model: Model, prompts: Sequence[Prompt]) -> None:
    """Raise a UserError if the model cannot do what a prompt asks for."""
    pipeline = model.pipeline
    for prompt in prompts:
        row = f"row {prompt.row} of the prompts"
        if prompt.drawn and not pipeline.control.draws:
            raise UserError(
                f"{row} names a sketch, but {model.reference} follows none; leave the column out or name a sketch model"
            )
        prompt.check_length(pipeline.longest, row, model.reference)
        for one in prompt.sketches:
            check_frame(one, row, prompt.num_frames or pipeline.sample_frames)


def _kind(prompt: Prompt) -> Hashable:
    """What prompts of one batch have in common."""
    return prompt.num_frames, prompt.sketch is not None, tuple(one.frame for one in prompt.sketches)


def _request(job: _Job, model: Model, params: RequestParams, sketch: SketchParams, fit: FitParams) -> Request:
    """The request of a prompt, with its drawings."""
    prompt, size = job.prompt, model.pipeline.sample_size
    request = Request(prompt.caption, job.seed, prompt.num_frames, params.fps)
    if prompt.sketch is not None:
        frames = prompt.num_frames or model.pipeline.sample_frames
        with _naming_row(prompt, prompt.sketch):
            drawing = load_drawing(prompt.sketch, frames, size, sketch, fit)
        return replace(request, curves=drawing.curves, fps=drawing.fps or params.fps)
    if not prompt.sketches:
        return request
    curves = {}
    for one in prompt.sketches:
        with _naming_row(prompt, one.path, one.column):
            curves[one.frame] = load_still(one.path, model.pipeline.curve_vae.config.strokes, size, sketch, fit)
    return replace(request, curves=curves)


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
        with _naming_row(prompt, prompt.sketch):
            digest = sha256_of_file(prompt.sketch)
        made_of |= {"drawing": digest, "suffix": prompt.sketch.suffix.lower(), **lines}
    if prompt.sketches:
        drawings = {}
        for one in prompt.sketches:
            with _naming_row(prompt, one.path, one.column):
                drawings[str(one.frame)] = [sha256_of_file(one.path), one.path.suffix.lower()]
        made_of |= {"drawings": drawings, **lines}
    key = sha256_of_value(made_of)[:KEY_DIGITS]
    endings = ENDINGS | (SKETCH_ENDINGS if draws else {})
    return _Job(prompt, seed, VideoFiles(index, key, prompt.caption, output, endings))


@contextmanager
def _naming_row(prompt: Prompt, drawing: Path, column: str = SKETCH) -> Iterator[None]:
    """Add the row of the prompts and the column to errors about a drawing."""
    where = f"row {prompt.row} of the prompts: {column}"
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except OSError as error:
        raise UserError(f"{where}: {drawing} cannot be read ({error.strerror}); check the file") from error


def _follow_order(jobs: Sequence[_Job], alone: bool) -> None:
    """Rename files of prompts whose index in the prompts file has changed.

    They are copied instead if other processes use the folder, which may rely on the names.
    """
    current = {path for job in jobs for path in job.files.paths.values()}
    for files in (job.files for job in jobs):
        for name, path in files.paths.items():
            before = (
                other for other in files.output.glob(f"*-{files.key}{files.endings[name]}") if other not in current
            )
            if not path.exists() and (other := next(before, None)) is not None:
                if alone:
                    other.replace(path)
                    continue
                with replacing(path) as draft:
                    shutil.copyfile(other, draft)


def _tile(output: Path, row: dict[str, Any]) -> tuple[str, list[Path]]:
    return row["caption"], [output / row[name] for name in ("sketch_video", "video") if name in row]
