"""Sampling videos from a :class:`~sketch2video.tokens.transformer.TokenTransformer`, token by token.

Frame by frame, from the top level to the bottom one, each token from the distribution that guidance, temperature, top-k
and top-p leave (``transformers`` has the last three). A level remembers at most a window of frames: when it is full,
the newer half of it is read again as a window of its own. Memory and the cost of a frame therefore do not grow with the
video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from sketch2video.tokens.clip_condition import ClipCondition
from sketch2video.tokens.level_transformer import Past, Reading
from sketch2video.tokens.transformer import TokenTransformer

Generators = torch.Generator | Sequence[torch.Generator] | None


@dataclass(frozen=True)
class TokenSampling:
    """How tokens are drawn.

    Attributes:
        temperature: logits are divided by it; 0 takes the likeliest token.
        top_k: only the K likeliest tokens; 0: all.
        top_p: only the likeliest tokens that have this probability together; 1: all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.top_k < 0 or not 0 < self.top_p <= 1:
            raise ValueError(
                f"temperature {self.temperature}, top_k {self.top_k} and top_p {self.top_p} do not go together;"
                " the first two are at least 0, top_p is above 0 and at most 1"
            )

    def warpers(self) -> LogitsProcessorList:
        """What changes logits before a token is drawn."""
        warpers = LogitsProcessorList()
        if self.temperature not in (0, 1):
            warpers.append(TemperatureLogitsWarper(float(self.temperature)))
        if self.top_k:
            warpers.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1:
            warpers.append(TopPLogitsWarper(self.top_p))
        return warpers


@torch.no_grad()
def sample_tokens(
    model: TokenTransformer,
    branches: Sequence[tuple[float, ClipCondition]],
    frames: int,
    sampling: TokenSampling,
    generator: Generators = None,
    known: Sequence[Tensor] | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[Tensor]:
    """Videos as tokens: one (N, frames, h, w) int64 a level, finest first.

    Args:
        model: the transformers.
        branches: conditions of the same N clips and the weights with which their logits are added: one with weight 1,
            or several for guidance. Control pictures are those of all ``frames``.
        frames: T, of any length.
        sampling: how tokens are drawn.
        generator: source of all randomness; one for each clip makes every clip independent of the others.
        known: tokens of the first t frames of each level (N, t, h, w); None: there are none.
        progress: shows how far it is, such as ``tqdm``; it is given the numbers of the frames.

    Raises:
        ValueError: more frames are known than the video has.
    """
    given = 0 if known is None else known[0].shape[1]
    if given > frames:
        raise ValueError(f"{given} frames are known of a video of {frames}; ask for a longer one")
    samples, device = len(branches[0][1].mask), branches[0][1].mask.device
    weights = torch.tensor([weight for weight, _ in branches], device=device)
    condition = _stacked([each for _, each in branches])
    writers = [LevelWriter(model, level, condition, weights, sampling) for level in range(len(model.parts))]
    shapes = [(samples, frames, part.side, part.side) for part in model.parts]
    video = [torch.zeros(shape, dtype=torch.long, device=device) for shape in shapes]
    for level, tokens in enumerate(known or []):
        video[level][:, :given] = tokens
    for frame in progress(range(given, frames)):
        for level in reversed(range(len(writers))):
            noise = _gumbel_noise(samples, (model.parts[level].length, model.parts[level].codes), generator, device)
            writers[level].write(video, frame, noise)
    return video


class LevelWriter:
    """Writes the tokens of one level, frame by frame.

    Args:
        model: the transformers of all levels.
        level: which of them writes, 0 the finest.
        condition: of all branches, one below the other, (B * N, ...).
        weights: (B,), of the branches' logits.
        sampling: how tokens are drawn.
    """

    def __init__(
        self,
        model: TokenTransformer,
        level: int,
        condition: ClipCondition,
        weights: Tensor,
        sampling: TokenSampling,
    ) -> None:
        self.model, self.level, self.part = model, level, model.parts[level]
        self.condition, self.weights = condition, weights
        self.greedy, self.warpers = sampling.temperature == 0, sampling.warpers()
        self.reading: Reading | None = None

    def write(self, video: list[Tensor], frame: int, noise: Tensor) -> None:
        """Fill in this level's tokens of a frame; frames before, and upper levels of this one, are there.

        Args:
            video: tokens (N, T, h, w) of all levels.
            frame: its number.
            noise: (N, P, K), standard Gumbel.
        """
        part, window = self.part, int(self.model.config.window)
        if self.reading is None or self.reading.slots == window * part.length:
            kept = window - 1 if self.reading is None else window // 2
            self.reading = self._read_again(video, max(0, frame - kept), frame)
        reading, codes = self.reading, self.model.codebooks[self.level]
        first = reading.slots == 0
        bases = self._bases(video, frame, frame + 1, first)[:, 0]
        own = video[self.level]
        last = part.begin_in if first else part.token_in(self._vectors(self.level, own[:, frame - 1, -1, -1]))
        drawn = []
        for place in range(part.length):
            logits = self._mixed(part.read(reading, (bases[:, place] + last)[:, None], codes)[:, 0])
            drawn.append(self.draw(logits, noise[:, place]))
            last = part.token_in(self._vectors(self.level, drawn[-1]))
        own[:, frame] = torch.stack(drawn, dim=1).view(-1, part.side, part.side)

    def _read_again(self, video: list[Tensor], start: int, stop: int) -> Reading:
        """Forget all, and read the captions and the frames from ``start`` to ``stop`` as a window of their own."""
        reading = self.part.begin(self.condition)
        if stop > start:
            bases = self._bases(video, start, stop, first=True)
            inputs = self.part.inputs(bases, self._vectors(self.level, video[self.level][:, start:stop]))
            self.part.read(reading, inputs, self.model.codebooks[self.level])
        return reading

    def _bases(self, video: list[Tensor], start: int, stop: int, first: bool) -> Tensor:
        """The slots of frames but for the token before each: (B * N, stop - start, P, D).

        Args:
            video: see :meth:`write`.
            start, stop: the frames.
            first: whether the first of them begins the window, so that no frame stands before it.
        """
        total, device = video[0].shape[1], video[0].device
        earlier = torch.arange(start - 1, stop - 1, device=device).clamp(min=0)
        before = [self._vectors(level, tokens[:, earlier]) for level, tokens in enumerate(video)]
        missing = torch.zeros(before[0].shape[:2], dtype=torch.bool, device=device)
        missing[:, 0] = first
        uppers = range(self.level + 1, len(video))
        above = [self._vectors(level, video[level][:, start:stop]) for level in uppers]
        times = (torch.arange(start, stop, device=device) + 0.5) / total
        condition = self.condition.at(slice(start, stop))
        return self.part.bases(Past(before, missing), above, times.expand(len(missing), -1), condition)

    def _vectors(self, level: int, tokens: Tensor) -> Tensor:
        """The code vectors of tokens, for every branch: (B * N, ..., C)."""
        return self.model.vectors(level, self._repeated(tokens))

    def _repeated(self, tokens: Tensor) -> Tensor:
        """For every branch."""
        return tokens.repeat(len(self.weights), *[1] * (tokens.ndim - 1))

    def _mixed(self, logits: Tensor) -> Tensor:
        """The branches' log-probabilities (B * N, K), weighted and added: (N, K)."""
        parts = logits.log_softmax(-1).unflatten(0, (len(self.weights), -1))
        return torch.einsum("b,bnk->nk", self.weights, parts)

    def draw(self, logits: Tensor, noise: Tensor) -> Tensor:
        """Tokens (N,) drawn by the Gumbel-max trick, which is a draw from the softmax of ``logits``."""
        nothing = torch.zeros(len(logits), 0, dtype=torch.long, device=logits.device)  # what was said before
        warped = self.warpers(cast(torch.LongTensor, nothing), cast(torch.FloatTensor, logits))
        return (warped if self.greedy else warped + noise).argmax(-1)


def _stacked(conditions: Sequence[ClipCondition]) -> ClipCondition:
    """Conditions of the same clips as one of B * N clips; captions are padded to the longest."""
    words = max(each.mask.shape[1] for each in conditions)
    samples = len(conditions[0].mask)

    def padded(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, tensor.new_zeros(samples, words - tensor.shape[1], *tensor.shape[2:])], dim=1)

    shown = next((each.control for each in conditions if each.control is not None), None)
    control = mask = None
    if shown is not None:
        control = shown.repeat(len(conditions), *[1] * (shown.ndim - 1))
        mask = torch.cat([torch.full((samples,), each.control is not None, device=shown.device) for each in conditions])
    return ClipCondition(
        torch.cat([padded(each.tokens) for each in conditions]),
        torch.cat([padded(each.mask) for each in conditions]),
        torch.cat([each.vector for each in conditions]),
        control,
        mask,
    )


def _gumbel_noise(samples: int, shape: tuple[int, int], generator: Generators, device: torch.device) -> Tensor:
    """Standard Gumbel noise (samples, *shape); a sample's is its generator's where each has one."""
    if isinstance(generator, Sequence):
        uniform = torch.cat([_uniform((1, *shape), each) for each in generator]).to(device)
    else:
        uniform = _uniform((samples, *shape), generator).to(device)
    return -torch.log(-torch.log(uniform))


def _uniform(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    """Numbers strictly between 0 and 1, on the generator's device."""
    device = None if generator is None else generator.device
    tiny = torch.finfo(torch.float32).eps / 4
    return torch.rand(shape, generator=generator, device=device).clamp(tiny, 1 - torch.finfo(torch.float32).eps / 2)
