"""The pixels of every drawing of style `graph`, to prove that a change of the painter changes no picture.

    python tests/search/pixels.py record before          # with PYTHONPATH set to the tree to record
    python tests/search/pixels.py compare before

For every network of the library at three levels: the themes `auto`, `light`, `dark` and `print`, two of them with a
legend, and the heat of the MACs. `auto` as a reader with dark settings sees it is compared with the recorded `dark`.
The program only calls the public API of the archdsl that is imported, so that trees with other modules inside are
comparable. resvg renders at one pixel per point. Anti-aliased edges may differ by `TOLERANCE` grey levels of 255; any
larger difference fails the comparison.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

LEVELS = ("network", "block", "layer")
VARIANTS: dict[str, dict[str, Any]] = {
    "auto": {"theme": "auto"},
    "light": {"theme": "light", "legend": True},
    "dark": {"theme": "dark"},
    "print": {"theme": "print", "legend": True},
    "heat": {"theme": "light", "color": "macs", "legend": True},
}
TOLERANCE = 8
_DARK = re.compile(r"@media \(prefers-color-scheme:dark\)\{((?:[^{}]*\{[^{}]*\})*)\}")


class Difference(NamedTuple):
    """How far a drawing is from the recorded one: the largest difference of a channel, and how many pixels differ."""

    drawing: str
    largest: int
    pixels: int
    reason: str = ""


def render(svg: str) -> bytes:
    """The PNG of an SVG at one pixel per point, with the fonts that drawings are measured with."""
    import resvg_py

    import archdsl

    fonts = sorted(Path(archdsl.__file__).parent.rglob("Arimo-*.ttf"))
    text = svg.replace('font-family="', 'font-family="Arimo, ', 1)
    return bytes(resvg_py.svg_to_bytes(svg_string=text, font_files=[str(font) for font in fonts]))


def drawings(name: str) -> Iterator[tuple[str, str]]:
    """Every drawing of one network: its name, and its SVG."""
    import archdsl

    network = archdsl.load(name)
    for level in LEVELS:
        for variant, options in VARIANTS.items():
            yield f"{name}-{level}-{variant}", str(network.diagram(level=level, **options))


def record(job: tuple[str, Path]) -> int:
    """Write the PNG files of one network; how many."""
    name, folder = job
    count = 0
    for drawing, svg in drawings(name):
        (folder / f"{drawing}.png").write_bytes(render(svg))
        count += 1
    return count


def compare(job: tuple[str, Path]) -> list[Difference]:
    """How far the drawings of one network are from the recorded ones."""
    name, folder = job
    differences = []
    for drawing, svg in drawings(name):
        differences.append(difference(drawing, (folder / f"{drawing}.png").read_bytes(), render(svg)))
        if drawing.endswith("-auto"):
            recorded = (folder / f"{drawing.removesuffix('auto')}dark.png").read_bytes()
            differences.append(difference(f"{drawing} in the dark", recorded, render(_DARK.sub(r"\1", svg))))
    return differences


def difference(drawing: str, before: bytes, after: bytes) -> Difference:
    """Compare two PNG files pixel by pixel."""
    if before == after:
        return Difference(drawing, 0, 0)
    import numpy as np
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    old, new = (np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.int16) for png in (before, after))
    if old.shape != new.shape:
        return Difference(drawing, 255, max(old.size, new.size) // 3, f"size {old.shape[:2]} became {new.shape[:2]}")
    distance = np.abs(old - new).max(axis=2)
    return Difference(drawing, int(distance.max()), int((distance > 0).sum()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="these networks alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def program() -> int:
    """Record, or compare with what was recorded: 0 if no difference exceeds the tolerance."""
    import archdsl

    args = arguments()
    args.folder.mkdir(parents=True, exist_ok=True)
    jobs = [(name, args.folder) for name in args.only or archdsl.list()]
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("fork")) as pool:
        if args.what == "record":
            print(f"{sum(pool.map(record, jobs))} drawings recorded")
            return 0
        results = [found for differences in pool.map(compare, jobs) for found in differences]
    return report(results)


def report(results: list[Difference]) -> int:
    """Print each drawing that differs, the largest difference first; 1 if one exceeds the tolerance."""
    different = sorted((r for r in results if r.pixels), key=lambda r: (-r.largest, -r.pixels))
    for result in different:
        print(f"{result.largest:3} levels, {result.pixels:7} pixels  {result.drawing}  {result.reason}".rstrip())
    over = sum(result.largest > TOLERANCE for result in results)
    largest = different[0].largest if different else 0
    print(
        f"{len(results)} drawings compared: {len(results) - len(different)} equal in every pixel, {len(different)}"
        f" differ by at most {largest} of 255 grey levels, {over} by more than {TOLERANCE}"
    )
    return int(over > 0)


if __name__ == "__main__":
    sys.exit(program())
