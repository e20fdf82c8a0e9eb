"""Checks of clips and curves before training, by Great Expectations.

Three tables are checked: clips (``data/clips/clips.parquet``), curves (``data/curves/curves.parquet``) and the rejected
rows of the source. Facts that no single column holds, such as the number of splits that show a video, first become
columns (:func:`clips_with_facts`, :func:`curves_with_facts`), so that a failing check can name its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sketch2video.data.clips.columns import (
    CLIP_COLUMNS,
    CURVE_COLUMNS,
    IMAGE_COLUMNS,
    IMAGE_TABLE,
    REJECTED_COLUMNS,
    REJECTED_IMAGES,
    TEXT,
)
from sketch2video.data.clips.shards import LABEL, array_shape, label_columns, read_table, shard_path
from sketch2video.data.validation.data_docs import without_network
from sketch2video.errors import UserError
from sketch2video.files import remove_partial, replacing, sha256_of_file, write_json
from sketch2video.params import MAX_NUMBERS_PER_FRAME, Params

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

NULLABLE = {"label", "shape", "colour", "motion"}

ENOUGH_CLIPS = 5
"""A label of fewer clips may fall into the test split alone by chance; at 10% for the test, five do so once in 1e5."""

_ROWS_NAMED = 10


@dataclass(frozen=True)
class Check:
    """The outcome of one expectation.

    Attributes:
        table: clips, curves or rejected.
        expectation: Great Expectations' name of it.
        column: None where the expectation is about the whole table.
        success: whether the data meet it.
        expected: the expectation's own arguments.
        observed: the value found, where the expectation is about one value.
        rows: offending rows, each as its id and the value found.
    """

    table: str
    expectation: str
    column: str | None
    success: bool
    expected: dict[str, Any]
    observed: Any
    rows: list[str]

    def __str__(self) -> str:
        column = self.table if self.column is None else f"{self.table}.{self.column}"
        arguments = ", ".join(f"{name}={value}" for name, value in self.expected.items())
        line = f"{column}: {self.expectation}({arguments})"
        if self.observed is not None:
            line += f", observed {self.observed}"
        if self.rows:
            more = f" and {len(self.rows) - _ROWS_NAMED} more" if len(self.rows) > _ROWS_NAMED else ""
            line += f"; rows {', '.join(self.rows[:_ROWS_NAMED])}{more}"
        return line


def validate(
    params: Params,
    clips: Path = Path("data/clips"),
    curves: Path = Path("data/curves"),
    images: Path = Path("data/images"),
    report: Path = Path("reports/validation.json"),
    docs: Path = Path("reports/data_docs"),
    passed: Path = Path("data/validated.json"),
) -> None:
    """Check the tables; write the outcome of every check, pages to read, and, if all pass, their fingerprints.

    Args:
        params: the bounds (``validate``) and what the data were made for (``base``, ``ingest``, ``fit``).
        clips: folder of ``clips.parquet``, its shards and ``rejected.csv``.
        curves: folder of ``curves.parquet`` and its shards.
        images: folder of ``images.parquet``, its shards and ``rejected.csv``; nothing is checked of it where the table
            is empty.
        report: every check with its outcome; without timestamps, so equal data give equal bytes.
        docs: Great Expectations' Data Docs, ``index.html`` first.
        passed: fingerprints of the tables that passed. Training depends on this file rather than on the report: bad
            data stop the graph, and a changed bound alone does not repeat a training.

    Raises:
        UserError: a table cannot be read, or a check fails; the message names expectations and offending rows.
    """
    paths = {"clips": clips / "clips.parquet", "curves": curves / "curves.parquet"}
    tables = {name: read_table(path) for name, path in paths.items()}
    tables["rejected"] = _read_rejected(clips / "rejected.csv")
    columns = {"clips": CLIP_COLUMNS, "curves": CURVE_COLUMNS, "rejected": REJECTED_COLUMNS}
    pictures = read_table(images / IMAGE_TABLE)
    if len(pictures):
        tables |= {"images": pictures, "rejected_images": _read_rejected(images / "rejected.csv")}
        columns |= {"images": IMAGE_COLUMNS, "rejected_images": REJECTED_IMAGES}
    columns = {name: known | dict.fromkeys(label_columns(tables[name]), TEXT) for name, known in columns.items()}
    tables = {name: _with_text(table, columns[name]) for name, table in tables.items()}
    expectations = {name: list(schema_expectations(columns[name])) for name in tables}
    if all(set(columns[name]) <= set(table) for name, table in tables.items()):
        tables["clips"] = clips_with_facts(tables["clips"], clips)
        tables["curves"] = curves_with_facts(tables["curves"], tables["clips"], curves)
        expectations["clips"] += clip_expectations(params)
        expectations["curves"] += curve_expectations(params, len(tables["clips"]))
        expectations["rejected"] += rejected_expectations(params)
        if "images" in tables:
            tables["images"] = images_with_facts(tables["images"], images)
            expectations["images"] += image_expectations(params)
            expectations["rejected_images"] += rejected_expectations(params)
    docs.parent.mkdir(parents=True, exist_ok=True)
    remove_partial(docs.parent)
    with replacing(docs) as partial:
        checks = run_checks(tables, expectations, partial)
    failed = [check for check in checks if not check.success]
    write_json(report, {"success": not failed, "checks": [asdict(check) for check in checks]})
    if failed:
        raise UserError(
            f"{len(failed)} of {len(checks)} checks of the data failed; fix the rows or the bounds in params.yaml"
            f" (validate), pages to read: {docs / 'index.html'}",
            *failed,
        )
    write_json(passed, {path.name: sha256_of_file(path) for path in paths.values()})


def clips_with_facts(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The clip table with the facts that its checks need.

    ``frames`` and ``size`` are those of the clip's array on disk, 0 if it is missing. ``splits_of_<column>`` counts
    the splits that show the row's clip, video, shape, colour or motion. ``label_in_training`` is yes or no for test
    clips whose label has at least :data:`ENOUGH_CLIPS` clips, null for all others.
    """
    shapes = _array_shapes(table, folder, "frames", 4)
    facts: dict[str, Any] = {"frames": shapes[:, 0], "size": shapes[:, 1]}
    for column in ("clip_id", "video_sha256", "shape", "colour", "motion"):
        facts[f"splits_of_{column}"] = table.groupby(column)["split"].transform("nunique")
    trained = table["label"].isin(table.loc[table["split"] == "train", "label"].dropna())
    judged = (table["split"] == "test") & (table.groupby("label")["label"].transform("size") >= ENOUGH_CLIPS)
    facts["label_in_training"] = trained.map({True: "yes", False: "no"}).astype(object).where(judged, None)
    return table.assign(**facts)


def images_with_facts(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The image table with ``frames``, ``size`` and ``splits_of_image_sha256``; see :func:`clips_with_facts`."""
    shapes = _array_shapes(table, folder, "frames", 4)
    splits = table.groupby("image_sha256")["split"].transform("nunique")
    return table.assign(frames=shapes[:, 0], size=shapes[:, 1], splits_of_image_sha256=splits)


def curves_with_facts(table: pd.DataFrame, clips: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The curve table with the facts that its checks need.

    ``frames`` is the length of the clip's sequence on disk, 0 if it is missing; ``clip_known`` is yes if the clip
    is in the clip table with the same split, shard and row, else no.
    """
    columns = ["clip_id", "split", "shard", "row"]
    known = (
        table[columns].merge(clips[columns].drop_duplicates(), how="left", on=columns, indicator=True)["_merge"]
        == "both"
    )
    return table.assign(
        frames=_array_shapes(table, folder, "coefficients", 4)[:, 0], clip_known=np.where(known, "yes", "no")
    )


def schema_expectations(columns: Mapping[str, str]) -> Iterator[Expectation]:
    """All columns exist with their types, and only those that may be null are."""
    import great_expectations.expectations as gxe

    yield gxe.ExpectTableColumnsToMatchSet(column_set=list(columns), exact_match=False)
    for column, kind in columns.items():
        yield gxe.ExpectColumnValuesToBeOfType(column=column, type_=kind)
        if column not in NULLABLE and not column.startswith(LABEL):
            yield gxe.ExpectColumnValuesToNotBeNull(column=column)


def clip_expectations(params: Params) -> Iterator[Expectation]:
    """Expectations for the clip table, except for its schema."""
    import great_expectations.expectations as gxe

    yield gxe.ExpectTableRowCountToBeBetween(min_value=1)
    yield gxe.ExpectColumnValuesToBeUnique(column="clip_id")
    yield gxe.ExpectColumnValuesToMatchRegex(column="caption", regex=r"\S")
    yield gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "test"])
    yield gxe.ExpectColumnUniqueValueCountToBeBetween(column="split", min_value=2, max_value=2)
    for column in ("clip_id", "video_sha256"):
        yield gxe.ExpectColumnValuesToBeBetween(column=f"splits_of_{column}", max_value=1)
    yield gxe.ExpectColumnValuesToBeBetween(column="frames", min_value=params.base.frames, max_value=params.base.frames)
    yield gxe.ExpectColumnValuesToBeBetween(column="size", min_value=params.base.size, max_value=params.base.size)
    yield gxe.ExpectColumnValuesToBeBetween(column="source_frames", min_value=params.ingest.min_frames)
    for column in ("fps", "source_fps"):
        yield gxe.ExpectColumnValuesToBeBetween(
            column=column, min_value=params.validate_.min_fps, max_value=params.validate_.max_fps
        )
    if params.ingest.source == "synthetic":
        # The test split holds out combinations, so labels occur in one split only; each of their words must be in both.
        for column in ("shape", "colour", "motion"):
            yield gxe.ExpectColumnValuesToBeBetween(column=f"splits_of_{column}", min_value=2)
    else:
        yield gxe.ExpectColumnValuesToBeInSet(column="label_in_training", value_set=["yes"])


def curve_expectations(params: Params, clips: int) -> Iterator[Expectation]:
    """Expectations for the curve table, except for its schema; ``clips`` is the number of clips."""
    import great_expectations.expectations as gxe

    bounds = params.validate_
    yield gxe.ExpectTableRowCountToEqual(value=clips)
    yield gxe.ExpectColumnValuesToBeUnique(column="clip_id")
    yield gxe.ExpectColumnValuesToBeInSet(column="clip_known", value_set=["yes"])
    yield gxe.ExpectColumnValuesToMatchRegex(column="caption", regex=r"\S")
    yield gxe.ExpectColumnValuesToBeBetween(column="frames", min_value=params.base.frames, max_value=params.base.frames)
    yield gxe.ExpectColumnValuesToBeBetween(column="num_parameters", min_value=0, max_value=MAX_NUMBERS_PER_FRAME)
    yield gxe.ExpectColumnValuesToBeBetween(column="strokes", min_value=0, max_value=params.fit.strokes)
    yield gxe.ExpectColumnValuesToBeBetween(column="ink_coverage", min_value=bounds.min_ink, max_value=bounds.max_ink)
    # "At least this share of the clips lies below the bound" is a bound on the quantile that names the clips above it.
    yield gxe.ExpectColumnValuesToBeBetween(
        column="ink_to_curve_px", max_value=bounds.max_ink_to_curve * params.base.size, mostly=bounds.quantile
    )


def image_expectations(params: Params) -> Iterator[Expectation]:
    """Expectations for the table of captioned images, except for its schema."""
    import great_expectations.expectations as gxe

    yield gxe.ExpectColumnValuesToBeUnique(column="image_id")
    yield gxe.ExpectColumnValuesToMatchRegex(column="caption", regex=r"\S")
    yield gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "test"])
    yield gxe.ExpectColumnValuesToBeBetween(column="splits_of_image_sha256", max_value=1)
    yield gxe.ExpectColumnValuesToBeBetween(column="frames", min_value=1, max_value=1)
    yield gxe.ExpectColumnValuesToBeBetween(column="size", min_value=params.base.size, max_value=params.base.size)


def rejected_expectations(params: Params) -> Iterator[Expectation]:
    """Expectations for the table of rejected rows, except for its schema."""
    import great_expectations.expectations as gxe

    yield gxe.ExpectTableRowCountToBeBetween(max_value=params.ingest.max_rejected)


def run_checks(
    tables: Mapping[str, pd.DataFrame], expectations: Mapping[str, list[Expectation]], docs: Path
) -> list[Check]:
    """Check each table against its expectations and build the Data Docs of all of them.

    Args:
        tables: by name; the first column identifies a row.
        expectations: by the same names.
        docs: folder that the pages are written to.
    """
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    site = {
        "class_name": "SiteBuilder",
        "site_name": "Data Docs",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.absolute())},
    }
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        data_docs_sites={"data_docs": site},
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    source = context.data_sources.add_or_update_pandas("data")
    checks = []
    for name, table in tables.items():
        whole = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("whole")
        suite = context.suites.add_or_update(gx.ExpectationSuite(name=name, expectations=expectations[name]))
        definition = context.validation_definitions.add_or_update(
            gx.ValidationDefinition(name=name, data=whole, suite=suite)
        )
        key = str(table.columns[0])
        outcome = definition.run(
            batch_parameters={"dataframe": table},
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": [key]},
        )
        checks += [_check(name, key, result) for result in outcome.results]
    context.build_data_docs()
    without_network(docs, {name: all(check.success for check in checks if check.table == name) for name in tables})
    return checks


def _check(table: str, key: str, result: Any) -> Check:
    expected = {k: v for k, v in result.expectation_config.kwargs.items() if k not in ("batch_id", "column")}
    column = result.expectation_config.kwargs.get("column")
    rows = [
        f"{row[key]}" if column in (None, key) else f"{row[key]} ({_plain(row[column])})"
        for row in result.result.get("unexpected_index_list") or []
    ]
    observed = _plain(result.result.get("observed_value"))
    raised = result.exception_info or {}
    if not result.success and not rows and observed is None:
        # An expectation that could not be evaluated reports the reason under another key.
        reasons = [raised, *(value for value in raised.values() if isinstance(value, dict))]
        observed = next((reason["exception_message"] for reason in reasons if reason.get("exception_message")), None)
    return Check(table, result.expectation_config.type, column, bool(result.success), expected, observed, rows)


def _plain(value: Any) -> Any:
    """The value in Python's own types; NaN, which JSON lacks, becomes None."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and np.isnan(value) else value


def _with_text(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Text as Python strings or None: Great Expectations does not support pandas' string types."""
    texts = [column for column, kind in columns.items() if kind == TEXT and column in table]
    return table.assign(**{c: table[c].astype(object).where(table[c].notna(), None) for c in texts})


def _array_shapes(table: pd.DataFrame, folder: Path, name: str, axes: int) -> np.ndarray:
    """Shape of the array of every row of ``table``, without the clip axis: (N, axes), zeros where it is missing."""
    shapes = np.zeros((len(table), axes), np.int64)
    shards, rows = table["shard"].to_numpy(), table["row"].to_numpy()
    for shard in np.unique(shards):
        found = array_shape(shard_path(folder, int(shard)), name)
        if found is not None and len(found) == axes + 1:
            shapes[(shards == shard) & (rows < found[0])] = found[1:]
    return shapes


def _read_rejected(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"row": "int64"}, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); run `dvc repro` to make it") from error
