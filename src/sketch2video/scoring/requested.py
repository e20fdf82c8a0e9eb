"""The requested scores: those whose networks the user names, else those of the embedded judge."""

from __future__ import annotations

from pathlib import Path

from sketch2video.errors import UserError
from sketch2video.scoring.control_extractor import control_extractor
from sketch2video.scoring.extractors import c3d_extractor, embedded_extractor, i3d_extractor, label_extractor
from sketch2video.scoring.score import EMBEDDED_DOMAIN, FVD_AND_KVD, ScoreRequest
from sketch2video.scoring.statistics import frechet_of_rows

SAMPLINGS = ("first", "spread")


def requested_scores(
    *,
    i3d: Path | None,
    resize: str,
    c3d: Path | None,
    c3d_mean: Path | None,
    is_variant: str,
    is_splits: int,
    videomae: str | None,
    clip: str | None,
    judge: Path | None,
    control: int | None,
    frames: int,
    sampling: str,
    stride: int,
) -> list[ScoreRequest]:
    """Load the networks of the requested scores.

    The name `fvd` is for I3D alone. Without networks of the user's, the embedded judge gives scores with other names.

    Args:
        i3d: file of weights; scores `fvd` and `kvd`.
        resize: resizing for I3D.
        c3d, c3d_mean: files of weights and mean clip, both or none; score `is`.
        is_variant, is_splits: variant and number of splits of the inception score.
        videomae: folder or id; score `cd_fvd`.
        clip: folder or id; score `clipsim`.
        judge: folder of a judge trained for labels; scores `faithfulness_<label>` and `faithfulness_joint`.
        control: side in px of the frames in which lines are compared with drawings; scores `control_px`,
            `control_found` and `control_f1`.
        frames, sampling, stride: sampling of frames, unless the network determines it.

    Raises:
        UserError: a value is unknown, or a network cannot be loaded.
    """
    if sampling not in SAMPLINGS:
        raise UserError(f"sampling {sampling} is not known; it is {' or '.join(SAMPLINGS)}")
    if (c3d is None) != (c3d_mean is None):
        raise UserError(
            "the inception score needs both the weights of C3D and its mean clip; give --c3d and --c3d-mean"
        )
    requests = []
    if i3d:
        requests.append(ScoreRequest(i3d_extractor(i3d, frames, sampling, stride, resize), FVD_AND_KVD))
    if c3d and c3d_mean:
        requests.append(
            ScoreRequest(c3d_extractor(c3d, c3d_mean, is_variant, sampling), inception="is", splits=is_splits)
        )
    if videomae or clip:
        # `transformers` takes seconds to load.
        from sketch2video.scoring.pretrained import clip_captions, clip_extractor, videomae_extractor

        if videomae:
            requests.append(ScoreRequest(videomae_extractor(videomae, sampling, stride), {"cd_fvd": frechet_of_rows}))
        if clip:
            extractor = clip_extractor(clip, frames, sampling, stride)
            requests.append(ScoreRequest(extractor, captions=lambda captions: clip_captions(str(clip), captions)))
    if judge:
        extractor, words = label_extractor(judge)
        requests.append(ScoreRequest(extractor, words=words))
    if control:
        requests.append(ScoreRequest(control_extractor(frames, control), drawings=True))
    if not requests:
        distances = {f"{name}_embedded": distance for name, distance in FVD_AND_KVD.items()}
        requests.append(ScoreRequest(embedded_extractor(frames), distances, domain=EMBEDDED_DOMAIN))
    return requests
