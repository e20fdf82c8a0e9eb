"""Loading trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from diffusers.models.modeling_utils import ModelMixin

from sketch2video.errors import UserError

Network = TypeVar("Network", bound=ModelMixin)


def load_frozen(kind: type[Network], folder: Path | str, stage: str) -> Network:
    """A trained network, frozen and in evaluation mode.

    Args:
        kind: its class.
        folder: that ``save_pretrained`` wrote.
        stage: of the graph, which trains it.

    Raises:
        UserError: the folder is missing or damaged.
    """
    try:
        model = kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{folder} cannot be loaded as {kind.__name__} ({reason}); run `dvc repro {stage}`") from error
    return model.requires_grad_(False).eval()
