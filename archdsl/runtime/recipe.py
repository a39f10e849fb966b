"""The preprocessing recipe of a network, which is also written into compiled files; needs no numpy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from archdsl.axes import IMAGE, VECTOR, kind_of
from archdsl.language.section_models import Preprocess

Layout: TypeAlias = Literal["RGB", "BGR", "L"]
Interpolation: TypeAlias = Literal["bilinear", "bicubic"]

_WHOLE = 256 / 224
"""The ImageNet convention since 2012: resize the shorter of height and width to 256 for a centre crop of 224, and in
proportion for other sizes."""
_CHANNELS: dict[str, int] = {"RGB": 3, "BGR": 3, "L": 1}


class Unfit(Exception):
    """The `preprocess` of a spec does not fit the network's input."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The preprocessing steps in order. Sizes are in pixels; values are in [0, 1] before the scale.

    `resize` is the new size of the shorter of height and width, or `(height, width)` to stretch to, or None. `crop` is
    `(height, width)` of the centre, or None. Then `(values * scale - mean) / std` per channel.
    """

    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: Layout | None = None
    interpolation: Interpolation = "bilinear"

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Parse a recipe. Raises ValueError for other text, which may come from anyone's file."""
        data = json.loads(text)
        if not isinstance(data, dict) or set(data) - set(cls.__dataclass_fields__):
            raise ValueError("not a recipe")
        resize, crop, layout = data.get("resize"), data.get("crop"), data.get("layout")
        if layout not in (None, *_CHANNELS):
            raise ValueError("unknown layout")
        interpolation = data.get("interpolation", "bilinear")
        if interpolation not in ("bilinear", "bicubic"):
            raise ValueError("unknown interpolation")
        return cls(
            _size(resize) if not isinstance(resize, list) else _sizes(resize),
            None if crop is None else _sizes(crop),
            _number(data.get("scale", 1.0)),
            _numbers(data.get("mean", [0.0])),
            _numbers(data.get("std", [1.0])),
            layout,
            interpolation,
        )


def settle(written: Preprocess | None, preset: bool, shape: Sequence[int], free: bool) -> Recipe:
    """Return the recipe of a network with the input `shape`.

    `preset` means that the spec names a preset such as `imagenet`, which includes ImageNet's resize and crop. `free`
    means that the network maps images of any size to images, so that the default is not to resize. A preset for colours
    becomes one for a grey image if the input has one channel. A `crop` of another
    size than the input (which was overridden) is scaled to the input, and the resize with it. Raises `Unfit` if
    `written` does not fit the input.
    """
    kind = kind_of(shape)
    if kind not in (VECTOR, IMAGE):
        raise Unfit(f"it is for images, the input is {kind.noun}")
    if kind is VECTOR:
        plain = written or Preprocess()
        return Recipe(None, None, plain.scale, plain.mean, plain.std, plain.layout)
    channels, height, width = shape
    if written is None:
        return Recipe(None if free else (height, width), layout=_layout(None, channels))
    if preset and channels == 1:
        written = _grey(written)
    for name, values in (("mean", written.mean), ("std", written.std)):
        if len(values) not in (1, channels):
            raise Unfit(
                f"`{name}` has {len(values)} values; the input has {channels} channel{'s' if channels > 1 else ''}"
            )
    if any(value == 0 for value in written.std):
        raise Unfit("`std` is a divisor: it cannot be 0")
    resize, crop = _geometry(written, preset, height, width, free)
    layout = _layout(written.layout, channels)
    return Recipe(resize, crop, written.scale, written.mean, written.std, layout, written.interpolation)


def _grey(preset: Preprocess) -> Preprocess:
    """The preset for a grey image: its mean and deviation are the means of those of the colours."""
    mean, std = (sum(values) / len(values) for values in (preset.mean, preset.std))
    return preset.model_copy(update={"mean": (mean,), "std": (std,), "layout": None})


def _geometry(
    written: Preprocess, preset: bool, height: int, width: int, free: bool
) -> tuple[int | tuple[int, int] | None, tuple[int, int] | None]:
    if written.resize is None and written.crop is None:
        if preset:
            return round(min(height, width) * _WHOLE), (height, width)
        return (None if free else (height, width)), None
    crop = (written.crop, written.crop) if isinstance(written.crop, int) else written.crop
    resize = written.resize
    if resize is not None and crop is not None:
        resize = round(resize * min(height, width) / min(crop))
    elif resize is not None and resize < min(height, width):
        resize = min(height, width)
    return resize, (height, width)


def _layout(written: Layout | None, channels: int) -> Layout:
    layout: Layout | None = written or ("RGB" if channels == 3 else "L" if channels == 1 else None)
    if layout is None:
        raise Unfit(f"the input has {channels} channels, an image has 1 or 3")
    if _CHANNELS[layout] != channels:
        raise Unfit(f"`layout: {layout}` has {_CHANNELS[layout]} channels, the input has {channels}")
    return layout


def _size(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= 65536:
        raise ValueError("not a size in pixels")
    return value


def _sizes(value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("not a height and a width")
    height, width = (_size(item) for item in value)
    if height is None or width is None:
        raise ValueError("not a height and a width")
    return height, width


def _numbers(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= 64:
        raise ValueError("not a list of numbers")
    return tuple(_number(item) for item in value)


def _number(value: object) -> float:
    if type(value) not in (int, float) or not abs(value) < 1e30:  # type: ignore[arg-type]  # also rejects NaN
        raise ValueError("not a usable number")
    return float(value)  # type: ignore[arg-type]
