"""Sampling videos from a :class:`~sketch2video.tokens.transformer.TokenTransformer`, token by token.

Tokens are sampled frame by frame, from the top level to the bottom one, from the distribution after guidance,
temperature, top-k and top-p (the last three by ``transformers``). The cache of a level holds at most a window of
frames: when it is full, a new one is computed from its newer half. Memory and the time for a frame therefore do not
grow with the video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from sketch2video.params import TokenChoice
from sketch2video.tokens.clip_condition import ClipCondition
from sketch2video.tokens.level_transformer import Past, Reading
from sketch2video.tokens.transformer import TokenTransformer

Generators = torch.Generator | Sequence[torch.Generator] | None


def warpers_of(choice: TokenChoice) -> LogitsProcessorList:
    """Processors of the logits before a token is sampled."""
    warpers = LogitsProcessorList()
    if choice.temperature not in (0, 1):
        warpers.append(TemperatureLogitsWarper(float(choice.temperature)))
    if choice.top_k:
        warpers.append(TopKLogitsWarper(choice.top_k))
    if choice.top_p < 1:
        warpers.append(TopPLogitsWarper(choice.top_p))
    return warpers


@torch.no_grad()
def sample_tokens(
    model: TokenTransformer,
    branches: Sequence[tuple[float, ClipCondition]],
    frames: int,
    choice: TokenChoice,
    generator: Generators = None,
    known: Sequence[Tensor] | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[Tensor]:
    """Videos as tokens: one (N, frames, h, w) int64 a level, finest first.

    Args:
        model: the transformers.
        branches: weights and conditions of the same N clips, whose weighted logits are added: one with weight 1, or
            several for guidance. Control pictures are those of all ``frames``.
        frames: T, any number.
        choice: how a token is chosen.
        generator: random generator; with one for each clip every clip is independent of the others.
        known: tokens of the first t frames of each level (N, t, h, w); None: there are none.
        progress: progress bar, such as ``tqdm``, over the indices of the frames.

    Raises:
        ValueError: more frames are known than the video has.
    """
    given = 0 if known is None else known[0].shape[1]
    if given > frames:
        raise ValueError(f"{given} frames are known of a video of {frames}; raise num_frames")
    samples, device = len(branches[0][1].mask), branches[0][1].mask.device
    weights = torch.tensor([weight for weight, _ in branches], device=device)
    condition = _stacked([each for _, each in branches])
    writers = [LevelWriter(model, level, condition, weights, choice) for level in range(len(model.parts))]
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
    """Generates the tokens of one level, frame by frame.

    Args:
        model: the transformers of all levels.
        level: index of the level, 0 the finest.
        condition: concatenated conditions of all branches, (B * N, ...).
        weights: (B,), weights of the branches' logits.
        choice: how a token is chosen.
    """

    def __init__(
        self,
        model: TokenTransformer,
        level: int,
        condition: ClipCondition,
        weights: Tensor,
        choice: TokenChoice,
    ) -> None:
        self.model, self.level, self.part = model, level, model.parts[level]
        self.condition, self.weights = condition, weights
        self.greedy, self.warpers = choice.temperature == 0, warpers_of(choice)
        self.reading: Reading | None = None

    def write(self, video: list[Tensor], frame: int, noise: Tensor) -> None:
        """Generate this level's tokens of a frame; previous frames, and upper levels of this one, exist already.

        Args:
            video: tokens (N, T, h, w) of all levels, changed in place.
            frame: index of the frame.
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
        for slot in range(part.length):
            logits = self._mixed(part.read(reading, (bases[:, slot] + last)[:, None], codes)[:, 0])
            drawn.append(self.draw(logits, noise[:, slot]))
            last = part.token_in(self._vectors(self.level, drawn[-1]))
        own[:, frame] = torch.stack(drawn, dim=1).view(-1, part.side, part.side)

    def _read_again(self, video: list[Tensor], start: int, stop: int) -> Reading:
        """A new cache with the captions and the frames from ``start`` to ``stop`` as a window."""
        reading = self.part.begin(self.condition)
        if stop > start:
            bases = self._bases(video, start, stop, first=True)
            inputs = self.part.inputs(bases, self._vectors(self.level, video[self.level][:, start:stop]))
            self.part.read(reading, inputs, self.model.codebooks[self.level])
        return reading

    def _bases(self, video: list[Tensor], start: int, stop: int, first: bool) -> Tensor:
        """Inputs of the slots of frames without the previous tokens: (B * N, stop - start, P, D).

        Args:
            video: see :meth:`write`.
            start, stop: range of frames.
            first: whether the first of them is the first of the window, which has no previous frame.
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
        """The code vectors of tokens, repeated for every branch: (B * N, ..., C)."""
        return self.model.vectors(level, self._repeated(tokens))

    def _repeated(self, tokens: Tensor) -> Tensor:
        """Repeat for every branch."""
        return tokens.repeat(len(self.weights), *[1] * (tokens.ndim - 1))

    def _mixed(self, logits: Tensor) -> Tensor:
        """Weighted sum (N, K) of the branches' log-probabilities (B * N, K)."""
        parts = logits.log_softmax(-1).unflatten(0, (len(self.weights), -1))
        return torch.einsum("b,bnk->nk", self.weights, parts)

    def draw(self, logits: Tensor, noise: Tensor) -> Tensor:
        """Sample tokens (N,) from the softmax of ``logits`` by the Gumbel-max trick."""
        previous = torch.zeros(len(logits), 0, dtype=torch.long, device=logits.device)  # not used by these warpers
        warped = self.warpers(cast(torch.LongTensor, previous), cast(torch.FloatTensor, logits))
        return (warped if self.greedy else warped + noise).argmax(-1)


def _stacked(conditions: Sequence[ClipCondition]) -> ClipCondition:
    """Concatenate conditions of the same clips to one of B * N clips; captions are padded to the longest."""
    words = max(each.mask.shape[1] for each in conditions)
    samples = len(conditions[0].mask)

    def padded(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, tensor.new_zeros(samples, words - tensor.shape[1], *tensor.shape[2:])], dim=1)

    first = next((each.control for each in conditions if each.control is not None), None)
    control = mask = None
    if first is not None:
        control = first.repeat(len(conditions), *[1] * (first.ndim - 1))
        mask = torch.cat([torch.full((samples,), each.control is not None, device=first.device) for each in conditions])
    return ClipCondition(
        torch.cat([padded(each.tokens) for each in conditions]),
        torch.cat([padded(each.mask) for each in conditions]),
        torch.cat([each.vector for each in conditions]),
        control,
        mask,
    )


def _gumbel_noise(samples: int, shape: tuple[int, int], generator: Generators, device: torch.device) -> Tensor:
    """Standard Gumbel noise (samples, *shape); each sample's by its own generator if there is a list."""
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
