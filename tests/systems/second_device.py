"""A second device on a machine that has none: tensors that say they are there, and are refused beside those of the CPU.

What is computed there is computed on the CPU. As on real devices, single numbers and indices may come from the CPU;
all else must be moved first.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("maia:0")
"""A device that torch knows by name, and that no test runs on."""

aten = torch.ops.aten
MIXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten.copy_.default, aten._to_copy.default}
"""What takes tensors of both devices."""


class There(Tensor):
    """A tensor on :data:`DEVICE`; ``here`` holds its numbers."""

    here: Tensor

    @staticmethod
    def __new__(cls, data: Tensor, requires_grad: bool = False) -> Tensor:
        """A parameter: torch and accelerate make one of the class that the one before it had."""
        return nn.Parameter(data, requires_grad)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    @classmethod
    def holding(cls, here: Tensor) -> There:
        """A tensor on :data:`DEVICE` with these numbers."""
        size, stride, offset = here.size(), here.stride(), here.storage_offset()
        made = Tensor._make_wrapper_subclass(
            cls, size, strides=stride, storage_offset=offset, dtype=here.dtype, device="meta"
        )
        made.here = here
        return made

    # What lies below Python takes it for a tensor on "meta", since torch has no code for DEVICE.
    device = property(lambda self: DEVICE)
    is_meta = property(lambda self: False)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})

    def tolist(self) -> Any:
        """The numbers, which torch moves by itself."""
        return self.here.tolist()

    def __repr__(self, *_: Any, **__: Any) -> str:
        return f"There({self.here!r})"


class SecondDevice(TorchDispatchMode):
    """While it is entered, tensors can be made on :data:`DEVICE` and moved there.

    Attributes:
        calls: operations there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self._constructors = _Constructors()

    def __enter__(self) -> SecondDevice:
        self._constructors.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._constructors.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = computed(func, args, kwargs or {})
        self.calls += any(isinstance(part, There) for part in tree_flatten(answer)[0])
        return answer


class _Constructors(TorchFunctionMode):
    """What torch does without asking the dispatcher, because tensors that are there pass for ones on "meta"."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if func is Tensor.new_tensor and isinstance(args[0], There):
            return args[0].here.new_tensor(*args[1:], **kwargs).to(DEVICE)
        if func is Tensor.to and isinstance(args[0], There) and args[1:2] in (("meta",), (torch.device("meta"),)):
            return args[0].here.to("meta")
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            args = (args[0], tuple(torch.tensor(one) if isinstance(one, list) else one for one in index), *args[2:])
        return func(*args, **kwargs)


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The answer of an operation, on the device where a real one would be.

    Raises:
        RuntimeError: tensors of both devices meet.
    """
    tensors = [part for part in tree_flatten((args, kwargs))[0] if isinstance(part, Tensor)]
    away = [part for part in tensors if isinstance(part, There)]
    left = [part for part in tensors if not isinstance(part, There) and part.ndim]
    if away and left and func not in MIXED:
        raise RuntimeError(f"{func} got tensors of {DEVICE} and of {left[0].device}")
    asked = kwargs.get("device") and torch.device(kwargs["device"])
    if asked is not None and asked.type == "meta" and func is not aten._to_copy.default:
        asked = DEVICE  # torch's own code beside tensors that are there
    there = bool(away) if asked is None else asked == DEVICE
    if func in (aten.copy_.default, aten.index_put_.default, aten.index.Tensor, aten.index_put.default):
        there = isinstance(args[0], There)
    if asked == DEVICE:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    known = {id(part.here): part for part in away}
    args, kwargs = tree_map(lambda part: part.here if isinstance(part, There) else part, (args, kwargs))
    if away and func is aten._to_copy.default and not there:
        kwargs = {**kwargs, "memory_format": None}
    answer = func(*args, **kwargs)

    def placed(part: Any) -> Any:
        if not there or not isinstance(part, Tensor):
            return part
        return known[id(part)] if id(part) in known else There.holding(part)

    return tree_map(placed, answer)
