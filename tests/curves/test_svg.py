import xml.etree.ElementTree as ElementTree

import numpy as np
from scipy.spatial import cKDTree
from svgpathtools import parse_path

from sketch2video.curves import CurveSequence, to_svg


def test_an_svg_read_by_another_program_lies_on_the_curves():
    rng = np.random.default_rng(0)
    coefficients = rng.normal(0, 1, (1, 3, 2, 12)) * 0.2 / (1 + np.arange(12))
    coefficients[..., 0] = 0.5
    sequence = CurveSequence(coefficients, np.array([[1, 0, 1]]))
    document = ElementTree.fromstring(to_svg(sequence, 0, height=240, width=320))
    assert document.get("viewBox") == "0 0 320 240"
    paths = [parse_path(p.get("d")) for p in document.iter("{http://www.w3.org/2000/svg}path")]
    assert len(paths) == 2
    for path, stroke in zip(paths, sequence.points(4000)[0, [0, 2]] * 320, strict=True):
        on_path = np.array([piece.point(t) for piece in path for t in np.linspace(0, 1, 9)])
        distance = cKDTree(stroke).query(np.stack([on_path.real, on_path.imag], 1))[0]
        assert distance.max() < 0.15
        assert np.hypot(*(np.array([path.start.real, path.start.imag]) - stroke[0])) < 0.01
        assert np.hypot(*(np.array([path.end.real, path.end.imag]) - stroke[-1])) < 0.01


def test_an_empty_frame_is_a_valid_document():
    blank = CurveSequence(np.zeros((1, 2, 2, 4)), np.zeros((1, 2)))
    assert not list(ElementTree.fromstring(to_svg(blank, 0, 10, 10)).iter("{http://www.w3.org/2000/svg}path"))
