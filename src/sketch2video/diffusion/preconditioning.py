"""What the network need not learn: the scale of its input, and a linear estimate of its target.

Karras et al. 2022 ("Elucidating the Design Space of Diffusion-Based Generative Models", section 5 and table 1) scale a
network's input and output to unit variance and add a multiple of the noisy input to its output::

    prediction = c_skip x_t + c_out F(c_in x_t)

Here the three are functions of the frequency k along time, too, as the deviations of the data s_k and of the noise
n_k = s_k^p are (:mod:`~sketch2video.networks.temporal_spectrum`). With x_t = a x0 + b e and the target y = c x0 + d e,
e with the spectrum n_k, and v_k = a^2 s_k^2 + b^2 n_k^2, the variance of x_t::

    c_in = v_k^(-1/2)        c_skip = (a c s_k^2 + b d n_k^2) / v_k        c_out = |a d - b c| s_k n_k v_k^(-1/2)

c_skip x_t is the best linear estimate of y from the same frequency of x_t, and c_out the deviation of its error. Noise
fills all dimensions of a patch, of which a lapped one has as many as a token; what passes beside the network, tokens
need not carry.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sketch2video.diffusion.objectives import Mixture
from sketch2video.networks.temporal_spectrum import TimeFilter


@dataclass(frozen=True)
class Preconditioning:
    """c_in, c_skip and c_out of clips (N, T, C, h, w).

    Attributes:
        time_filter: the spectra.
        mixture: a, b, c and d, (N,) each.
    """

    time_filter: TimeFilter
    mixture: Mixture

    def scaled_input(self, mixed: Tensor) -> Tensor:
        """c_in x_t"""
        return self.time_filter.scaled(mixed, lambda data, noise: self._variance(data, noise).rsqrt())

    def prediction(self, output: Tensor, mixed: Tensor) -> Tensor:
        """c_skip x_t + c_out F"""
        a, b, c, d = self._columns()

        def skip(data: Tensor, noise: Tensor) -> Tensor:
            return (a * c * data**2 + b * d * noise**2) / self._variance(data, noise)

        def out(data: Tensor, noise: Tensor) -> Tensor:
            return (a * d - b * c).abs() * data * noise * self._variance(data, noise).rsqrt()

        return self.time_filter.scaled(mixed, skip) + self.time_filter.scaled(output, out)

    def _variance(self, data: Tensor, noise: Tensor) -> Tensor:
        a, b, _, _ = self._columns()
        return a**2 * data**2 + b**2 * noise**2

    def _columns(self) -> Mixture:
        return Mixture(*(factor.double().cpu()[:, None] for factor in self.mixture))
