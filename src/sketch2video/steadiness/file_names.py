"""Names of files of the steadiness stages."""

STEADIED = "steadied.parquet"
"""Table of the videos with fused backgrounds, in the folder of their shards."""

FUSION = "fusion_weights.json"
"""File with w_1 and w_2, in the folder of the network that was tuned with them."""
