"""Videos by the user's own image model: Stable Diffusion with a T2I-Adapter."""
