"""Features of sets of videos: computed once for each video and protocol, and cached on disk."""

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
    """Everything that determines a feature except the video; scores are comparable if all fields are equal.

    Attributes:
        extractor: name of the network.
        weights: SHA-256 of its weights.
        frames: T.
        sampling: sampling of frames, "first" or "spread" (:func:`sketch2video.media.codec.read_excerpt`).
        stride: distance of successive frames, for "first".
        resize: name of the resizing in :mod:`sketch2video.scoring.resizing`.
        size: side of the network's input, pixels.
        output: description of the features.
        mean: SHA-256 of the mean that is subtracted; empty if there is no file of it.
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
    """A network with its preprocessing of videos.

    Attributes:
        protocol: protocol of the features.
        read: from a video file to the network's input, one array for each video.
        network: from inputs (N, ...) to features (N, D).
        batch: number of videos in a batch.
        paired: whether ``read`` receives a video's control as a second argument, if it has one.
        code: further files whose code decides on the features.
    """

    protocol: Protocol
    read: Callable[..., np.ndarray]
    network: Callable[[Tensor], Tensor]
    batch: int = 4
    paired: bool = False
    code: tuple[Path, ...] = ()

    def files(self, video: Video) -> list[Path]:
        """The files of a video that the features depend on, arguments of ``read``."""
        return [video.path, *([video.control] if self.paired and video.control else [])]


@dataclass(frozen=True)
class Video:
    """A video of a set, with its caption, labels and control if the set has them.

    Attributes:
        path: the file.
        caption: the caption.
        labels: pairs of a column, ``label`` or ``label.<name>``, and the word.
        control: the drawing or other control video that belongs to it frame by frame.
    """

    path: Path
    caption: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    control: Path | None = None


@dataclass(frozen=True)
class FeatureSet:
    """Features of the usable videos of a set.

    Attributes:
        protocol: protocol of the features.
        features: float32 (N, D), a memory map.
        videos: the N videos.
        hashes: SHA-256 of each video.
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
    """Features of videos, from the cache if they exist there.

    The key of the cache is the content of the video, and of its control if that is read, the protocol and the code of
    the extractors. At most one batch of videos is in memory.

    Args:
        extractor: the network.
        videos: videos in the order of the rows.
        cache: folder of the cache, which may be deleted at any time.
        title: title of the progress bar.

    Raises:
        UserError: none of the videos can be used.
    """
    # pretrained.py imports all extractors that are networks.
    code = code_digest(Path(__file__).with_name("pretrained.py"), *extractor.code)
    folder = cache / sha256_of_value([asdict(extractor.protocol), code])[:16]
    write_json(folder / "protocol.json", asdict(extractor.protocol))
    known: list[tuple[Video, str]] = []
    left_out: dict[str, str] = {}
    waiting: list[tuple[Path, np.ndarray]] = []
    for video in tqdm(videos, desc=f"{extractor.protocol.extractor}: {title}", unit="video"):
        try:
            files = extractor.files(video)
            digests = [sha256_of_file(file) if file.is_file() else "" for file in files]
            digest = digests[0] if len(digests) == 1 else sha256_of_value(digests)
            kept = folder / "videos" / f"{digest}.npy"
            if not kept.exists():
                waiting.append((kept, extractor.read(*files)))
        except RejectedVideo as error:
            left_out[str(video.path)] = error.reason
            continue
        except OSError as error:
            left_out[str(video.path)] = f"cannot be read ({error.strerror})"
            continue
        known.append((video, digest))
        if len(waiting) == extractor.batch:
            _compute(extractor, waiting)
            waiting = []
    if waiting:
        _compute(extractor, waiting)
    if not known:
        path, reason = next(iter(left_out.items()))
        raise UserError(f"none of the {len(videos)} videos ({title}) can be used; the first, {path}, {reason}")
    hashes = [digest for _, digest in known]
    return FeatureSet(extractor.protocol, _gathered(folder, hashes), [v for v, _ in known], hashes, left_out)


def refuse_other_protocol(a: Protocol, b: Protocol) -> None:
    """Check that the features of two sets are comparable.

    Raises:
        UserError: the protocols differ; the message names each differing field with both values.
    """
    mine, other = asdict(a), asdict(b)
    differing = [f"{name} ({mine[name]} and {other[name]})" for name in mine if mine[name] != other[name]]
    if differing:
        raise UserError(f"the two sets differ in {', '.join(differing)}; extract both with one protocol")


def _compute(extractor: Extractor, waiting: list[tuple[Path, np.ndarray]]) -> None:
    # Convolutions in TF32 would make features depend on the device.
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        output = extractor.network(torch.from_numpy(np.stack([frames for _, frames in waiting])))
    features = output.float().cpu().numpy()
    if not np.isfinite(features).all():
        raise UserError(f"{extractor.protocol.extractor} gives numbers that are not finite; check its weights")
    for (path, _), row in zip(waiting, features, strict=True):
        with replacing(path) as partial:
            np.save(partial, row)


def _gathered(folder: Path, hashes: list[str]) -> np.ndarray:
    """One matrix on disk for a set, so that it is read from one file."""
    path = folder / "sets" / f"{sha256_of_value(hashes)[:32]}.npy"
    if not path.exists():
        width = len(np.load(folder / "videos" / f"{hashes[0]}.npy"))
        with replacing(path) as partial:
            matrix = np.lib.format.open_memmap(partial, "w+", np.float32, (len(hashes), width))
            for row, digest in enumerate(hashes):
                matrix[row] = np.load(folder / "videos" / f"{digest}.npy")
            matrix.flush()
    return np.load(path, mmap_mode="r")
