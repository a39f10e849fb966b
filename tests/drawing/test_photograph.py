"""Rasters of scenes, and the figure of a photograph from made-up responses.

Tests `drawing/article/photograph.py`.
"""

from __future__ import annotations

import importlib.util
import io
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import archdsl
from archdsl.drawing.article.photograph import attempts
from archdsl.drawing.model.drawing import View
from archdsl.drawing.picture import pdf, png
from archdsl.drawing.request import Options, Photo, Request, Response
from archdsl.drawing.scene import Bitmap, Point, Raster, Scene, Text, scaled
from archdsl.drawing.scene.svg import to_svg
from archdsl.drawing.scene.tikz import to_tikz
from archdsl.drawing.theme import LIGHT
from tests.support.places import PACKAGE

GREY = Bitmap(3, 2, bytes([0, 50, 100, 150, 200, 250]))
COLOR = Bitmap(2, 1, bytes([255, 0, 0, 0, 0, 255]))


def test_a_bitmap_is_a_png_that_others_read() -> None:
    for bitmap, mode in ((GREY, "L"), (COLOR, "RGB")):
        image = Image.open(io.BytesIO(bitmap.png()))
        assert (image.mode, image.size, image.tobytes()) == (mode, (bitmap.columns, bitmap.rows), bitmap.data)


def test_a_raster_is_drawn_in_every_format() -> None:
    scene = Scene("a", "", 40, 30, "#FFFFFF", [Raster(Point(10, 10), 20, 10, COLOR)])
    svg = to_svg(scene)
    pixels = np.array(Image.open(io.BytesIO(png(svg, 72))).convert("RGB"))
    assert pixels.shape == (30, 40, 3)
    assert tuple(pixels[15, 12]) == (255, 0, 0) and tuple(pixels[15, 28]) == (0, 0, 255), "sharp, and in its place"
    assert tuple(pixels[5, 5]) == (255, 255, 255) == tuple(pixels[25, 15])
    pytest.importorskip("svg2pdf_py")
    assert b"/Image" in pdf(svg)


def test_tikz_has_the_pixels_as_an_inline_image() -> None:
    scene = Scene("a", "", 40, 30, "#FFFFFF", [Raster(Point(10, 10), 20, 10, GREY)])
    tex = to_tikz(scaled(scene, 2))
    match = re.search(
        r"\\node at \(20,20\) \{\\pixels\{q 40 0 0 20 0 -20 cm BI /W 3 /H 2 /CS /G (.*?)EI Q\}\};", tex, re.S
    )
    assert match is not None and "\n\n" not in match[0], "a paragraph would end the argument"
    digits = "".join(match[1].partition("ID\n")[2].split())
    assert digits.endswith(">") and zlib.decompress(bytes.fromhex(digits[:-1])) == GREY.data
    assert r"\pixels" not in to_tikz(replace(scene, members=[]))


def figure(*photos: Photo, width_mm: int | None = None) -> tuple[Scene, list[Raster], set[str]]:
    graph = archdsl.load("resnet20").graph
    options = Options(width_mm=width_mm)
    requests = [Request(graph, View(focus=f"layer{n}"), options, photo=p) for n, p in enumerate(photos, 1)]
    scene = next(attempts(requests, requests[0]))(LIGHT)
    items = list(scene.items())
    texts = {item.text for item in items if isinstance(item, Text)}
    return scene, [item for item in items if isinstance(item, Raster)], texts


def photo(size: int, answered: bool = True, maps: int = 8) -> Photo:
    seen = Bitmap(32, 32, bytes(3 * 32 * 32))
    answers = (Bitmap(size, size, bytes(size * size)),) * maps
    response = Response(answers, -1.5, 1.5, -2.0, 1.75) if answered else None
    return Photo("photo.png", seen, 1, (2 * maps, size, size), ((10, 20), (-4, 6)), response)


def test_maps_have_the_scale_of_the_photograph_and_small_ones_say_by_how_much_they_are_enlarged() -> None:
    _, rasters, texts = figure(photo(16), photo(4))
    seen, *maps = rasters
    assert len(maps) == 4 + 8, "four maps of half the size are as large as the photograph"
    assert maps[0].width / 16 == pytest.approx(seen.width / 32)
    factor = maps[-1].width / 4 / (seen.width / 32)
    assert factor == pytest.approx(round(factor)) and round(factor) > 1
    assert f"stride 1, 16 \u00d7 4 \u00d7 4, enlarged {round(factor)} times" in texts
    assert {"black \u22121.5, white 1.5", "values from \u22122 to 1.75", "maps 1 to 8 of 16"} <= texts


def test_single_maps_are_as_large_as_the_photograph_and_have_larger_pixels() -> None:
    scene, rasters, texts = figure(photo(32, maps=1), photo(11, maps=1))
    assert to_svg(scene).count("image-rendering:pixelated") == 3, "each pixel of 32 is larger than a point"
    assert [raster.width for raster in rasters[:2]] == [150, 150] and rasters[2].width == pytest.approx(150, rel=0.05)
    assert {"stride 1, 2 \u00d7 32 \u00d7 32", "stride 1, 2 \u00d7 11 \u00d7 11, enlarged 3 times"} <= texts


def test_equal_fields_are_one_rectangle_inside_of_the_photograph() -> None:
    texts = figure(photo(16), photo(4))[2]
    assert "layer1, layer2 see 10 \u00d7 10 pixels" in texts
    only, _, words = figure(photo(16, answered=False))
    assert "layer1 sees 10 \u00d7 10 pixels" in words and only.title == "resnet20: receptive fields on a photograph"
    assert any("No response of layer1" in text for text in words)


def test_on_narrow_paper_the_pictures_are_below_one_another() -> None:
    wide, *_ = figure(photo(16), photo(8), photo(4))
    narrow, *_ = figure(photo(16), photo(8), photo(4), width_mm=85)
    assert narrow.width < wide.width and narrow.height > wide.height


def test_the_eye_background_is_the_drawing_of_its_tool() -> None:
    path = PACKAGE.parent / "tools/fundus.py"
    spec = importlib.util.spec_from_file_location("fundus", path)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    drawn = Image.open(io.BytesIO(png(to_svg(tool.scene()), 72))).convert("RGB")
    stored = Image.open(tool.TARGET)
    difference = np.abs(np.array(drawn, int) - np.array(stored, int))
    assert stored.size == (300, 300) and difference.max() <= 8, "run `python tools/fundus.py`"
