"""The spectrum of latents along time and of the noise in a sampling: ``python -m benchmarks.spectrum``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib.figure import Figure

from benchmarks.command import run as run_command
from sketch2video.diffusion.objectives import find_objective
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.files import replacing
from sketch2video.networks.loading import load_frozen


def main(
    model: Annotated[Path, typer.Argument(help="Folder of a video LDM")] = Path("models/sketch_ldm/video_ldm"),
    steps: Annotated[int, typer.Option(min=1, help="Steps of the sampling")] = 8,
    output: Annotated[Path, typer.Option(help="The picture")] = Path("reports/bench/spectrum.png"),
) -> None:
    """Plot the ratio of signal to noise at the times of a sampling, for white noise and for that of the model."""
    network = load_frozen(VideoTransformer, model, "train_video_ldm")
    config, signal = network.config, np.array(network.spectrum.deviations)
    times = find_objective(config.objective, config.time_shift).sampling_times(steps)
    cycles = np.arange(len(signal)) / 2
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, *right = figure.subplots(1, 3)
    left.semilogy(cycles, signal, "ko-", label="latents of the training clips")
    left.semilogy(cycles, signal**config.whitening, "C0-", label=f"noise, exponent {config.whitening:g}")
    left.axhline(1.0, color="C1", label="white noise")
    left.set(ylabel="standard deviation", title="spectrum along time")
    left.legend(fontsize=7)
    for axis, exponent, name in zip(right, (0.0, config.whitening), ("white noise", "this noise"), strict=True):
        for index, time in enumerate(times):
            ratio = (1 - time) / max(time, 1e-3) * signal ** (1 - exponent)
            axis.semilogy(cycles, np.maximum(ratio, 1e-4), color=f"{0.8 * (1 - index / len(times)):.2f}")
        axis.axhline(1.0, color="r", lw=0.7)
        axis.set(ylim=(1e-3, 30), title=f"signal / noise, {name}, steps 1 to {steps}")
    for axis in (left, *right):
        axis.set(xlabel="cycles an action")
        axis.title.set_fontsize(8)
    with replacing(output) as partial:
        figure.savefig(partial, dpi=110, format="png")
    print(f"written to {output}")


if __name__ == "__main__":
    run_command(main)
