"""Draws `examples/fundus.png`: a drawn image of a fundus (the back of the eye), so that no figure needs a photograph.

    python tools/fundus.py

It has what a photograph of a right eye shows: the optic disc on the nose's side, four arcades of arteries and veins
around the darker macula, and the round mask of the camera. No anatomy is measured on it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from io import BytesIO
from math import cos, hypot, pi, sin
from pathlib import Path as File

from PIL import Image

from archdsl.drawing.heat import mix
from archdsl.drawing.picture import png
from archdsl.drawing.scene import Circle, Item, Path, Point, Scene
from archdsl.drawing.scene.svg import to_svg

TARGET = File(__file__).resolve().parent.parent / "examples/fundus.png"
SIDE = 300.0
MIDDLE, EYE = Point(150, 150), 141.0
DISC, MACULA = Point(212, 143), Point(118, 156)
EDGE, CENTRE = "#7A2E10", "#D9793A"
VESSELS = ("#7E1F16", "#A83A24")
"""The colours of a vein and of an artery."""
SEED = 4


def scene() -> Scene:
    """Return the drawing, 300 x 300 points."""
    draw = random.Random(SEED)
    picture = Scene("A drawn fundus image", "", SIDE, SIDE, "#000000")
    picture.members += _disc(MIDDLE, EYE, EDGE, CENTRE)
    around = mix(EDGE, CENTRE, 0.64)
    picture.members += _disc(MACULA, 46, around, mix(around, EDGE, 0.7))
    picture.members += _disc(DISC, 21, "#E0893F", "#FFE9B0")
    for up in (-1, 1):
        for temporal in (-1, 1):
            for number, color in enumerate(VESSELS):
                angle = up * (pi / 2 + temporal * (0.42 + 0.14 * number))
                bend = up * (0.019 if temporal > 0 else -0.003)
                picture.members += _vessel(draw, DISC, angle, bend, 3.8 - 0.9 * number, color)
    picture.members += _disc(DISC, 8, "#FBDF9E", "#FFF6D8")
    picture.members += [Circle(MIDDLE, EYE + 40, "", "#000000", 80)]
    return picture


def _disc(center: Point, radius: float, outside: str, inside: str) -> Iterator[Circle]:
    """Circles that shade from a colour outside to one inside."""
    steps = max(12, round(radius / 2))
    for step in range(steps):
        part = step / (steps - 1)
        yield Circle(center, radius * (1 - part * 0.98), mix(outside, inside, part**0.8))


def _vessel(draw: random.Random, start: Point, angle: float, bend: float, width: float, color: str) -> Iterator[Item]:
    """A vessel that bends, thins, and branches until it is thin or leaves the eye."""
    here, points = start, [start]
    length = 0.0
    while width > 0.5 and hypot(here.x - MIDDLE.x, here.y - MIDDLE.y) < EYE:
        angle += bend * 2 + draw.uniform(-0.09, 0.09)
        here = Point(here.x + 4 * cos(angle), here.y + 4 * sin(angle))
        if hypot(here.x - MACULA.x, here.y - MACULA.y) < 24:
            break
        points.append(here)
        length += 4
        if length > 22 and draw.random() < 0.16 and width > 0.9:
            side = draw.choice((-1, 1))
            yield from _vessel(draw, here, angle + side * draw.uniform(0.45, 0.85), -side * 0.012, width * 0.62, color)
            width *= 0.86
            yield Path(tuple(points), color, width, round=3)
            points = [here]
        width *= 0.985
    if len(points) > 1:
        yield Path(tuple(points), color, width, round=3)


if __name__ == "__main__":
    image = Image.open(BytesIO(png(to_svg(scene()), 72)))
    image.convert("RGB").save(TARGET, optimize=True)
    print(f"wrote {TARGET.name}")
