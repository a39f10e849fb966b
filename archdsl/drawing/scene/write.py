"""Write a picture in the requested theme, in any format of `FORMATS`; each shows all of the scene.

PNG and PDF are made from the SVG. The SVG of the theme `auto` contains both light and dark, the others are light.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from archdsl.drawing import picture
from archdsl.drawing.request import Diagram, Options
from archdsl.drawing.scene import Scene, Text, scaled
from archdsl.drawing.scene.drawio import to_drawio
from archdsl.drawing.scene.letters import listed, not_in_tex
from archdsl.drawing.scene.pptx import to_pptx
from archdsl.drawing.scene.printing import Print, centred, printed
from archdsl.drawing.scene.svg import to_svg
from archdsl.drawing.scene.tikz import to_tikz
from archdsl.drawing.theme import DARK, LIGHT, THEMES, Theme
from archdsl.report.text import visible

Painter: TypeAlias = Callable[[Theme], Scene]
"""A picture in the colours of any theme."""


def svg(paint: Painter, options: Options) -> Diagram:
    """Write the scene as SVG."""
    light, size = _printed(paint, options)
    dark = centred(paint(DARK), size) if options.theme == "auto" else None
    unit = "pt" if options.target else ""
    return _diagram(to_svg(light, dark, size.width, options.family, unit), light, size)


def png(paint: Painter, options: Options) -> Diagram:
    """Write the scene as PNG. Raises as `picture.png`."""
    scene, size = _printed(paint, options)
    text = to_svg(scene, None, size.width, options.family)
    data = picture.png(text, options.dpi, visible(scene.title), visible(scene.caption))
    return _diagram(data, scene, size, _lacked(scene))


def pdf(paint: Painter, options: Options) -> Diagram:
    """Write the scene as PDF. Raises as `picture.pdf`."""
    scene, size = _printed(paint, options)
    data = to_svg(scene, None, size.width, options.family)
    return _diagram(picture.pdf(data, visible(scene.title), visible(scene.caption)), scene, size, _lacked(scene))


def tex(paint: Painter, options: Options) -> Diagram:
    """Write the scene in TikZ: a LaTeX document, or with `options.fragment` a part of one."""
    scene, size = _printed(paint, options)
    text = to_tikz(scene if size.factor == 1 else scaled(scene, size.factor), options.family, options.fragment)
    lacked = listed(not_in_tex(_texts(scene)), "LaTeX's default fonts lack", "written as their numbers")
    return _diagram(text, scene, size, lacked)


def pages(format: str, paints: Sequence[Painter], options: Options) -> Diagram:
    """Write pictures as the slides or pages of one file, in a format of `PAGED`.

    Raises E0716 if python-pptx is not installed.
    """
    printed_scenes = [_printed(paint, options) for paint in paints]
    scenes = [scaled(scene, size.factor) for scene, size in printed_scenes]
    return _diagram(PAGED[format](scenes), *printed_scenes[-1])


def _printed(paint: Painter, options: Options) -> tuple[Scene, Print]:
    """The scene in the middle of its picture, and the size of the picture on paper."""
    scene = paint(THEMES.get(options.theme, LIGHT))
    size = printed(scene, options)
    return centred(scene, size), size


def _texts(scene: Scene) -> str:
    return "".join(item.text for item in scene.items() if isinstance(item, Text))


def _lacked(scene: Scene) -> str:
    """A note on the characters that a PNG or PDF lacks."""
    return listed(picture.without_glyph(visible(_texts(scene))), "no font has", "left out")


def _diagram(data: str | bytes, scene: Scene, size: Print, lacked: str = "") -> Diagram:
    data = data.encode() if isinstance(data, str) else data
    return Diagram(data, "; ".join(filter(None, (scene.note, lacked))), size.smallest, size.width / 72 * 25.4)


def _one(format: str) -> Callable[[Painter, Options], Diagram]:
    return lambda paint, options: pages(format, [paint], options)


PAGED: Mapping[str, Callable[[Sequence[Scene]], bytes]] = {"pptx": to_pptx, "drawio": to_drawio}
"""Formats with several pictures in one file."""
FORMATS: Mapping[str, Callable[[Painter, Options], Diagram]] = {
    "svg": svg,
    "png": png,
    "pdf": pdf,
    "tex": tex,
    **{format: _one(format) for format in PAGED},
}
