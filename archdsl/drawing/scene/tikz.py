"""Write a scene in TikZ: a LaTeX document of the class `standalone`, or a fragment of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from zlib import compress, crc32

from archdsl.drawing.metrics import text_width
from archdsl.drawing.paper import Font
from archdsl.drawing.scene import (
    Circle,
    Dashes,
    Fill,
    Hatch,
    Item,
    Path,
    Point,
    Polygon,
    Raster,
    Scene,
    Text,
    moved_item,
    scaled,
)
from archdsl.drawing.scene.letters import quote
from archdsl.drawing.scene.svg import number
from archdsl.drawing.scene.things import Thing, things

_LARGEST = 14_400.0
"""The largest page of a PDF in points, which is less than TeX's largest length."""
_DIGITS = 100
"""Digits of a raster in a line of the file."""
_BEHIND = 0.6
"""Margin of the background behind a text, in points."""

_PACKAGES = r"""\usepackage[utf8]{inputenc}
\usepackage{fix-cm}
\usepackage{tikz}
\usetikzlibrary{arrows.meta,patterns}
"""
_HEAD = r"\documentclass[tikz]{standalone}" + f"\n{_PACKAGES}"
_BEGIN = r"""\let\lettering\{family}
\begin{{tikzpicture}}[x=1bp,y=-1bp,line join=round,line cap={cap},
  head/.style={{-{{Triangle[length=4.6bp,width=3.6bp]}}}},
  every node/.style={{inner sep=0,outer sep=0,font=\lettering}}]
\def\atmost#1#2{{\setbox0\hbox{{#2}}\ifdim\wd0>#1\relax\resizebox{{#1}}{{\height}}{{\box0}}\else\box0\fi}}
\useasboundingbox (0,0) rectangle ({width},{height});
"""
"""`\\atmost` limits each text to its width in the layout, in any font of the document."""
_END = "\\end{tikzpicture}\n"
_PLACES = "% The place of each box. Move one here: its texts and the ends of its arrows follow.\n"
_PIXELS = r"""\ifdefined\pdfextension\def\pixels#1{\pdfextension literal{#1}}\else\def\pixels#1{\pdfliteral{#1}}\fi
"""
"""How LuaLaTeX and pdfLaTeX write an image of PDF; no other engine can."""


def to_tikz(scene: Scene, font: Font = "sans", fragment: bool = False) -> str:
    """Return the scene as a LaTeX document with one page of its size, scaled down if it exceeds TeX's limits.

    A `fragment` is only the colours and the `tikzpicture`, for `\\input` in another document; its first lines list the
    packages that it needs. What has an id has a coordinate, and its texts are nodes, with names made of its path.
    """
    longest = max(scene.width, scene.height)
    if longest > _LARGEST:
        scene = scaled(scene, _LARGEST / longest)
    palette = _Palette(scene)
    size = {"width": f"{scene.width:.0f}", "height": f"{scene.height:.0f}"}
    lines = [f"% {_comment(scene.title)}\n"]
    lines += [f"% \\caption{{{quote(scene.caption)}}}\n"] if scene.caption else []
    lines += ["".join(f"% {line}\n" for line in _PACKAGES.splitlines())] if fragment else [_HEAD]
    lines += [f"\\definecolor{{{name}}}{{HTML}}{{{color[1:].upper()}}}\n" for color, name in palette.colors.items()]
    lines += [_pattern(hatch, name) + "\n" for hatch, name in palette.hatches.items()]
    lines += [] if fragment else ["\\begin{document}\n"]
    lines.append(_BEGIN.format(cap=scene.cap, family="rmfamily" if font == "serif" else "sffamily", **size))
    if scene.background.upper() != "#FFFFFF":
        lines.append(
            f"\\fill[{palette.colors[scene.background]}] (0,0) rectangle ({size['width']},{size['height']});\n"
        )
    lines += [_PIXELS] if any(isinstance(item, Raster) for item in scene.items()) else []
    lines += _picture(scene, palette)
    return "".join([*lines, _END, *([] if fragment else ["\\end{document}\n"])])


def _picture(scene: Scene, palette: _Palette) -> Iterator[str]:
    """The places of the boxes, then everything: the items of a box relative to its place."""
    parts = things(scene)
    places = {part.name: part.bounds.middle for part in parts if part.name and part.ends is None and not part.box}
    yield _PLACES if places else ""
    yield from (f"\\coordinate ({name}) at {_p(place)};\n" for name, place in places.items())
    for part in parts:
        if part.ends is not None:
            yield from _arrow(part, places, palette)
        elif (box := part.box or part.name) in places:
            place = places[box]
            yield f"\\begin{{scope}}[shift={{({box})}}]\n"
            yield from _named(part.name, [moved_item(item, -place.x, -place.y) for item in part.items], palette)
            yield "\\end{scope}\n"
        else:
            yield from _named(part.name, part.items, palette)


def _named(name: str, items: Sequence[Item], palette: _Palette) -> Iterator[str]:
    """The items, with a name for each text."""
    texts = 0
    for item in items:
        texts += isinstance(item, Text)
        yield _item(item, palette, f"{name}-{texts}" if name else "") + "\n"


def _arrow(part: Thing, places: Mapping[str, Point], palette: _Palette) -> Iterator[str]:
    """The items of an arrow; its first and its last point are relative to the places of its ends."""
    assert part.ends is not None
    lines = list(_named(part.name, part.items, palette))
    paths = [n for n, item in enumerate(part.items) if isinstance(item, Path)]
    for end, at, last in zip(part.ends, paths[:1] + paths[-1:], (False, True), strict=False):
        item = part.items[at]
        if isinstance(item, Path) and end in places:
            point, place = item.points[-last], places[end]
            near = f"([shift={{{_p(Point(point.x - place.x, point.y - place.y))}}}]{end})"
            before, found, after = lines[at].rpartition(_p(point)) if last else lines[at].partition(_p(point))
            lines[at] = before + near + after if found else lines[at]
    return iter(lines)


class _Palette:
    """The names of the colours and the hatches of a scene."""

    def __init__(self, scene: Scene) -> None:
        fills = [item.fill for item in scene.items() if isinstance(item, Polygon | Circle)]
        hatches = dict.fromkeys(fill for fill in fills if isinstance(fill, Hatch))
        self.hatches = {hatch: f"h{crc32(repr(hatch).encode()):08x}" for hatch in hatches}
        colors = [scene.background, *(color for item in scene.items() for color in _colors(item) if color)]
        self.colors = {color: f"c{number}" for number, color in enumerate(dict.fromkeys(colors))}

    def options_of(self, fill: Fill, line: str, width: float, dashes: Dashes) -> str:
        """The TikZ options of a path."""
        words = []
        if isinstance(fill, Hatch):
            words += [f"preaction={{fill={self.colors[fill.ground]}}}", f"pattern={self.hatches[fill]}"]
            words += [f"pattern color={self.colors[fill.line]}"]
        elif fill:
            words += [f"fill={self.colors[fill]}"]
        words += [f"draw={self.colors[line]}", f"line width={number(width)}bp"] if line else []
        if dashes:
            parts = (f"{'off' if n % 2 else 'on'} {number(length)}bp" for n, length in enumerate(dashes))
            words += [f"dash pattern={' '.join(parts)}"]
        return ",".join(words)


def _comment(text: str) -> str:
    """A text for a comment: letters, digits and a few signs; others become `?`."""
    return "".join(c if c.isascii() and (c.isalnum() or c in " _.:=(),-") else "?" for c in text)


def _colors(item: Item) -> tuple[str, ...]:
    if isinstance(item, Text):
        return (item.color, item.halo)
    if isinstance(item, Path):
        return (item.line,)
    if isinstance(item, Raster):
        return ()
    fill = item.fill
    return (fill.ground, fill.line, item.line) if isinstance(fill, Hatch) else (fill, item.line)


def _pattern(hatch: Hatch, name: str) -> str:
    """The definition of a hatch, unless the document has it from another fragment. Its y axis points up."""

    def at(point: Point) -> str:
        return f"\\pgfpoint{{{number(point.x)}bp}}{{{number(hatch.cell - point.y)}bp}}"

    lines = "".join(
        f"\\pgfpathmoveto{{{at(a)}}}\\pgfpathlineto{{{at(b)}}}\\pgfusepath{{stroke}}" for a, b in hatch.lines
    )
    around, side = Point(-1, hatch.cell + 1), number(hatch.cell)
    corners = f"{{{at(around)}}}{{{at(Point(hatch.cell + 1, -1))}}}{{\\pgfpoint{{{side}bp}}{{{side}bp}}}}"
    pattern = f"\\pgfdeclarepatternformonly{{{name}}}{corners}{{\\pgfsetlinewidth{{{number(hatch.width)}bp}}{lines}}}"
    return f"\\ifcsname pgf@pattern@name@{name}\\endcsname\\else{pattern}\\fi"


def _item(item: Item, palette: _Palette, name: str = "") -> str:
    if isinstance(item, Text):
        return _text(item, palette, name)
    if isinstance(item, Raster):
        return _raster(item)
    if isinstance(item, Path):
        return _path(item, palette)
    options = palette.options_of(item.fill, item.line, item.width, item.dashes)
    if isinstance(item, Circle):
        return f"\\path[{options}] {_p(item.center)} circle[radius={number(item.radius)}];"
    if item.round:
        corners = f"{_p(item.points[0])} rectangle {_p(item.points[2])}"
        return f"\\path[{options},rounded corners={number(item.round)}bp] {corners};"
    return f"\\path[{options}] {' -- '.join(map(_p, item.points))} -- cycle;"


def _raster(item: Raster) -> str:
    """An inline image of PDF, in hexadecimal digits: no other file is needed."""
    pixels = item.bitmap
    space = "G" if pixels.channels == 1 else "RGB"
    digits = compress(pixels.data, 9).hex().upper()
    lines = "\n".join(digits[n : n + _DIGITS] for n in range(0, len(digits), _DIGITS))
    matrix = f"{number(item.width)} 0 0 {number(item.height)} 0 {number(-item.height)} cm"
    head = f"BI /W {pixels.columns} /H {pixels.rows} /CS /{space} /BPC 8 /F [/AHx /Fl] ID"
    return f"\\node at {_p(item.at)} {{\\pixels{{q {matrix} {head}\n{lines}>\nEI Q}}}};"


def _path(item: Path, palette: _Palette) -> str:
    options = palette.options_of("", item.line, item.width, item.dashes)
    options += ",head" if item.head else ""
    if item.curved:
        start, *rest = map(_p, item.points)
        curves = (f" .. controls {a} and {b} .. {c}" for a, b, c in zip(rest[::3], rest[1::3], rest[2::3], strict=True))
        return f"\\draw[{options}] {start}{''.join(curves)};"
    options += f",rounded corners={number(item.round)}bp" if item.round else ""
    return f"\\draw[{options}] {' -- '.join(map(_p, item.points))};"


def _text(item: Text, palette: _Palette, name: str) -> str:
    anchor = {"start": "base west", "middle": "base", "end": "base east"}[item.anchor]
    bold = "\\bfseries\\boldmath" if item.bold else ""
    font = f"\\fontsize{{{number(item.size)}bp}}{{{number(item.size)}bp}}\\selectfont\\lettering{bold}"
    room = number(text_width(item.text, item.size, bold=item.bold))
    options = f"anchor={anchor},text={palette.colors[item.color]},font={{{font}}}"
    if item.halo:
        options += f",fill={palette.colors[item.halo]},inner sep={_BEHIND}bp,outer sep=-{_BEHIND}bp"
    called = f" ({name})" if name else ""
    return f"\\node[{options}]{called} at {_p(item.at)} {{\\atmost{{{room}bp}}{{{quote(item.text)}}}}};"


def _p(point: Point) -> str:
    return f"({number(point.x)},{number(point.y)})"
