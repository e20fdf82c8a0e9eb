"""Floating-point operations of a training's steps: those of its task's forward and backward passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from sketch2video.training.loop import Task

Shape = Sequence[int]


class TaskPasses:
    """Names the task that is in its forward pass, or in the backward pass after it; nothing else has a name.

    Takes the place of the tracker of all modules in :class:`~torch.utils.flop_counter.FlopCounterMode`, which would
    count the optimizer and held-out metrics, too.
    """

    def __init__(self) -> None:
        self._task, self._forward = "", False

    @property
    def parents(self) -> set[str]:
        """The name of the task's class, if it is in a pass."""
        backward = torch._C._current_graph_task_id() != -1
        return {self._task} if self._task and (self._forward or backward) else set()

    def __enter__(self) -> TaskPasses:
        self._hooks = [
            register_module_forward_pre_hook(self._begin),
            register_module_forward_hook(self._end),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _begin(self, module: nn.Module, _: Any) -> None:
        if isinstance(module, Task):
            self._task, self._forward = type(module).__name__, True

    def _end(self, module: nn.Module, *_: Any) -> None:
        if isinstance(module, Task):
            self._forward = False


def flop_of_tasks(make: Callable[[], Any]) -> dict[str, int]:
    """Operations within the steps of all trainings while ``make`` runs, by the name of the task's class.

    Those of matrix products, convolutions and attention are counted, two for a multiplication and an addition.
    """
    operators = torch.ops.aten
    on_cpu = {  # which PyTorch does not count by itself
        operators._scaled_dot_product_flash_attention_for_cpu: _attention,
        operators._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    }
    counter = FlopCounterMode(display=False, custom_mapping=on_cpu)
    counter.mod_tracker = TaskPasses()  # type: ignore[assignment]
    with counter:
        make()
    return {name: int(sum(counts.values())) for name, counts in counter.get_flop_counts().items()}


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def _attention_backward(grad: Shape, query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(grad, query, key, value))
