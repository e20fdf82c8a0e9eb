"""Memory and time of adapting large bases on a GPU: ``python -m benchmarks.gpu``.

The networks of Wan 2.1 1.3B and LTX-Video 2B in full size, with random weights: nothing is downloaded, and nothing is
said about quality. Latents, captions and drawings are random, too, since training reads encoded ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor
from tqdm import tqdm

from benchmarks.command import run as run_command
from benchmarks.tables import Write, as_table, page_of, show
from sketch2video.bases.adapted_transformer import AdaptedTransformer
from sketch2video.bases.base import Base, network_dtype
from sketch2video.bases.buckets import Bucket
from sketch2video.bases.ltx import LTX
from sketch2video.bases.training import AdaptersTask
from sketch2video.bases.wan import Wan
from sketch2video.diffusion.objectives import FlowMatching
from sketch2video.errors import UserError
from sketch2video.files import write_json
from sketch2video.params import AdaptedVideoParams, load_params

WAN_1_3B = {
    "patch_size": [1, 2, 2], "num_attention_heads": 12, "attention_head_dim": 128, "in_channels": 16,
    "out_channels": 16, "text_dim": 4096, "freq_dim": 256, "ffn_dim": 8960, "num_layers": 30, "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
}  # fmt: skip
"""Config of Wan-AI/Wan2.1-T2V-1.3B-Diffusers."""

LTX_2B = {
    "in_channels": 128, "out_channels": 128, "patch_size": 1, "patch_size_t": 1, "num_attention_heads": 32,
    "attention_head_dim": 64, "cross_attention_dim": 2048, "num_layers": 28, "caption_channels": 4096,
}  # fmt: skip
"""Config of Lightricks/LTX-Video."""

BASES: dict[str, tuple[type[Base], dict[str, Any], int]] = {
    "Wan 2.1 1.3B": (Wan, WAN_1_3B, 512),
    "LTX-Video 2B": (LTX, LTX_2B, 128),
}
"""Kind, config, and tokens of a caption."""

BUCKETS = {
    "Wan 2.1 1.3B": ["480x480x49", "832x480x49", "832x480x81"],
    "LTX-Video 2B": ["512x512x49", "832x480x49", "1216x704x49"],
}

WARM_UP = 2


class RandomClips:
    """Encoded clips and captions of the right shapes, as :class:`~sketch2video.bases.clip_batches.EncodedClips` has.

    Args:
        base: the base.
        bucket: size and length of the clips.
        tokens: length of the captions.
        width: of their states.
    """

    def __init__(self, base: Base, bucket: Bucket, tokens: int, width: int) -> None:
        self.shape = (
            base.latent_frames(bucket.frames),
            base.latent_channels,
            bucket.height // base.factor,
            bucket.width // base.factor,
        )
        self.frames, self.tokens, self.width = bucket.frames, tokens, width

    def text_of(self, caption: str | None) -> Tensor:
        """A random caption (1, D)."""
        return torch.randn(1, self.width)

    def batch(self, samples: int) -> dict[str, Tensor]:
        """A random batch."""
        return {
            "latents": torch.randn(samples, *self.shape),
            "control": torch.randn(samples, 1, *self.shape),
            "drawn": torch.ones(samples, 1, self.frames, dtype=torch.bool),
            "fps": torch.full((samples,), 16.0),
            "text": torch.randn(samples, self.tokens, self.width),
            "text_mask": torch.ones(samples, self.tokens, dtype=torch.bool),
        }


def random_base(kind: type[Base], config: dict[str, Any]) -> Base:
    """A base without a folder, of a network with this config."""

    class Random(kind):  # type: ignore[valid-type, misc]
        def objective(self, time_shift: float | None) -> FlowMatching:
            return FlowMatching(time_shift or 1.0)

    return Random("random weights", config)


def adapted(base: Base, rank: int, device: torch.device) -> AdaptedTransformer:
    """The network of a base with random weights, ready to be adapted."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(network_dtype())
    try:
        with torch.device(device):
            network = base.classes["transformer"](**base.config)
    finally:
        torch.set_default_dtype(default)
    shape = {"rank": rank, "control": "sketch", "sample_size": 512, "sample_frames": 49}
    return AdaptedTransformer(network=network, base=base, source="", hashes={}, **shape).to(device).train()


def measure(
    transformer: AdaptedTransformer,
    bucket: Bucket,
    settings: AdaptedVideoParams,
    tokens: int,
    steps: int,
) -> dict[str, Any]:
    """Peak memory, GiB (0 without a GPU), and seconds a step of one clip, by the optimizer of the parameters."""
    base, device = transformer.base, transformer.device
    width = base.config["text_dim" if "text_dim" in base.config else "caption_channels"]
    clips = RandomClips(base, bucket, tokens, width)
    if settings.gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    else:
        transformer.network.disable_gradient_checkpointing()
    task = AdaptersTask(transformer, settings, clips, clips)  # type: ignore[arg-type]
    groups = [{"params": list(transformer.adapters().values())}]
    optimizer = task.optimizer(groups, settings.training)
    batch = {name: tensor.to(device) for name, tensor in clips.batch(1).items()}
    generator = torch.Generator(device).manual_seed(0)
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    begin = 0.0
    for step in tqdm(range(WARM_UP + steps), desc=f"{base.title} {bucket.name}", unit="step", leave=False):
        if step == WARM_UP:
            _wait(on_gpu)
            begin = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=on_gpu):
            loss, _ = task.loss(batch, generator, 0.0)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    _wait(on_gpu)
    patches = batch["latents"].shape[1] * (bucket.height // base.side_step) * (bucket.width // base.side_step)
    return {
        "tokens": patches,
        "gib": torch.cuda.max_memory_allocated() / 2**30 if on_gpu else 0.0,
        "seconds": (time.perf_counter() - begin) / steps,
    }


def _wait(on_gpu: bool) -> None:
    if on_gpu:
        torch.cuda.synchronize()


def measured(settings: AdaptedVideoParams, steps: int, device: torch.device) -> Iterator[dict[str, Any]]:
    """A row for each base, bucket, and with and without checkpointing; out of memory is a row, too."""
    for name, (kind, config, tokens) in BASES.items():
        transformer = adapted(random_base(kind, config), settings.rank, device)
        for text in BUCKETS[name]:
            for checkpointing in (False, True):
                bucket = Bucket(*map(int, text.split("x")))
                chosen = settings.model_copy(update={"gradient_checkpointing": checkpointing})
                row = {"base": name, "bucket": text, "checkpointing": checkpointing}
                try:
                    yield row | measure(transformer, bucket, chosen, tokens, steps)
                except torch.cuda.OutOfMemoryError:
                    yield row | {"tokens": 0, "gib": float("inf"), "seconds": float("inf")}
        del transformer


def markdown(rows: list[dict[str, Any]], rank: int) -> str:
    """The table."""
    columns = ["base", "width x height x frames", "tokens", "checkpointing", "peak memory, GiB", "s a step"]
    lines = []
    for row in rows:
        fits = row["gib"] != float("inf")
        numbers = [f"{row['gib']:.1f}", f"{row['seconds']:.2f}"] if fits else ["out of memory", ""]
        lines.append(
            [row["base"], row["bucket"], f"{row['tokens']:,}", "yes" if row["checkpointing"] else "no", *numbers]
        )
    return f"{as_table(columns, lines)}\n\nOne clip a step, LoRA of rank {rank}, bfloat16, random weights.\n"


def main(
    steps: Annotated[int, typer.Option(min=1, help="Steps of each measurement")] = 5,
    output: Annotated[Path, typer.Option(help="File of the results")] = Path("reports/bench/gpu.json"),
    write: Write = False,
) -> None:
    """Measure the training of large bases on this GPU, and show the table."""
    if not torch.cuda.is_available():
        raise UserError("there is no GPU here (torch.cuda.is_available() is False); run this on a machine with one")
    page = page_of("gpu", write)
    settings = load_params().adapted_video
    rows = list(measured(settings, steps, torch.device("cuda")))
    properties = torch.cuda.get_device_properties(0)
    card = {"name": properties.name, "gib": properties.total_memory / 2**30}
    finite = [{name: None if value == float("inf") else value for name, value in row.items()} for row in rows]
    write_json(output, {"card": card, "rows": finite})
    show("gpu", f"{markdown(rows, settings.rank)}\n{card['name']}, {card['gib']:.0f} GiB.\n", page)


if __name__ == "__main__":
    run_command(main)
