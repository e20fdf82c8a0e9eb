"""Sharing a batch between processes (``accelerate launch``), with the results of one process.

Process r of P computes with the samples r, r + P, r + 2 P, ... of every batch, and gradients are averaged over the
processes. A loss is that of the whole batch if

- all random numbers of samples come from :func:`draw`: they are drawn for the whole batch, and each process keeps those
  of its samples;
- divisors of sums, and anything else than a plain mean over samples, are computed from :func:`total` and
  :func:`average`.

A batch is shared only within :func:`sharing`, in which the training loop calls a loss. Everywhere else, and with one
process, all functions of this module behave as for a single process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, gather, parse_flag_from_env, reduce
from torch import Tensor

from sketch2video.errors import UserError
from sketch2video.files import replacing

LONGEST_WAIT = timedelta(hours=12)
"""How long other processes wait for the main process while it evaluates; torch's default is ten minutes."""


@dataclass(frozen=True)
class Share:
    """The samples of a batch that this process computes: every ``count``-th one, starting with the ``index``-th."""

    index: int = 0
    count: int = 1

    @property
    def rows(self) -> slice:
        """Of a tensor of the whole batch."""
        return slice(self.index, None, self.count)

    def of(self, number: int, what: str) -> int:
        """How many of the first ``number`` samples of a batch are in every share.

        Raises:
            UserError: they cannot be divided evenly; ``what`` names them and the parameter.
        """
        if number % self.count:
            raise UserError(f"{what} is {number}, which {self.count} processes cannot share evenly; take a multiple")
        return number // self.count


_SHARE: ContextVar[Share] = ContextVar("share", default=Share())  # noqa: B039 (immutable)


@contextmanager
def sharing(share: Share) -> Iterator[None]:
    """Within the block a batch is shared; all processes must make the same calls in it."""
    token = _SHARE.set(share)
    try:
        yield
    finally:
        _SHARE.reset(token)


def current_share() -> Share:
    """The share of the batch whose loss is being computed."""
    return _SHARE.get()


def draw(
    sampler: Callable[..., Tensor],
    shape: Sequence[int],
    generator: torch.Generator | None,
    *,
    axis: int = 0,
    rows: Tensor | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """Random numbers of the samples of a batch.

    Args:
        sampler: ``torch.rand``, ``torch.randn``, ``partial(torch.randint, high)``: called with a shape, ``generator``
            and ``device``.
        shape: of the returned numbers, for the samples of this process only.
        generator: of the numbers, in the same state in all processes. None: torch's global one, that of the main
            process.
        axis: of the samples.
        rows: (N,) int64 on the generator's device: how many rows each sample has along axis 0, if not one.
        device: of the numbers, if there is no generator.
    """
    share = _SHARE.get()
    device = device if generator is None else generator.device
    if share.count == 1:
        return sampler(shape, generator=generator, device=device)
    every = None if rows is None else interleaved(rows)
    length = shape[axis] * share.count if every is None else int(every.sum())
    whole = sampler([*shape[:axis], length, *shape[axis + 1 :]], generator=generator, device=device)
    if generator is None:
        whole = from_main(whole)
    if every is not None:
        owner = torch.arange(len(every), device=every.device) % share.count
        return whole[owner.repeat_interleave(every) == share.index]
    return whole[(slice(None),) * axis + (share.rows,)]


def total(values: Tensor) -> Tensor:
    """The sum over the processes of a tensor, with a gradient."""
    return _Total.apply(values) if _SHARE.get().count > 1 else values


def average(values: Tensor) -> Tensor:
    """The mean over the processes of a tensor, with a gradient."""
    count = _SHARE.get().count
    return total(values) / count if count > 1 else values


def mean(values: Tensor) -> Tensor:
    """The mean of all elements of a tensor, of which processes may hold different numbers, with a gradient."""
    if _SHARE.get().count == 1:
        return values.mean()
    return total(values.sum()) / total(torch.tensor(values.numel(), device=values.device)).clamp_min(1)


def interleaved(values: Tensor) -> Tensor:
    """A tensor of the whole batch of tensors (N, ...) of every process's samples, without a gradient."""
    count = _SHARE.get().count
    if count == 1:
        return values
    return gather(values.detach().contiguous()).unflatten(0, (count, -1)).transpose(0, 1).flatten(0, 1)


def from_main(values: Tensor) -> Tensor:
    """The main process's tensor, of the same shape in all."""
    return broadcast(values.contiguous()) if _SHARE.get().count > 1 else values


class _Total(torch.autograd.Function):
    """A sum over processes. The loss is the mean of all processes' losses, so that gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return reduce(values.detach().contiguous(), "sum")

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return reduce(gradients[0].contiguous(), "sum")


def process_state() -> PartialState:
    """This process among those that ``accelerate launch`` or ``torchrun`` has started, if any has.

    Without an accelerator they compute on the CPU, where Accelerate by default would train in each one separately.
    """
    on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    return PartialState(cpu=on_cpu, timeout=LONGEST_WAIT)


@contextmanager
def replacing_once(path: Path) -> Iterator[Path]:
    """:func:`~sketch2video.files.replacing` in the main process, for which the others wait.

    Anything that the other processes write in the block is discarded.
    """
    state = process_state()
    if state.is_main_process:
        with replacing(path) as partial:
            yield partial
    else:
        with TemporaryDirectory() as folder:
            yield Path(folder) / path.name
    state.wait_for_everyone()
