"""Training of the frozen judges on synthetic scenes with corruptions that resemble the faults of generated clips.

The scenes have every combination of shape, colour and motion: otherwise a judge would learn that the combinations that
the generator's training lacks do not exist. Their seeds are not used by ingest, so that no judged clip is a training
clip. Batch k is a function of (seed, k) alone: the same command gives the same judge on the same machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from sketch2video.curves import fit_curves
from sketch2video.curves.equation.sequence import cosines
from sketch2video.judges.faithfulness import faithfulness
from sketch2video.judges.label_judge_scenes import JUDGE_STREAM
from sketch2video.judges.scenes_judge import Judge
from sketch2video.judges.verdict import ATTRIBUTES, judge_clips, spread_of_features
from sketch2video.params import TrainingParams
from sketch2video.scenes.fixed_point import FRACTION_BITS, fixed_point
from sketch2video.scenes.synthetic import Combination, combinations, render_scene, sample_scene
from sketch2video.sketches import extract_sketches
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train

TRAINING = TrainingParams(
    steps=500,
    batch_size=24,
    learning_rate=4e-3,
    warmup_steps=50,
    weight_decay=0.02,
    gradient_clip=1.0,
    gradient_accumulation=1,
    ema_decay=0.98,
    checkpoint_every=100,
    preview_every=0,
)
"""Not in params.yaml: scores of different users are comparable only with the same judge."""


TRAINING_FRAMES = 6
"""Frames of a training clip: enough to distinguish movements, with a third of the computation."""

SIZE = 64


class Sample(NamedTuple):
    """One training clip: (T, S, S[, 3]) uint8, the object's mask (T, S, S) uint8 in {0, 1}, its attributes."""

    clip: np.ndarray
    mask: np.ndarray
    what: Combination


def video_sample(rng: np.random.Generator, what: Combination, size: int, frames: int) -> Sample:
    """A scene with corruptions like those of generated clips, weak enough that its labels remain true."""
    scene = sample_scene(rng, [what], moving_background=bool(rng.random() < 0.3))
    rendered = render_scene(scene, size, frames)
    clip, mask, what = _mirrored(rng, rendered.frames, rendered.masks, what)
    clip = clip.astype(np.float32)
    if rng.random() < 0.3:
        clip = _moved_unsteadily(rng, clip)
    if rng.random() < 0.3:
        clip = _ghosted(rng, clip)
    if rng.random() < 0.6:
        clip = _blurred(rng, clip)
    if rng.random() < 0.3:
        clip = _with_holes(rng, clip)
    if rng.random() < 0.5:
        clip = _in_other_light(rng, clip)
    if rng.random() < 0.5:
        still = rng.normal(0, rng.uniform(0, 10), clip.shape[1:])
        clip = clip + still + rng.normal(0, rng.uniform(0, 10), clip.shape)
    clip = np.clip(clip, 0, 255).round().astype(np.uint8)
    if rng.random() < 0.4:
        clip = _compressed(rng, clip)
    return Sample(clip, mask, what)


def sketch_sample(rng: np.random.Generator, what: Combination, size: int, frames: int) -> Sample:
    """A drawing of a scene: its fitted curves, the extractor's lines, or its true outline with distortions."""
    if rng.random() < 0.2:
        rendered = render_scene(sample_scene(rng, [what]), size, frames)
        ink = extract_sketches(rendered.frames)
        if rng.random() < 0.7:
            ink = fit_curves(ink).render(size, size)
        return Sample(*_mirrored(rng, ink, rendered.masks, what))
    scene = sample_scene(rng, [what])
    harmonics = int(np.exp(rng.uniform(math.log(8), math.log(64))))
    bend = rng.uniform(0, 0.012) * _smooth_noise(rng)
    shake = rng.uniform(0, 0.006)
    thickness = 2 if rng.random() < 0.2 else 1
    line = cv2.LINE_8 if rng.random() < 0.3 else cv2.LINE_AA
    start = int(rng.integers(128)) if rng.random() < 0.5 else 0
    gap = int(rng.integers(2, 16)) if rng.random() < 0.3 else 0
    ink, mask = np.zeros((2, frames, size, size), np.uint8)
    for t in range(frames):
        outline = scene.objects[0].outline(t / (frames - 1))
        cv2.fillPoly(mask[t], [fixed_point(outline, size)], 1, cv2.LINE_8, FRACTION_BITS)
        outline = np.roll(outline, start, axis=0)
        drawn = _as_cosine_series(np.concatenate([outline, outline[:1]]), harmonics)
        drawn += bend + shake * _smooth_noise(rng)
        _draw(ink[t], drawn[: len(drawn) - gap], thickness, line)
        for _ in range(int(rng.poisson(0.15))):
            _draw(ink[t], _stray_line(rng), thickness, line)
    ink, mask, what = _mirrored(rng, ink, mask, what)
    if rng.random() < 0.3:
        sigma = rng.uniform(0.3, 0.7)
        ink = np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in ink])
    return Sample(ink, mask, what)


def clean_video_sample(rng: np.random.Generator, what: Combination, size: int, frames: int) -> Sample:
    """A scene as ingest renders it."""
    rendered = render_scene(sample_scene(rng, [what]), size, frames)
    return Sample(rendered.frames, rendered.masks, what)


def clean_sketch_sample(rng: np.random.Generator, what: Combination, size: int, frames: int) -> Sample:
    """A rendering of the curves that the data stages fit to a scene."""
    clip, mask, what = clean_video_sample(rng, what, size, frames)
    return Sample(fit_curves(extract_sketches(clip)).render(size, size), mask, what)


MAKERS = {
    "video": video_sample,
    "sketch": sketch_sample,
    "clean video": clean_video_sample,
    "clean sketch": clean_sketch_sample,
}


def _mirrored(
    rng: np.random.Generator, clip: np.ndarray, mask: np.ndarray, what: Combination
) -> tuple[np.ndarray, np.ndarray, Combination]:
    """A horizontal flip with probability 1/2, which swaps left and right; every shape is symmetric."""
    if rng.random() < 0.5:
        return clip, mask, what
    other = {"left to right": "right to left", "right to left": "left to right"}
    return clip[:, :, ::-1], mask[:, :, ::-1], what._replace(motion=other.get(what.motion, what.motion))


def _blurred(rng: np.random.Generator, clip: np.ndarray) -> np.ndarray:
    sigma = rng.uniform(0.3, 1.4)
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in clip])


def _ghosted(rng: np.random.Generator, clip: np.ndarray) -> np.ndarray:
    """Each frame keeps a trace of the one before it."""
    trace = rng.uniform(0, 0.35)
    return (1 - trace) * clip + trace * np.concatenate([clip[:1], clip[:-1]])


def _moved_unsteadily(rng: np.random.Generator, clip: np.ndarray) -> np.ndarray:
    """Frames shifted by a pixel or two, some of them repeated."""
    moves = rng.normal(0, rng.uniform(0, 0.02) * clip.shape[1], (len(clip), 2))
    size = clip.shape[2], clip.shape[1]
    order = np.arange(len(clip))
    repeated = (rng.random(len(clip)) < 0.15) & (order > 0)
    order[repeated] -= 1
    return np.stack(
        [
            cv2.warpAffine(clip[i], np.array([[1, 0, x], [0, 1, y]]), size, borderMode=cv2.BORDER_REPLICATE)
            for i, (x, y) in zip(order, moves, strict=True)
        ]
    )


def _with_holes(rng: np.random.Generator, clip: np.ndarray) -> np.ndarray:
    """Small soft patches of the frame's mean colour, static or flickering."""
    size = clip.shape[1]
    clip = clip.copy()
    flickering = rng.random() < 0.5
    for _ in range(int(rng.integers(1, 4))):
        for t, frame in enumerate(clip):
            if t == 0 or flickering:
                hole = np.zeros((size, size), np.float32)
                centre = tuple(int(c) for c in rng.uniform(0.15, 0.85, 2) * size)
                cv2.circle(hole, centre, max(1, int(rng.uniform(0.02, 0.07) * size)), 1.0, -1)
                soft = cv2.GaussianBlur(hole, (0, 0), size / 64)[..., None]
            frame += soft * (frame.mean((0, 1)) - frame)
    return clip


def _in_other_light(rng: np.random.Generator, clip: np.ndarray) -> np.ndarray:
    """Change brightness, contrast and saturation; the hue keeps its word."""
    grey = clip.mean(-1, keepdims=True)
    clip = grey + rng.uniform(0.7, 1.2) * (clip - grey)
    flicker = rng.normal(0, rng.uniform(0, 6), (len(clip), 1, 1, 1))
    return (clip - 128) * rng.uniform(0.75, 1.2) + 128 + rng.uniform(-25, 25) + flicker


def _compressed(rng: np.random.Generator, clip: np.ndarray) -> np.ndarray:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 90))]
    # OpenCV uses BGR.
    coded = [cv2.imencode(".jpg", frame[..., ::-1], quality)[1] for frame in clip]
    return np.stack([np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1] for data in coded])


def _smooth_noise(rng: np.random.Generator) -> np.ndarray:
    """Smooth noise along a curve of 129 points, from its first harmonics, of standard deviation 1: (129, 2)."""
    noise = cosines(129, 12)[:, 1:] @ rng.normal(size=(11, 2))
    return noise / noise.std()


def _as_cosine_series(points: np.ndarray, harmonics: int) -> np.ndarray:
    """Least-squares approximation of a curve (P, 2) by a cosine series, at the same pen positions."""
    basis = cosines(len(points), harmonics)
    return basis @ np.linalg.lstsq(basis, points, rcond=None)[0]


def _stray_line(rng: np.random.Generator) -> np.ndarray:
    start = rng.uniform(0, 1, 2)
    return start + np.linspace(0, 1, 8)[:, None] * rng.normal(0, 0.1, 2)


def _draw(ink: np.ndarray, points: np.ndarray, thickness: int, line: int) -> None:
    cv2.polylines(ink, [fixed_point(points, len(ink))], False, 255, thickness, line, FRACTION_BITS)


class JudgeScenes:
    """A :class:`~sketch2video.data.clips.datasets.Dataset` of generated clips, sample i from (seed, i) alone.

    Args:
        kind: a key of ``MAKERS``.
        number: number of samples; every combination is equally frequent.
        size: side of the frames, pixels.
        frames: number of frames of a clip.
        seed: random seed, used with ``JUDGE_STREAM``.
    """

    def __init__(self, kind: str, number: int, size: int, frames: int, seed: int) -> None:
        self.make = MAKERS[kind]
        self.number, self.size, self.frames, self.seed = number, size, frames, seed

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> Sample:
        every = combinations()
        rng = np.random.default_rng([JUDGE_STREAM, self.seed, index])
        return self.make(rng, every[index % len(every)], self.size, self.frames)

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """``clips`` (N, T, C, S, S) uint8, ``masks`` (N, T, S, S) uint8, and each attribute's words (N,) int64."""
        samples = [self[i] for i in indices]
        clips = np.stack([s.clip for s in samples])
        clips = clips[:, :, None] if clips.ndim == 4 else np.moveaxis(clips, -1, 2)
        words = {
            name: torch.tensor([words.index(getattr(s.what, name)) for s in samples])
            for name, words in ATTRIBUTES.items()
        }
        masks = np.stack([s.mask > 0 for s in samples]).astype(np.uint8)
        return {"clips": torch.from_numpy(np.ascontiguousarray(clips)), "masks": torch.from_numpy(masks), **words}


class JudgeTask(Task):
    """Training of a judge: cross-entropy of every attribute, and of the mask against the object's true mask.

    Args:
        judge: the judge.
        spoilt, clean: held-out clips, corrupted like the training clips, and not.
    """

    def __init__(self, judge: Judge, spoilt: JudgeScenes, clean: JudgeScenes) -> None:
        super().__init__(judge)
        self.judge, self.spoilt, self.clean = judge, spoilt, clean

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :class:`~sketch2video.training.loop.Task`."""
        logits, _, mask_logits = self.judge(batch["clips"].float() / 255)
        terms = {name: F.cross_entropy(logits[name].float(), batch[name]) for name in logits}
        true_masks = F.adaptive_avg_pool2d(batch["masks"].float(), mask_logits.shape[-1])
        terms["mask"] = F.binary_cross_entropy_with_logits(mask_logits, true_masks)
        return torch.stack(list(terms.values())).sum(), {name: term.detach() for name, term in terms.items()}

    def metrics(self) -> dict[str, float]:
        """Accuracy on the corrupted and on the clean clips, for each attribute and for all at once."""
        return _accuracies(self.judge, self.spoilt, "spoilt") | _accuracies(self.judge, self.clean, "clean")

    def scale_features(self) -> None:
        """Scale the judge's features to unit standard deviation over the clean clips."""
        clips = np.stack([self.clean[i].clip for i in range(len(self.clean))])
        self.judge.feature_scale.mul_(spread_of_features(judge_clips(self.judge, clips)).to(self.judge.device))


def _accuracies(judge: Judge, scenes: JudgeScenes, name: str) -> dict[str, float]:
    samples = [scenes[i] for i in range(len(scenes))]
    requested = pd.DataFrame([sample.what for sample in samples])
    shares = faithfulness(judge_clips(judge, np.stack([sample.clip for sample in samples])), requested)
    return {f"accuracy_{name}_{attribute}": share.value for attribute, share in shares.items()}


def train_judge(kind: str, *, checkpoint_folder: Path, logger: RunLogger, seed: int = 0) -> tuple[Judge, TrainResult]:
    """Train a judge of a kind, "video" or "sketch", from scratch; see :func:`~sketch2video.training.loop.train`."""
    torch.manual_seed(seed)
    attributes = list(ATTRIBUTES) if kind == "video" else ["shape", "motion"]
    judge = Judge(channels=3 if kind == "video" else 1, attributes=attributes, size=SIZE)
    judge = judge.to(memory_format=torch.channels_last)
    scenes = JudgeScenes(kind, TRAINING.steps * TRAINING.batch_size, SIZE, TRAINING_FRAMES, seed)
    unseen = (JudgeScenes(name, 432, SIZE, 16, seed + 1) for name in (kind, f"clean {kind}"))
    task = JudgeTask(judge, *unseen)
    result = train(
        task, scenes, TRAINING, name=f"{kind} judge", checkpoint_folder=checkpoint_folder, seed=seed, logger=logger
    )
    task.scale_features()
    return judge, result
