"""From clips to verdicts of the judges, and from these to all scores of an evaluation.

Distances compare features of a judge that knows such clips: the embedded judge for scenes with one object
(``fvd_embedded``), the judge of the data's own labels for other data (``fvd_labels``). Data without such a judge have
distances of the embedded judge, which are marked as out of its domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from sketch2video.evaluation.class_scores import class_groups, class_scores
from sketch2video.evaluation.consistency import Steadiness, steadiness
from sketch2video.evaluation.scores import (
    DISTANCES,
    EMBEDDED,
    LABELS,
    LEAST_CLIPS,
    Score,
    distance_scores,
    halves,
    inception_scores,
    share_scores,
    steadiness_scores,
)
from sketch2video.generation.seeded import Batches
from sketch2video.judges.faithfulness import can_be_judged
from sketch2video.judges.shipped import load_judge
from sketch2video.judges.trained.video_judge import VideoJudge
from sketch2video.judges.verdict import Verdict, judge_clips

TEXT: Final = "text"
"""Name of generation from captions alone; a control may add another way to generate, its ``way``."""

UNSTEADY = {
    "background_drift": "needs clips with a static part",
    "sharpness_ratio": "needs real clips with visible content",
    "motion_ratio": "needs real clips in which something moves",
}
"""Reasons why a measure of steadiness may be undefined."""

OTHER_DOMAIN = "clips unlike those that the features were trained on, embedded scenes with one object"
"""In the protocol of distances of other data."""

OTHER_JUDGE = "needs embedded scenes with one object, and these data have a judge of their own"
"""Reason why distances of the embedded judge are left out."""


@dataclass(frozen=True)
class Judged:
    """Verdicts of the judges and steadiness of one set of clips, in the order of the rows.

    Attributes:
        video: by the judge whose features distances compare, see :func:`features_of`.
        labels: the same verdict, if the judge knows the clips' labels; else None.
        sketch: on the drawings; None if there are none.
        steadiness: measures of steadiness.
    """

    video: Verdict
    labels: Verdict | None
    sketch: Verdict | None
    steadiness: Steadiness


def suffix_of(way: str) -> str:
    """Suffix of the names of a way's scores."""
    return "" if way == TEXT else f"_{way}"


def features_of(judge: VideoJudge | str) -> str:
    """Whose features distances compare: ``LABELS`` if a judge was trained for the data's labels, else ``EMBEDDED``."""
    return LABELS if isinstance(judge, VideoJudge) and judge.about else EMBEDDED


def judge_batches(batches: Batches, judge: VideoJudge | str) -> Judged:
    """Apply the judges to clips and their drawings, if any, and measure the clips' steadiness, batch by batch."""
    video, sketch = load_judge("video"), load_judge("sketch")
    own = judge if isinstance(judge, VideoJudge) and judge.about else None
    videos, sketches, steady = [], [], []
    for frames, drawings in batches:
        videos.append(own.verdict(frames) if own else judge_clips(video, frames))
        steady.append(steadiness(frames))
        if drawings is not None:
            sketches.append(judge_clips(sketch, drawings))
    seen, drawn = Verdict.concatenate(videos), Verdict.concatenate(sketches) if sketches else None
    return Judged(seen, seen if isinstance(judge, VideoJudge) else None, drawn, Steadiness.concatenate(steady))


def score(
    rows: pd.DataFrame,
    real: Judged,
    judged: dict[str, Judged],
    judge: VideoJudge | str,
    bootstrap: int,
    protocol: dict[str, Any],
) -> tuple[dict[str, Score], dict[str, str]]:
    """All scores that can be computed with the data, and the names of the others with the reason.

    Args:
        rows: the N evaluated clips.
        real: verdicts on the real clips and on the drawings of their fitted curves.
        judged: verdicts on the generated clips, for each way.
        judge: the judge of the labels, or the reason why there is none.
        bootstrap: number of resamples for intervals.
        protocol: protocol of the scores.
    """
    scores: dict[str, Score] = {}
    left_out: dict[str, str] = {}
    suffixes = {way: suffix_of(way) for way in judged}
    if isinstance(judge, VideoJudge):
        asked = judge.requested(rows)
        sets = {f"faithfulness {suffix}": judged[way].labels for way, suffix in suffixes.items()}
        for name, verdict in (sets | {"judge_accuracy ": real.labels}).items():
            prefix, _, suffix = name.partition(" ")
            if verdict is not None:
                scores |= share_scores(prefix, verdict, asked, protocol, suffix)
        if judge.about:
            groups = class_groups(asked, rows["label"])
            for way, suffix in suffixes.items():
                scores |= class_scores(judged[way].video, real.video, asked, groups, bootstrap, protocol, suffix)
    else:
        left_out |= dict.fromkeys(["faithfulness", "judge_accuracy"], judge)
    if can_be_judged(rows):
        if judged[TEXT].sketch is not None:
            scores |= share_scores("sketch_faithfulness", judged[TEXT].sketch, rows, protocol)
        if real.sketch is not None:
            scores |= share_scores("sketch_judge_accuracy", real.sketch, rows, protocol)
        for way, suffix in suffixes.items():
            scores |= inception_scores(f"is_embedded{suffix}", judged[way].video, bootstrap, protocol)
        scores |= inception_scores("is_embedded_real", real.video, bootstrap, protocol)
    else:
        left_out["is_embedded"] = "needs clips whose shape, colour and motion are known, in words of the embedded judge"
    features, half = features_of(judge), halves(rows)
    about = protocol if can_be_judged(rows) or features == LABELS else protocol | {"domain": OTHER_DOMAIN}
    if len(rows) >= LEAST_CLIPS:
        for way, suffix in suffixes.items():
            found = distance_scores(judged[way].video, real.video, half, bootstrap, about, features)
            scores |= {f"{name}{suffix}": one for name, one in found.items()}
    else:
        reason = f"needs at least {LEAST_CLIPS} clips in the {protocol['split']} split, there are {len(rows)}"
        left_out |= {f"{name}_{features}": reason for name in DISTANCES}
    if features == LABELS:
        left_out |= {f"{name}_{EMBEDDED}": f"{OTHER_JUDGE}; see {name}_{LABELS}" for name in DISTANCES}
    for way, suffix in suffixes.items():
        found = steadiness_scores(judged[way].steadiness, real.steadiness, bootstrap, protocol)
        scores |= {f"{name}{suffix}": one for name, one in found.items()}
        left_out |= {f"{name}{suffix}": reason for name, reason in UNSTEADY.items() if name not in found}
    return scores, left_out
