"""A user's function that is called at the end of every step, as the pipelines of diffusers do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from torch import Tensor

CallbackOnStepEnd = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any] | None]
"""From pipeline, number of the step, timestep and tensors by name to those that are to be changed."""


class StepEnd:
    """Calls a user's function at the end of every step of one call, whichever window it belongs to.

    Args:
        pipeline: whose call it is.
        function: the user's.
        tensors: names of what the function gets, of those in ``pipeline._callback_tensor_inputs``; a
            :class:`~diffusers.callbacks.PipelineCallback` names its own.

    Raises:
        ValueError: there is no such tensor.
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
            timestep: of the scheduler.
            tensors: by name.

        Returns:
            All of them, with those that the function changed.
        """
        shown = {name: tensors[name] for name in self._tensors}
        changed = self._function(self._pipeline, self._step, timestep, shown) or {}
        self._step += 1
        return {**tensors, **changed}
