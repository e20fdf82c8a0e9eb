"""The frozen judges of the package: ``weights/video-<hash>`` and ``weights/sketch-<hash>``."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch

from sketch2video.errors import UserError
from sketch2video.files import replacing, sha256_of_file
from sketch2video.judges.scenes_judge import Judge

JUDGE_FOLDER = Path(__file__).parent / "weights"
WEIGHTS = "diffusion_pytorch_model.safetensors"
HASH_DIGITS = 12


@cache
def load_judge(kind: str, folder: Path = JUDGE_FOLDER) -> Judge:
    """The frozen judge of a kind, in evaluation mode.

    Args:
        kind: "video" or "sketch".
        folder: holds one folder ``<kind>-<hash>``.

    Raises:
        UserError: there is not exactly one such judge, or its weights do not match its name.
    """
    path = judge_path(kind, folder)
    found = sha256_of_file(path / WEIGHTS)[:HASH_DIGITS]
    if path.name != f"{kind}-{found}":
        raise UserError(f"the weights in {path} have SHA-256 {found}…, unlike their name; restore them with git")
    judge: Judge = Judge.from_pretrained(path, torch_dtype=torch.float32, low_cpu_mem_usage=False)
    return judge.eval().requires_grad_(False)


def judge_path(kind: str, folder: Path = JUDGE_FOLDER) -> Path:
    """Folder of the frozen judge of a kind; its name is the judge's name in reports."""
    paths = sorted(folder.glob(f"{kind}-*/{WEIGHTS}"))
    if len(paths) != 1:
        raise UserError(
            f"{folder} holds {len(paths)} judges named {kind}-… instead of one; `python -m flows.train_judge` makes it"
        )
    return paths[0].parent


def store_judge(judge: Judge, kind: str, folder: Path = JUDGE_FOLDER) -> Path:
    """Write a judge in half precision, named by the hash of its weights; it replaces the judge of the same kind.

    Args:
        judge: the trained network; it is converted to half precision.
        kind: "video" or "sketch".
        folder: holds the judges.

    Returns:
        The judge's folder, ``<kind>-<hash>``.
    """
    with tempfile.TemporaryDirectory() as temporary:
        judge.half().save_pretrained(temporary, safe_serialization=True)
        name = f"{kind}-{sha256_of_file(Path(temporary) / WEIGHTS)[:HASH_DIGITS]}"
        with replacing(folder / name) as partial:
            partial.mkdir()
            for file in Path(temporary).iterdir():
                shutil.copyfile(file, partial / file.name)  # without the temporary folder's permissions
    for other in folder.glob(f"{kind}-*"):
        if other.name != name:
            shutil.rmtree(other)
    return folder / name
