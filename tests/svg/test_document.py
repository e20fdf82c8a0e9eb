"""Documents as files: frames, damage, and such as would take all memory or time."""

import gzip

import numpy as np
import pytest

from sketch2video.errors import UserError
from sketch2video.svg import is_svg, outlines, read_svg
from tests.svg.drawn import SIZE, document, far_apart, ink_of

HOOK = '<path d="M20 20L20 70L60 70"/>'


def test_frames_are_shown_in_turn_with_what_stands_still(tmp_path):
    frames = "".join(
        f'<g id="frame-{number:04d}" display="{("inline", "none")[number > 0]}">'
        f'<path d="M{20 + 20 * number} 10V90"/></g>'
        for number in range(4)
    )
    ink = ink_of(tmp_path, document(f'{frames}<path d="M10 5H90"/>'))
    assert ink.shape == (4, SIZE, SIZE)
    for number, frame in enumerate(ink):
        expected = document(f'<path d="M{20 + 20 * number} 10V90M10 5H90"/>')
        assert far_apart(frame, ink_of(tmp_path, expected)[0]) <= 1


def test_a_frame_may_be_empty(tmp_path):
    text = document(f'<g id="frame-0000">{HOOK}</g><g id="frame-0001"/>')
    assert [bool(frame.any()) for frame in ink_of(tmp_path, text)] == [True, False]


def test_what_is_compressed_or_of_another_encoding_is_read(tmp_path):
    text = document(HOOK)
    plain = ink_of(tmp_path, text)
    files = {
        "a.svgz": gzip.compress(text.encode()),
        "b.svg": b"\xef\xbb\xbf" + text.encode(),
        "c.svg": text.encode("utf-16"),
        "d.svg": b'<?xml version="1.0" encoding="ISO-8859-1"?><!-- \xe9 -->' + text.encode(),
        "e.svg": text.replace('xmlns="http://www.w3.org/2000/svg" ', "").encode(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert is_svg(tmp_path / name)
        assert np.array_equal(read_svg(tmp_path / name, SIZE).ink > 0, plain)


def test_entities_of_the_document_are_replaced(tmp_path):
    text = '<!DOCTYPE svg [<!ENTITY line "M20 20L20 70L60 70">]>' + document('<path d="&line;"/>')
    assert np.array_equal(ink_of(tmp_path, text), ink_of(tmp_path, document(HOOK)))


def test_a_content_says_what_is_an_svg(tmp_path):
    (tmp_path / "a.png").write_text('<?xml version="1.0"?>\n' + document(HOOK))
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n <svg")
    (tmp_path / "compressed").write_bytes(gzip.compress(document(HOOK).encode()))
    (tmp_path / "cut").write_bytes(gzip.compress(document(HOOK).encode())[:20])
    (tmp_path / "other").write_bytes(gzip.compress(b"text"))
    assert is_svg(tmp_path / "a.png")
    assert is_svg(tmp_path / "compressed")
    assert not any(is_svg(tmp_path / name) for name in ("b.png", "cut", "other"))
    assert not is_svg(tmp_path / "absent.png")


def test_what_is_left_out_is_named(tmp_path, caplog):
    ink_of(tmp_path, document(f'<text>a</text><image href="a.png"/><g display="none"><foreignObject/></g>{HOOK}'))
    assert "image, text not drawn" in caplog.text
    assert "foreignObject" not in caplog.text


def test_what_is_not_applied_is_named(tmp_path, caplog):
    plain = ink_of(tmp_path, document(HOOK))
    assert not caplog.text
    for style in (
        "filter: blur(2px)",
        "clip-path: shape(from 0 0, line to 9px 9px)",
        "mask: linear-gradient(red, blue)",
    ):
        caplog.clear()
        assert np.array_equal(ink_of(tmp_path, document(f'<g style="{style}">{HOOK}</g>')), plain)
        assert f"{style.partition(':')[0]} not applied" in caplog.text


def test_a_path_that_is_used_many_times_is_read_once(tmp_path, monkeypatch):
    read = []
    commands = outlines._commands
    monkeypatch.setattr(outlines, "_commands", lambda data: read.append(data) or commands(data))
    uses = "".join(f'<use href="#a" x="{x}"/>' for x in range(40))
    ink = ink_of(tmp_path, document(f'<defs><path id="a" d="M5 10v60"/></defs>{uses}'))
    assert read == ["M5 10v60"]
    assert np.count_nonzero(ink.any(0)) > 80


LAUGHS = "".join(f'<g id="a{i}">' + f'<use href="#a{i - 1}"/>' * 10 + "</g>" for i in range(1, 12))
MASKS = "".join(
    f'<mask id="m{i}">' + f'<rect width="9" height="9" mask="url(#m{i + 1})"/>' * 10 + "</mask>" for i in range(12)
)
ENTITIES = "".join(f'<!ENTITY a{i} "' + f"&a{i - 1};" * 10 + '">' for i in range(1, 10))

REFUSED = {
    "nothing": ("", "cannot be read as an SVG"),
    "no XML": ("hello", "cannot be read as an SVG"),
    "cut off": (document(HOOK)[:-9], "cannot be read as an SVG"),
    "another root": ("<html/>", "its root is no svg element"),
    "only text": (document("<text>x</text>"), "no paths"),
    "only what is hidden": (document(f'<g display="none">{HOOK}</g>'), "no paths"),
    "a file of the machine": (
        '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + document(f"{HOOK}<text>&x;</text>"),
        "undefined entity",
    ),
    "entities of entities": (
        f'<!DOCTYPE svg [<!ENTITY a0 "{"a" * 99}">{ENTITIES}]>' + document('<path d="&a9;"/>'),
        "cannot be read as an SVG",
    ),
    "groups in groups": (document("<g>" * 10000 + HOOK + "</g>" * 10000), "levels of nested elements"),
    "use of use of use": (document(f'<defs><path id="a0" d="M0 0h9"/>{LAUGHS}</defs><use href="#a11"/>'), "elements"),
    "masks of masks": (document(f'{MASKS}<path mask="url(#m0)" d="M0 0h9"/>'), "elements"),
    "clips and masks of clips and masks": (
        document(
            "".join(
                f'<{kind} id="{kind[0]}{i}" clip-path="url(#c{i + 1})" mask="url(#m{i + 1})"/>'
                for i in range(41)
                for kind in ("clipPath", "mask")
            )
            + '<path clip-path="url(#c0)" d="M0 0h9"/>'
        ),
        "more than 2000 elements",
    ),
    "clips of clips": (
        document(
            "".join(f'<clipPath id="c{i}" clip-path="url(#c{i + 1})"/>' for i in range(500))
            + '<path clip-path="url(#c0)" d="M0 0h9"/>'
        ),
        "levels of nested elements",
    ),
    "selectors in selectors": (
        document(f"<style>{':not(' * 5000}a{')' * 5000}{{stroke:red}}</style>{HOOK}"),
        "cannot be read as an SVG",
    ),
    "a page without a size": (document(HOOK, 'viewBox="0 0 1e-300 1e-300" stroke="black"'), "a page of"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_line(tmp_path, monkeypatch, name):
    monkeypatch.setattr("sketch2video.svg.limits.MOST_ELEMENTS", 2000)
    text, reason = REFUSED[name]
    with pytest.raises(UserError, match=reason) as caught:
        ink_of(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "a.svg"))


@pytest.mark.parametrize(
    "body",
    [
        '<path d="M0 0L1e300 1e300" transform="scale(1e8) scale(1e8)"/>',
        '<g transform="scale(0)"><circle r="9"/></g><g transform="rotate(1e400)"><circle r="9"/></g>',
        '<circle r="1e400"/><circle r="-5"/><circle r="NaN"/><rect width="1e9" height="9" rx="1e9"/>',
        '<path stroke-dasharray="1e-9" d="M0 0h9"/>'
        '<path stroke-dasharray="-1 2" d="M0 0h9"/><path stroke-dasharray="0" stroke-dashoffset="1e9" d="M0 0h9"/>',
        '<svg viewBox="0 0 0 0" width="9"><circle r="9"/></svg><svg width="-1"><circle r="9"/></svg>',
        '<linearGradient id="a" href="#b"/><linearGradient id="b" href="#a"/><circle r="9" fill="url(#a)"/>',
        '<style>circle{--a:var(--b) var(--b);--b:var(--a) var(--a);stroke:var(--a)}</style><circle r="9"/>',
        "<style>@import url(http://127.0.0.1/a.css); }{ .a{ } :hover{stroke:none} a::before{x:y} [</style>",
        '<circle r="9" style="fill:;stroke:none;;:red;transform:rotate(" transform="matrix(1 2 3)"/>',
        '<g transform="scale(1e9)">' * 20 + '<path d="M0 0h0" stroke="white"/>' + "</g>" * 20,
        '<marker id="a" viewBox="0 0 0 0"><path d="M0 0h9"/></marker>'
        '<path d="M0 0h0" stroke="none" style="marker:url(#a)"/>',
        '<circle r="9" clip-path="url(#a)" id="a" mask="url(#a)"/><switch/><use href="#"/><use href="x#a"/>',
    ],
)
def test_nonsense_does_not_spoil_the_rest(tmp_path, body):
    ink = ink_of(tmp_path, document(body + HOOK))[0]
    hook = ink_of(tmp_path, document(HOOK))[0]
    lower = np.s_[150:, 20:]
    assert far_apart(ink[lower] & hook[lower], hook[lower]) <= 1.5


def test_lines_that_reach_far_beyond_the_page_are_straight(tmp_path):
    far = ink_of(tmp_path, document('<path d="M-100000 -50000L100000 50050"/>'))[0]
    near = ink_of(tmp_path, document('<path d="M0 25L100 75.025"/>'))[0]
    assert far_apart(far, near) <= 2


SEED = (
    '<style>.a{stroke:red;fill:none} g > path{opacity:.5}</style><defs><clipPath id="c"><rect width="50" height="50"/>'
    '</clipPath><symbol id="s" viewBox="0 0 9 9"><circle r="4"/></symbol></defs><g class="a" transform="rotate(9 5 5)'
    ' translate(3,4)" style="stroke-width:2px"><path d="M1 1C2 3 4 5 6 7S8 9 9 9A3 4 5 0 1 30 40z"/><use href="#s"'
    ' x="10" width="20%" height="5em"/></g><ellipse cx="50%" cy="3cm" rx="10" clip-path="url(#c)" fill="hsl(9 9% 9%)"/>'
    '<polyline points="1,2 3,4 5" stroke-dasharray="3 4"/>'
)


def test_changed_documents_are_drawn_or_refused(tmp_path):
    """Characters are changed, removed and repeated at random."""
    rng, good, drawn = np.random.default_rng(0), document(SEED), 0
    for _ in range(150):
        text = good
        for at in rng.integers(0, len(good), rng.integers(1, 6)):
            kind, character = rng.integers(4), rng.choice(list("0-9.eE%()#:;,\"'<>/ az&!{}"))
            end = at + rng.integers(1, 12)
            if kind == 0:
                text = text[:at] + character + text[at + 1 :]
            elif kind == 1:
                text = text[:at] + text[end:]
            elif kind == 2:
                text = text[:at] + text[at:end] * 3 + text[end:]
            else:
                text = text[:at] + str(rng.choice([1e9, -1e9, 1e-9, 1e400, 0])) + text[at:]
        try:
            ink_of(tmp_path, text)
            drawn += 1
        except UserError as error:
            refused = str(error)
            assert "\n" not in refused
    assert drawn > 20


def test_the_drawing_does_not_depend_on_how_many_clips_are_kept(tmp_path, monkeypatch):
    clips = "".join(f'<clipPath id="c{i}"><rect x="{20 * i}" width="20" height="100"/></clipPath>' for i in range(5))
    lines = "".join(
        f'<path clip-path="url(#c{i})" d="M0 {15 * j + 10}L100 {15 * j + 10}"/>' for j in range(4) for i in (0, 2, 4, 1)
    )
    drawn = ink_of(tmp_path, document(clips + lines))
    assert drawn.any()
    monkeypatch.setattr("sketch2video.svg.ink.KEPT_CLIPS", 1)
    assert np.array_equal(ink_of(tmp_path, document(clips + lines)), drawn)
