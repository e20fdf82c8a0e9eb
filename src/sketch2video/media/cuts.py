"""Streaming detection of hard cuts in a video."""

from __future__ import annotations

import av
import numpy as np
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from sketch2video.media.colour import rgb_of

SIDE = 64
"""Frames are compared at this size, in px: a cut changes large areas."""

THRESHOLD = 27.0
"""Mean change of hue, saturation and value, of 255, that makes a cut: PySceneDetect's default."""


class CutFinder:
    """Detects for each frame of a video, in order, whether it starts a new shot.

    It is PySceneDetect's content detector, which compares neighbouring frames in HSV, without a minimum length of
    shots.
    """

    def __init__(self) -> None:
        self._detector = ContentDetector(threshold=THRESHOLD, min_scene_len=0)
        self._count = 0

    def __call__(self, frame: av.VideoFrame) -> bool:
        """Whether there is a cut between the frame before and this one."""
        small = np.ascontiguousarray(rgb_of(frame, SIDE, SIDE)[..., ::-1])
        found = self._detector.process_frame(FrameTimecode(self._count, 25.0), small)  # the rate is not used
        self._count += 1
        return bool(found)
