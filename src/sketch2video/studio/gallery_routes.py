"""Routes of the gallery: what was painted, with everything that it was made from."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, HTTPException
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response

from sketch2video.curves import from_json
from sketch2video.curves.exports.html_player import to_html
from sketch2video.media.codec import read_frames
from sketch2video.studio.gallery import KINDS
from sketch2video.studio.schemas import MOST_FRAMES, FrameSheet, GalleryEntry, GalleryItems
from sketch2video.studio.sheets import frame_sheet
from sketch2video.studio.state import MISSING, PROBLEMS, Shared, as_json

router = APIRouter(prefix="/api/gallery", responses=PROBLEMS)

VideoKey = Annotated[str, InPath(pattern=r"^[0-9a-f]{1,64}$")]
Kind = Literal["mp4", "gif", "sketch_mp4", "svg", "json", "html"]


@router.get("", response_model=GalleryItems)
def list_items(studio: Shared) -> Response:
    """The videos, the newest first; those that were painted before this request are among them."""
    studio.gallery.flush()
    return as_json(GalleryItems(items=studio.gallery.items()))


@router.get("/{key}", response_model=GalleryEntry, responses=MISSING)
def get_entry(key: VideoKey, studio: Shared) -> Response:
    """A video with what it was made from."""
    studio.gallery.flush()
    entry = studio.gallery.entry(key)
    if entry is None:
        raise _missing()
    return as_json(entry)


@router.delete("/{key}", status_code=204, response_class=Response, responses=MISSING)
def remove(key: VideoKey, studio: Shared) -> Response:
    """Remove a video and its files."""
    studio.gallery.flush()
    if not studio.gallery.remove(key):
        raise _missing()
    return Response(status_code=204)


@router.get("/{key}/frames", response_model=FrameSheet, responses=MISSING)
def get_frames(key: VideoKey, studio: Shared) -> Response:
    """The frames of a video in one picture, at most as many as a drawing has."""
    studio.gallery.flush()
    entry, path = studio.gallery.entry(key), studio.gallery.file(key, "video")
    if entry is None or path is None:
        raise _missing()
    frames = list(islice(read_frames(path), MOST_FRAMES))
    if not frames:
        raise _missing()
    return as_json(frame_sheet(np.stack(frames), entry.fps))


@router.get(
    "/{key}/{kind}",
    response_class=Response,
    responses=MISSING
    | {
        200: {
            "description": "the file",
            "content": {media: {} for media in (*sorted({media for _, media in KINDS.values()}), "text/html")},
        }
    },
)
def get_file(key: VideoKey, kind: Kind, studio: Shared) -> Response:
    """A file of a video. The player is an HTML file to be saved: it does not run as a page of this server."""
    studio.gallery.flush()
    name, media = KINDS.get(kind, KINDS["json"])
    path = studio.gallery.file(key, name)
    if path is None:
        raise _missing()
    if kind == "html":
        entry = studio.gallery.entry(key)
        equation = from_json(path.read_text(encoding="utf-8"), "the drawing")
        page = to_html(equation, entry.caption if entry else "A drawing as an equation")
        filename = f"{path.name.partition('.')[0]}.html"
        headers = {"content-disposition": f'attachment; filename="{filename}"'}
        return Response(page, headers=headers, media_type="text/html")
    disposition = "attachment" if kind == "json" else "inline"
    return FileResponse(path, media_type=media, filename=path.name, content_disposition_type=disposition)


def _missing() -> HTTPException:
    return HTTPException(404, "there is no such video in the gallery")
