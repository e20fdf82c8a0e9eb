"""Stable Diffusion, adapted: videos by a user's own image model."""
