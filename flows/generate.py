"""Batch generation: ``python -m flows.generate prompts.txt``."""

from __future__ import annotations

import argparse
from pathlib import Path

from prefect.artifacts import create_markdown_artifact

from flows.common import execute, stage_flow
from sketch2video.errors import printable
from sketch2video.generation.batch import Model, generate_batch
from sketch2video.generation.caption_length import warn_of_long_captions
from sketch2video.generation.prompts import read_prompts
from sketch2video.inputs.targets import check_folder_target
from sketch2video.params import load_params
from sketch2video.systems.loading import content_hash, load_pipeline
from sketch2video.tracking.registry import locate_model


@stage_flow
def generate(prompts: str, model: str | None = None, output: str | None = None, seed: int | None = None) -> int:
    """Turn a file of prompts into videos; what the output folder already holds is not made again.

    Args:
        prompts: a .txt, .csv or .jsonl file.
        model: a registered model such as models:/sketch2video@champion, or a pipeline folder; default: generate.model.
        output: the folder; default: generate.output.
        seed: of prompts that name none; default: base.seed.

    Returns:
        The number of videos.
    """
    params = load_params()
    asked = read_prompts(prompts)
    reference, folder = model or params.generate.model, Path(output or params.generate.output)
    check_folder_target(folder, "--output" if output else "generate.output")
    located = locate_model(reference)
    pipeline = load_pipeline(located.folder)
    warn_of_long_captions(pipeline.tokenizer, pipeline.text_encoder, asked)
    rows = generate_batch(
        Model(pipeline, reference, located.version, content_hash(located.folder)),
        asked,
        folder,
        params.generate,
        seed=params.base.seed if seed is None else seed,
        sketch=params.sketch,
        fit=params.fit,
    )
    table = "\n".join(f"| {row['caption'].replace('|', ' ')} | {row['seed']} | {row['video']} |" for row in rows)
    create_markdown_artifact(
        key="generate",
        markdown=f"{printable(folder.resolve())}\n\n| caption | seed | video |\n|---|---|---|\n{table}\n",
        description=f"{len(rows)} videos by {printable(reference)}",
    )
    print(f"{len(rows)} videos by {printable(reference)}: {printable(folder)}/manifest.jsonl")
    return len(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m flows.generate", description=generate.description)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("file", nargs="?", help="a .txt, .csv or .jsonl file with one prompt a row")
    which.add_argument("--prompts", help="the same")
    parser.add_argument("--model", help="models:/name@alias, models:/name/version or a folder (generate.model)")
    parser.add_argument("--output", help="folder for the videos (generate.output)")
    parser.add_argument("--seed", type=int, help="seed of prompts that name none (base.seed)")
    arguments = vars(parser.parse_args())
    arguments["prompts"] = arguments.pop("file") or arguments["prompts"]
    execute(generate, **arguments)
