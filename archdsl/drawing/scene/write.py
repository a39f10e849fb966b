"""Write a style's scene as SVG or TikZ in the requested theme; SVG contains both light and dark for `auto`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from archdsl.drawing.request import Diagram, Options
from archdsl.drawing.scene import Scene, scaled
from archdsl.drawing.scene.svg import to_svg
from archdsl.drawing.scene.tikz import to_tikz
from archdsl.drawing.theme import DARK, LIGHT, THEMES, Theme

Painter: TypeAlias = Callable[[Theme], Scene]
"""A picture in the colours of any theme."""


def svg(draw: Painter, options: Options) -> Diagram:
    """Write the scene as SVG."""
    light = draw(THEMES.get(options.theme, LIGHT))
    dark = draw(DARK) if options.theme == "auto" else None
    return Diagram(to_svg(light, dark, options.width_points).encode(), light.note)


def tex(draw: Painter, options: Options) -> Diagram:
    """Write the scene as a LaTeX document."""
    scene = draw(THEMES.get(options.theme, LIGHT))
    factor = scene.factor(options.width_points)
    return Diagram(to_tikz(scene if factor == 1 else scaled(scene, factor)).encode(), scene.note)
