"""Write a scene as a LaTeX document that needs only TikZ and compiles with pdflatex."""

from __future__ import annotations

from archdsl.drawing.metrics import text_width
from archdsl.drawing.paper import Font
from archdsl.drawing.scene import Circle, Dashes, Fill, Hatch, Item, Path, Point, Polygon, Scene, Text, scaled
from archdsl.drawing.scene.svg import number
from archdsl.report.text import visible

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{''}",
    "`": r"{`}",
    "'": r"{'}",
    "-": r"{-}",
    "\u00a0": "~",
    "\u00d7": r"\ensuremath{{\times}}",
    "\u00b7": r"\ensuremath{\cdot}",
    "\u2026": r"\ldots{}",
    "\u2192": r"\ensuremath{\rightarrow}",
    "\u03a3": r"\ensuremath{\Sigma}",
    "\u2013": r"\textendash{}",
    "\u201c": r"{``}",
    "\u201d": r"{''}",
    "\u2212": r"\ensuremath{-}",
    "\u221a": r"\ensuremath{\surd}",
}
"""Characters that are special in TeX or missing in the font's encoding."""
_LETTERS = frozenset(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßŒœŁłŠšŽžČčĆćŃńŚśŹźŽžŐőŰűĞğŞşİĎďĚěŇňŘřŤťŮů"
)
"""Letters beyond ASCII that LaTeX's default fonts contain."""

_LARGEST = 14_400.0
"""The largest page of a PDF in points, which is less than TeX's largest length."""
_BEHIND = 0.6
"""Margin of the background behind a text, in points."""

_HEAD = r"""% Needs only TikZ. For use in another document, copy the colours and the tikzpicture.
\documentclass{{article}}
\usepackage[utf8]{{inputenc}}
\usepackage{{fix-cm}}
\usepackage[paperwidth={width}bp,paperheight={height}bp,margin=0pt]{{geometry}}
\usepackage{{tikz}}
\usetikzlibrary{{arrows.meta,patterns}}
\pagestyle{{empty}}\setlength{{\parindent}}{{0pt}}\setlength{{\topskip}}{{0pt}}
"""
_BEGIN = r"""\begin{{document}}
\let\lettering\{family}
\begin{{tikzpicture}}[x=1bp,y=-1bp,line join=round,line cap={cap},baseline=(current bounding box.north),
  head/.style={{-{{Triangle[length=4.6bp,width=3.6bp]}}}},
  every node/.style={{inner sep=0,outer sep=0,font=\lettering}}]
\def\atmost#1#2{{\setbox0\hbox{{#2}}\ifdim\wd0>#1\relax\resizebox{{#1}}{{\height}}{{\box0}}\else\box0\fi}}
\useasboundingbox (0,0) rectangle ({width},{height});
"""
"""`\\atmost` limits each text to its width in the layout, in any font of the document."""
_END = r"""\end{tikzpicture}
\end{document}
"""


def to_tikz(scene: Scene, font: Font = "sans") -> str:
    """Return the scene as a LaTeX document with one page of its size, scaled down if it exceeds TeX's limits."""
    longest = max(scene.width, scene.height)
    if longest > _LARGEST:
        scene = scaled(scene, _LARGEST / longest)
    palette = _Palette(scene)
    size = {"width": f"{scene.width:.0f}", "height": f"{scene.height:.0f}"}
    lines = [f"% {_comment(scene.title)}\n" + _HEAD.format(**size)]
    lines += [f"\\definecolor{{{name}}}{{HTML}}{{{color[1:].upper()}}}\n" for color, name in palette.colors.items()]
    lines += [_pattern(hatch, name) + "\n" for hatch, name in palette.hatches.items()]
    lines.append(_BEGIN.format(cap=scene.cap, family="rmfamily" if font == "serif" else "sffamily", **size))
    if scene.background.upper() != "#FFFFFF":
        lines.append(
            f"\\fill[{palette.colors[scene.background]}] (0,0) rectangle ({size['width']},{size['height']});\n"
        )
    lines += [_item(item, palette) + "\n" for item in scene.items()]
    return "".join([*lines, _END])


class _Palette:
    """The names of the colours and the hatches of a scene."""

    def __init__(self, scene: Scene) -> None:
        fills = [item.fill for item in scene.items() if isinstance(item, Polygon | Circle)]
        hatches = dict.fromkeys(fill for fill in fills if isinstance(fill, Hatch))
        self.hatches = {hatch: f"h{number}" for number, hatch in enumerate(hatches)}
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


def quote(text: str) -> str:
    """Escape a text for a TikZ node; letters that the font lacks are written as `[U+XXXX]`."""
    return "".join(_SPECIAL.get(c) or (c if _has(c) else f"[U+{ord(c):04X}]") for c in visible(text))


def _has(letter: str) -> bool:
    return " " <= letter <= "~" or letter in _LETTERS


def _comment(text: str) -> str:
    """A text for a comment: letters, digits and a few signs; others become `?`."""
    return "".join(c if c.isascii() and (c.isalnum() or c in " _.:=(),-") else "?" for c in text)


def _colors(item: Item) -> tuple[str, ...]:
    if isinstance(item, Text):
        return (item.color, item.halo)
    if isinstance(item, Path):
        return (item.line,)
    fill = item.fill
    return (fill.ground, fill.line, item.line) if isinstance(fill, Hatch) else (fill, item.line)


def _pattern(hatch: Hatch, name: str) -> str:
    """The definition of a hatch. Its y axis points up."""

    def at(point: Point) -> str:
        return f"\\pgfpoint{{{number(point.x)}bp}}{{{number(hatch.cell - point.y)}bp}}"

    lines = "".join(
        f"\\pgfpathmoveto{{{at(a)}}}\\pgfpathlineto{{{at(b)}}}\\pgfusepath{{stroke}}" for a, b in hatch.lines
    )
    around, side = Point(-1, hatch.cell + 1), number(hatch.cell)
    corners = f"{{{at(around)}}}{{{at(Point(hatch.cell + 1, -1))}}}{{\\pgfpoint{{{side}bp}}{{{side}bp}}}}"
    return f"\\pgfdeclarepatternformonly{{{name}}}{corners}{{\\pgfsetlinewidth{{{number(hatch.width)}bp}}{lines}}}"


def _item(item: Item, palette: _Palette) -> str:
    if isinstance(item, Text):
        return _text(item, palette)
    if isinstance(item, Path):
        return _path(item, palette)
    options = palette.options_of(item.fill, item.line, item.width, item.dashes)
    if isinstance(item, Circle):
        return f"\\path[{options}] {_p(item.center)} circle[radius={number(item.radius)}];"
    if item.round:
        corners = f"{_p(item.points[0])} rectangle {_p(item.points[2])}"
        return f"\\path[{options},rounded corners={number(item.round)}bp] {corners};"
    return f"\\path[{options}] {' -- '.join(map(_p, item.points))} -- cycle;"


def _path(item: Path, palette: _Palette) -> str:
    options = palette.options_of("", item.line, item.width, item.dashes)
    options += ",head" if item.head else ""
    if item.curved:
        start, *rest = map(_p, item.points)
        curves = (f" .. controls {a} and {b} .. {c}" for a, b, c in zip(rest[::3], rest[1::3], rest[2::3], strict=True))
        return f"\\draw[{options}] {start}{''.join(curves)};"
    options += f",rounded corners={number(item.round)}bp" if item.round else ""
    return f"\\draw[{options}] {' -- '.join(map(_p, item.points))};"


def _text(item: Text, palette: _Palette) -> str:
    anchor = {"start": "base west", "middle": "base", "end": "base east"}[item.anchor]
    bold = "\\bfseries" if item.bold else ""
    font = f"\\fontsize{{{number(item.size)}bp}}{{{number(item.size)}bp}}\\selectfont\\lettering{bold}"
    room = number(text_width(item.text, item.size, bold=item.bold))
    options = f"anchor={anchor},text={palette.colors[item.color]},font={{{font}}}"
    if item.halo:
        options += f",fill={palette.colors[item.halo]},inner sep={_BEHIND}bp,outer sep=-{_BEHIND}bp"
    return f"\\node[{options}] at {_p(item.at)} {{\\atmost{{{room}bp}}{{{quote(item.text)}}}}};"


def _p(point: Point) -> str:
    return f"({number(point.x)},{number(point.y)})"
