"""The preprocessing recipe of a network, which is also written into compiled files; needs no numpy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeAlias

from archdsl.axes import IMAGE, VECTOR, VOLUME, kind_of
from archdsl.language.section_models import Preprocess

Layout: TypeAlias = Literal["RGB", "BGR", "L"]
Interpolation: TypeAlias = Literal["bilinear", "bicubic"]

_WHOLE = 256 / 224
"""The ImageNet convention since 2012: resize the shorter of height and width to 256 for a centre crop of 224, and in
proportion for other sizes."""
DEFAULT_ORIENTATION = "SPL"
"""Slices to the head, rows to the back, columns to the left: an axial CT as DICOM stores it."""
_CHANNELS: dict[str, int] = {"RGB": 3, "BGR": 3, "L": 1}


class Unfit(Exception):
    """The `preprocess` of a spec does not fit the network's input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The preprocessing of a network's input, one field per step, in the order in which `preprocess.py` takes them.

    0. A file is decoded to its own values; DICOM by its rescale slope and intercept. Grey values are not rounded.
    1. `orientation` (volumes): the axes are reordered and flipped, so that they run to these directions of the patient,
       as in MONAI's `Orientation`; None leaves them as stored.
    2. `spacing` (volumes): resampled linearly to millimetres per axis, as MONAI's `Spacing` with `bilinear`, `border`.
    3. `intensity`: `(values - low) / (high - low)`, clipped to [0, 1]. None: images are divided by the largest value of
       their declared depth (255 for 8 bits), a DICOM file by its own window if it has one; volumes keep their values.
       Then MONOCHROME1, where the smallest value is white, is inverted (images only: a volume has measured values).
    4. The channels of `layout`, without the reversal of BGR. A grey image stays grey until step 8.
    5. `resize`: the new size of the shorter of height and width, or a size per axis to stretch to. Images by Pillow,
       with `interpolation` and antialiasing, volumes trilinearly.
    6. `crop`: the centre of this size; where the image is smaller, it is padded with 0.
    7. A size that is not legal for the network is stretched to the nearest legal one, as by `resize`.
    8. Channels: grey is repeated for RGB and BGR, RGB is reversed for BGR.
    9. `(values * scale - mean) / std` per channel, where 8-bit values were divided by 255 before.

    `resize` and `crop` are `(height, width)` or `(depth, height, width)`, in pixels. None leaves out a step.
    """

    orientation: str | None = None
    spacing: tuple[float, ...] | None = None
    intensity: tuple[float, float] | None = None
    resize: int | tuple[int, ...] | None = None
    crop: tuple[int, ...] | None = None
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
        layout, interpolation = data.get("layout"), data.get("interpolation", "bilinear")
        if layout not in (None, *_CHANNELS):
            raise ValueError("unknown layout")
        if interpolation not in ("bilinear", "bicubic"):
            raise ValueError("unknown interpolation")
        orientation, spacing, intensity = (data.get(key) for key in ("orientation", "spacing", "intensity"))
        if orientation is not None and not is_orientation(orientation):
            raise ValueError("unknown orientation")
        lengths = None if spacing is None else _numbers(spacing)
        if lengths is not None and (len(lengths) != len(VOLUME.letters) or min(lengths) < 1e-3):
            raise ValueError("not a spacing")
        span = None if intensity is None else _numbers(intensity)
        if span is not None and (len(span) != 2 or span[0] > span[1]):
            raise ValueError("not a range of values")
        resize, crop = data.get("resize"), data.get("crop")
        return cls(
            orientation=orientation,
            spacing=lengths,
            intensity=None if span is None else (span[0], span[1]),
            resize=_sizes(resize) if isinstance(resize, list) else _size(resize),
            crop=None if crop is None else _sizes(crop),
            scale=_number(data.get("scale", 1.0)),
            mean=_numbers(data.get("mean", [0.0])),
            std=_numbers(data.get("std", [1.0])),
            layout=layout,
            interpolation=interpolation,
        )


def is_orientation(value: object) -> bool:
    """Return whether a value names one direction of each axis of the body: `SPL`, `RAS`."""
    pairs = [{"R", "L"}, {"A", "P"}, {"S", "I"}]
    return isinstance(value, str) and len(value) == len(pairs) and all(pair & {*value} for pair in pairs)


def window_span(centre: float, width: float) -> tuple[float, float]:
    """Return the values that become 0 and 1 by DICOM's LINEAR rule (PS3.3 C.11.2.1.2.1)."""
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2


def settle(written: Preprocess | None, preset: bool, shape: Sequence[int], free: bool) -> Recipe:
    """Return the recipe of a network with the input `shape`.

    `preset` means that the spec names a preset such as `imagenet`, which includes ImageNet's resize and crop. `free`
    means that the network maps images of any size to images, so that the default is not to resize. A preset for colours
    becomes one for a grey image if the input has one channel. A `crop` of another
    size than the input (which was overridden) is scaled to the input, and the resize with it. Raises `Unfit` if
    `written` does not fit the input.
    """
    kind, given = kind_of(shape), written or Preprocess()
    if kind not in (VECTOR, IMAGE, VOLUME):
        raise Unfit(f"it is for images and volumes, the input is {kind.noun}")
    if kind is VOLUME and preset:
        raise Unfit("a preset is for images: write a mapping for a volume, such as `{intensity: [low, high]}`")
    if kind is not VOLUME and (given.orientation or given.spacing):
        raise Unfit(f"`orientation` and `spacing` are for volumes, the input is {kind.noun}")
    channels, *sizes = shape
    if preset and channels == 1 and kind is not VECTOR:
        given = _grey(given)
    for name, values in (("mean", given.mean), ("std", given.std)) if kind is not VECTOR else ():
        if len(values) not in (1, channels):
            raise Unfit(
                f"`{name}` has {len(values)} values; the input has {channels} channel{'s' if channels > 1 else ''}"
            )
    if any(value == 0 for value in given.std):
        raise Unfit("`std` is a divisor: it cannot be 0")
    factor = 1.0 if isinstance(given.scale, str) else given.scale
    recipe = Recipe(intensity=_intensity(given), scale=factor, mean=given.mean, std=given.std, layout=given.layout)
    if kind is VECTOR:
        return recipe
    if kind is VOLUME:
        resize, crop = _whole(given, tuple(sizes), free)
        orientation, spacing = _placed(given)
        return replace(recipe, orientation=orientation, spacing=spacing, resize=resize, crop=crop)
    shorter, crop = _geometry(given, preset, sizes[0], sizes[1], free)
    layout = _layout(given.layout, channels)
    return replace(recipe, resize=shorter, crop=crop, layout=layout, interpolation=given.interpolation)


def _intensity(written: Preprocess) -> tuple[float, float] | None:
    """The values that become 0 and 1, of the range or of the window."""
    window, span = written.window, written.intensity
    if window is not None and span is not None:
        raise Unfit("`window` and `intensity` both map values to 0 and 1: write one of them")
    if span is not None and not span[0] < span[1]:
        raise Unfit("`intensity` is `[low, high]`: the first value must be smaller than the second")
    if window is None:
        return span
    centre, width = Preprocess.windows[window] if isinstance(window, str) else window
    if not width >= 1:
        raise Unfit("`window` is `[centre, width]`: the width must be at least 1")
    return window_span(centre, width)


def _placed(written: Preprocess) -> tuple[str | None, tuple[float, ...] | None]:
    """Orientation and spacing of a volume."""
    if written.layout is not None or written.interpolation != "bilinear":
        raise Unfit("`layout` and `interpolation` are for images; a volume is resized linearly")
    orientation = written.orientation or DEFAULT_ORIENTATION
    if orientation != "stored" and not is_orientation(orientation):
        raise Unfit(f"`orientation` has one of R and L, one of A and P, one of S and I, such as {DEFAULT_ORIENTATION}")
    if written.spacing is not None and min(written.spacing) < 1e-3:
        raise Unfit("`spacing` is in millimetres, and at least 0.001")
    return None if orientation == "stored" else orientation, written.spacing


def _whole(
    written: Preprocess, sizes: tuple[int, ...], free: bool
) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    """Resize and crop of a volume. Its crop is the input, unless the input has free sizes."""
    resize, crop = written.resize, written.crop
    if isinstance(resize, int) or (resize is not None and len(resize) != len(sizes)):
        raise Unfit("`resize` of a volume has three sizes: `[depth, height, width]`")
    if crop is not None and not isinstance(crop, int) and len(crop) != len(sizes):
        raise Unfit("`crop` of a volume has three sizes: `[depth, height, width]`")
    if free:
        return resize, tuple(crop for _ in sizes) if isinstance(crop, int) else crop
    plain = resize is None and crop is None and written.spacing is None
    return (sizes, None) if plain else (resize, sizes)


def _grey(preset: Preprocess) -> Preprocess:
    """The preset for a grey image: its mean and deviation are the means of those of the colours."""
    mean, std = (sum(values) / len(values) for values in (preset.mean, preset.std))
    return preset.model_copy(update={"mean": (mean,), "std": (std,), "layout": None})


def _geometry(
    written: Preprocess, preset: bool, height: int, width: int, free: bool
) -> tuple[int | tuple[int, ...] | None, tuple[int, int] | None]:
    if written.resize is None and written.crop is None:
        if preset:
            return round(min(height, width) * _WHOLE), (height, width)
        return (None if free else (height, width)), None
    crop = (written.crop, written.crop) if isinstance(written.crop, int) else written.crop
    resize = written.resize
    for name, value in (("resize", resize), ("crop", crop)):
        if isinstance(value, tuple) and len(value) != 2:
            raise Unfit(f"`{name}` of an image has two sizes: `[height, width]`")
    if isinstance(resize, int) and crop is not None:
        resize = round(resize * min(height, width) / min(crop))
    elif isinstance(resize, int) and resize < min(height, width):
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


def _sizes(value: object) -> tuple[int, ...]:
    sizes = [_size(item) for item in value] if isinstance(value, list) else []
    if None in sizes or len(sizes) not in (len(IMAGE.letters), len(VOLUME.letters)):
        raise ValueError("not a size for each axis")
    return tuple(size for size in sizes if size is not None)


def _numbers(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= 64:
        raise ValueError("not a list of numbers")
    return tuple(_number(item) for item in value)


def _number(value: object) -> float:
    if type(value) not in (int, float) or not abs(value) < 1e30:  # type: ignore[arg-type]  # also rejects NaN
        raise ValueError("not a usable number")
    return float(value)  # type: ignore[arg-type]
