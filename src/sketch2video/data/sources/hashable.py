"""Files that DVC cannot hash. One of them in the source folder stops ``dvc repro``, which may not report its name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sketch2video.errors import UserError, printable
from sketch2video.inputs.yaml_files import read_yaml
from sketch2video.params import Params

_SHOWN = 3
_KINDS = (
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


def refuse_unhashable_sources(params: Params) -> None:
    """Raise if DVC could not hash a folder that the graph reads; see :func:`refuse_unhashable`."""
    for folder in (params.ingest.folder, params.sketcher.folder):
        refuse_unhashable(folder)


def refuse_unhashable(folder: Path | str) -> None:
    """Raise if DVC could not hash a source folder.

    Raises:
        UserError: the folder holds such files, of which the message names the first; or it contains an output of the
            graph or is within one.
    """
    if result := _result_of_the_graph(Path(folder)):
        raise UserError(
            f"{folder} cannot be the source folder: DVC hashes all of it, and the project writes there ({result});"
            " put the videos and their CSV into a folder of their own, such as data/source"
        )
    faults = sorted(unhashable(folder))
    if not faults:
        return
    first = "; ".join(f"{printable(path)} {reason}" for path, reason in faults[:_SHOWN])
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    raise UserError(
        f"DVC cannot hash the folder {printable(folder)}: {first}{more}; remove or rename"
        f" {'it' if len(faults) == 1 else 'them'}, or keep the videos in a folder of their own"
    )


def _result_of_the_graph(folder: Path) -> str | None:
    """The first output of the project's graph that is ``folder``, is within it or contains it; None if none is."""
    resolved = folder.resolve()
    for graph in (Path("dvc.yaml"), *sorted(Path().glob("systems/*/dvc.yaml"))):
        stages = ((read_yaml(graph) or {}).get("stages") or {}).values() if graph.is_file() else ()
        for stage in stages:
            for out in stage.get("outs", []):
                output = str(next(iter(out)) if isinstance(out, dict) else out)
                path = (graph.parent / stage.get("wdir", ".") / output).resolve()
                if path.is_relative_to(resolved) or resolved.is_relative_to(path):
                    return output
    return None


def unhashable(folder: Path | str) -> Iterator[tuple[str, str]]:
    """Yield the path and the fault of every file below a folder that DVC cannot hash; linked folders are skipped.

    These are links that lead nowhere, names that are not UTF-8, files that cannot be read or are none (pipes, sockets),
    and ``.dvcignore``, which DVC allows only outside of such folders.
    """
    unread: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unread.append):
        for name in (*folders, *files):
            path = os.path.join(parent, name)  # noqa: PTH118 - a Path for each of 100,000 files takes seconds
            reason = _name_fault(name) or (None if name in folders else _file_fault(path))
            if reason:
                yield path, reason
    yield from ((str(error.filename), "cannot be opened") for error in unread if Path(error.filename).is_dir())


def _name_fault(name: str) -> str | None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return "has a name that is not UTF-8"
    return "must not be in it" if name == ".dvcignore" else None


def _file_fault(path: str) -> str | None:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except OSError:
        return "is a link that leads nowhere" if os.path.islink(path) else "cannot be read"  # noqa: PTH114
    kind = next((words for is_kind, words in _KINDS if is_kind(mode)), None)
    return kind or (None if os.access(path, os.R_OK) else "cannot be read")
