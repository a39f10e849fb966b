"""Write a picture in the requested theme, in any format of `FORMATS`; each shows all of the scene.

PNG and PDF are made from the SVG. The SVG of the theme `auto` contains both light and dark, the others are light.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from archdsl.drawing import picture
from archdsl.drawing.request import Diagram, Options
from archdsl.drawing.scene import Scene, scaled
from archdsl.drawing.scene.svg import to_svg
from archdsl.drawing.scene.tikz import to_tikz
from archdsl.drawing.theme import DARK, LIGHT, THEMES, Theme
from archdsl.report.text import visible

Painter: TypeAlias = Callable[[Theme], Scene]
"""A picture in the colours of any theme."""


def svg(paint: Painter, options: Options) -> Diagram:
    """Write the scene as SVG."""
    light = _scene(paint, options)
    dark = paint(DARK) if options.theme == "auto" else None
    return Diagram(to_svg(light, dark, options.width_points).encode(), light.note)


def png(paint: Painter, options: Options) -> Diagram:
    """Write the scene as PNG. Raises as `picture.png`."""
    scene = _scene(paint, options)
    data = to_svg(scene, None, options.width_points)
    return Diagram(picture.png(data, options.dpi, visible(scene.title), visible(scene.caption)), scene.note)


def pdf(paint: Painter, options: Options) -> Diagram:
    """Write the scene as PDF. Raises as `picture.pdf`."""
    scene = _scene(paint, options)
    data = to_svg(scene, None, options.width_points)
    return Diagram(picture.pdf(data, visible(scene.title), visible(scene.caption)), scene.note)


def tex(paint: Painter, options: Options) -> Diagram:
    """Write the scene as a LaTeX document."""
    scene = _sized(paint, options)
    return Diagram(to_tikz(scene).encode(), scene.note)


def _scene(paint: Painter, options: Options) -> Scene:
    return paint(THEMES.get(options.theme, LIGHT))


def _sized(paint: Painter, options: Options) -> Scene:
    """The scene in the size that it has on paper."""
    scene = _scene(paint, options)
    factor = scene.factor(options.width_points)
    return scene if factor == 1 else scaled(scene, factor)


FORMATS: Mapping[str, Callable[[Painter, Options], Diagram]] = {"svg": svg, "png": png, "pdf": pdf, "tex": tex}
