"""Clips in shards, what is derived from them clip by clip, and datasets for training."""
