"""Made-up results of the experiments on the bottleneck."""

from benchmarks.axes import AXES, Bottleneck
from benchmarks.claim import Result

BOTTLENECKS = list(dict.fromkeys(bottleneck for axis in AXES.values() for bottleneck in axis))
PLACES = [(frames, bottleneck) for frames in (16, 48) for bottleneck in BOTTLENECKS]
RATES = {16: 7.5, 48: 23.5}
"""Frames a second of clips of each length."""


def score(value, half=0.05):
    return {"value": value, "interval": [value - half, value + half]}


def found(without, with_, half=0.05, code="same"):
    """What one experiment found, given the faithfulness of both systems; distances go the other way."""

    def scores(share, *suffixes):
        return {
            f"{name}{suffix}": score(value, half * scale)
            for suffix in suffixes
            for name, value, scale in (
                ("faithfulness_joint", share, 1),
                ("fvd_embedded", 100 * (1 - share), 100),
                ("kvd_embedded", 50 * (1 - share), 50),
            )
        }

    protocol = {"clips": 144, "size": 64}
    systems = {
        "text_ldm": {"scores": scores(without, ""), "protocol": protocol},
        "sketch_ldm": {"scores": scores(with_, "", "_fitted"), "protocol": protocol},
    }
    return {"systems": systems, "key": {"code": code, "params": "p"}}


def results(shares, half=0.05, seeds=2):
    """Results of points, given {(frames, bottleneck): (without, with)}; the seeds differ a little."""
    return [
        Result(
            frames,
            bottleneck,
            seed,
            found(a + 0.01 * seed, b + 0.01 * seed, half)
            | {"numbers": bottleneck.numbers(4, 64), "rate": RATES[frames]},
        )
        for (frames, bottleneck), (a, b) in shares.items()
        for seed in range(seeds)
    ]


def step(bottleneck: Bottleneck) -> int:
    """How tight a bottleneck is: 0, 1 or 2 along either axis."""
    return next(axis.index(bottleneck) for axis in AXES.values() if bottleneck in axis)


BORNE_OUT = {(t, b): (0.8 - 0.2 * step(b), 0.9) for t, b in PLACES}
CONTRADICTED = {(t, b): (0.8, 0.9 - 0.2 * step(b)) for t, b in PLACES}
ALIKE = {(t, b): (0.8 - 0.1 * step(b), 0.82 - 0.1 * step(b)) for t, b in PLACES}
