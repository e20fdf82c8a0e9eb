"""A user's function that is called at the end of every step, as in the pipelines of diffusers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from torch import Tensor

CallbackOnStepEnd = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any] | None]
"""From pipeline, step index, timestep and tensors by name to the tensors that are replaced, by name."""


class StepEnd:
    """Calls a user's function at the end of every step of one call, whichever window it belongs to.

    Args:
        pipeline: the pipeline that is called.
        function: the user's function.
        tensors: names of the tensors that the function receives, a subset of ``pipeline._callback_tensor_inputs``; a
            :class:`~diffusers.callbacks.PipelineCallback` has its own list.

    Raises:
        ValueError: the pipeline has no tensor of such a name.
    """

    def __init__(self, pipeline: Any, function: CallbackOnStepEnd, tensors: Sequence[str]) -> None:
        if isinstance(function, PipelineCallback | MultiPipelineCallbacks):
            tensors = function.tensor_inputs
        allowed = pipeline._callback_tensor_inputs
        if unknown := [name for name in tensors if name not in allowed]:
            raise ValueError(f"callback_on_step_end_tensor_inputs has {unknown}; this pipeline has {allowed}")
        self._pipeline, self._function, self._tensors = pipeline, function, list(tensors)
        self._step = 0

    def __call__(self, timestep: Any, **tensors: Tensor) -> dict[str, Any]:
        """End a step.

        Args:
            timestep: the scheduler's timestep.
            tensors: tensors by name.

        Returns:
            All tensors by name; those that the function returned are replaced.
        """
        inputs = {name: tensors[name] for name in self._tensors}
        changed = self._function(self._pipeline, self._step, timestep, inputs) or {}
        self._step += 1
        return {**tensors, **changed}
