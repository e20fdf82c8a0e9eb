"""Records which parameters a process reads: put this folder on PYTHONPATH and name a folder in RECORD_PARAMETERS.

Each process that loads parameters leaves ``<process id>.json`` there: its command line, and the keys that it read.
"""

import atexit
import importlib.abc
import importlib.machinery
import json
import os
import sys
from pathlib import Path

FOLDER = os.environ.get("RECORD_PARAMETERS")
MODULE = "sketch2video.params.file"


class Watch(importlib.abc.MetaPathFinder):
    """Lets the module be found as ever, and changes its sections once it has been loaded."""

    def find_spec(self, name, path=None, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            record(module)

        spec.loader.exec_module = exec_module
        return spec


def record(module):
    read, names = set(), {}
    plain, dump = module.Section.__getattribute__, module.Section.model_dump

    def getattribute(section, key):
        value = plain(section, key)
        if id(section) in names and key in type(section).model_fields:
            full = f"{names[id(section)]}{type(section).model_fields[key].alias or key}"
            if isinstance(value, module.Section):
                names.setdefault(id(value), f"{full}.")
            else:
                read.add(full)
        return value

    def model_dump(section, **kwargs):
        if names.get(id(section)):  # of all parameters at once, what a run records
            kept = type(section).model_fields.keys() - (kwargs.get("exclude") or set())
            for key in kept & (set(kwargs.get("include") or kept)):
                value = getattr(section, key)
                if isinstance(value, module.Section):
                    value.model_dump()
        return dump(section, **kwargs)

    parse = module.parse_params

    def parse_params(*args, **kwargs):
        params = parse(*args, **kwargs)
        names[id(params)] = ""
        KEPT.append(params)
        return params

    module.parse_params = parse_params
    module.Section.__getattribute__, module.Section.model_dump = getattribute, model_dump

    def leave():
        file = Path(FOLDER, f"{os.getpid()}.json")
        file.write_text(json.dumps({"command": sys.argv, "read": sorted(read)}))

    atexit.register(leave)


KEPT = []  # so that no id is given anew

if FOLDER:
    import importlib.util

    sys.meta_path.insert(0, Watch())
