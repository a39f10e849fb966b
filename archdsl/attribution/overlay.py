"""Paint a map on the input that it explains, with a title and a scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from archdsl.axes import IMAGE, SIGNAL, Kind, kind_of
from archdsl.drawing.metrics import FONTS
from archdsl.runtime.preprocess import shown
from archdsl.runtime.recipe import Recipe

_FOR, _AGAINST = (213, 94, 0), (0, 114, 178)
"""Okabe and Ito's vermillion and blue, which colour-blind readers can distinguish."""
_OPACITY = 0.75
"""The opacity of the largest absolute value; that of 0 is 0."""
_LEAST, _MOST = 224, 1024
"""A smaller panel is enlarged by a whole factor, a longer signal is averaged."""
_GAP, _BAR, _LINE, _ROW, _CHANNELS = 12, 16, 16, 48, 12
_BAR_GREY, _SIGNAL_GREY = 200.0, 255.0
"""The grey under the colours of a scale, and under the map of a signal and its scale."""

Array: TypeAlias = npt.NDArray[np.float32]
Pixels: TypeAlias = npt.NDArray[np.float64]


def overlay(values: Array, sample: Array, recipe: Recipe | None, titles: Sequence[str]) -> Image.Image:
    """Return a picture of the map `values`, `(*sizes)`, of the input `sample`, `(C, *sizes)`.

    The panels are side by side, their captions below, the titles above, the scale on the right.
    """
    peak = float(np.abs(values).max()) or 1.0
    kind, heat, image = kind_of(sample.shape), values / peak, _visible(sample, recipe)
    panels = [(_image(pixels), caption) for pixels, caption in _panels(kind, heat, image)]
    font = ImageFont.truetype(str(FONTS / "Arimo-Regular.ttf"), 12)
    height = max(panel.height for panel, _ in panels)
    top = _GAP + len(titles) * _LINE + _GAP // 2
    scale = _scale(peak, float(values.min()) < 0)
    right = _GAP + sum(panel.width + _GAP for panel, _ in panels)
    width = right + _BAR + 6 + max(int(font.getlength(text)) for _, text in scale) + _GAP
    width = max(width, *(2 * _GAP + int(font.getlength(title)) for title in titles))
    picture = Image.new("RGB", (width, top + height + _LINE + _GAP), "white")
    draw = ImageDraw.Draw(picture)
    for number, title in enumerate(titles):
        draw.text((_GAP, _GAP + number * _LINE), title, "black", font)
    left = _GAP
    for panel, caption in panels:
        picture.paste(panel, (left, top))
        draw.text((left, top + height + 2), caption, "black", font)
        left += panel.width + _GAP
    bar = np.linspace(scale[0][0], scale[-1][0], height)[:, None] * np.ones(_BAR) / peak
    picture.paste(_image(_heated(np.full(bar.shape, _SIGNAL_GREY if kind is SIGNAL else _BAR_GREY), bar)), (left, top))
    for number, (_, text) in enumerate(scale):
        y = top + number * (height - _LINE + 2) // (len(scale) - 1)
        draw.text((left + _BAR + 6, y), text, "black", font)
    return picture


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _scale(peak: float, signed: bool) -> list[tuple[float, str]]:
    """The values of the scale from top to bottom, with their texts."""
    return [(value, f"{value:.3g}") for value in ([peak, 0.0, -peak] if signed else [peak, 0.0])]


def _panels(kind: Kind, heat: Array, image: Pixels) -> Iterator[tuple[Pixels, str]]:
    """Yield pixels `(H, W, 3)` from 0 to 255, and the caption of each panel."""
    grey = 255 * (image @ [0.299, 0.587, 0.114] if image.shape[-1] == 3 else image.mean(-1))
    if kind is SIGNAL:
        yield _signal(image, heat), "input"
    elif kind is IMAGE:
        yield _enlarged(255 * image if image.shape[-1] == 3 else np.repeat(grey[..., None], 3, 2)), "input"
        yield _enlarged(_heated(grey, heat)), "map"
    else:
        peak = np.unravel_index(np.abs(heat).argmax(), heat.shape)
        for axis, name in enumerate(kind.sizes):
            at = int(peak[axis])
            grey_slice, heat_slice = (np.take(values, at, axis) for values in (grey, heat))
            yield _enlarged(_heated(grey_slice, heat_slice)), f"{name} {at}"


def _visible(sample: Array, recipe: Recipe | None) -> Pixels:
    """The input before normalisation, channels last, from 0 to 1; without a recipe its least value becomes 0, its
    largest 1."""
    values: Any = sample.astype(np.float64)
    if recipe is not None and recipe.layout is not None:
        values = shown(values, recipe)
    else:
        least, most = values.min(), values.max()
        values = (values - least) / ((most - least) or 1.0)
    return np.moveaxis(values, 0, -1)


def _heated(grey: npt.NDArray[Any], heat: npt.NDArray[Any]) -> Pixels:
    """Grey pixels from 0 to 255 under colours: `heat` is from -1 to 1."""
    colors = np.where(heat[..., None] >= 0, _FOR, _AGAINST)
    opacity = _OPACITY * np.abs(heat)[..., None]
    return np.asarray(grey[..., None] * (1 - opacity) + colors * opacity)


def _enlarged(pixels: Pixels) -> Pixels:
    factor = max(-(-_LEAST // max(pixels.shape[:2])), 1)
    return pixels.repeat(factor, 0).repeat(factor, 1)


def _signal(image: Pixels, heat: npt.NDArray[Any]) -> Pixels:
    """The first channels of a signal as curves, one below the other, on the colours of the map."""
    length, channels = len(heat), min(image.shape[1], _CHANNELS)
    width = min(max(length, _LEAST * 2), _MOST)
    columns = np.minimum(np.arange(width) * length // width, length - 1)
    values = _heated(np.full((channels * _ROW, width), _SIGNAL_GREY), np.tile(heat[columns], (channels * _ROW, 1)))
    panel = _image(values)
    draw = ImageDraw.Draw(panel)
    for channel in range(channels):
        heights = (channel + 1) * _ROW - 4 - image[columns, channel] * (_ROW - 8)
        points: Sequence[tuple[float, float]] = list(zip(range(width), heights.tolist(), strict=True))
        draw.line(points, "black")
    return np.asarray(panel, np.float64)
