"""Checks before a long run: ``sketch2video check``."""

from __future__ import annotations

from pathlib import Path

from sketch2video.controls import check_controls
from sketch2video.data.sources.hashable import refuse_unhashable_sources
from sketch2video.generation.prompts import read_prompts
from sketch2video.params import Params
from sketch2video.tracking.store import check_store, tracking_uri


def check(params: Params, prompts: Path | None = None) -> None:
    """Detect errors that would stop the graph, or the generation after it, hours later.

    Args:
        params: their folders of videos and of pairs must be such that DVC can hash them, and there must be the controls
            that they name.
        prompts: a prompts file; None: it does not exist yet.

    Raises:
        UserError: a control, a folder, the prompts file or the store of runs cannot be used.
    """
    check_controls(params)
    refuse_unhashable_sources(params)
    if prompts is not None:
        read_prompts(prompts)
    check_store(tracking_uri())
