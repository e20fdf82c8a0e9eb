"""Compilation of loops over numbers by Numba, where a call of NumPy for each step would take most of the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function at its first call, with IEEE arithmetic in the order of the code.

    Machine code is kept in ``__pycache__`` beside the source, or, if that is read-only, in the user's cache folder, or
    else in memory. It is compiled again when its file changes, but not when another file does: a compiled function may
    call others of its own file alone. Indices are not checked (``NUMBA_BOUNDSCHECK=1`` checks them).
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    compile_: Callable[..., Any] = numba.njit
    try:
        return compile_(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written
        return compile_(**options)(function)
