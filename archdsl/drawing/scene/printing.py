"""The size of a scene on paper."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from archdsl.drawing.request import Options
from archdsl.drawing.scene import Scene, Text, moved


class Print(NamedTuple):
    """A picture on paper: the factor of its lengths, its width, its smallest text and its least height; in points."""

    factor: float
    width: float
    smallest: float
    height: float = 0.0


def printed(scene: Scene, options: Options = Options()) -> Print:
    """Return the size of a scene on paper.

    With a size on paper, it is as large as that and the font size allow, which is by default that of the scene, or as
    large as the smallest text requires; a narrower scene is in the middle of the picture. A scene without main labels
    fills the width or the height. Otherwise the scene has its own size, scaled down to its sheet.
    """
    target = options.target
    sheet = scene.paper if target is None else target.sheet
    smallest = min((item.size for item in scene.items() if isinstance(item, Text)), default=scene.body or 1.0)
    largest = 1.0 if target is None else max(1.0, target.least / smallest)
    if options.font_size and scene.body:
        largest = options.font_size / scene.body
    room = largest if sheet is None else min(sheet.width / scene.width, sheet.height / scene.height)
    width = options.width_points
    factor = min(room, largest) if scene.body or width is None else room
    width = factor * scene.width if width is None else width
    height = target.sheet.height if target is not None and options.is_slide else 0.0
    return Print(factor, width, factor * smallest, height)


def centred(scene: Scene, size: Print) -> Scene:
    """Return the scene in the middle of a picture of this size."""
    width, height = (max(a / size.factor, b) for a, b in ((size.width, scene.width), (size.height, scene.height)))
    right, down = (width - scene.width) / 2, (height - scene.height) / 2
    if max(right, down) < 0.05:
        return scene
    return replace(scene, width=width, height=height, members=[moved(member, right, down) for member in scene.members])
