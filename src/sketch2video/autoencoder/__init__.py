"""The frame autoencoder: pictures to latents and back."""
