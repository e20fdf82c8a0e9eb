"""Names of the files that making videos steady leaves and reads."""

STEADIED = "steadied.parquet"
"""Table of the videos that were made steady, in the folder of their shards."""

FUSION = "fusion_weights.json"
"""File with w_1 and w_2, beside the network that was tuned together with them."""
