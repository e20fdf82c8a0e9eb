"""Features of sets of videos: made once for a video and a protocol, kept on disk, compared where protocols agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from sketch2video.code import code_digest
from sketch2video.errors import UserError
from sketch2video.files import replacing, sha256_of_file, sha256_of_value, write_json
from sketch2video.media.containers import RejectedVideo


@dataclass(frozen=True)
class Protocol:
    """All that a feature depends on besides the video; scores compare where every field is the same.

    Attributes:
        extractor: the network.
        weights: SHA-256 of its weights.
        frames: T.
        sampling: which frames: "first" or "spread" (:func:`sketch2video.media.codec.read_excerpt`).
        stride: one frame in so many, for "first".
        resize: by its name in :mod:`sketch2video.scoring.resizing`.
        size: side of the frames that the network sees, pixels.
        output: what the features are.
        mean: SHA-256 of the mean that is subtracted; empty where the network knows what to subtract.
    """

    extractor: str
    weights: str
    frames: int
    sampling: str
    stride: int
    resize: str
    size: int
    output: str
    mean: str = ""


@dataclass(frozen=True)
class Extractor:
    """A network with the way to show videos to it.

    Attributes:
        protocol: what its features depend on.
        read: makes of a video file what the network gets, one array a video.
        network: (N, ...) of these to (N, D) features.
        batch: videos at a time.
    """

    protocol: Protocol
    read: Callable[[Path], np.ndarray]
    network: Callable[[Tensor], Tensor]
    batch: int = 4


@dataclass(frozen=True)
class Video:
    """A video of a set, with the caption that its CSV gives."""

    path: Path
    caption: str | None = None


@dataclass(frozen=True)
class FeatureSet:
    """Features of the usable videos of a set.

    Attributes:
        protocol: how they were made.
        features: float32 (N, D), a memory map.
        videos: the N videos.
        hashes: SHA-256 of each.
        left_out: videos that cannot be used, with the reason.
    """

    protocol: Protocol
    features: np.ndarray
    videos: list[Video]
    hashes: list[str]
    left_out: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.hashes)


def extract(extractor: Extractor, videos: Sequence[Video], cache: Path, title: str = "videos") -> FeatureSet:
    """Features of videos, from the cache where they are known.

    The cache is keyed by the video's content, the protocol and the code that makes features. No more than a batch of
    videos is in memory.

    Args:
        extractor: the network.
        videos: in the order of the rows.
        cache: a folder; it may be deleted at any time.
        title: of the progress bar.

    Raises:
        UserError: none of the videos can be used.
    """
    code = code_digest(Path(__file__).with_name("pretrained.py"))  # which imports all extractors
    folder = cache / sha256_of_value([asdict(extractor.protocol), code])[:16]
    write_json(folder / "protocol.json", asdict(extractor.protocol))
    known: list[tuple[Video, str]] = []
    left_out: dict[str, str] = {}
    waiting: list[tuple[Path, np.ndarray]] = []
    for video in tqdm(videos, desc=f"{extractor.protocol.extractor}: {title}", unit="video"):
        try:
            digest = sha256_of_file(video.path) if video.path.is_file() else ""
            kept = folder / "videos" / f"{digest}.npy"
            if not kept.exists():
                waiting.append((kept, extractor.read(video.path)))
        except RejectedVideo as error:
            left_out[str(video.path)] = error.reason
            continue
        except OSError as error:
            left_out[str(video.path)] = f"cannot be read ({error.strerror})"
            continue
        known.append((video, digest))
        if len(waiting) == extractor.batch:
            _look(extractor, waiting)
            waiting = []
    if waiting:
        _look(extractor, waiting)
    if not known:
        path, reason = next(iter(left_out.items()))
        raise UserError(f"none of the {len(videos)} videos ({title}) can be used; the first, {path}, {reason}")
    hashes = [digest for _, digest in known]
    return FeatureSet(extractor.protocol, _gathered(folder, hashes), [v for v, _ in known], hashes, left_out)


def refuse_other_protocol(a: Protocol, b: Protocol) -> None:
    """Refuse to compare features that were not made alike.

    Raises:
        UserError: a field differs; the message names each with both values.
    """
    mine, other = asdict(a), asdict(b)
    differing = [f"{name} ({mine[name]} and {other[name]})" for name in mine if mine[name] != other[name]]
    if differing:
        raise UserError(f"the two sets differ in {', '.join(differing)}; extract both with one protocol")


def _look(extractor: Extractor, waiting: list[tuple[Path, np.ndarray]]) -> None:
    # Convolutions in TF32 would make features depend on the device.
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        seen = extractor.network(torch.from_numpy(np.stack([frames for _, frames in waiting])))
    features = seen.float().cpu().numpy()
    if not np.isfinite(features).all():
        raise UserError(f"{extractor.protocol.extractor} gives numbers that are not finite; check its weights")
    for (path, _), row in zip(waiting, features, strict=True):
        with replacing(path) as partial:
            np.save(partial, row)


def _gathered(folder: Path, hashes: list[str]) -> np.ndarray:
    """One matrix on disk for a set, so that passes over it read one file."""
    path = folder / "sets" / f"{sha256_of_value(hashes)[:32]}.npy"
    if not path.exists():
        width = len(np.load(folder / "videos" / f"{hashes[0]}.npy"))
        with replacing(path) as partial:
            matrix = np.lib.format.open_memmap(partial, "w+", np.float32, (len(hashes), width))
            for row, digest in enumerate(hashes):
                matrix[row] = np.load(folder / "videos" / f"{digest}.npy")
            matrix.flush()
    return np.load(path, mmap_mode="r")
