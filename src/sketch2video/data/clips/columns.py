"""Columns of the tables below ``data/`` and their types. ``label.<name>`` columns may come in addition."""

TEXT = "str"
WHOLE = "int64"
REAL = "float64"

# Of clips, label, shape, colour and motion may be null.
CLIP_COLUMNS = {
    "clip_id": TEXT,
    "path_to_video": TEXT,
    "caption": TEXT,
    "label": TEXT,
    "split": TEXT,
    "shard": WHOLE,
    "row": WHOLE,
    "source_frames": WHOLE,
    "source_fps": REAL,
    "fps": REAL,
    "source_width": WHOLE,
    "source_height": WHOLE,
    "video_sha256": TEXT,
    "shape": TEXT,
    "colour": TEXT,
    "motion": TEXT,
}
CURVE_COLUMNS = {
    "clip_id": TEXT,
    "caption": TEXT,
    "label": TEXT,
    "split": TEXT,
    "fps": REAL,
    "shard": WHOLE,
    "row": WHOLE,
    "num_parameters": WHOLE,
    "strokes": REAL,
    "ink_coverage": REAL,
    "ink_to_curve_px": REAL,
    "curve_to_ink_px": REAL,
    "rendered_discrepancy": REAL,
}
IMAGE_TABLE = "images.parquet"
IMAGE_COLUMNS = {
    "image_id": TEXT,
    "path_to_image": TEXT,
    "caption": TEXT,
    "split": TEXT,
    "shard": WHOLE,
    "row": WHOLE,
    "source_width": WHOLE,
    "source_height": WHOLE,
    "image_sha256": TEXT,
}
REJECTED_COLUMNS = {"row": WHOLE, "path_to_video": TEXT, "caption": TEXT, "reason": TEXT}
REJECTED_IMAGES = {"row": WHOLE, "path_to_image": TEXT, "caption": TEXT, "reason": TEXT}
