"""Captioned videos to clips in shards: sources, ingest, datasets for training, validation."""
