"""The spatial axes of signals, images and volumes: the only place that tells 1, 2 and 3 axes apart.

A tensor's shape is its channels and then its spatial sizes, so the number of axes follows from the shape. Everything
else works on any number of axes, one by one, and takes the names of what it prints from here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple


class Kind(NamedTuple):
    """The names of the tensors with as many spatial axes as `letters`."""

    noun: str
    """What such a tensor is called, with its article."""
    letters: str
    """One letter per axis."""
    extents: tuple[str, ...]
    """The adjective of each axis: a window is 3 pixels `high`."""
    sizes: tuple[str, ...]
    """The noun of each axis."""
    point: str
    """What one value of a channel is called."""
    linear: str
    """PyTorch's name of linear interpolation."""
    example: str = ""
    """An input of one channel."""
    channels_last: str = "preserve_format"
    """PyTorch's name of the memory format that has the channels last; it has none for signals."""
    lead: str = ""
    """Written before the sizes, where one number alone says too little."""
    averages_beyond: bool = True
    """Whether PyTorch's average pool takes windows that are larger than the input before padding."""

    @property
    def bare(self) -> str:
        """The noun without its article."""
        return self.noun.partition(" ")[2]

    @property
    def form(self) -> str:
        """`C x H x W`."""
        return " x ".join(("C", *self.letters))

    @property
    def gate(self) -> str:
        """`C x 1 x 1`."""
        return " x ".join(("C", *("1" for _ in self.letters)))

    @property
    def plane(self) -> str:
        """`1 x H x W`."""
        return " x ".join(("1", *self.letters))

    def window(self, size: int) -> str:
        """Return a window of one size on all axes as text: `3x3`."""
        return "x".join([str(size)] * len(self.letters))


KINDS: tuple[Kind, ...] = (
    Kind("a vector", "", (), (), "value", ""),
    Kind("a signal", "L", ("long",), ("length",), "sample", "linear", "1x5000", lead="L "),
    Kind("an image", "HW", ("high", "wide"), ("height", "width"), "pixel", "bilinear", "1x224x224", "channels_last"),
    Kind(
        "a volume",
        "DHW",
        ("deep", "high", "wide"),
        ("depth", "height", "width"),
        "voxel",
        "trilinear",
        "1x96x96x96",
        "channels_last_3d",
        averages_beyond=False,
    ),
)
"""By the number of axes."""

VECTOR, SIGNAL, IMAGE, VOLUME = KINDS
"""The kind without axes, that with one, that of image files, and that of files with slices."""

MOST = len(KINDS) - 1
"""The largest number of spatial axes."""


def is_picture(shape: Sequence[object]) -> bool:
    """Return whether a shape is that of an image file: grey or RGB."""
    return kind_of(shape) is IMAGE and shape[0] in (1, 3)


CHANNELS = (1, 3, 4)
"""Numbers of channels that images have."""


def channels_first(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape that seems to have its channels last with the channels first; empty for any other shape.

    `224x224x3` has as many channels as rows. A signal `5000x12` has far more channels than samples, and a number of
    channels that is unusual: at least 4096, or neither a multiple of 32 nor one more, as the bins of a spectrogram.
    """
    first, *rest = shape
    if not rest:
        return ()
    *middle, last = rest
    if middle:
        likely = {*middle} == {first} and last in CHANNELS and first >= 16
    else:
        likely = last <= 64 and first >= max(1000, 16 * last) and (first >= 4096 or first % 32 > 1)
    return (last, first, *middle) if likely else ()


def listed(words: Sequence[str], last: str = "and") -> str:
    """Return `depth, height and width`."""
    return f" {last} ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


FORMS = listed([f"{kind.noun} ({kind.form})" for kind in KINDS[1:]], "or")
"""The tensors with axes: a signal (C x L), an image (C x H x W) or ..."""


RANKED = rf"(?i)(?<=[a-z])([1-{MOST}])d(?=$|transpose)"
"""The number of axes in the name of a layer: `Conv3d`, `Conv1DTranspose`."""


def without_axes(name: str) -> tuple[str, int]:
    """Return the name of a layer without its number of axes, and this number: `conv3d` is `conv`, 3; 0 if none."""
    match = re.search(RANKED, name)
    return (name[: match.start()] + name[match.end() :], int(match[1])) if match else (name, 0)


def axes_of(shape: Sequence[object]) -> int:
    """Return the number of spatial axes of a shape without the batch; 0 for a vector, and for an unknown shape."""
    return max(len(shape) - 1, 0)


def uniform(numbers: tuple[int, ...]) -> int | tuple[int, ...]:
    """Return the number that is the same on all axes or sides, or else the numbers."""
    return numbers[0] if len(set(numbers)) == 1 else numbers


def in_short(sizes: Sequence[int], times: str = "x") -> str:
    """Return sizes as text: `2` if they are the same on all axes, `1x2x2` for others."""
    return times.join(map(str, sizes[:1] if len(set(sizes)) == 1 else sizes))


def sizes_words(shape: Sequence[object], times: str) -> str:
    """Return the spatial sizes of a shape: `28 x 28` of an image, `L 28` of a signal."""
    return kind_of(shape).lead + times.join(map(str, shape[1:]))


def kind_of(shape: Sequence[object]) -> Kind:
    """Return the names for a shape without the batch."""
    return KINDS[axes_of(shape)]
