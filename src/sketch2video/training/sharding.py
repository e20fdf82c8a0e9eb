"""Frozen weights of which each process holds a part: fully sharded data parallelism by Accelerate's own configuration.

A block's whole weights are gathered while it computes (Zhao et al. 2023, "PyTorch FSDP"; here FSDP2). Trained weights,
which are few in a training of adapters, are whole in each process: their averages, checkpoints and optimizer are those
of other trainings, and their gradients are averaged here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, reduce
from torch import nn
from torch.distributed.fsdp import FSDPModule

from sketch2video.errors import UserError


def shards(accelerator: Accelerator, task: Any, name: str) -> bool:
    """Whether Accelerate is configured to shard weights; it is then set to shard the frozen ones of a task.

    To be called before ``accelerator.prepare``.

    Args:
        accelerator: the accelerator.
        task: that it will prepare, with the network ``task.module``.
        name: of the training, for messages.

    Raises:
        UserError: the configuration or the task is one that cannot be sharded here.
    """
    kind = accelerator.distributed_type
    if kind not in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        return False
    without = "run `accelerate launch --multi_gpu`, where each process has all weights"
    if not accelerator.is_fsdp2:
        raise UserError(f"{name}: weights are sharded by FSDP of version 2 alone; set fsdp_version to 2, or {without}")
    plugin = accelerator.state.fsdp_plugin
    if plugin.activation_checkpointing:
        raise UserError(
            f"{name}: fsdp_activation_checkpointing renames weights; set it to false, and gradient_checkpointing of the"
            " parameters to true"
        )
    trained = [module for module in task.modules() if any(p.requires_grad for p in module.parameters(recurse=False))]
    if all(parameter.requires_grad for parameter in task.module.parameters()):
        raise UserError(f"{name}: all weights are trained, and only frozen ones can be sharded; {without}")
    plugin.ignored_modules = [module.to(accelerator.device) for module in trained]
    plugin.cpu_ram_efficient_loading = False  # every process has loaded the weights
    plugin.mixed_precision_policy = None  # weights keep their precision; autocast decides about the computation
    return True


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Replace the gradients of whole weights by their means over all processes; missing ones are zero."""
    with torch.no_grad():
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
        parts = reduce(flat, "mean").split([p.numel() for p in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter).clone()


@contextmanager
def gathered(task: nn.Module) -> Iterator[None]:
    """Within the block the weights outside of sharded blocks are whole, so that parts of a task can be called alone.

    All processes must make the same calls in it. Without sharding nothing happens.
    """
    if not isinstance(task, FSDPModule):
        yield
        return
    task.unshard()
    try:
        yield
    finally:
        task.reshard()
