"""Sizes and lengths of training clips: each clip goes to the one that fits it best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sketch2video.bases.base import Base
from sketch2video.errors import UserError


@dataclass(frozen=True)
class Bucket:
    """Clips of one size and length, which can be in one batch.

    Attributes:
        width, height: px.
        frames: T.
    """

    width: int
    height: int
    frames: int

    @property
    def name(self) -> str:
        """Such as ``832x480x49``: width, height, frames."""
        return f"{self.width}x{self.height}x{self.frames}"

    def seconds(self, fps: float) -> float:
        """Time from the first to the last frame."""
        return (self.frames - 1) / fps


def parse_buckets(texts: Sequence[str], base: Base) -> list[Bucket]:
    """Buckets from the names of the parameters.

    Args:
        texts: such as ``832x480x49``.
        base: whose sizes and lengths they must have.

    Raises:
        UserError: a base cannot generate such videos; the message names the nearest possible bucket.
    """
    return [checked(Bucket(*map(int, text.split("x"))), base, f"adapted_video.buckets: {text}") for text in texts]


def checked(bucket: Bucket, base: Base, what: str) -> Bucket:
    """The bucket, if a base has videos of its size and length.

    Args:
        bucket: the bucket.
        base: the base.
        what: the bucket, in the message.

    Raises:
        UserError: it has not.
    """
    side, step = base.side_step, base.frame_step
    possible = Bucket(
        max(side, bucket.width // side * side),
        max(side, bucket.height // side * side),
        max(1, base.frames_of(bucket.frames)),
    )
    if possible != bucket:
        raise UserError(
            f"{what} is no video of {base.title}, whose sides are multiples of {side} px and whose frames are"
            f" {step}n + 1; take {possible.name}"
        )
    return bucket


def best_bucket(buckets: Sequence[Bucket], width: int, height: int, seconds: float, fps: float) -> Bucket:
    """The bucket for a video: the one nearest in shape, and of these the longest one that the video fills.

    If the video fills none, the shortest one.

    Args:
        buckets: at least one.
        width, height: of the video.
        seconds: time from its first to its last frame.
        fps: of the clips.
    """

    def shape_error(bucket: Bucket) -> float:
        return abs(math.log(bucket.width / bucket.height) - math.log(width / height))

    nearest = min(map(shape_error, buckets))
    alike = sorted((b for b in buckets if shape_error(b) < nearest + 1e-9), key=lambda bucket: bucket.frames)
    filled = [bucket for bucket in alike if bucket.seconds(fps) <= seconds + 0.5 / fps]
    return filled[-1] if filled else alike[0]
