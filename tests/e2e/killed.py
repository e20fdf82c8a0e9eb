"""Run a script in a process that is killed (signal 9) in the n-th call of a function.

python killed.py module:function|module:Class.method n script [argument ...]
"""

import functools
import importlib
import os
import runpy
import signal
import sys
from pathlib import Path


def killing(function, limit):
    calls = []

    @functools.wraps(function)
    def wrapped(*arguments):
        calls.append(arguments)
        if len(calls) == limit:
            for path in (argument for argument in arguments if isinstance(argument, Path)):
                if path.name.startswith(".partial-"):
                    path.write_bytes(b"half a file")
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)

    return wrapped


if __name__ == "__main__":
    target, limit, *sys.argv = sys.argv[1:]
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    setattr(owner, name, killing(getattr(owner, name), int(limit)))
    runpy.run_path(sys.argv[0], run_name="__main__")
