"""A scene as a TikZ document, which pdflatex compiles with nothing but LaTeX itself and TikZ."""

from __future__ import annotations

from archdsl.drawing.metrics import text_width
from archdsl.drawing.scene import Circle, Item, Path, Point, Polygon, Scene, Text
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
"""What means something to TeX, or is not in the font's encoding."""
_LETTERS = frozenset(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßŒœŁłŠšŽžČčĆćŃńŚśŹźŽžŐőŰűĞğŞşİĎďĚěŇňŘřŤťŮů"
)
"""Letters beyond ASCII that LaTeX's own fonts can write."""

_HEAD = r"""% Needs only TikZ. In a paper of your own: take the colours and the tikzpicture.
\documentclass{{article}}
\usepackage[utf8]{{inputenc}}
\usepackage{{fix-cm}}
\usepackage[paperwidth={width}bp,paperheight={height}bp,margin=0pt]{{geometry}}
\usepackage{{tikz}}
\usetikzlibrary{{arrows.meta}}
\pagestyle{{empty}}\setlength{{\parindent}}{{0pt}}\setlength{{\topskip}}{{0pt}}
"""
_BEGIN = r"""\begin{{document}}
\begin{{tikzpicture}}[x=1bp,y=-1bp,line join=round,line cap=round,baseline=(current bounding box.north),
  head/.style={{-{{Triangle[length=4.6bp,width=3.6bp]}}}},broken/.style={{dash pattern=on 2.5bp off 2bp}},
  every node/.style={{inner sep=0,outer sep=0,font=\sffamily}}]
\def\atmost#1#2{{\setbox0\hbox{{#2}}\ifdim\wd0>#1\relax\resizebox{{#1}}{{\height}}{{\box0}}\else\box0\fi}}
\useasboundingbox (0,0) rectangle ({width},{height});
"""
"""`\\atmost` holds each text in the room that it was given, in whatever font the paper is set."""
_END = r"""\end{tikzpicture}
\end{document}
"""


def to_tikz(scene: Scene) -> str:
    """The scene as a LaTeX document of one page of its size."""
    colors = dict.fromkeys([scene.background, *(c for item in scene.items() for c in _colors(item) if c)])
    named = {color: f"c{number}" for number, color in enumerate(colors)}
    size = {"width": f"{scene.width:.0f}", "height": f"{scene.height:.0f}"}
    lines = [f"% {_comment(scene.title)}\n" + _HEAD.format(**size)]
    lines += [f"\\definecolor{{{name}}}{{HTML}}{{{color[1:].upper()}}}\n" for color, name in named.items()]
    lines.append(_BEGIN.format(**size))
    if scene.background.upper() != "#FFFFFF":
        lines.append(f"\\fill[{named[scene.background]}] (0,0) rectangle ({size['width']},{size['height']});\n")
    lines += [_item(item, named) + "\n" for item in scene.items()]
    return "".join([*lines, _END])


def quote(text: str) -> str:
    """Any text as text of a node: no command, no comment, no end of the node. Letters the font lacks by their
    numbers."""
    return "".join(_SPECIAL.get(c) or (c if _has(c) else f"[U+{ord(c):04X}]") for c in visible(text))


def _has(letter: str) -> bool:
    return " " <= letter <= "~" or letter in _LETTERS


def _comment(text: str) -> str:
    """A text that is a comment and nothing else: letters, digits, and what joins them."""
    return "".join(c if c.isascii() and (c.isalnum() or c in " _.:=(),-") else "?" for c in text)


def _colors(item: Item) -> tuple[str, ...]:
    if isinstance(item, Text):
        return (item.color,)
    if isinstance(item, Path):
        return (item.line,)
    return (item.fill, item.line)


def _item(item: Item, named: dict[str, str]) -> str:
    if isinstance(item, Text):
        return _text(item, named)
    if isinstance(item, Circle):
        options = _options(item.fill, item.line, item.width, False, named)
        return f"\\path[{options}] {_p(item.center)} circle[radius={number(item.radius)}];"
    if isinstance(item, Polygon):
        options = _options(item.fill, item.line, item.width, item.dashed, named)
        if item.round:
            return f"\\path[{options},rounded corners={number(item.round)}bp] {_p(item.points[0])} rectangle {_p(item.points[2])};"
        return f"\\path[{options}] {' -- '.join(map(_p, item.points))} -- cycle;"
    options = _options("", item.line, item.width, item.dashed, named)
    options += ",head" if item.head else ""
    if item.curved:
        a, b, c, d = map(_p, item.points)
        return f"\\draw[{options}] {a} .. controls {b} and {c} .. {d};"
    options += f",rounded corners={number(item.round)}bp" if item.round else ""
    return f"\\draw[{options}] {' -- '.join(map(_p, item.points))};"


def _text(item: Text, named: dict[str, str]) -> str:
    anchor = {"start": "base west", "middle": "base", "end": "base east"}[item.anchor]
    bold = "\\bfseries" if item.bold else ""
    font = f"\\fontsize{{{number(item.size)}bp}}{{{number(item.size)}bp}}\\selectfont\\sffamily{bold}"
    room = number(text_width(item.text, item.size, bold=item.bold))
    return f"\\node[anchor={anchor},text={named[item.color]},font={{{font}}}] at {_p(item.at)} {{\\atmost{{{room}bp}}{{{quote(item.text)}}}}};"


def _options(fill: str, line: str, width: float, dashed: bool, named: dict[str, str]) -> str:
    words = [f"fill={named[fill]}"] if fill else []
    words += [f"draw={named[line]}", f"line width={number(width)}bp"] if line else []
    words += ["broken"] if dashed else []
    return ",".join(words)


def _p(point: Point) -> str:
    return f"({number(point.x)},{number(point.y)})"
