"""Generate videos for a prompts file, by a registered model or a pipeline folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sketch2video.errors import printable
from sketch2video.generation.batch import generate_batch
from sketch2video.generation.caption_length import warn_of_long_captions
from sketch2video.generation.prompts import read_prompts
from sketch2video.generation.videos import Model
from sketch2video.inputs.targets import check_folder_target
from sketch2video.params import load_params
from sketch2video.systems.loading import content_hash, load_pipeline
from sketch2video.tracking.location import locate_model


def generate(
    prompts: str, model: str | None = None, output: str | None = None, seed: int | None = None
) -> list[dict[str, Any]]:
    """Generate videos for a prompts file; existing videos in the output folder are kept.

    Args:
        prompts: a .txt, .csv or .jsonl file.
        model: a registered model such as models:/sketch2video@champion, or a folder; None: generate.model.
        output: the folder; None: generate.output.
        seed: seed of prompts without one of their own; None: base.seed.

    Returns:
        The rows of the manifest.

    Raises:
        UserError: prompts, model or folder cannot be used.
    """
    params = load_params()
    rows_of_prompts = read_prompts(prompts)
    reference, folder = model or params.generate.model, Path(output or params.generate.output)
    check_folder_target(folder, "--output" if output else "generate.output")
    located = locate_model(reference)
    pipeline = load_pipeline(located.folder)
    warn_of_long_captions(pipeline.tokenizer, pipeline.text_encoder, rows_of_prompts)
    rows = generate_batch(
        Model(pipeline, reference, located.version, content_hash(located.folder)),
        rows_of_prompts,
        folder,
        params.generate,
        seed=params.base.seed if seed is None else seed,
        sketch=params.sketch,
        fit=params.fit,
    )
    print(f"{len(rows)} videos by {printable(reference)}: {printable(folder)}/manifest.jsonl")
    return rows
