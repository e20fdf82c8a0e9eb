"""What do tokens alone do to a video? ``python -m benchmarks.tokens [--clips 48]``.

Held-out clips go to the tokens of the hierarchical VQGAN and back, without any transformer. Frames become tokens one by
one, and whatever flickers here, a perfect transformer would make flicker, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from tqdm import tqdm

from benchmarks.command import run as run_command
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.autoencoder.training import mean_psnr, to_network
from sketch2video.data.clips.shards import ShardReader, read_table
from sketch2video.evaluation.consistency import Steadiness, steadiness
from sketch2video.evaluation.evaluate import Data, evaluated_rows
from sketch2video.tokens.vqgan.encode import encode_clip, token_array
from sketch2video.tokens.vqgan.network import HierarchicalVQGAN, load_vqgan
from sketch2video.training.previews import save_sheet, to_uint8

WAYS = "real", "tokens and back"
"""What is compared."""
SHOWN = 8
"""Frames of a clip on the sheet."""


@torch.no_grad()
def there_and_back(model: HierarchicalVQGAN, frames: np.ndarray) -> np.ndarray:
    """A clip uint8 (T, H, W, 3) of which only its tokens were kept: the same shape and type."""
    tokens = encode_clip(model, frames)
    levels = [torch.from_numpy(tokens[token_array(level)]) for level in range(model.config.levels)]
    return to_uint8(model.decode([level.to(model.device) for level in levels]))


def psnr(frames: np.ndarray, others: np.ndarray) -> float:
    """Peak signal-to-noise ratio of clips uint8 (T, H, W, 3), dB, mean over frames."""
    return mean_psnr(to_network(torch.from_numpy(others)), to_network(torch.from_numpy(frames)))


def measured(model: HierarchicalVQGAN, clips: list[np.ndarray]) -> dict[str, Any]:
    """Steadiness of clips and of what their tokens keep, by ``WAYS``; ``psnr``, dB, of the latter; ``clips``, N."""
    real, kept, ratios = [], [], []
    for frames in tqdm(clips, desc="tokens and back", unit="clip"):
        decoded = there_and_back(model, frames)
        real.append(steadiness(frames[None]))
        kept.append(steadiness(decoded[None]))
        ratios.append(psnr(frames, decoded))
    means = [Steadiness.concatenate(several).means() for several in (real, kept)]
    return {"clips": len(clips), "psnr": float(np.mean(ratios)), **dict(zip(WAYS, means, strict=True))}


def markdown(found: dict[str, Any]) -> str:
    """What :func:`measured` found, as a table."""
    names = list(found["real"])
    rows = [[way, *(f"{found[way][name]:.4f}" for name in names)] for way in WAYS]
    table = as_table(["", *(name.replace("_", " ") for name in names)], rows)
    return f"{found['clips']} clips, {found['psnr']:.1f} dB PSNR.\n\n{table}\n"


def main(
    clips: Annotated[int, typer.Option(min=1, help="Held-out clips, spread evenly over their captions")] = 48,
    vqgan: Annotated[Path, typer.Option(help="Folder of the VQGAN")] = Path("models/hierarchical_vqgan/vqgan"),
    reports: Annotated[Path, typer.Option(help="Where tokens.{json,md,png} go")] = Path("reports/bench"),
    write: Write = False,
) -> None:
    """Measure what tokens alone do to held-out clips, and show it."""
    page = page_of("tokens", write)
    model = load_vqgan(vqgan)
    folder = Data().clips
    rows, _ = evaluated_rows(read_table(folder / "clips.parquet"), clips)
    reader = ShardReader(folder)
    chosen = [reader.batch("frames", rows.iloc[row : row + 1])[0] for row in range(len(rows))]
    found = measured(model, chosen)
    publish("tokens", markdown(found), found, reports, page)
    indices = np.linspace(0, len(chosen[0]) - 1, min(SHOWN, len(chosen[0]))).round().astype(int)
    some = [frames[indices] for frames in chosen[:4]]
    save_sheet(reports / "tokens.png", [row for frames in some for row in (frames, there_and_back(model, frames))])


if __name__ == "__main__":
    run_command(main)
