"""What is read of an SVG, held against a renderer that follows browsers."""

import numpy as np
import pytest

from tests.svg.drawn import document, edges_of_reference, far_apart, ink_of

HOOK = '<path d="M20 20L20 70L60 70"/>'
DISC = '<circle cx="70" cy="30" r="15"/>'
PLAIN = HOOK + DISC

LINES = ' fill="none" stroke="black" stroke-linejoin="round"'

CASES = {
    "plain": PLAIN,
    # Paths
    "curves": '<path d="M10 50C10 10 50 10 50 50S90 90 90 50M10 80q10-20 20 0t20 0 20 0"/>',
    "arcs": '<path d="M20 50A30 20 30 1 1 80 50M30 80a10,5 0 0140 0M10 10a5 5 0 1 0 10 0"/>',
    "numbers that touch": '<path d="M20-0 20.5.5.25 50zm30+30 1e1-1E1h-5v30.5l-5-5"/>',
    "moves that draw": '<path d="m10 10 20 20 30-10M50 50 60 80 90 50z"/>',
    "behind a closed piece": '<path d="M20 20h20v20zl-10 40l30 0"/>',
    "an empty path": f'<path d=""/><path/><path d="M5 5"/><path d="z"/>{PLAIN}',
    "a damaged path": '<path d="M20 20L20 70L60 70L80 bad L 0 0"/>' + DISC,
    "a damaged arc": '<path d="M20 20L20 70L60 70A10 10 0 2 0 90 90"/>' + DISC,
    "an arc without a radius": '<path d="M20 20A0 10 0 0 1 20 70A10 10 0 0 1 20 70L60 70"/>',
    # Shapes
    "shapes": '<rect x="10" y="10" width="30" height="20"/><ellipse cx="70" cy="20" rx="20" ry="10"/>'
    '<line x1="10" y1="50" x2="90" y2="60"/><polyline points="10,70 30,90,50,70"/>'
    '<polygon points="60 70 90 70 75 95"/>',
    "rounded corners": '<rect x="10" y="10" width="80" height="40" rx="15"/><rect x="10" y="60" width="50" height="30"'
    ' rx="40" ry="5"/>',
    "shapes without a size": '<rect width="0" height="20"/><circle r="0"/><circle/><rect x="5" y="5"/>' + PLAIN,
    "a polygon of odd numbers": '<polygon points="10 10 80 10 80 80 3"/>',
    "one radius of an ellipse": '<ellipse cx="50" cy="50" rx="30" ry="auto"/>' + HOOK,
    # References
    "use": f'<defs><circle id="c" r="15"/></defs>{HOOK}<use xlink:href="#c" x="70" y="30"/>',
    "use without xlink": f'<defs><circle id="c" r="15"/></defs>{HOOK}<use href="#c" x="70" y="30"/>',
    "use before its target": f'<use href="#c" x="30" transform="scale(1 .5)"/>{HOOK}<circle id="c" cx="20"'
    f' cy="90" r="9"/>',
    "use of use": '<defs><g id="a"><path d="M0 0h9v9"/></g><g id="b"><use href="#a"/><use href="#a" x="12" y="12"/></g>'
    '</defs><use href="#b" x="10" y="10"/><use href="#b" x="50" y="50" transform="rotate(10)"/>',
    "use gives its style": '<defs><path id="a" d="M10 10h80v20"/></defs><use href="#a" stroke="none"/>'
    '<use href="#a" y="30" stroke="blue"/>',
    "use of nothing": f'<use href="#absent"/><use/><use href="other.svg#a"/>{PLAIN}',
    "a symbol": '<symbol id="s" viewBox="0 0 10 10" stroke-width=".3"><circle cx="5" cy="5" r="4"/>'
    '<path d="M0 5h10"/></symbol>'
    f'<use href="#s" x="50" y="10" width="40" height="40"/>{HOOK}',
    "a symbol is clipped": '<symbol id="s" viewBox="0 0 10 10" stroke-width=".3"><circle cx="10" cy="5" r="4"/>'
    "</symbol>"
    f'<use href="#s" x="40" y="10" width="40" height="40"/>{HOOK}',
    "a nested svg": f'<svg x="50" y="10" width="40" height="40" viewBox="-2 -2 4 4" stroke-width=".1"><circle r="1"/>'
    f'<path d="M0 0L9 9"/></svg>{HOOK}',
    "a nested svg that overflows": '<svg x="50" y="50" width="20" height="20" overflow="visible"><path d="M0 0h40v40"/>'
    "</svg>",
    "a nested svg in percent": f'<svg x="50%" width="50%" height="50%"><path d="M0 0L50 50M25 0v50"/></svg>{HOOK}',
    "links": f'<a href="https://example.org">{PLAIN}</a>',
    "switch": f"<switch><g>{PLAIN}</g><path d='M0 0L100 100'/></switch>",
    "switch by language": f'<switch><path systemLanguage="xx" d="M0 0L99 99"/><g systemLanguage="de, en">{PLAIN}</g>'
    '<path d="M50 0v99"/></switch>',
    "switch by extension": f'<switch><path requiredExtensions="http://a" d="M0 0L99 99"/><g>{PLAIN}</g></switch>',
    "what is only defined": f'<defs><path d="M0 0L99 99"/></defs><symbol><path d="M0 50h99"/></symbol><clipPath id="x">'
    f'<path d="M0 0h9"/></clipPath><marker><path d="M0 60h99"/></marker><pattern><path d="M0 70h99"/></pattern>{PLAIN}',
    "unknown elements": f'<unknown><path d="M0 0L99 99"/></unknown><metadata><path d="M0 0L99 99"/></metadata>{PLAIN}',
    # Visibility
    "display": f'<g display="none"><path d="M5 95L95 5"/></g><path display="none" d="M5 5L95 95"/>{PLAIN}',
    "display in a style": f'<g style="display:none"><path d="M5 95L95 5"/></g><g style="display: inline">{PLAIN}</g>',
    "visibility": f'<g visibility="hidden"><path d="M5 95L95 5"/><g visibility="visible">{PLAIN}</g></g>',
    "visibility in a style": f'<path style="visibility:collapse" d="M5 95L95 5"/>{PLAIN}',
    "opacity": f'<g opacity="0"><path d="M5 95L95 5"/></g><path stroke-opacity="0" d="M0 50h99"/>{PLAIN}',
    "opacity in percent": f'<path opacity="0%" d="M5 95L95 5"/><g opacity="80%">{PLAIN}</g>',
    "no stroke": f'<path stroke="none" d="M5 95L95 5"/><path stroke-width="0" d="M5 5L95 95"/>{PLAIN}',
    "transparent colours": f'<path stroke="transparent" d="M5 95L95 5"/><path stroke="rgba(0,0,0,0)" d="M5 5L95 95"/>'
    f'<path stroke="#0000" d="M0 50h99"/>{PLAIN}',
    "white on white": f'<path stroke="white" d="M5 95L95 5"/><circle cx="50" cy="50" r="40" fill="#fff" stroke="none"/>'
    f"{PLAIN}",
    "an invisible box": f'<path d="M0 0h100v100H0z" stroke="none"/>'
    f'<rect width="100" height="100" stroke="none"/>{PLAIN}',
    "a white background": f'<rect width="100%" height="100%" fill="white" stroke="none"/>{PLAIN}',
    "a dark background": '<rect width="100" height="100" fill="#123" stroke="none"/><g stroke="white">'
    + PLAIN
    + "</g>",
    "a background beyond the page": '<rect x="-50" y="-50" width="200" height="200" fill="#444"/><g stroke="#fff">'
    + PLAIN
    + "</g>",
    "outside of the page": f'<path d="M-50 -50h20v20M200 0v90"/><circle cx="150" cy="50" r="30"/>{PLAIN}',
    "half outside": '<circle cx="100" cy="50" r="30"/>' + HOOK,
    "hidden beneath": f'<path d="M5 95L95 5"/>'
    f'<rect x="0" y="0" width="100" height="90" fill="white" stroke="none"/>{PLAIN}',
    # Areas
    "areas": '<g stroke="none" fill="black"><rect x="10" y="10" width="40" height="30"/>'
    '<circle cx="70" cy="70" r="20"/>'
    "</g>",
    "areas on areas": '<g stroke="none"><circle cx="50" cy="50" r="40" fill="black"/><circle cx="50" cy="50" r="20"'
    ' fill="white"/></g>',
    "areas that unite": '<g stroke="none" fill="black"><rect x="10" y="10" width="40" height="40"/><rect x="30" y="30"'
    ' width="50" height="50"/></g>',
    "holes": '<path stroke="none" fill="black" fill-rule="evenodd" d="M10 10h80v80h-80zM30 30h40v40h-40z"/>',
    "no holes": '<path stroke="none" fill="black" d="M10 10h80v80h-80zM30 30h40v40h-40z"/>',
    "holes by direction": '<path stroke="none" fill="black" d="M10 10h80v80h-80zM30 30v40h40v-40z"/>',
    "a gradient": '<defs><linearGradient id="g"><stop stop-color="#000"/><stop offset="1" stop-color="#333"/>'
    '</linearGradient></defs><rect x="20" y="20" width="50" height="50" fill="url(#g)" stroke="none"/>',
    "a gradient by another": '<linearGradient id="a"><stop style="stop-color:#000"/></linearGradient><radialGradient'
    ' id="b" xlink:href="#a"/><rect x="20" y="20" width="50" height="50" fill="url(#b)" stroke="none"/>',
    "a paint that is missing": '<rect x="20" y="20" width="50" height="50" fill="url(#no) black" stroke="none"/>'
    + HOOK,
    # The cascade
    "inheritance": f'<g stroke="none"><g stroke="black">{PLAIN}</g><path d="M5 95L95 5"/></g>',
    "a style is stronger": f'<path stroke="black" style="stroke:none" d="M5 95L95 5"/><g stroke="none"'
    f' style="stroke:#000">{PLAIN}</g>',
    "classes": "<style>.gone{stroke:none} .line{stroke:black} g.deep > circle{stroke:black}</style>"
    f'<path class="gone" d="M5 95L95 5"/><g stroke="none"><g class="line">{HOOK}</g><g class="deep">{DISC}</g></g>',
    "rules and their strength": "<style>#a{display:inline} path{display:none} .c{stroke:none!important}</style>"
    f'<path id="a" d="M20 20L20 70L60 70"/><path d="M0 0L99 99"/>'
    f'<path id="b" class="c" style="stroke:red;display:inline"'
    f' d="M0 99L99 0"/>{DISC}',
    "a style in CDATA": f"<style><![CDATA[ /* note */ .gone {{ display: none; }} ]]></style><path class='gone'"
    f" d='M5 95L95 5'/>{PLAIN}",
    "currentColor": f'<g color="white"><path stroke="currentColor" d="M5 95L95 5"/></g><g color="black"'
    f' stroke="currentColor">{PLAIN}</g>',
    "inherit": f'<g stroke="black"><g style="stroke:inherit">{PLAIN}</g></g>',
    # Transforms and units
    "transforms": f'<g transform="translate(50 50) rotate(30) scale(.5 -.5) skewX(10)">{PLAIN}</g>',
    "a matrix": f'<g transform="matrix(.7,.2,-.2,.7,20,5)">{PLAIN}</g>',
    "rotation about a point": f'<g transform="rotate(45, 50, 50)">{PLAIN}</g>',
    "transforms of many": f'<g transform="translate(10)"><g transform="scale(.8)">{HOOK}</g>{DISC}</g>',
    "units": f'{HOOK}<circle cx="70px" cy="0.3125in" r="11.25pt"/><rect x="1cm" y="20mm" width="1pc" height="2em"/>',
    "percent": f'{HOOK}<circle cx="70%" cy="30%" r="15%"/><rect x="10%" y="80%" width="50%" height="10%"/>',
    "em of a font size": f'<g font-size="10"><circle cx="7em" cy="3em" r="1.5em"/></g>{HOOK}',
    # Clips and masks
    "a clip": f'<clipPath id="c"><circle cx="40" cy="50" r="30"/></clipPath><g clip-path="url(#c)">{PLAIN}</g>',
    "all is clipped away": f'<clipPath id="c"/><path clip-path="url(#c)" d="M5 95L95 5"/>{PLAIN}',
    "a clip of the box": f'<clipPath id="c" clipPathUnits="objectBoundingBox"><rect width=".5" height="1"/></clipPath>'
    f'<circle clip-path="url(#c)" cx="50" cy="50" r="30"/>{HOOK}',
    "a clip within a clip": '<clipPath id="a"><rect width="50" height="100"/></clipPath><clipPath id="b"'
    ' clip-path="url(#a)"><rect y="0" width="100" height="50"/></clipPath><circle clip-path="url(#b)" cx="50" cy="50"'
    ' r="30"/>' + HOOK,
    "a clipped area": '<clipPath id="c"><rect x="20" y="20" width="40" height="40"/></clipPath><rect width="100"'
    ' height="100" fill="black" stroke="none" clip-path="url(#c)"/>',
    "a mask": f'<mask id="m"><rect width="100" height="50" fill="white" stroke="none"/></mask>'
    f'<g mask="url(#m)">{PLAIN}</g>',
    "a mask with a hole": '<mask id="m"><rect width="100" height="100" fill="white"/><rect x="10" y="30" width="20"'
    f' height="20" fill="black" stroke="none"/></mask><g mask="url(#m)">{PLAIN}</g>',
    "dashes": '<path stroke-dasharray="20 15 5" d="M10 10H90V90"/>'
    '<circle cx="40" cy="60" r="20" stroke-dasharray="25%"/>',
    "dashes that are moved away": f'<path stroke-dasharray="200" stroke-dashoffset="200" d="M5 95L95 5"/>{PLAIN}',
}

ARROW = (
    '<marker id="a" markerWidth="9" markerHeight="9" refX="4" refY="2" orient="auto"><path d="M0 0L8 4L0 8z"/></marker>'
)
PEN = (
    '<marker id="a" viewBox="0 0 10 10" refX="5" refY="5" markerWidth="9" markerHeight="9" orient="auto-start-reverse">'
)
PEN += '<path d="M0 0L10 5L0 10"/></marker>'
DOT = '<marker id="a" viewBox="-5 -5 10 10" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse"><circle r="4"'
DOT += ' fill="white"/></marker>'

CASES |= {
    "markers at the end": f'{ARROW}<path d="M20 80L80 20" marker-end="url(#a)"/><line x1="9" y1="9" x2="50" y2="20"'
    ' marker-end="url(#a)"/>',
    "markers at both ends": f'{PEN}<path d="M20 80L80 20" marker-start="url(#a)" marker-end="url(#a)"/>',
    "markers at ends of curves": f'{PEN}<g stroke-width=".8"><path d="M20 80C20 20 80 20 80 80" marker-start="url(#a)"'
    ' marker-end="url(#a)"/><path d="M50 40A20 20 0 1 1 30 60" marker-end="url(#a)"/></g>',
    "markers between": f'{DOT}<polyline points="10 10 50 20 60 70 90 90" marker-start="url(#a)" marker-mid="url(#a)"'
    ' marker-end="url(#a)"/>',
    "markers are inherited": f'{DOT}<g marker-mid="url(#a)"><path d="M10 10L50 50H90V90"/></g>',
    "markers of closed lines": f'{DOT}<path d="M20 20H80L50 80z" style="marker: url(#a)"/>',
    "markers of an angle": '<marker id="a" markerWidth="9" markerHeight="9" refX="2" refY="2" orient="30"><path'
    ' d="M0 0L8 4L0 8z"/></marker><path d="M20 80L50 20L80 80" style="marker: url(#a)"/>',
    "markers that are cut off": '<marker id="a" markerWidth="7" markerHeight="7"><path d="M0 1h20v9"/></marker>'
    '<path d="M20 20L50 50" marker-end="url(#a)"/>',
    "markers that overflow": '<marker id="a" overflow="visible"><path d="M0 1h20v9"/></marker>'
    '<path d="M20 20L50 50" marker-end="url(#a)"/>',
    "markers in the line's colour": '<marker id="a" markerWidth="9" markerHeight="9"><path d="M0 0L8 4L0 8z"'
    ' stroke="none" fill="context-stroke"/></marker><path d="M20 80L60 20" marker-end="url(#a)"/>'
    '<path d="M10 10L80 80" stroke="white" marker-end="url(#a)"/>',
    "markers of what is hidden": f'{ARROW}<path d="M20 80L80 20" visibility="hidden" marker-end="url(#a)"/>{PLAIN}',
    "markers without a line": f'{DOT}<path d="M20 80L80 20" stroke="none" marker-end="url(#a)"/>{PLAIN}',
    "a mask's region": f'<mask id="m" x="0" y="20%" width=".5" height="1"><rect width="100" height="100" fill="white"'
    f' stroke="none"/></mask><g mask="url(#m)">{PLAIN}</g>',
    "a mask's region in user units": '<mask id="m" maskUnits="userSpaceOnUse" x="10%" y="30" width="70" height="50%">'
    f'<rect width="100" height="100" fill="white" stroke="none"/></mask><g mask="url(#m)">{PLAIN}</g>',
    "a mask's region of no size": f'<mask id="m" width="0"><rect width="100" height="100" fill="white" stroke="none"/>'
    f'</mask><g mask="url(#m)">{HOOK}</g>{DISC}',
    "a mask inherits": f'<g fill="white" stroke="none"><mask id="m"><rect width="100" height="50"/></mask></g>'
    f'<g mask="url(#m)">{PLAIN}</g>',
}

PAGES = {
    "wide": 'viewBox="0 0 200 100"',
    "high": 'viewBox="0 0 100 200"',
    "elsewhere": 'viewBox="-20 -10 110 120"',
    "pixels": 'width="120" height="100"',
    "millimetres": 'width="30mm" height="30mm"',
    "box in a wider page": 'width="300" height="100" viewBox="0 0 100 100"',
    "box at the left": 'width="300" height="100" viewBox="0 0 100 100" preserveAspectRatio="xMinYMid meet"',
    "box that fills": 'width="300" height="200" viewBox="0 0 100 100" preserveAspectRatio="xMaxYMin slice"',
    "box that is stretched": 'width="300" height="100" viewBox="0 0 100 100" preserveAspectRatio="none"',
    "percent": 'width="100%" height="100%" viewBox="0 0 100 80"',
    "one side": 'width="50" viewBox="0 0 100 80"',
}


@pytest.mark.parametrize("name", CASES)
def test_ink_is_where_a_browser_draws(tmp_path, name):
    text = document(CASES[name], 'viewBox="0 0 100 100" width="100" height="100"' + LINES)
    (ink,) = ink_of(tmp_path, text)
    assert far_apart(ink, edges_of_reference(text)) <= 2.5


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_a_browser_shows(tmp_path, name):
    text = document(PLAIN, PAGES[name] + LINES)
    (ink,) = ink_of(tmp_path, text)
    assert far_apart(ink, edges_of_reference(text)) <= 2.5


FRAME = '<path d="M20 30H85V95H30V45H70"/>'

SAME = {
    "use in a circle": (f'<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/>{DISC}</g>{HOOK}', PLAIN),
    "a wrong colour": (f'<g stroke="nonsense">{PLAIN}</g>', PLAIN),
    "a transform of CSS": (
        f'<g style="transform: translate(20px,20px) scale(.5)">{PLAIN}</g>',
        f'<g transform="translate(20 20) scale(.5)">{PLAIN}</g>',
    ),
    "turns and origins of CSS": (
        f'<g style="transform: rotate(0.1turn); transform-origin: 50px 50%">{PLAIN}</g>',
        f'<g transform="rotate(36 50 50)">{PLAIN}</g>',
    ),
    "a transform of a class": (
        f"<style>.a{{transform:translateX(10px) skewY(5deg)}}</style><g class='a'>{PLAIN}</g>",
        f'<g transform="translate(10) skewY(5)">{PLAIN}</g>',
    ),
    "geometry of CSS": (
        f'<style>circle{{r:15px;cx:70%;cy:30px}}</style><circle r="3"/>{HOOK}',
        PLAIN,
    ),
    "variables": (
        f'<g style="--c: none"><path style="stroke:var(--c)" d="M5 95L95 5"/></g><g stroke="none"><g'
        f' style="stroke: var(--absent, black)">{PLAIN}</g></g>',
        PLAIN,
    ),
    "colours of a light scheme": (
        f"<style>path{{stroke:light-dark(black, white)}} @media (prefers-color-scheme: dark){{path{{stroke:none}}}}"
        f" @media print{{circle{{display:none}}}}</style>{PLAIN}",
        PLAIN,
    ),
    "a page-sized frame": (f'<rect width="100%" height="100%" fill="white"/>{PLAIN}', PLAIN),
    "a page-sized path": (f'<path d="M0 0H100V100H0Z" fill="#eee"/>{PLAIN}', PLAIN),
    "new colours": (f'<g stroke="hsl(0 0% 0% / 90%)"><g stroke="oklch(0.2 0 0)">{HOOK}</g>{DISC}</g>', PLAIN),
    "a foreign text in a switch": (f'<switch><foreignObject requiredExtensions="x"/><g>{PLAIN}</g></switch>', PLAIN),
    "markers in a circle": (
        f'<marker id="a"><path d="M0 0h2" marker-end="url(#a)"/></marker><path d="M5 9" marker-end="url(#a)"/>{PLAIN}',
        PLAIN,
    ),
    "markers of shapes that have none": (f'{DOT}<g style="marker:url(#a)">{DISC}</g>{HOOK}', PLAIN),
    **{
        f"clip-path: {words}": (
            f'<g style="clip-path:{words}">{HOOK}{FRAME}</g>',
            f'<clipPath id="c">{old}</clipPath><g clip-path="url(#c)">{HOOK}{FRAME}</g>',
        )
        for words, old in {
            "circle(30px at 30px 40px) fill-box": '<circle cx="50" cy="60" r="30"/>',
            "ellipse(50% 25%) fill-box": '<ellipse cx="52.5" cy="57.5" rx="32.5" ry="18.75"/>',
            "inset(10px 5px 2px) fill-box": '<rect x="25" y="30" width="55" height="63"/>',
            "inset(10% round 8px) view-box": '<rect x="10" y="10" width="80" height="80" rx="8"/>',
            "inset(10% round 10px 20px 30px/10px 5%) view-box": '<path d="M20 10H70A20 5 0 0 1 90 15V80'
            'A30 10 0 0 1 60 90H30A20 5 0 0 1 10 85V20A10 10 0 0 1 20 10z"/>',
            "inset(10px round 0 60px 40px 40px) view-box": '<path d="M10 10H42A48 48 0 0 1 90 58A32 32 0 0 1 58 90H42'
            'A32 32 0 0 1 10 58z"/>',
            "polygon(0 0, 100% 0, 0 100%) fill-box": '<path d="M20 20H85L20 95z"/>',
            "path('M0 0H60V90H0z') view-box": '<path d="M0 0H60V90H0z"/>',
            "xywh(5px 5px 50% 90%) view-box": '<rect x="5" y="5" width="50" height="90"/>',
            "rect(5px auto 90px 10px) view-box": '<rect x="10" y="5" width="90" height="85"/>',
            "circle()": '<circle cx="52.5" cy="57.5" r="33"/>',
        }.items()
    },
    "text beside paths": (f"<text x='5' y='5'>note</text>{PLAIN}", PLAIN),
}
"""What the reference does not know, beside the same in older words."""


@pytest.mark.parametrize("name", SAME)
def test_newer_words_mean_the_same(tmp_path, name):
    new, old = (ink_of(tmp_path, document(body))[0] for body in SAME[name])
    assert far_apart(new, old) <= 1.5
    assert np.count_nonzero(old) > 500


def test_an_area_that_is_long_and_thin_is_a_line(tmp_path):
    """As a pen's stroke is exported by programs that turn strokes into outlines."""
    outline = '<path stroke="none" fill="black" d="M19 20L19 71L60 71L60 69L21 69L21 20z"/>'
    assert far_apart(ink_of(tmp_path, document(outline))[0], ink_of(tmp_path, document(HOOK))[0]) <= 4
    dot = ink_of(tmp_path, document('<circle cx="50" cy="50" r="3" stroke="none" fill="black"/>'))[0]
    assert dot.sum() > 20
