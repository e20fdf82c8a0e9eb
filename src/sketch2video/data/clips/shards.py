"""Clips in content-addressed shards: safetensors files that hold one array row a clip, and a parquet table beside them.

A clip's shard is a function of its id alone, so adding a video changes one shard and not the bytes of the others. A
shard's header holds the *key* of each of its clips, the hash of all that the clip was made from: input, settings and
code. A stage makes the clips whose keys are new (:func:`update_shard`) and does not write the file if there are none.
Layout of a folder of shards::

    data/clips/clips.parquet              one row a clip, with its `shard` and `row`
    data/clips/shards/0007.safetensors    frames: uint8 (N, T, S, S, 3)
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open

from sketch2video.errors import UserError
from sketch2video.files import partial_prefix, remove_partial, replacing, sha256_of_value

SHARDS = "shards"
LABEL = "label."
"""Prefix of the columns of further labels: ``label.action``."""

_SAFETENSORS_TYPES = {"uint8": "U8", "bool": "BOOL", "int64": "I64", "float16": "F16", "float32": "F32"}


def shard_of(clip_id: str, shards: int) -> int:
    """The number of the shard, in [0, shards), that a clip belongs to."""
    return int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big") % shards


def shard_path(folder: Path | str, shard: int) -> Path:
    """Path of shard number ``shard`` of a folder."""
    return Path(folder) / SHARDS / f"{shard:04d}.safetensors"


class ShardWriter:
    """A shard that is being written clip by clip; see :func:`writing_shard`.

    Attributes:
        notes: JSON-able values for the shard's header; :func:`shard_notes` reads them.
    """

    def __init__(self, spool: Path) -> None:
        self.notes: dict[str, Any] = {}
        self._clip_ids: list[str] = []
        self._kinds: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
        self._spool = spool

    def add(self, clip_id: str, arrays: dict[str, np.ndarray]) -> None:
        """Append one clip: arrays without the clip axis, the same names, types and shapes for all clips of a shard."""
        kinds = {name: (array.dtype, array.shape) for name, array in arrays.items()}
        if self._clip_ids and kinds != self._kinds:
            raise ValueError(f"{clip_id} has {kinds}, the clips before it have {self._kinds}")
        self._kinds = kinds
        self._clip_ids.append(clip_id)
        for name, array in arrays.items():
            with (self._spool / name).open("ab") as file:
                file.write(np.ascontiguousarray(array).data)

    def _assemble(self, path: Path, key: str) -> None:
        """Write the safetensors file: length of the header, header, arrays, widest type first so that all are aligned.

        The header is written here because that of the ``safetensors`` library lists its metadata in random order.
        """
        names = sorted(self._kinds, key=lambda name: (-self._kinds[name][0].itemsize, name))
        metadata = {"key": key, "clip_ids": json.dumps(self._clip_ids), "notes": json.dumps(self.notes, sort_keys=True)}
        header: dict[str, Any] = {"__metadata__": metadata}
        end = 0
        for name in names:
            dtype, shape = self._kinds[name]
            begin, end = end, end + (self._spool / name).stat().st_size
            header[name] = {
                "dtype": _SAFETENSORS_TYPES[dtype.name],
                "shape": [len(self._clip_ids), *shape],
                "data_offsets": [begin, end],
            }
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with path.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for name in names:
                with (self._spool / name).open("rb") as rows:
                    shutil.copyfileobj(rows, file)


@contextmanager
def writing_shard(path: Path, key: str) -> Iterator[ShardWriter]:
    """Write a shard atomically, reproducibly to the byte, with no more than one clip in memory."""
    with replacing(path) as partial, TemporaryDirectory(prefix=partial_prefix(), dir=partial.parent) as spool:
        writer = ShardWriter(Path(spool))
        yield writer
        writer._assemble(partial, key)


def write_shard(path: Path, arrays: dict[str, np.ndarray], clip_ids: Sequence[str], key: str) -> None:
    """Write arrays of N rows each, for N clips; as :func:`writing_shard` does."""
    for name, array in arrays.items():
        if len(array) != len(clip_ids):
            raise ValueError(f"{name} has {len(array)} rows for {len(clip_ids)} clips")
    with writing_shard(path, key) as shard:
        for row, clip_id in enumerate(clip_ids):
            shard.add(clip_id, {name: array[row] for name, array in arrays.items()})


def update_shard(
    path: Path, keys: dict[str, str], make: Callable[[str], tuple[dict[str, np.ndarray], dict[str, Any]] | str]
) -> dict[str, Any]:
    """Make the clips of a shard that it does not hold yet; if it holds exactly these, the file is not written.

    Args:
        path: of the shard.
        keys: for every clip, by id, in the order of the rows, the hash of everything that it is made from.
        make: for a clip's id its arrays (without the clip axis) and JSON-able facts, or the reason to reject it.

    Returns:
        The shard's notes: ``keys``; ``clips``, the facts of each row with its ``clip_id``; ``rejected``, the reasons by
        id of the rejected clips.
    """
    key = sha256_of_value(list(keys.items()))
    if shard_key(path) == key:
        return shard_notes(path)
    before = _Before(path)
    with writing_shard(path, key) as shard:
        shard.notes = {"keys": keys, "clips": [], "rejected": {}}
        for clip_id, clip_key in keys.items():
            made = before.get(clip_key) or make(clip_id)
            if isinstance(made, str):
                shard.notes["rejected"][clip_id] = made
            else:
                arrays, facts = made
                shard.add(clip_id, arrays)
                shard.notes["clips"].append({**facts, "clip_id": clip_id})
    return shard_notes(path)


class _Before:
    """The clips of a shard by their keys; empty if it is missing or damaged."""

    def __init__(self, path: Path) -> None:
        self._made: dict[str, int | str] = {}
        if shard_key(path) is None:
            return
        notes = shard_notes(path)
        keys = notes.get("keys", {})
        self._facts: list[dict[str, Any]] = notes.get("clips", [])
        self._made = {keys[facts["clip_id"]]: row for row, facts in enumerate(self._facts)}
        self._made |= {keys[clip_id]: reason for clip_id, reason in notes.get("rejected", {}).items()}
        self._open = safe_open(path, "np").__enter__()

    def get(self, key: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | str | None:
        made = self._made.get(key)
        if made is None or isinstance(made, str):
            return made
        arrays = {name: self._open.get_slice(name)[made] for name in self._open.keys()}  # noqa: SIM118
        return arrays, self._facts[made]


def digests(arrays: dict[str, np.ndarray]) -> dict[str, str]:
    """Hexadecimal SHA-256 of each array's type, shape and values."""
    return {
        name: hashlib.sha256(f"{array.dtype} {array.shape} ".encode() + array.tobytes()).hexdigest()
        for name, array in arrays.items()
    }


def shard_notes(path: Path) -> dict[str, Any]:
    """What the writer of a shard noted in its header."""
    with safe_open(path, "np") as shard:
        notes: dict[str, Any] = json.loads(shard.metadata()["notes"])
        return notes


def shard_key(path: Path) -> str | None:
    """The key in a shard's header; None if there is no such file or it is damaged."""
    try:
        with safe_open(path, "np") as shard:
            return (shard.metadata() or {}).get("key")
    except (OSError, SafetensorError):
        return None


def clip_ids_of(path: Path) -> list[str]:
    """The ids of a shard's clips, in the order of its rows."""
    with safe_open(path, "np") as shard:
        ids: list[str] = json.loads(shard.metadata()["clip_ids"])
        return ids


def array_shape(path: Path, name: str) -> tuple[int, ...] | None:
    """Shape (N, ...) of an array in a shard, by its header alone; None if it does not exist or the file is damaged."""
    try:
        with safe_open(path, "np") as shard:
            return tuple(shard.get_slice(name).get_shape())
    except (OSError, SafetensorError):
        return None


def read_shard(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a shard.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with safe_open(path, "np") as shard:
            return {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118 - not a dictionary
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read ({error}); remove it and run `dvc repro`") from error


def read_table(path: Path | str) -> pd.DataFrame:
    """A parquet table.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); run `dvc repro` to make it") from error


def evenly_spread(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """At most ``number`` rows of a table, evenly spread over it and in its order."""
    return rows.iloc[np.linspace(0, len(rows) - 1, min(number, len(rows))).round().astype(int)]


def label_columns(table: pd.DataFrame) -> list[str]:
    """Names of the columns of further labels, such as ``label.action``, sorted."""
    return sorted(name for name in table.columns if name.startswith(LABEL))


def named_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Further labels of a clip by their columns: ``{"action": "walk"}`` becomes ``{"label.action": "walk"}``."""
    return {f"{LABEL}{name}": value for name, value in labels.items()}


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as parquet, atomically."""
    with replacing(path) as partial:
        table.to_parquet(partial, index=False)


class ShardReader:
    """Random access to the clips of a folder of shards; only the requested rows are read.

    Args:
        folder: a folder that holds ``shards/``.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._open: dict[int, Any] = {}

    def __call__(self, name: str, shard: int, row: int) -> np.ndarray:
        """Array ``name`` of one clip, without the leading clip axis."""
        return self._read(name, shard, row)

    def frame(self, name: str, shard: int, row: int, frame: int) -> np.ndarray:
        """One frame of an array of one clip, without the axes of clips and frames; no other is read."""
        return self._read(name, shard, (row, frame))

    def _read(self, name: str, shard: int, index: int | tuple[int, int]) -> np.ndarray:
        if shard not in self._open:
            path = shard_path(self.folder, shard)
            try:
                self._open[shard] = safe_open(path, "np").__enter__()
            except (OSError, SafetensorError) as error:
                raise UserError(f"{path} cannot be read ({error}); run `dvc repro` to make it") from error
        try:
            return self._open[shard].get_slice(name)[index]
        except SafetensorError as error:
            raise UserError(f"{shard_path(self.folder, shard)} has no {name}; remove it and run `dvc repro`") from error

    def batch(self, name: str, table: pd.DataFrame) -> np.ndarray:
        """Array ``name`` of every row of ``table`` (columns ``shard`` and ``row``), in its order: (N, ...)."""
        rows = zip(table["shard"], table["row"], strict=True)
        return np.stack([self(name, int(shard), int(row)) for shard, row in rows])

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "_open": {}}  # worker processes open the files themselves


def sweep(folder: Path | str, shards: Iterable[int]) -> None:
    """Remove the shards of a folder that are not in ``shards``, and partial files of killed processes."""
    keep = {shard_path(folder, shard) for shard in shards}
    remove_partial(folder)
    remove_partial(Path(folder) / SHARDS)
    for path in (Path(folder) / SHARDS).glob("*.safetensors"):
        if path not in keep:
            path.unlink(missing_ok=True)  # another process may have
