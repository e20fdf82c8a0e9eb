"""Batch generation: ``python -m flows.generate prompts.txt``."""

from __future__ import annotations

import argparse

from flows.common import execute, show, stage_flow
from sketch2video.stages.generate import generate as run


@stage_flow
def generate(prompts: str, model: str | None = None, output: str | None = None, seed: int | None = None) -> int:
    """Generate videos for a prompts file; existing videos in the output folder are kept.

    Args:
        prompts: a .txt, .csv or .jsonl file.
        model: a registered model such as models:/sketch2video@champion, or a folder; default: generate.model.
        output: the folder; default: generate.output.
        seed: seed of prompts without one of their own; default: base.seed.

    Returns:
        The number of videos.
    """
    rows = run(prompts, model, output, seed)
    table = "\n".join(f"| {row['caption'].replace('|', ' ')} | {row['seed']} | {row['video']} |" for row in rows)
    show("generate", f"| caption | seed | video |\n|---|---|---|\n{table}\n", f"{len(rows)} videos")
    return len(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m flows.generate", description=generate.description)
    parser.add_argument("prompts", help="a .txt, .csv or .jsonl file with one prompt a row")
    parser.add_argument("--model", help="models:/name@alias, models:/name/version or a folder (generate.model)")
    parser.add_argument("--output", help="folder for the videos (generate.output)")
    parser.add_argument("--seed", type=int, help="seed of prompts without one of their own (base.seed)")
    execute(generate, **vars(parser.parse_args()))
