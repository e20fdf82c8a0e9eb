"""Feature extractors of the scores, with the preprocessing of their publications.

Networks from the user's files are here; those of `transformers` are in :mod:`sketch2video.scoring.pretrained`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sketch2video.errors import UserError
from sketch2video.files import sha256_of_file
from sketch2video.judges.shipped import WEIGHTS, judge_path, load_judge
from sketch2video.judges.trained.description import read_description
from sketch2video.judges.trained.video_judge import load_trained_judge
from sketch2video.media.codec import read_clip, read_excerpt
from sketch2video.networks.precision import device_name
from sketch2video.scoring import c3d, i3d
from sketch2video.scoring.features import Extractor, Protocol
from sketch2video.scoring.resizing import RESIZES

FVD_RESIZES = ("tensorflow", "short_side_crop", "straight")
IS_VARIANTS = {"tgan": ("bicubic", 128), "tganv2": ("corners", c3d.SIZE)}
"""Resizing in the code of the two papers; see also :func:`sketch2video.scoring.c3d.less_the_mean`."""

JUDGE_SIZE = 64


def i3d_extractor(
    weights: Path | str, frames: int = 16, sampling: str = "first", stride: int = 1, resize: str = "tensorflow"
) -> Extractor:
    """I3D's logits for FVD and KVD (Unterthiner et al. 2018), from frames in [-1, 1].

    Args:
        weights: see :func:`sketch2video.scoring.i3d.load_i3d`.
        frames: T, at least 10.
        sampling, stride: sampling of frames.
        resize: "tensorflow" (the reference), "short_side_crop" or "straight".

    Raises:
        UserError: an argument is out of its range, or the weights cannot be used.
    """
    if frames < i3d.LEAST_FRAMES:
        raise UserError(f"I3D needs at least {i3d.LEAST_FRAMES} frames a video, not {frames}; choose more frames")
    if resize not in FVD_RESIZES:
        raise UserError(f"resize {resize} is not known for FVD; it is one of {', '.join(FVD_RESIZES)}")
    network = i3d.load_i3d(weights).to(device_name())

    def logits(videos: Tensor) -> Tensor:
        return network(videos.to(device_name()).movedim(-1, 1) * (2 / 255) - 1)

    protocol = Protocol(
        "i3d", sha256_of_file(weights), frames, sampling, stride, resize, i3d.SIZE, "400 logits, mean over time"
    )
    return Extractor(protocol, reader(protocol), logits)


def c3d_extractor(weights: Path | str, mean: Path | str, variant: str = "tgan", sampling: str = "first") -> Extractor:
    """C3D's probabilities of UCF-101's classes for the inception score, from 16 frames.

    Args:
        weights: see :func:`sketch2video.scoring.c3d.load_c3d`.
        mean: see :func:`sketch2video.scoring.c3d.load_mean_clip`.
        variant: "tgan" (Saito et al. 2017) or "tganv2" (Saito et al. 2020, "Train Sparsely, Generate Densely").
        sampling: sampling of frames.

    Raises:
        UserError: the variant is unknown, or a file cannot be used.
    """
    if variant not in IS_VARIANTS:
        raise UserError(f"IS variant {variant} is not known; it is {' or '.join(IS_VARIANTS)}")
    network, subtracted = c3d.load_c3d(weights).to(device_name()), c3d.load_mean_clip(mean).to(device_name())

    def probabilities(videos: Tensor) -> Tensor:
        frames = videos.to(device_name()).movedim(-1, 2)
        return c3d.probabilities(network, c3d.less_the_mean(frames, subtracted, variant))

    resize, size = IS_VARIANTS[variant]
    protocol = Protocol(
        f"c3d ({variant})",
        sha256_of_file(weights),
        c3d.FRAMES,
        sampling,
        1,
        resize,
        size,
        "101 probabilities",
        sha256_of_file(mean),
    )
    return Extractor(protocol, reader(protocol), probabilities)


def embedded_extractor(frames: int = 16) -> Extractor:
    """The features of the embedded judge, from T frames of 64 × 64 spread over the whole video."""
    judge = load_judge("video").to(device_name())
    weights = sha256_of_file(judge_path("video") / WEIGHTS)
    protocol = Protocol("embedded", weights, frames, "spread", 1, "middle_square", JUDGE_SIZE, "features of its heads")

    def read(path: Path) -> np.ndarray:
        return read_clip(path, frames, JUDGE_SIZE, min_frames=2).frames

    def features(videos: Tensor) -> Tensor:
        return judge(videos.to(device_name()).movedim(-1, 2).float() / 255)[1]

    return Extractor(protocol, read, features, batch=16)


def label_extractor(folder: Path) -> tuple[Extractor, dict[str, list[str]]]:
    """The words that a judge trained for labels finds, from its frames spread over the whole video.

    Args:
        folder: output of the stage ``train_judge``.

    Returns:
        The extractor, whose features are the index of the word of each usable label, and these labels' words.

    Raises:
        UserError: the folder holds no judge, a damaged one, or one that is reliable for no label.
    """
    about = read_description(folder)
    if not about.usable:
        raise UserError(
            f"{folder} holds no judge that is reliable for a label ({about.reason or about.name}); name another one"
        )
    judge = load_trained_judge(folder, about).to(device_name())
    words = {label: list(judge.vocabulary[label]) for label in about.usable}
    frames, size = judge.config.frames, judge.config.size
    output = f"words of {', '.join(words)}"
    protocol = Protocol("judge", sha256_of_file(folder / WEIGHTS), frames, "spread", 1, "middle_square", size, output)

    def read(path: Path) -> np.ndarray:
        return read_clip(path, frames, size, min_frames=2).frames

    def found(videos: Tensor) -> Tensor:
        logits = judge(videos.to(device_name()).movedim(-1, 2).float() / 255)[0]
        return torch.stack([logits[label].argmax(1) for label in words], 1)

    return Extractor(protocol, read, found, batch=16), words


def reader(protocol: Protocol) -> Callable[[Path], np.ndarray]:
    """A function that reads a file by a protocol: (T, S, S, 3) in [0, 255]."""
    resize = RESIZES[protocol.resize]

    def read(path: Path) -> np.ndarray:
        return read_excerpt(
            path, protocol.frames, protocol.sampling, protocol.stride, lambda picture: resize(picture, protocol.size)
        )

    return read
