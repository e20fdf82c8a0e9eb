"""Layouts of captioned videos: a CSV with paths, UCF-101 or MSR-VTT."""

from __future__ import annotations

from pathlib import Path

from sketch2video.data.sources.captions import read_captions
from sketch2video.data.sources.msrvtt import read_msrvtt
from sketch2video.data.sources.rows import Source
from sketch2video.data.sources.ucf101 import read_ucf101
from sketch2video.params import IngestParams


def read_source(ingest: IngestParams) -> Source:
    """Read the rows that ``ingest.source`` names; it is a source of video files.

    Raises:
        UserError: the source cannot be read.
    """
    folder = Path(ingest.folder).absolute()
    if ingest.source == "ucf101":
        return read_ucf101(folder, ingest.ucf101_split)
    if ingest.source == "msrvtt":
        return read_msrvtt(folder, ingest.seed)
    return read_captions(folder, ingest.captions)
