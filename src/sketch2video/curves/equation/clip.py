"""One equation for a whole clip: strokes as sums of products of functions of pen position and of time.

A clip lasts from 0 to 1. Stroke s lives from its birth b to its death d; with the pen at u in [0, 1], it is::

    x_s(u, t) = sum_m sum_k a_{s,m,k} cos(k pi u) f_m(t)        k = 0 ... K_m - 1,   m = 0 ... M - 1
    f_0(t) = 1,   f_1(t) = t,   f_m(t) = sin((m - 1) pi t)      t = (time - b) / (d - b)

and y_s likewise: constant motion from the birth to the death, and a Fourier sine series of the rest, which is zero at
both. With the linear function the series converges as m^-3 for smooth motion (a cosine series: m^-2, since all its
derivatives vanish at birth and death), and the values at the middles of frames remain well-conditioned.

The series is truncated at K_m pen harmonics for time function m, K_0 >= K_1 >= ..., so kept coefficients need no
positions. A stroke is 2 sum_m K_m coefficients, M limits K_m, M itself, its birth and its death; all of these are
counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sketch2video.curves.equation.sequence import CurveSequence


def time_functions(t: np.ndarray, count: int) -> np.ndarray:
    """The functions f_m of time: (N,) in [0, 1] -> (N, count) float64."""
    values = np.sin(np.pi * np.outer(t, np.arange(count) - 1.0))
    values[:, :1] = 1.0
    values[:, 1:2] = np.asarray(t)[:, None]
    return values


def midpoints(frames: int) -> np.ndarray:
    """Times in a clip, or in a life, of the middles of frames: (frames,) in (0, 1)."""
    return (np.arange(frames) + 0.5) / frames


@dataclass(frozen=True, eq=False)
class MovingStroke:
    """A stroke over its life.

    Attributes:
        birth, death: times in the clip, 0 <= birth < death <= 1.
        coefficients: (M, 2, K) float32, frame widths, by time function, axis and pen harmonic.

    Raises:
        ValueError: the times or the shape are impossible, or a number is not finite.
    """

    birth: float
    death: float
    coefficients: np.ndarray

    def __post_init__(self) -> None:
        coefficients = np.ascontiguousarray(self.coefficients, np.float32)
        if not 0 <= self.birth < self.death <= 1:
            raise ValueError(f"a stroke must live within 0 and 1, not from {self.birth} to {self.death}")
        if coefficients.ndim != 3 or coefficients.shape[1] != 2 or 0 in coefficients.shape:
            raise ValueError(f"coefficients must be (M, 2, K), none of them zero, not {coefficients.shape}")
        if not np.isfinite(coefficients).all():
            raise ValueError("coefficients must be finite numbers")
        object.__setattr__(self, "coefficients", coefficients)

    @cached_property
    def limits(self) -> tuple[int, ...]:
        """K_m for each time function: the least K_0 >= K_1 >= ... that hold all coefficients that are not zero."""
        used = (self.coefficients != 0).any(1)
        last = (used * np.arange(1, used.shape[1] + 1)).max(1)
        return tuple(np.trim_zeros(np.maximum.accumulate(last[::-1])[::-1], "b").tolist())

    @property
    def num_parameters(self) -> int:
        """Coefficients, limits, their number, birth and death."""
        return 2 * sum(self.limits) + len(self.limits) + 3

    @property
    def clock(self) -> tuple[float, float]:
        """(offset, rate): the variable t of the equation is offset + rate * time in the clip."""
        rate = 1 / (self.death - self.birth)
        return -rate * self.birth, rate

    def lives(self, times: np.ndarray) -> np.ndarray:
        """Whether the stroke is drawn at times (N,) in the clip: (N,) bool. A death at 1 includes the time 1."""
        return (times >= self.birth) & ((times < self.death) | (self.death == 1))

    def at(self, times: np.ndarray) -> np.ndarray:
        """Coefficients of the pen harmonics at times (N,) in the clip within the life: (N, 2, K) float64."""
        t = (times - self.birth) / (self.death - self.birth)
        return np.tensordot(time_functions(t, len(self.coefficients)), self.coefficients.astype(np.float64), 1)


@dataclass(frozen=True, eq=False)
class ClipEquation:
    """The strokes of a clip as functions of pen position and time.

    Attributes:
        strokes: in the order of their births.
        frames: T, number of frames that the clip was fitted to, and the number in which it is sampled by default.

    Raises:
        ValueError: there are no frames, or the strokes are not in order.
    """

    strokes: tuple[MovingStroke, ...]
    frames: int

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ValueError(f"a clip must have a frame, not {self.frames}")
        births = [stroke.birth for stroke in self.strokes]
        if births != sorted(births):
            raise ValueError("strokes must be in the order of their births")

    @property
    def num_parameters(self) -> int:
        """Numbers of the whole clip; see :attr:`MovingStroke.num_parameters`."""
        return sum(stroke.num_parameters for stroke in self.strokes)

    @cached_property
    def slots(self) -> tuple[int, ...]:
        """The slot of each stroke in a :class:`CurveSequence`, the same at any frame rate.

        A stroke takes the first slot that has been empty for a frame, as strokes that are fitted do: lives that follow
        each other do not look like one stroke that jumps.
        """
        ends: list[float] = []
        slots = []
        for stroke in self.strokes:
            # Births and deaths are rounded: a hundredth of a frame is no difference.
            rested = ((stroke.birth - end) * self.frames > 0.99 for end in ends)
            free = next((slot for slot, empty in enumerate(rested) if empty), len(ends))
            ends[free : free + 1] = [stroke.death]
            slots.append(free)
        return tuple(slots)

    def at(self, times: np.ndarray) -> CurveSequence:
        """The drawing at any times.

        Args:
            times: (N,) in [0, 1].

        Returns:
            N frames; a stroke has visibility 1 while it lives, else 0 and no coefficients.

        Raises:
            ValueError: the times are not one axis of numbers in [0, 1].
        """
        times = np.asarray(times, np.float64)
        if times.ndim != 1 or not ((times >= 0) & (times <= 1)).all():
            raise ValueError("times must be a sequence of numbers from 0 to 1")
        harmonics = max((stroke.coefficients.shape[-1] for stroke in self.strokes), default=1)
        coefficients = np.zeros((len(times), max(self.slots, default=-1) + 1, 2, harmonics), np.float32)
        visibility = np.zeros(coefficients.shape[:2], np.float32)
        for stroke, slot in zip(self.strokes, self.slots, strict=True):
            lives = stroke.lives(times)
            visibility[lives, slot] = 1.0
            coefficients[lives, slot, :, : stroke.coefficients.shape[-1]] = stroke.at(times[lives])
        return CurveSequence(coefficients, visibility)

    def sample(self, frames: int | None = None) -> CurveSequence:
        """The drawing in evenly spaced frames, each at its middle: any frame rate, or slow motion.

        Args:
            frames: their number, at least 1; None: that of the clip.

        Raises:
            ValueError: there are no frames.
        """
        frames = self.frames if frames is None else frames
        if frames < 1:
            raise ValueError(f"a clip must have a frame, not {frames}")
        return self.at(midpoints(frames))
