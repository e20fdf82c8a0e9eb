"""The gate: a challenger becomes champion only if it is not worse, by the same judge on the same prompts.

Distances are of the features that :func:`~sketch2video.evaluation.judged.features_of` names: on data with a judge of
their own, ``fvd_embedded`` in the parameters means ``fvd_labels``, and the decision records that name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from sketch2video.data.clips.shards import ShardReader, read_table
from sketch2video.evaluation.evaluate import evaluated_rows
from sketch2video.evaluation.judged import features_of
from sketch2video.evaluation.scores import (
    DISTANCES,
    EMBEDDED,
    LABELS,
    LEAST_CLIPS,
    distance_scores,
    halves,
    share_scores,
)
from sketch2video.files import sha256_of_value
from sketch2video.generation import seeded
from sketch2video.generation.seeded import ClipSampling, generate_clips
from sketch2video.judges.faithfulness import JOINT, can_be_judged
from sketch2video.judges.shipped import judge_path, load_judge
from sketch2video.judges.trained.video_judge import TRAINED_JUDGE, VideoJudge, video_judge
from sketch2video.judges.verdict import Verdict, judge_clips
from sketch2video.params import Params, RegisterParams
from sketch2video.systems.loading import content_hash, load_pipeline, pipeline_code
from sketch2video.tracking.registry import (
    CHALLENGER,
    CHAMPION,
    CONTENT_HASH,
    aliased_version,
    client,
    locate_version,
    registry_errors,
)
from sketch2video.training.checkpoints import folder_for, remove_old_folders

LOWER_IS_BETTER = tuple(f"{name}_{features}" for name in DISTANCES for features in (EMBEDDED, LABELS))
"""Metrics that are distances. The others are shares of clips, for which higher is better."""

TAG = "gate."
"""Prefix of the tags of a decision."""


@dataclass(frozen=True)
class Decision:
    """The gate's decision about a version.

    Attributes:
        promoted: whether the version becomes the champion.
        reason: the reason in one line.
        metric: the compared metric; None if the data allow none.
        challenger, champion: the scores; None if there are none.
        champion_version: version that the challenger was compared with; None if there was no champion.
        tolerance: see ``register.tolerance``.
        clips: number of generated clips of each model.
        split: split of their captions.
        judge: name and hash of the judge.
        protocol: hash of everything that is the same for all versions: metric, settings and clips.
    """

    promoted: bool
    reason: str
    metric: str | None
    challenger: float | None
    champion: float | None
    champion_version: str | None
    tolerance: float
    clips: int
    split: str
    judge: str
    protocol: str

    def tags(self) -> dict[str, str]:
        """The decision as tags of the version, without fields that are None."""
        return {f"{TAG}{name}": str(value) for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Prompts:
    """The clips whose captions all versions generate for.

    Attributes:
        rows: the clips.
        split: their split.
        clips: folder of their shards.
        judge: the judge of their labels, or the reason why there is none.
    """

    rows: pd.DataFrame
    split: str
    clips: Path
    judge: VideoJudge | str


def pass_gate(
    params: Params,
    version: str,
    *,
    clips: Path = Path("data/clips"),
    checkpoints: Path = Path("checkpoints"),
    trained_judge: Path = TRAINED_JUDGE,
) -> dict[str, str]:
    """Decide whether a version becomes the champion, and write the decision into the registry.

    A version that is the champion already, or that was compared with the present champion by the same protocol, is not
    judged again.

    Args:
        params: ``register`` has the settings of the gate, ``evaluate`` and ``base`` those of the generation.
        version: version of the registered model ``register.name``.
        clips: output of ingest, for the captions.
        checkpoints: folder for generated clips, with which an interrupted run is resumed.
        trained_judge: output of ``train_judge``, for data with labels of their own.

    Returns:
        The decision's tags; see :class:`Decision`.

    Raises:
        UserError: there are no captions, or a model cannot be loaded.
    """
    name = params.register_.name
    holder = aliased_version(name, CHAMPION)
    champion = None if holder is None else str(holder.version)
    with registry_errors():
        tags = client().get_model_version(name, version).tags
    known = {key: value for key, value in tags.items() if key.startswith(TAG)}
    if champion == version and known:
        return known
    rows, split = judged_rows(params, clips)
    judge = video_judge(rows, trained_judge)
    if champion is not None and known:
        met = {name: known.get(f"{TAG}{name}") for name in ("champion_version", "promoted", "protocol")}
        if met == {
            "champion_version": champion,
            "promoted": "False",
            "protocol": protocol_of(params, rows, judge),
        }:
            return known
    decision = decide(params, version, champion, Prompts(rows, split, clips, judge), checkpoints)
    with registry_errors():
        for key in known:
            client().delete_model_version_tag(name, version, key)
        for key, value in decision.tags().items():
            client().set_model_version_tag(name, version, key, value)
        if decision.promoted:
            client().set_registered_model_alias(name, CHAMPION, version)
    return decision.tags()


def decide(params: Params, version: str, champion: str | None, prompts: Prompts, checkpoints: Path) -> Decision:
    """Judge a version, together with the champion if there is another one; see :func:`pass_gate`."""
    gate, rows, judge = params.register_, prompts.rows, prompts.judge
    versions = {CHALLENGER: version} | ({CHAMPION: champion} if champion not in (None, version) else {})
    metric = chosen_metric(gate, judge, len(rows))
    features = features_of(judge)
    classify: Callable[[np.ndarray], Verdict] = partial(judge_clips, load_judge("video"))
    if isinstance(judge, VideoJudge):
        classify = judge.verdict
    verdicts = {role: _judge(params, v, rows, classify, checkpoints) for role, v in versions.items()}
    scores: dict[str, float | None] = {CHALLENGER: None, CHAMPION: None}
    if metric in LOWER_IS_BETTER:
        real, half = classify(ShardReader(prompts.clips).batch("frames", rows)), halves(rows)
        scores |= {r: distance_scores(v, real, half, 0, {}, features)[metric].value for r, v in verdicts.items()}
    elif metric is not None and isinstance(judge, VideoJudge):
        asked = judge.requested(rows)
        scores |= {r: share_scores("faithfulness", v, asked, {})[metric].value for r, v in verdicts.items()}
    promoted, reason = compare(metric, scores[CHALLENGER], scores[CHAMPION], gate.tolerance, CHAMPION in versions)
    if metric in LOWER_IS_BETTER and features == EMBEDDED and not can_be_judged(rows):
        reason += f"; out of the domain of {metric}, as these clips have no judge of their own"
    return Decision(
        promoted=promoted,
        reason=reason,
        metric=metric,
        challenger=scores[CHALLENGER],
        champion=scores[CHAMPION],
        champion_version=versions.get(CHAMPION),
        tolerance=gate.tolerance,
        clips=len(rows),
        split=prompts.split,
        judge=judge_name(judge),
        protocol=protocol_of(params, rows, judge),
    )


def judged_rows(params: Params, clips: Path) -> tuple[pd.DataFrame, str]:
    """The clips whose captions the gate uses, and their split."""
    return evaluated_rows(read_table(clips / "clips.parquet"), params.register_.clips)


def can_score(judge: VideoJudge | str, metric: str) -> bool:
    """Whether a judge gives a metric, a share of clips; False if there is no judge."""
    return isinstance(judge, VideoJudge) and metric.removeprefix("faithfulness_") in (JOINT, *judge.columns)


def judge_name(judge: VideoJudge | str) -> str:
    """Name of the judge that decides: that of the labels, or the frozen one, whose features distances then compare."""
    return judge.name if isinstance(judge, VideoJudge) else judge_path("video").name


def protocol_of(params: Params, rows: pd.DataFrame, judge: VideoJudge | str) -> str:
    """Hash of all inputs of a decision except the versions."""
    gate = params.register_.model_dump(exclude={"name", "system"})
    sampling, name = ClipSampling.of(params).model_dump(), judge_name(judge)
    return sha256_of_value({"gate": gate, "sampling": sampling, "rows": rows.to_json(), "judge": name})[:16]


def chosen_metric(gate: RegisterParams, judge: VideoJudge | str, clips: int) -> str | None:
    """The metric that decides: ``register.metric``, or ``register.metric_without_labels`` if the judge lacks its label.

    A distance is that of :func:`~sketch2video.evaluation.judged.features_of`; None if there are too few clips for it.

    Args:
        gate: parameters.
        judge: the judge of the labels, or the reason why there is none.
        clips: number of clips.
    """
    usable = can_score(judge, gate.metric) or gate.metric in LOWER_IS_BETTER
    metric = gate.metric if usable else gate.metric_without_labels
    if metric not in LOWER_IS_BETTER:
        return metric
    return f"{metric.partition('_')[0]}_{features_of(judge)}" if clips >= LEAST_CLIPS else None


def compare(
    metric: str | None, challenger: float | None, champion: float | None, tolerance: float, contested: bool
) -> tuple[bool, str]:
    """Whether a challenger is not worse than the champion, and the reason in one line.

    A share may be lower than the champion's by ``tolerance``; a distance may be higher by the factor
    ``1 + tolerance``.

    Args:
        metric: name of the metric; None if the versions cannot be compared.
        challenger, champion: the scores.
        tolerance: allowed difference.
        contested: whether there is a champion.
    """
    if not contested:
        return True, "there was no champion"
    if metric is None or challenger is None or champion is None:
        return False, f"fewer than {LEAST_CLIPS} clips: cannot be compared with the champion"
    if metric in LOWER_IS_BETTER:
        bound = champion + tolerance * abs(champion)
        return challenger <= bound, f"{metric} {challenger:.4g}, at most {bound:.4g} is allowed"
    bound = champion - tolerance
    return challenger >= bound, f"{metric} {challenger:.4g}, at least {bound:.4g} is needed"


def _judge(
    params: Params,
    version: str,
    rows: pd.DataFrame,
    classify: Callable[[np.ndarray], Verdict],
    checkpoints: Path,
) -> Verdict:
    """Verdict of a judge on clips that a version generates for the rows' captions."""
    folder, _ = locate_version(f"models:/{params.register_.name}/{version}")
    pipeline = load_pipeline(folder)
    sampling = ClipSampling.of(params).suiting(pipeline)
    settings = {CONTENT_HASH: content_hash(folder), "sampling": sampling.model_dump(), "rows": rows.to_json()}
    kept = folder_for("gate", settings, [], checkpoints, code=[str(seeded.__file__), pipeline_code(pipeline)])
    remove_old_folders(kept)
    generated = generate_clips(pipeline, rows, sampling, kept, f"version {version}")
    return Verdict.concatenate([classify(frames) for frames, _ in generated.batches()])
