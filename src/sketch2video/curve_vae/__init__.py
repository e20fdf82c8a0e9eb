"""The curve VAE: caption and noise -> the strokes of a whole clip.

A clip is a *set* of strokes (:mod:`~sketch2video.curve_vae.strokes`): nothing depends on their order, since
"stroke 7" is a different part in every clip. A stroke exists from its birth to its death, and is a function of pen
position and time,

    q_s(t) = sum_m w_{s,m} cos(m pi t)        q in {position, log size, shape}        t in [0, 1]

so that a sequence may have any number of frames and moves smoothly. Its harmonics are split into *position* (k = 0, the
centroid of its points), *size* (their root mean square distance from it) and *shape* (k >= 1, divided by the size),
which words of the caption can control independently.

:mod:`~sketch2video.curve_vae.network` is the autoencoder: one stroke to its mean position, its mean size, its birth and
its death, which are encoded without change, and a latent z for its motion and shape, whose posterior is regularised
towards a standard normal (Kingma & Welling 2014, eq. 10). :mod:`~sketch2video.curve_vae.prior` is the prior p(set of
latents | caption, what is known), a flow over unordered tokens. :mod:`~sketch2video.curve_vae.known` describes how
given strokes and frames condition it.
"""

from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.sampling import sample_curves

__all__ = ["CurveVAE", "sample_curves"]
