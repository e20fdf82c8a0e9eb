"""The curve VAE: caption and noise -> the strokes of a whole clip.

A clip is a *set* of strokes (:mod:`~sketch2video.curve_vae.strokes`): nothing here depends on their order, since
"stroke 7" means another part in every clip. A stroke lives from its birth to its death, and is a function of pen
position and time,

    q_s(t) = sum_m w_{s,m} cos(m pi t)        q in {place, log size, shape}        t in [0, 1]

so that a sequence may have any number of frames and moves smoothly. Its harmonics are split into *place* (k = 0, the
centroid of its points), *size* (their root mean square distance from it) and *shape* (k >= 1, divided by the size),
each of which a word of the caption can set without the others.

:mod:`~sketch2video.curve_vae.network` is the autoencoder: one stroke to its mean place, its mean size, its birth and
its death, which are kept as they are, and a latent z for how it moves and is bent, whose posterior is held near a
standard normal (Kingma & Welling 2014, eq. 10). :mod:`~sketch2video.curve_vae.prior` is the prior p(set of latents |
caption, what is known), a flow over tokens without order. :mod:`~sketch2video.curve_vae.known` says how strokes and
frames that are given enter it.
"""

from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.sampling import sample_curves

__all__ = ["CurveVAE", "sample_curves"]
