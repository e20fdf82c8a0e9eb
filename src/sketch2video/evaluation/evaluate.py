"""The stage ``evaluate``: generate clips for the held-out captions, judge them, compare with real clips, report.

A video is generated from every caption alone. Systems with drawings also generate from the curves that were fitted to
the real clip (``_fitted`` in the scores' names): the difference is the curve model's share of the error. Systems with
control videos also generate from those of the real clip (``_control``). The system's control determines which of these
exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from sketch2video.controls import Control
from sketch2video.controls.sketch import fitted_curves
from sketch2video.data.clips.shards import ShardReader, read_table
from sketch2video.errors import UserError
from sketch2video.evaluation.fidelity_scores import AskedDrawings, fidelity_scores
from sketch2video.evaluation.judged import TEXT, Judged, judge_batches, score, suffix_of
from sketch2video.evaluation.provenance import provenance
from sketch2video.evaluation.report import Example, animated_webp, write_report
from sketch2video.evaluation.scores import Evaluation, Score, peak_signal_to_noise, spread_evenly
from sketch2video.files import replacing, sha256_of_value, write_json
from sketch2video.generation import seeded
from sketch2video.generation.seeded import Batches, ClipSampling, GeneratedClips, Given, generate_clips, row_batches
from sketch2video.judges.faithfulness import shows_all_asked, word_pairs
from sketch2video.judges.shipped import judge_path
from sketch2video.judges.trained.video_judge import TRAINED_JUDGE, VideoJudge, video_judge
from sketch2video.judges.verdict import ATTRIBUTES
from sketch2video.params import Params
from sketch2video.systems.loading import content_hash, load_pipeline, pipeline_code
from sketch2video.training.checkpoints import folder_for, remove_old_folders

TEXT_TITLE = "generated from text"
"""Title of these clips in the report."""

EXAMPLES, FAILURES = 8, 6
"""Numbers of clips in the report: a fixed selection, and the first ones with wrong attributes."""

ALONE = 8
"""Number of clips that are generated again in batches of one, to measure the time."""


@dataclass(frozen=True)
class Data:
    """Folders of the outputs of the data stages."""

    clips: Path = Path("data/clips")
    sketches: Path = Path("data/sketches")
    curves: Path = Path("data/curves")


def evaluate(
    params: Params,
    *,
    data: Data | None = None,
    system: str,
    model: Path,
    reports: Path,
    checkpoints: Path = Path("checkpoints"),
    trained_judge: Path = TRAINED_JUDGE,
    load: Callable[[Path], Any] = load_pipeline,
) -> Evaluation:
    """Score a model on the test split.

    Writes ``metrics.json``, ``evaluation.json``, ``plots/``, ``examples/`` and ``index.html``.

    Args:
        params: all parameters; ``base`` and ``evaluate`` are read, and ``sketch`` where there are drawings.
        data: outputs of ingest, and of sketch and fit for systems with drawings.
        system: name of the system, for the report.
        model: folder of the assembled pipeline.
        reports: output folder.
        checkpoints: folder for generated clips, with which an interrupted evaluation is resumed.
        trained_judge: output of ``train_judge``, for data with labels of their own.
        load: loads a pipeline from ``model``.

    Raises:
        UserError: data or model are missing or damaged, or there is no clip.
    """
    data = data or Data()
    rows, split = evaluated_rows(read_table(data.clips / "clips.parquet"), params.evaluate.clips)
    pipeline = load(model)
    sampling = ClipSampling.of(params).completed(pipeline.config.get("sampling", {}))
    protocol = {
        "split": split,
        "clips": len(rows),
        "captions": sha256_of_value(rows[["clip_id", "caption"]].to_dict("list"))[:12],
        "frames": params.base.frames,
        "size": params.base.size,
        "video_judge": judge_path("video").name,
        "sketch_judge": judge_path("sketch").name,
        "system": system,
        "model": content_hash(model)[:12],
        "sampling": sampling.model_dump(),
    }
    judge = video_judge(rows, trained_judge)
    control = pipeline.control
    ways = ways_to_generate(control, data, params.base.size)
    inputs = set(control.arrays(data.clips, data.curves).values())
    settings = {**protocol, "rows": rows.to_json()}
    code = [str(seeded.__file__), pipeline_code(pipeline), *control.code]
    folder = folder_for(f"evaluate-{system}", settings, inputs, checkpoints, code=code)
    remove_old_folders(folder)
    generated = {way: generate_clips(pipeline, rows, sampling, folder, way, given) for way, given in ways.items()}
    alone = generate_clips(pipeline, rows.head(ALONE), sampling.model_copy(update={"batch_size": 1}), folder, "alone")

    def real_batches() -> Batches:
        return _real_batches(data, rows, sampling.batch_size, drawn=control.draws)

    about: dict[str, Any] = {}
    if isinstance(judge, VideoJudge) and judge.about:  # generated clips do not depend on it
        protocol["label_judge"], about = judge.name, judge.about.as_json()
    real = judge_batches(real_batches(), judge)
    judged = {way: judge_batches(clips.batches(), judge) for way, clips in generated.items()}
    scores, left_out = score(rows, real, judged, judge, params.evaluate.bootstrap, protocol)
    for way in generated.keys() - {TEXT}:
        scores[f"psnr{suffix_of(way)}"] = _psnr(generated[way], real_batches(), protocol)
    drawings = AskedDrawings(control, rows, data.clips, data.curves, sampling.batch_size)
    drawn = {suffix_of(way): clips for way, clips in generated.items() if control.draws or way != TEXT}
    followed, undefined = fidelity_scores(drawings, drawn, params.sketch, params.evaluate.bootstrap, protocol)
    scores, left_out = scores | followed, left_out | undefined
    seconds = {way: clips.seconds for way, clips in {**generated, "alone": alone}.items()}
    pairs_of_words = pd.DataFrame(columns=["attribute", "asked", "judged"])
    asked = judge.requested(rows) if isinstance(judge, VideoJudge) else pd.DataFrame(index=rows.index)
    if judged[TEXT].labels is not None:
        pairs_of_words = word_pairs(judged[TEXT].labels, asked).dropna(subset="asked")
    examples, failures = _examples(data, rows, asked, control, generated, judged)
    kept = keep_examples(reports / "examples", examples)
    evaluation = Evaluation(scores, left_out, seconds, protocol, size_of(pipeline), kept, provenance(), about)
    _write(reports, evaluation, pairs_of_words)
    write_report(reports, evaluation, control, pairs_of_words, examples, failures)
    return evaluation


def size_of(pipeline: Any) -> dict[str, int]:
    """See :class:`~sketch2video.evaluation.scores.Evaluation`."""
    networks = [part for part in getattr(pipeline, "components", {}).values() if isinstance(part, nn.Module)]
    size = {"parameters": sum(weight.numel() for network in networks for weight in network.parameters())}
    return size | ({"latent_numbers": pipeline.latent_numbers} if hasattr(pipeline, "latent_numbers") else {})


def keep_examples(folder: Path, examples: list[Example]) -> list[dict[str, str]]:
    """Write generated and real clips as animations into a folder, for comparisons with other systems.

    Returns:
        The examples of :class:`~sketch2video.evaluation.scores.Evaluation`.
    """
    kept = []
    with replacing(folder) as partial:
        partial.mkdir()
        for number, example in enumerate(examples):
            files = {name: f"{number}-{name}.webp" for name in ("generated", "real")}
            for name, title in {"generated": TEXT_TITLE, "real": "real"}.items():
                (partial / files[name]).write_bytes(animated_webp(example.tracks[title]))
            kept.append({"clip_id": example.clip_id, "caption": example.caption, **files})
    return kept


def ways_to_generate(control: Control, data: Data, size: int) -> dict[str, Given | None]:
    """The ways to generate by name: from captions alone, and with control pictures of the real clips.

    Args:
        control: the system's control.
        data: folders of the real clips and their curves.
        size: side of the real clips, px.
    """
    ways: dict[str, Given | None] = {TEXT: None}
    if control.way:
        ways[control.way.name] = lambda rows: control.given(rows, data.clips, data.curves, size)
    return ways


def evaluated_rows(table: pd.DataFrame, number: int) -> tuple[pd.DataFrame, str]:
    """The clips to evaluate on, spread evenly over captions, and the name of their split.

    If the test split is empty, as with very few videos, clips of the training split are used instead; every score has
    the split in its protocol.

    Raises:
        UserError: the table is empty.
    """
    if not len(table):
        raise UserError("data/clips holds no clip to evaluate on; add videos to the source and run `dvc repro`")
    split = "test" if (table["split"] == "test").any() else "train"
    return spread_evenly(table[table["split"] == split], number), split


def _real_batches(
    data: Data, rows: pd.DataFrame, batch_size: int, drawn: bool
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Real clips, and with ``drawn`` the drawings of the curves that were fitted to them."""
    reader = ShardReader(data.clips)
    for batch in row_batches(rows, batch_size):
        frames = reader.batch("frames", batch)
        if drawn:
            drawings = [curves.render(*frames.shape[2:4]) for curves in fitted_curves(data.curves, batch)]
        yield frames, np.stack(drawings) if drawn else None


def _psnr(generated: GeneratedClips, real: Batches, protocol: dict[str, Any]) -> Score:
    """Mean PSNR between real clips and clips that were generated from their control pictures."""
    pairs = zip(generated.batches(), real, strict=True)
    values = np.concatenate([peak_signal_to_noise(mine, true) for (mine, _), (true, _) in pairs])
    return Score(float(values.mean()), protocol=protocol | {"clips": len(values), "unit": "dB"})


def _examples(
    data: Data,
    rows: pd.DataFrame,
    asked: pd.DataFrame,
    control: Control,
    generated: dict[str, GeneratedClips],
    judged: dict[str, Judged],
) -> tuple[list[Example], list[Example]]:
    """A fixed selection of clips, evenly over the rows, and the first clips from text with wrong attributes."""
    chosen = sorted(set(np.linspace(0, len(rows) - 1, EXAMPLES).round().astype(int).tolist()))
    wrong: list[int] = []
    if judged[TEXT].labels is not None:
        wrong = np.flatnonzero(~shows_all_asked(judged[TEXT].labels, asked))[:FAILURES].tolist()
    selected = sorted({*chosen, *wrong})
    table = rows.iloc[selected]
    made = {way: clips.pick(selected) for way, clips in generated.items()}
    real, drawn = next(_real_batches(data, table, len(table), drawn=control.draws))
    shown = {"real": list(real)}
    if drawn is not None:
        shown |= {"sketch": list(ShardReader(data.sketches).batch("ink", table)), "fitted curves": list(drawn)}
        shown |= {"drawn from text": [drawing for _, drawing in made[TEXT]]}
    elif (pictures := control.pictures_of_clips(table, data.clips, data.curves, real.shape[2])) is not None:
        shown |= {"control": list(control.shown(pictures))}
    titles = {TEXT: TEXT_TITLE} | ({control.way.name: control.way.title} if control.way else {})
    shown |= {titles[way]: [frames for frames, _ in clips] for way, clips in made.items()}
    examples = {}
    for position, index in enumerate(selected):
        verdicts = {}
        for way in generated:
            if (verdict := judged[way].labels) is not None:
                words = {
                    name: verdict.words(name)[index]
                    for name in verdict.probabilities
                    if pd.notna(asked[name].iloc[index])
                }
                verdicts[titles[way]] = [(word, word == asked[name].iloc[index]) for name, word in words.items()]
        tracks = {title: clips[position] for title, clips in shown.items()}
        examples[index] = Example(rows["clip_id"].iloc[index], rows["caption"].iloc[index], tracks, verdicts)
    return [examples[i] for i in chosen], [examples[i] for i in wrong]


def _write(reports: Path, evaluation: Evaluation, pairs_of_words: pd.DataFrame) -> None:
    """Write the metrics for DVC, the whole evaluation, and the tables that DVC plots."""
    write_json(reports / "metrics.json", evaluation.metrics())
    write_json(reports / "evaluation.json", asdict(evaluation))
    shares = [
        {"score": name, "share": one.value, "low": one.interval[0], "high": one.interval[1]}
        for name, one in evaluation.scores.items()
        if one.interval is not None and one.protocol.get("interval") == "Wilson"
    ]
    with replacing(reports / "plots" / "evaluate") as folder:
        folder.mkdir()
        pd.DataFrame(shares, columns=["score", "share", "low", "high"]).to_csv(folder / "shares.csv", index=False)
        for name in dict.fromkeys([*ATTRIBUTES, *pairs_of_words["attribute"]]):
            pairs = pairs_of_words[pairs_of_words["attribute"] == name]
            pairs[["asked", "judged"]].to_csv(folder / f"confusion_{name}.csv", index=False)
